"""The embedded sets, the homopolymers, the audit and what all sets have in common. No network."""

import re

import numpy as np
import pandas as pd
import pytest

from course_lib import datasets, settings
from course_lib.datasets import _base, _chemicals, _embedded, _polymers
from course_lib.molecules import canonical, identity

EMBEDDED = list(_embedded.RECIPES)
OFFLINE = ["homopolymer_tg", *EMBEDDED]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a test of the embedded sets went to the network")

    monkeypatch.setattr("socket.socket.connect", refuse)


# --- what all sets have in common -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OFFLINE)
def test_set_is_as_its_card_and_the_registry_say(name):
    data = datasets.load(name)
    stated = re.search(r"rows (\d+), molecules (\d+), left out (\d+)", data.card)
    assert stated, f"the card of {name} in data/README.md has no line 'rows ..., molecules ..., left out ...'"
    assert [int(number) for number in stated.groups()] == [len(data), len(set(data.groups)), len(data.left_out)]
    assert _base.entry(name)["n"] == len(data)
    assert np.isfinite(data.y).all()
    assert data.units == _base.entry(name)["units"]
    assert (data.left_out["reason"] != "").all()
    for word in ("Measured", "Source", "Licence", "Known"):
        assert word in data.card, f"the card of {name} has no {word!r}"


@pytest.mark.parametrize("name", ["sublimation", "permittivity", "flammable", "octane", "homopolymer_tg"])
def test_smiles_are_canonical_and_groups_are_identities(name):
    data = datasets.load(name)
    assert [canonical(smiles) for smiles in data.smiles] == list(data.smiles)
    if name != "homopolymer_tg":
        assert [identity(smiles) for smiles in data.smiles] == list(data.groups)
        assert len(set(data.smiles)) == len(data)


def test_available_lists_every_set():
    table = datasets.available()
    assert set(OFFLINE) | {"tg_vinyl", "delaney", "freesolv", "lipo", "bace"} == set(table["name"])
    assert list(table.columns[:5]) == ["name", "n", "units", "kind", "task"]
    assert table.notna().all().all()
    assert set(table["kind"]) == {"table", "embedded", "fetched"}


def test_every_card_is_there():
    for name in datasets.available()["name"]:
        assert _base.card(name).startswith(f"## {name}\n") or _base.card(name).startswith(f"## `{name}`\n")


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(
        datasets.UnknownDatasetError, match="there is no data set 'sublimaton'. Did you mean 'sublimation'"
    ):
        datasets.load("sublimaton")
    with pytest.raises(datasets.UnknownDatasetError, match=r"There are: homopolymer_tg, sublimation"):
        datasets.load("zzz")


def test_unknown_option_is_named():
    with pytest.raises(datasets.UnknownDatasetError, match="'octane' has no option 'split'. It has none"):
        datasets.load("octane", split=True)
    with pytest.raises(datasets.UnknownDatasetError, match="It has: form, status, duplicates"):
        datasets.load("homopolymer_tg", shape="trimer")


def test_subset_takes_rows_in_order():
    data = datasets.load("octane")
    part = data.subset([5, 0, 5])
    assert list(part.smiles) == [data.smiles[5], data.smiles[0], data.smiles[5]]
    assert list(part.frame["cas"]) == list(data.frame["cas"].iloc[[5, 0, 5]])
    assert len(data.subset(data.y > 100)) == (data.y > 100).sum()
    assert len(data.subset([])) == 0
    with pytest.raises(IndexError):
        data.subset([len(data)])
    with pytest.raises(IndexError):
        data.subset(np.ones(3, dtype=bool))


def test_dataset_is_frozen_and_its_columns_must_agree():
    data = datasets.load("octane")
    with pytest.raises(AttributeError):
        data.y = data.y + 1
    with pytest.raises(ValueError, match="differ in length"):
        datasets.Dataset("x", data.smiles, data.y[:-1], "1", data.groups, data.names, data.frame, "")


def test_loading_twice_gives_separate_frames():
    first = datasets.load("octane")
    first.y[:] = -1
    first.frame.loc[:, "y"] = -1
    assert (datasets.load("octane").y >= 0).all()


# --- the chemicals package --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*_chemicals.TABLES, *_chemicals.FILES])
def test_the_tables_without_a_function_are_still_there(name):
    """When this fails, the chemicals package has moved what course_lib.datasets._chemicals names."""
    table = _chemicals.table(name)
    assert len(table) > 50
    assert table.index.map(lambda cas: bool(re.fullmatch(r"\d{2,7}-\d\d-\d", cas))).all()


