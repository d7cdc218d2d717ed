"""Augmented rows: they depend on their molecule only, survive interruptions, and list what is missing."""

import numpy as np
import pandas as pd
import pytest

from course_lib import settings
from course_lib.featurize import PROTOCOLS, augment, augmentation, join2d, molecule_weights, summarize
from course_lib.molecules import MoleculeError

MOLECULES = ["CCO", "CCc1ccccc1", "C=CC(=O)OC", "CC(C)=C"]
PARACYCLOPHANE = "C1Cc2ccc(c(Cl)c2)CCc2ccc1c(Cl)c2"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def computed(monkeypatch):
    """Record which (SMILES, protocol) are computed rather than read from the cache."""
    calls, real = [], augmentation.conformers

    def recording(text, n, protocol, random_state):
        calls.append((text, protocol))
        return real(text, n, protocol, random_state)

    monkeypatch.setattr(augmentation, "conformers", recording)
    return calls


def test_shape_and_index():
    rows = augment(MOLECULES[:2], n_conformers=8)
    assert rows.shape == (16, 213)
    assert rows.index.names == ["row", "protocol", "conformer"]
    counts = rows.loc[0].groupby(level="protocol").size()
    assert counts.to_dict() == dict(zip(PROTOCOLS, [2, 2, 1, 1, 1, 1], strict=True))
    assert rows.index.is_unique
    assert rows.notna().all(axis=None)


def test_fewer_conformers_than_protocols():
    rows, failures = augment(["CCO"], n_conformers=2, return_failures=True)
    assert rows.index.get_level_values("protocol").tolist() == list(PROTOCOLS[:2])
    assert failures.empty


def test_prefix_property_fresh_and_from_cache(computed):
    few = augment(MOLECULES[:2], n_conformers=6)
    many = augment(MOLECULES[:2], n_conformers=24)  # computed anew: the cache holds too few
    first = many[many.index.get_level_values("conformer") < 1]
    pd.testing.assert_frame_equal(first, few, check_exact=True)
    computed.clear()
    pd.testing.assert_frame_equal(augment(MOLECULES[:2], n_conformers=6), few, check_exact=True)
    assert computed == []


def test_neither_order_nor_company_nor_spelling_matter(tmp_path, monkeypatch):
    rows = augment(MOLECULES, n_conformers=6)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "another"))
    other = augment(["C=C(C)C", "OCC"], n_conformers=6)
    np.testing.assert_array_equal(other.loc[0], rows.loc[3])
    np.testing.assert_array_equal(other.loc[1], rows.loc[0])


def test_two_workers_give_the_same_numbers(tmp_path, monkeypatch):
    alone = augment(MOLECULES, n_conformers=6, n_jobs=1)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "another"))
    shared = augment(MOLECULES, n_conformers=6, n_jobs=2)
    pd.testing.assert_frame_equal(alone, shared, check_exact=True)


def test_a_molecule_that_stands_twice_is_computed_once(computed):
    rows = augment(["CCO", "OCC"], n_conformers=2, protocols=("etkdg",))
    assert computed == [("CCO", "etkdg")]
    np.testing.assert_array_equal(rows.loc[0], rows.loc[1])