@pytest.mark.parametrize("name", list(_chemicals.LOOKUPS))
def test_the_lookup_functions_are_still_there(name):
    module, function, tables = _chemicals.LOOKUPS[name]
    call = _chemicals._attribute(module, function)
    call("64-17-5")
    assert isinstance(_chemicals._attribute(module, tables), dict)


def test_a_vanished_table_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(_chemicals.TABLES, "sublimation", ("phase_change", "no_such_table", ("Hsub",)))
    with pytest.raises(datasets.SourceChangedError, match=r"has no phase_change.no_such_table, which the course reads"):
        _chemicals.table("sublimation")
    monkeypatch.setitem(_chemicals.TABLES, "sublimation", ("phase_change", "Hsub_data_Gharagheizi", ("Hsub", "Gone")))
    with pytest.raises(datasets.SourceChangedError, match="the column 'Gone'"):
        _chemicals.table("sublimation")
    monkeypatch.setitem(_chemicals.FILES, "cetane_combustdb", "gone.tsv")
    with pytest.raises(datasets.SourceChangedError, match=r"the file Misc/gone.tsv"):
        _chemicals.table("cetane_combustdb")
    with pytest.raises(datasets.SourceChangedError, match="the method 'GUESS' of combustion.RON"):
        _chemicals.lookup("research_octane", "GUESS")


def test_no_recipe_reads_a_calculated_source(monkeypatch):
    calculated = {"PSI4_2022A", "JOBACK", "WILSON_JASPERSON", "FLORIAN_LIMING_ANN", "COMBUSTDB_PREDICTIONS", None}
    used = []

    def record(name, method):
        used.append(method)
        return pd.DataFrame({"value": [1.0], "t_k": [298.0]}, index=["64-17-5"])

    monkeypatch.setattr(_chemicals, "lookup", record)
    for recipe in _embedded.RECIPES.values():
        recipe.read()
    assert used
    assert not calculated & set(used)


def test_decimals_tell_measured_from_modelled():
    assert [_embedded._decimals(value) for value in (224.15, 250.0, 308.652209123, float("nan"))] == [2, 0, 9, 0]


def test_flammable_is_the_rule_of_its_sources():
    data = datasets.load("flammable")
    frame = data.frame
    flash = frame["iec"].fillna(frame["serat"])
    assert flash.notna().all()
    assert ((flash <= 333.15) == (data.y == 1)).all()
    assert set(data.y) == {0.0, 1.0}
    assert frame["serat"].map(_embedded._decimals).max() < 8
    modelled = data.left_out["reason"].str.contains("8 or more decimals")
    assert modelled.sum() > 250


def test_windows_of_temperature():
    for name in ("permittivity", "refractive_index"):
        data = datasets.load(name)
        assert data.frame["t_k"].between(288.0, 303.2).all()
        assert data.left_out["reason"].str.contains("outside 288-303.2 K").sum() > 100
    permittivity = datasets.load("permittivity")
    assert np.allclose(permittivity.y, np.log10(permittivity.frame["crc"]))


def test_sources_stand_side_by_side_and_the_first_one_is_y():
    frame = datasets.load("dipole").frame
    sources = ["cccbdb", "muller", "poling"]
    assert (frame[sources].notna().sum(axis=1) > 1).sum() > 100
    expected = [row[row["y_source"]] for _, row in frame.iterrows()]
    assert np.allclose(frame["y"], expected)
    assert (frame["y_source"] == frame[sources].notna().idxmax(axis=1)).all()


def test_octane_scale_is_marked():
    frame = datasets.load("octane").frame.set_index("cas")
    assert frame.loc["142-82-5", ["y", "remark"]].tolist() == [0.0, "defines the scale, not measured"]
    assert frame.loc["540-84-1", "y"] == 100.0
    assert (frame.loc[frame["remark"].str.startswith("exactly 120"), "y"] == 120.0).all()


def test_cas_numbers_without_a_structure_are_counted():
    data = datasets.load("sublimation")
    assert (data.left_out["reason"] == "no structure for this CAS number").sum() == 167
    assert len(data) + len(data.left_out) == len(_chemicals.table("sublimation"))


def test_only_neutral_single_organic_molecules_are_kept():
    from rdkit import Chem

    for name in ("fusion", "dipole", "refractive_index"):
        for smiles in datasets.load(name).smiles:
            mol = Chem.MolFromSmiles(smiles)
            assert "." not in smiles
            assert Chem.GetFormalCharge(mol) == 0
            assert any(atom.GetSymbol() == "C" for atom in mol.GetAtoms())
            assert not any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[Na+].[Cl-]", "not an organic structure"),
        ("CC[Hg]CC", "not an organic structure"),
        ("CC(=O)O.OCC", "salt, complex or mixture"),
        ("CC(=O)[O-]", "ion without its counter-ion"),
        ("[Si]c1ccccc1", "open valence"),
        ("C1CC", "structure cannot be read: unclosed ring"),
        ("CCO", ""),
    ],
)
def test_why_a_structure_is_left_out(text, reason):
    found = _embedded._organic(text)[2]
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_flat_drawings_of_differing_stereoisomers_are_left_out():
    data = datasets.load("melting_point")
    flat = data.left_out[data.left_out["reason"].str.startswith("drawn without its stereochemistry")]
    assert len(flat) > 50
    kept = pd.DataFrame({"smiles": ["CC(O)CC(F)Cl", "CC(O)C[C@H](F)Cl"], "value": [300.0, 340.0]}, index=["a", "b"])
    groups = {"a": "one", "b": "one"}
    assert [cas for cas, _ in _embedded._flat_drawings(kept, groups, 5.0)] == ["a", "b"]
    assert list(_embedded._flat_drawings(kept, groups, 50.0)) == []
    kept.loc["b", "smiles"] = "C[C@@H](O)C[C@H](F)Cl"
    assert [cas for cas, _ in _embedded._flat_drawings(kept, groups, 5.0)] == ["a"]


def test_every_exclusion_is_applied_and_has_its_evidence():
    listed = _embedded.exclusions()
    assert listed["evidence"].str.len().min() > 30
    assert listed["reason"].notna().all()
    assert not listed.reset_index().duplicated(["cas", "set", "value"]).any()
    for name, rows in listed.groupby("set"):
        data = datasets.load(name)
        struck_out = data.left_out[data.left_out["reason"].str.startswith("excluded")]
        missing = set(rows.index) - set(struck_out["cas"])
        assert not missing, f"{name}: {missing} are listed in exclusions.csv but the source has no such value any more"


@pytest.mark.parametrize(
    ("name", "cas"),
    [
        ("critical_temperature", "85-01-8"),
        ("fusion", "12037-79-5"),
        ("refractive_index", "4325-82-0"),
        ("refractive_index", "7152-15-0"),
        ("refractive_index", "7320-37-8"),
        ("permittivity", "120-94-5"),
        ("flammable", "50-00-0"),
    ],
)
def test_known_wrong_entries_are_gone(name, cas):
    assert cas not in set(datasets.load(name).frame["cas"])


def test_one_bad_source_does_not_cost_the_molecule():
    frame = datasets.load("melting_point").frame.set_index("cas")
    assert np.isnan(frame.loc["6325-93-5", "crc"])
    assert frame.loc["6325-93-5", "y"] == frame.loc["6325-93-5", "open_notebook"] > 440
    assert frame.loc["6325-93-5", "y_source"] == "open_notebook"


def test_broken_cache_of_a_set_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    first = datasets.load("octane")
    for entry in tmp_path.rglob("output.pkl"):
        entry.write_bytes(entry.read_bytes()[:-50])
    second = datasets.load("octane")
    pd.testing.assert_frame_equal(first.frame, second.frame)


def test_cache_is_renewed_when_the_exclusions_change(monkeypatch, tmp_path):
    text = _base.data_file("exclusions.csv").read_text(encoding="utf-8")
    (tmp_path / "exclusions.csv").write_text(text + '64-17-5,octane,108.6,for this test,"ethanol is taken out"\n')
    before = _embedded._fingerprint()
    real = _embedded.data_file
    monkeypatch.setattr(
        _embedded, "data_file", lambda name: tmp_path / name if name == "exclusions.csv" else real(name)
    )
    assert _embedded._fingerprint() != before
    frame, left_out = _embedded.derive("octane", "uncached")
    assert "64-17-5" not in set(frame["cas"])
    assert left_out.set_index("cas").loc["64-17-5", "reason"] == "excluded: for this test"


def test_unwritable_cache_is_the_settings_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(settings.CacheError, match="COURSE_CACHE"):
        datasets.load("octane")


def test_missing_data_folder_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(_base, "DATA", tmp_path)
    with pytest.raises(datasets.DatasetError, match="pip install -e"):
        _base.data_file("registry.toml")