def test_interrupted_run_goes_on(computed, monkeypatch):
    recording = augmentation.conformers

    def interrupted(text, *rest):
        if text == "C=CC(=O)OC":
            raise KeyboardInterrupt
        return recording(text, *rest)

    monkeypatch.setattr(augmentation, "conformers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        augment(MOLECULES, n_conformers=6)
    monkeypatch.setattr(augmentation, "conformers", recording)
    computed.clear()
    rows = augment(MOLECULES, n_conformers=6)
    assert {text for text, _ in computed} == {"C=CC(=O)OC", "C=C(C)C"}
    assert len(rows) == 24


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty", "bit", "swap"])
def test_a_broken_cache_entry_is_computed_again(damage, computed):
    rows = augment(["CCO", "CCC"], n_conformers=2, protocols=("dg",))
    files = sorted((settings.cache_dir() / "conformers").rglob("*.npz"))
    assert len(files) == 2
    content = files[0].read_bytes()
    middle = len(content) // 2
    new = {
        "truncate": content[:middle],
        "garbage": b"not an archive",
        "empty": b"",
        "bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "swap": files[1].read_bytes(),
    }[damage]
    files[0].write_bytes(new)
    computed.clear()
    pd.testing.assert_frame_equal(augment(["CCO", "CCC"], n_conformers=2, protocols=("dg",)), rows, check_exact=True)
    assert len(computed) == 1


def test_seed_descriptors_and_versions_have_entries_of_their_own(computed, monkeypatch):
    options = {"n_conformers": 1, "protocols": ("dg",)}
    first = augment(["CCCCO"], **options)
    assert not np.allclose(augment(["CCCCO"], random_state=1, **options), first)
    assert augment(["CCCCO"], descriptors="rdkit", **options).shape == (1, 639)
    monkeypatch.setattr("course_lib.featurize._store._versions", lambda: {"rdkit": "another"})
    augment(["CCCCO"], **options)
    assert len(computed) == 4


def test_failures_are_listed_with_reasons():
    smiles = ["CCO", PARACYCLOPHANE, "CB(O)O"]
    rows, failures = augment(smiles, n_conformers=12, return_failures=True)
    assert list(failures.columns) == ["row", "smiles", "protocol", "asked", "got", "reason"]
    listed = set(zip(failures["row"], failures["protocol"], strict=True))
    etkdg = {(1, name) for name in PROTOCOLS[:3]}
    assert listed == etkdg | {(2, "etkdg_mmff94"), (2, "dg_mmff94")}
    assert (failures["asked"] == 2).all()
    assert (failures["got"] == 0).all()
    assert failures.loc[failures["row"] == 1, "reason"].str.contains("gave up").all()
    assert failures.loc[failures["row"] == 2, "reason"].str.contains("MMFF94 has no parameters").all()
    assert rows.attrs["failures"] == 5
    assert rows.groupby(level="row").size().to_dict() == {0: 12, 1: 6, 2: 8}


def test_known_failures_are_not_tried_again(computed):
    _, first = augment([PARACYCLOPHANE], n_conformers=1, protocols=("etkdg",), return_failures=True)
    computed.clear()
    _, again = augment([PARACYCLOPHANE], n_conformers=9, protocols=("etkdg",), return_failures=True)
    assert computed == []
    assert again["asked"].tolist() == [9]
    assert again["reason"].tolist() == first["reason"].tolist()


def test_all_molecules_fail_or_none_is_given():
    rows, failures = augment([PARACYCLOPHANE], n_conformers=1, protocols=("etkdg",), return_failures=True)
    assert rows.shape == (0, 213)
    assert len(failures) == 1
    assert augment([], n_conformers=6).shape == (0, 213)
    assert len(molecule_weights(rows)) == 0


def test_bad_input_is_refused_before_any_work(computed):
    with pytest.raises(MoleculeError, match=r"row 1: .*cap it first"):
        augment(["CCO", "*CC*"])
    with pytest.raises(MoleculeError, match="row 2: 'C1CC' is not a molecule"):
        augment(["CCO", "CC", "C1CC"])
    with pytest.raises(ValueError, match="unknown protocol"):
        augment(["CCO"], protocols=("etkdg", "crest"))
    with pytest.raises(ValueError, match="different names"):
        augment(["CCO"], protocols=("etkdg", "etkdg"))
    with pytest.raises(ValueError, match="at least 1"):
        augment(["CCO"], n_conformers=0)
    with pytest.raises(TypeError, match=r"\[smiles\]"):
        augment("CCO")
    assert computed == []


def index_of(counts):
    pairs = [(row, "dg", conformer) for row, n in counts.items() for conformer in range(n)]
    return pd.MultiIndex.from_tuples(pairs, names=["row", "protocol", "conformer"])


def test_weights_let_each_molecule_count_once():
    rows = pd.DataFrame({"x": 0.0}, index=index_of({0: 3, 2: 1, 5: 8}))
    weights = molecule_weights(rows)
    assert weights.mean() == pytest.approx(1)
    sums = pd.Series(weights, index=rows.index).groupby(level="row").sum()
    np.testing.assert_allclose(sums, 4.0)
    np.testing.assert_array_equal(molecule_weights(rows.index), weights)
    # by identity: molecule 0 and 2 are one and the same
    groups = np.where(rows.index.get_level_values("row") == 5, "b", "a")
    np.testing.assert_allclose(molecule_weights(groups), np.where(groups == "b", 12 / 16, 12 / 8))


def test_join2d():
    rows = pd.DataFrame({"x": range(4)}, index=index_of({0: 1, 2: 3}))
    table = pd.DataFrame({"a": [10.0, 11.0, 12.0], "b": [0.0, np.nan, 5.0]})
    joined = join2d(rows, table)
    assert joined.index.equals(rows.index)
    assert joined["a"].tolist() == [10, 12, 12, 12]
    assert joined["b"].tolist() == [0, 5, 5, 5]
    with pytest.raises(ValueError, match="only 2 lines"):
        join2d(rows, table.iloc[:2])
    with pytest.raises(ValueError, match="both tables have a column 'x'"):
        join2d(rows, table.rename(columns={"a": "x"}))


def test_summarize():
    values = {"x": [3.0, 1.0, 2.0, 5.0, 4.0, 7.0]}
    index = pd.MultiIndex.from_tuples(
        [(4, "dg", i) for i in range(5)] + [(6, "etkdg_uff", 0)], names=["row", "protocol", "conformer"]
    )
    table = summarize(pd.DataFrame(values, index=index))
    assert table.index.tolist() == [4, 6]
    statistics = ["min", "q25", "median", "q75", "max"]
    assert list(table.columns) == [f"x_{p}_{s}" for p in ("etkdg_uff", "dg") for s in statistics]
    assert table.loc[4, [f"x_dg_{s}" for s in statistics]].tolist() == [1, 2, 3, 4, 5]
    assert table.loc[4, "x_etkdg_uff_min"] != table.loc[4, "x_etkdg_uff_min"]  # NaN: no such conformer
    assert table.loc[6, "x_etkdg_uff_q25"] == 7


def test_summary_has_the_lectures_6390_columns():
    assert summarize(augment(["CCO"], n_conformers=6)).shape == (1, 6390)