# --- homopolymers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def polymers(tmp_path, monkeypatch):
    """A small table with every case that the loader treats."""
    rows = [
        ("poly(a)", "C=CC(=O)OCC", "*CC(*)C(=O)OCC", 249, "", "one", "verified", ""),
        ("poly(a)", "C=CC(=O)OCC", "*CC(*)C(=O)OCC", 253, "isotactic", "two", "verified", ""),
        ("poly(b)", "C=COC(=O)CC", "*CC(*)OC(=O)CC", 283, "", "one", "verified", ""),
        ("cis", "C=CC=C", "*C/C=C\\C*", 171, "cis-1,4", "one", "verified", ""),
        ("trans", "C=CC=C", "*C/C=C/C*", 215, "trans-1,4", "one", "verified", ""),
        ("vinyl", "C=CC=C", "*CC(*)C=C", 269, "1,2", "one", "verified", ""),
        ("memory", "C=C", "*CC*", 195, "", "", "recalled", "from memory"),
    ]
    columns = [*_polymers.COLUMNS, "note"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "homopolymer_tg.csv", index=False)
    real = _polymers.data_file
    monkeypatch.setattr(
        _polymers, "data_file", lambda name: tmp_path / name if name == "homopolymer_tg.csv" else real(name)
    )
    return tmp_path / "homopolymer_tg.csv"


def test_one_row_per_polymer_with_the_median(polymers):
    data = datasets.load("homopolymer_tg")
    first = data.frame.iloc[0]
    assert (first["y"], first["y_min"], first["y_max"], first["n_rows"]) == (251.0, 249.0, 253.0, 2)
    assert (first["source"], first["tacticity"]) == ("one; two", "isotactic")
    assert list(data.names) == ["poly(a)", "poly(b)", "cis", "trans", "vinyl"]
    assert list(data.left_out["reason"]) == ["status recalled"]


def test_all_rows_and_all_status(polymers):
    assert len(datasets.load("homopolymer_tg", duplicates=True)) == 6
    assert len(datasets.load("homopolymer_tg", duplicates=True, status=None)) == 7
    assert list(datasets.load("homopolymer_tg", status="recalled").names) == ["memory"]


def test_forms(polymers):
    smiles = {form: list(datasets.load("homopolymer_tg", form=form).smiles) for form in _polymers.FORMS}
    assert smiles["monomer"][0] == canonical("C=CC(=O)OCC")
    assert smiles["h_capped"][0] == canonical("CCC(=O)OCC")
    assert smiles["trimer"][0].count("C(=O)OCC") + smiles["trimer"][0].count("OC(=O)") >= 3


def test_polymers_that_look_alike_share_a_group(polymers):
    """Capped with hydrogen, poly(ethyl acrylate) and poly(vinyl propionate) are one molecule, ethyl propionate."""
    capped = datasets.load("homopolymer_tg")
    assert capped.smiles[0] == capped.smiles[1]
    assert capped.groups[0] == capped.groups[1]
    assert capped.groups[2] == capped.groups[3], "cis and trans differ in stereochemistry only"
    trimer = datasets.load("homopolymer_tg", form="trimer")
    assert trimer.groups[0] != trimer.groups[1]
    monomer = datasets.load("homopolymer_tg", form="monomer")
    assert len(set(monomer.groups[2:])) == 1, "one monomer, three polymers: the model cannot tell them apart"


def test_polymer_errors(polymers):
    with pytest.raises(datasets.UnknownDatasetError, match="no form 'dimer'.*h_capped, monomer, trimer"):
        datasets.load("homopolymer_tg", form="dimer")
    with pytest.raises(datasets.UnknownDatasetError, match="no status 'guessed'"):
        datasets.load("homopolymer_tg", status="guessed")
    table = pd.read_csv(polymers)
    table.drop(columns="repeat_unit").to_csv(polymers, index=False)
    with pytest.raises(datasets.DatasetError, match="no column 'repeat_unit'"):
        datasets.load("homopolymer_tg")


def test_real_polymers_have_rows_enough_and_one_group_per_smiles():
    data = datasets.load("homopolymer_tg")
    assert len(data) >= 150
    for form in _polymers.FORMS:
        data = datasets.load("homopolymer_tg", form=form, duplicates=True)
        by_smiles = pd.Series(data.groups).groupby(data.smiles).nunique()
        assert by_smiles.max() == 1


# --- audit ------------------------------------------------------------------------------------------------------------

PLANTED = pd.DataFrame(
    {
        "smiles": [
            "CCO", "OCC", "CCN", "NCC", "O= C1CCCO1", "C1CC", "CC(=O)[O-].[Na+]", "CC(=O)[O-]", "CCO.CCC",
            "C/C=C/C", "C/C=C\\C", "*CC*", None, "CCCC", "CCCCC", "CCCCCC", "c1ccccc1",
        ],
        "y": [
            300.0, 300.0, 310.0, 350.0, 290.0, 305.0, 307.0, 303.0, 306.0,
            301.0, 302.0, 299.0, 304.0, np.nan, 30000.0, -4.0, "warm",
        ],
    }
)  # fmt: skip


def test_audit_finds_everything_that_was_planted(capsys):
    found = datasets.audit(PLANTED, units="K", outlier_limit=20)
    expected = {
        "no label": [13, 16],
        "no structure": [12],
        "space in SMILES": [4],
        "not a molecule": [5],
        "duplicate": [0, 1, 2, 3],
        "conflicting labels": [2, 3],
        "stereo-only duplicate": [9, 10],
        "salt": [6],
        "mixture": [8],
        "ion": [7],
        "open ends": [11],
        "outlier": [14, 15],
        "implausible value": [15],
    }
    assert set(expected) == set(datasets.KINDS)
    assert {kind: sorted(found.having(kind)) for kind in datasets.KINDS} == expected
    assert (found.n_rows, found.n_labelled, found.n_parsed) == (17, 15, 12)
    assert (found.n_distinct, found.n_connectivities, found.n_repeated) == (10, 9, 2)
    printed = capsys.readouterr().out
    assert printed.strip() == str(found)
    for kind in datasets.KINDS:
        assert datasets.KINDS[kind] in printed
    assert "CCN in rows 2, 3: 310, 350" in printed


def test_audit_of_a_clean_table_says_so(capsys):
    clean = pd.DataFrame({"structure": ["CCO", "CCN", "CCC"], "value": [1.0, 2.0, 3.0]})
    found = datasets.audit(clean, smiles="structure", y="value")
    assert found.findings.empty
    assert "nothing found" in capsys.readouterr().out


def test_audit_options():
    table = PLANTED.iloc[2:4]
    quiet = {"verbose": False}
    assert len(datasets.audit(table, tolerance=50, **quiet).having("conflicting labels")) == 0
    assert list(datasets.audit(table, plausible=(0, 320), **quiet).having("implausible value")) == [1]
    with pytest.raises(KeyError, match="no column 'smile'; it has: smiles, y"):
        datasets.audit(table, smiles="smile")
    with pytest.raises(KeyError, match="no kind 'typo'"):
        datasets.audit(table, **quiet).having("typo")


def test_audit_does_not_change_the_table():
    before = PLANTED.copy()
    datasets.audit(PLANTED, verbose=False)
    pd.testing.assert_frame_equal(before, PLANTED)


def test_audit_of_embedded_sets_finds_no_broken_row():
    for name in ("sublimation", "permittivity", "octane", "flammable"):
        counts = datasets.audit(datasets.load(name).frame, verbose=False).by_kind
        broken = {"no label", "no structure", "space in SMILES", "not a molecule", "duplicate", "salt", "ion"}
        assert not broken & set(counts.index)


def test_compare_sources():
    a = pd.Series({"x": 300.0, "y": 310.0, "z": 320.0, "only a": 1.0})
    b = pd.Series([300.0, 312.0, 320.0, 340.0, 2.0], index=["x", "y", "z", "z", "only b"])
    found = datasets.compare_sources(a, b)
    assert (found["n_a"], found["n_b"], found["n_common"]) == (4, 4, 3)
    assert found["identical"] == pytest.approx(1 / 3)
    assert found["mean_difference"] == pytest.approx((0 - 2 - 10) / 3)
    assert found["median_absolute_difference"] == 2
    assert found["max_absolute_difference"] == 10
    nothing = datasets.compare_sources({"a": 1.0}, {"b": 1.0})
    assert nothing["n_common"] == 0
    assert np.isnan(nothing["identical"])


def test_compare_sources_recovers_the_noise_of_two_independent_sources():
    rng = np.random.default_rng(0)
    truth = rng.normal(300, 50, 4000)
    a, b = (dict(enumerate(truth + rng.normal(0, 5, truth.size))) for _ in range(2))
    assert datasets.compare_sources(a, b)["noise_sd"] == pytest.approx(5, rel=0.05)
