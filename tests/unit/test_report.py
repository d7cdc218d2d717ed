"""The report: when it recommends and when not, whether its numbers are right, and what lands on its page."""

from __future__ import annotations

import json
import re
import zipfile
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("skops", reason="skops is not installed yet: make setup")

from course_lib import datasets
from course_lib.__main__ import main
from course_lib.datasets import TableError, read_table
from course_lib.evaluate import conformal_intervals
from course_lib.featurize import morgan
from course_lib.models import baselines
from course_lib.report import CVPlus, choose_split, findings, predict, report, study
from course_lib.report.findings import _against_mean, _noise
from course_lib.report.models import CONSTANT, Probability, candidates, features
from course_lib.report.saving import TRUSTED, keep, load, spreadsheet_safe
from course_lib.report.splitting import distances
from course_lib.splits import GroupKFold

PLANT = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def molecules():
    """48 molecules of the sublimation set, the same for all tests."""
    data = datasets.load("sublimation")
    rows = np.sort(np.random.default_rng(0).choice(len(data), 48, replace=False))
    return data.subset(rows)


def write(path, smiles, y, column="y", **others):
    pd.DataFrame({"smiles": smiles, column: y, **others}).to_csv(path, index=False)
    return path


def counted(smiles) -> np.ndarray:
    """Signal that any of the models can see: heavy atoms and oxygens."""
    from rdkit import Chem

    mols = [Chem.MolFromSmiles(text) for text in smiles]
    return np.array([m.GetNumHeavyAtoms() + 3.0 * sum(a.GetSymbol() == "O" for a in m.GetAtoms()) for m in mols])


@pytest.fixture(scope="module")
def made(molecules, tmp_path_factory):
    """A report on a strong signal, with candidates, replicates and hostile names."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(1)
    train, new = molecules.smiles[:38], molecules.smiles[38:]
    smiles, y = [*train, *train[:6]], [*counted(train), *counted(train[:6])]
    y = np.array(y) + rng.normal(scale=0.5, size=len(y))
    names = [PLANT, "=cmd|' /C calc'!A0", "$x_", *["plain"] * (len(smiles) - 3)]
    table = write(folder / "my table.csv", smiles, y, "value (<b>K</b>$)", name=names)
    write(folder / "new.csv", [*new, "C1CC", new[0]], np.nan)
    with table.open("a") as stream:
        stream.writelines(f"CCO,<{limit},=below\n" for limit in range(14))
    return report(
        table, candidates=folder / "new.csv", out=folder / "out.html", smiles="smiles", target="value (<b>K</b>$)",
        quick=True, k=3,
    )  # fmt: skip


def test_strong_signal_is_recommended_with_all_that_belongs_to_it(made):
    found, numbers = made.study, made.study.numbers
    assert found.verdict == "recommended"
    assert found.recommended in candidates(binary=False)
    assert numbers["scrambling"]["p"] <= 0.05
    gains = {row["model"]: row for row in numbers["models"]["against_mean"]}
    assert gains[found.recommended]["high"] < 1
    assert CONSTANT not in gains
    assert 0.75 <= numbers["intervals"]["coverage"] <= 1
    assert (
        numbers["intervals"]["coverage_low"]
        <= numbers["intervals"]["coverage"]
        <= numbers["intervals"]["coverage_high"]
    )
    assert 0.2 < numbers["noise"]["sd"] < 1.2  # the planted 0.5, from 6 degrees of freedom
    assert numbers["noise"]["degrees_of_freedom"] == 6
    assert len(found.predictions) == 10
    assert (found.predictions["low"] < found.predictions["high"]).all()
    assert len(found.suggestions) == 3
    assert set(found.suggestions["smiles"]) <= set(found.predictions["smiles"])
    assert list(found.curve["n_train"]) == sorted(found.curve["n_train"])


def test_json_holds_every_number_and_is_strict(made):
    text = made.files["json"].read_text(encoding="utf-8")
    numbers = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert numbers["verdict"] == "recommended"
    assert numbers["data"]["rows"] == numbers["data"]["used"] + numbers["data"]["merged"] + numbers["data"]["left_out"]
    assert len(numbers["candidates"]["predictions"]) == 10
    assert numbers["provenance"]["options"]["random_state"] == 0


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for key, value in attrs if key in ("src", "href") or key.startswith("on")]

    def handle_data(self, data):
        self.text.append(data)


def test_page_is_self_contained_and_runs_nothing_from_the_table(made):
    html = made.files["html"].read_text(encoding="utf-8")
    page = _Tags()
    page.feed(html)
    assert not {"script", "iframe", "object", "link", "form", "b>K"} & set(page.tags)
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert len(page.addresses) == 4
    assert "<b>K</b>" not in html
    assert "Content-Security-Policy" in html
    assert page.tags.count("svg") >= 3 + 5
    text = " ".join(page.text)
    for words in ("Recommended", "OECD", "domain", "Label noise", "More data", "Measure next", "model card", "SHA-256"):
        assert words in text, words
    assert "nan" not in text.lower().split()
    assert "://" not in re.sub(r"xmlns(:\w+)?='[^']*'", "", html)  # SVG names its namespaces


def test_csv_is_safe_for_spreadsheets(made):
    table = pd.read_csv(made.files["csv"])
    assert set(table["set"]) == {
        *("measured", "left out", "merged", "candidate", "candidate left out", "candidate merged")
    }
    assert not table.select_dtypes("object").apply(lambda column: column.astype(str).str.match("[=+@]")).any(axis=None)
    assert list(spreadsheet_safe(pd.DataFrame({"a": ["=1", "-x", "ok"], "b": [-1, 2, 3]}))["a"]) == ["'=1", "'-x", "ok"]


def test_every_row_that_was_not_used_is_told(made):
    table = pd.read_csv(made.files["csv"])
    parts = dict(tuple(table.groupby("set")))
    counts = made.audit.counts
    assert {kind: len(parts[kind]) for kind in ("measured", "merged", "left out")} == {
        "measured": counts["used"], "merged": counts["merged"], "left out": counts["left_out"]
    }  # fmt: skip
    assert counts["left_out"] == 14  # more than the page shows
    lost = parts["left out"]
    assert list(lost["row"]) == list(range(46, 60))
    assert lost["reason"].str.contains("a bound").all()
    assert lost["cells"].iloc[-1] == "CCO | <13 | =below"
    assert "C1CC" in parts["candidate left out"]["cells"].item()
    assert "rows 2, 13" in parts["candidate merged"]["reason"].item()
    page = made.files["html"].read_text(encoding="utf-8")
    assert "Candidates: 12 rows = 10 used + 1 merged" in page
    assert "unclosed ring" in page
    read = json.loads(made.files["json"].read_text(encoding="utf-8"))["candidates_read"]
    assert [row["row"] for row in read["not_used"]] == [12, 13]


def test_candidates_are_accounted_for_without_a_model_too(tmp_path, molecules):
    table = write(tmp_path / "t.csv", molecules.smiles[:10], molecules.y[:10])
    new = write(tmp_path / "new.csv", [*molecules.smiles[10:14], "C1CC"], np.nan)
    made = report(table, "y", candidates=new, out=tmp_path / "r.html", quick=True)
    assert made.study.verdict == "not modelled"
    assert "Candidates: 5 rows = 4 used + 0 merged" in made.files["html"].read_text(encoding="utf-8")
    csv = pd.read_csv(made.files["csv"])
    assert list(csv.loc[csv["set"] == "candidate left out", "row"]) == [6]
    assert (csv["set"] == "not modelled").sum() == 10


@pytest.mark.parametrize("out", ["t.html", "t.csv", "new.html", "new.json", "link.html"])
def test_a_report_never_writes_over_what_it_reads(tmp_path, molecules, out):
    table = write(tmp_path / "t.csv", molecules.smiles[:20], molecules.y[:20])
    new = write(tmp_path / "new.csv", molecules.smiles[20:30], np.nan)
    (tmp_path / "link.json").symlink_to(table)
    before = {path: path.read_bytes() for path in (table, new)}
    with pytest.raises(TableError, match="choose another name|ends in .html"):
        report(table, candidates=new, out=tmp_path / out, quick=True)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(tmp_path.iterdir())) == 3


def test_predictions_are_not_written_over_what_is_read(tmp_path):
    table = write(tmp_path / "predictions.csv", ["CCO"], [1.0])
    with pytest.raises(TableError, match="'predictions_new.csv'"):
        keep(["model.skops", table], [tmp_path / ".." / tmp_path.name / "predictions.csv"])
    keep([table], [tmp_path / "others.csv"])


def test_stored_model_predicts_the_same(made, tmp_path, capsys):
    again = predict(made.files["model"], made.files["html"].parent / "new.csv")
    pd.testing.assert_frame_equal(
        again[["predicted", "low", "high", "distance"]],
        made.study.predictions[["predicted", "low", "high", "distance"]],
        check_exact=False,
    )
    assert len(again.attrs["left_out"]) == 1
    out = tmp_path / "p.csv"
    assert (
        main(["predict", str(made.files["model"]), str(made.files["html"].parent / "new.csv"), "--out", str(out)]) == 0
    )
    assert "left out: row 12" in capsys.readouterr().out
    assert len(pd.read_csv(out)) == 10
    before = out.read_bytes()
    assert main(["predict", str(made.files["model"]), str(out), "--out", str(out)]) == 2
    assert "choose another name, such as 'p_new.csv'" in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.mark.parametrize("binary", [False, True])
def test_every_candidate_can_be_stored_and_loaded(molecules, tmp_path, binary):
    import skops.io

    y = molecules.y if not binary else (molecules.y > np.median(molecules.y)).astype(float)
    smiles = list(molecules.smiles[:40])
    for number, (model, kind) in enumerate(candidates(binary).values()):
        X = features(kind, smiles)
        fitted = model.fit(X, y[:40])
        path = tmp_path / f"{number}.skops"
        skops.io.dump(fitted, path)
        assert set(skops.io.get_untrusted_types(file=path)) <= TRUSTED
        np.testing.assert_allclose(skops.io.load(path, trusted=sorted(TRUSTED)).predict(X), fitted.predict(X))


def test_file_that_no_report_wrote_is_not_loaded(tmp_path):
    import skops.io
    from sklearn.linear_model import Ridge

    foreign = tmp_path / "foreign.skops"
    skops.io.dump({"model": np.random.default_rng, "format": 1}, foreign)
    with pytest.raises(TableError, match="which no report writes"):
        load(foreign)
    skops.io.dump(Ridge(), foreign)
    with pytest.raises(TableError, match="make the report again"):
        load(foreign)
    for content in (b"", b"pickle?", b"PK\x05\x06" + bytes(18)):
        foreign.write_bytes(content)
        with pytest.raises(TableError):
            load(foreign)
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("schema.json", "{}")
    with pytest.raises(TableError):
        load(foreign)


# --------------------------------------------------------------------------------------------- when nothing is modelled
@pytest.mark.parametrize(
    ("smiles", "y", "word"),
    [
        ([f"{'C' * n}O" for n in range(1, 13)], np.arange(12.0) ** 2, "12 different molecules"),
        ([f"{'C' * n}O" for n in range(1, 31)], np.full(30, 4.0), "All values are 4"),
        ([f"{'C' * n}c1ccccc1" for n in range(1, 31)], np.arange(30.0) ** 2, "one scaffold (c1ccccc1)"),
        ([f"{'C' * n}O" for n in range(1, 31)], [1.0] * 3 + [0.0] * 27, "rarer class has 3"),
    ],
)
def test_too_little_is_told_and_not_modelled(tmp_path, smiles, y, word):
    made = report(write(tmp_path / "t.csv", smiles, y), "y", out=tmp_path / "r.html", quick=True)
    assert made.study.verdict == "not modelled"
    assert made.study.model is None
    assert any(word in reason for reason in made.study.reasons)
    assert "Not modelled" in made.files["html"].read_text(encoding="utf-8")
    assert "model" not in made.files


def test_noise_is_not_recommended(molecules, tmp_path):
    y = np.random.default_rng(7).lognormal(size=48)
    (tmp_path / "r.skops").write_text("model of an earlier run")
    made = report(write(tmp_path / "t.csv", molecules.smiles, y), "y", out=tmp_path / "r.html", quick=True)
    assert made.study.verdict == "not recommended"
    assert made.study.recommended is None
    assert "No model is recommended" in made.files["html"].read_text(encoding="utf-8")
    assert "model" not in made.files
    assert not (tmp_path / "r.skops").exists()  # it would pass for the model of this page


def test_classes(molecules, tmp_path):
    y = np.where(counted(molecules.smiles) > np.median(counted(molecules.smiles)), "active", "inactive")
    table = write(tmp_path / "t.csv", molecules.smiles[:38], y[:38])
    write(tmp_path / "new.csv", molecules.smiles[38:], np.nan)
    made = report(table, "y", candidates=tmp_path / "new.csv", out=tmp_path / "r.html", quick=True, k=2)
    assert made.study.verdict == "recommended"
    assert made.study.predictions["predicted"].between(0, 1).all()
    assert made.study.numbers["models"]["pooled"]["auroc"] > 0.8
    assert len(made.study.suggestions) == 2
    again = predict(made.files["model"], tmp_path / "new.csv")
    np.testing.assert_allclose(again["predicted"], made.study.predictions["predicted"])


def test_many_molecules_are_modelled_without_gaussian_processes(molecules, tmp_path, monkeypatch):
    path = write(tmp_path / "t.csv", molecules.smiles, counted(molecules.smiles))
    tried = {}
    for most in (len(molecules), len(molecules) - 1):
        monkeypatch.setattr(findings, "MOST_FOR_GP", most)
        found = report(path, "y", out=tmp_path / "r.html", quick=True)
        tried[most] = set(found.study.scores["model"])
        told = "Gaussian processes were not tried" in (tmp_path / "r.html").read_text(encoding="utf-8")
        assert told == (most < len(molecules))
    left_out = tried[len(molecules)] - tried[len(molecules) - 1]
    assert left_out == {"Gaussian process on fingerprints", "Gaussian process on descriptors"}


def test_same_seed_same_numbers(molecules, tmp_path, monkeypatch):
    few = {name: model for name, model in candidates(False).items() if model[1] != "mordred"}
    monkeypatch.setattr("course_lib.report.findings.candidates", lambda binary, random_state: few)
    table = write(tmp_path / "t.csv", molecules.smiles[:40], counted(molecules.smiles[:40]))
    data, audit = read_table(table, target="y")
    one, two = (study(data, audit, quick=True, n_jobs=n) for n in (1, 2))
    assert one.numbers == two.numbers


# --------------------------------------------------------------------------------------------------------------- parts
def test_cv_plus_is_that_of_mapie(molecules):
    X, y = np.asarray(morgan(molecules.smiles), dtype=float), molecules.y
    train, test = np.arange(36), np.arange(36, 48)
    folds = GroupKFold(9, shuffle=True, random_state=3)
    fold = np.empty(36, dtype=int)
    for number, (_, out) in enumerate(folds.split(X[train], groups=molecules.groups[train])):
        fold[out] = number
    from sklearn.linear_model import Ridge

    for level in (0.8, 0.9):
        low, high = CVPlus(Ridge(), level).fit(X[train], y[train], fold).interval(X[test])
        ours = conformal_intervals(
            Ridge(), X[train], y[train], X[test], level=level, cv=folds, groups=molecules.groups[train]
        )
        np.testing.assert_allclose(low, ours["low"])
        np.testing.assert_allclose(high, ours["high"])
    with pytest.raises(ValueError, match="too few for a level"):
        CVPlus(Ridge(), 0.95).fit(X[:10], y[:10], np.arange(10) % 5)


def test_split_follows_the_candidates(molecules):
    data = datasets.load("sublimation").subset(np.arange(0, 1000, 5))
    bits = features("bits", list(data.smiles))
    near = choose_split(data.smiles[:100], bits[:100], data.groups[:100], bits[:30])  # the table's own molecules
    assert near.kind == "molecule"
    assert near.nearest["candidates"] == 0
    alone = choose_split(data.smiles, bits, data.groups)
    assert alone.kind in ("scaffold", "cluster")
    assert alone.nearest[alone.kind] > alone.nearest["molecule"]
    few = choose_split(data.smiles[:20], bits[:20], data.groups[:20])
    assert few.kind == "molecule"
    assert "too few" in few.why
    for kind in alone.nearest:
        for train, test in alone.splits(5, kind=kind):
            assert not set(data.groups[train]) & set(data.groups[test])


def test_distances_are_those_of_rdkit():
    from rdkit import Chem, DataStructs
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    smiles = ["CCO", "CCCO", "c1ccccc1O", "C"]
    generator = GetMorganGenerator(radius=3, fpSize=2048)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in smiles]
    expected = [[1 - DataStructs.TanimotoSimilarity(a, b) for b in prints] for a in prints]
    bits = features("bits", smiles)
    np.testing.assert_allclose(distances(bits, bits), expected, atol=1e-6)


def test_noise_is_the_pooled_standard_deviation(tmp_path):
    path = write(tmp_path / "t.csv", ["CCO", "OCC", "CCN", "NCC", "CCC", "CCCC"], [1.0, 3.0, 5.0, 5.0, 9.0, 12.0])
    data, audit = read_table(path, target="y")
    found = _noise(audit, data)
    assert found["sd"] == pytest.approx(1.0)  # (2 + 0) / 2 degrees of freedom
    assert found["identical_share"] == 0.5
    assert found["r2_ceiling"] == pytest.approx(1 - (0.5 + 0.5 + 1 + 1) / 4 / np.var([2, 5, 9, 12], ddof=1))


def test_share_of_the_means_error_is_a_ratio_of_means():
    folds = [{"repeat": r, "fold": f, "metric": "mae", "n_train": 40, "n_test": 10} for r in range(2) for f in range(5)]
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.2, 5, size=10)  # folds of very unequal difficulty
    errors = {CONSTANT: hard, "a third": hard / 3, "noisy": hard * 0.8 + rng.normal(scale=0.3, size=10)}
    scores = pd.DataFrame(
        [{**fold, "model": name, "value": e[j]} for name, e in errors.items() for j, fold in enumerate(folds)]
    )
    third, noisy = _against_mean(scores).to_dict("records")
    assert (third["ratio"], third["low"], third["high"]) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert noisy["ratio"] == pytest.approx(errors["noisy"].mean() / hard.mean())
    left = (errors["noisy"] - noisy["ratio"] * hard) / hard.mean()
    half = 2.262157 * left.std(ddof=1) * np.sqrt(1 / 10 + 10 / 40)  # t with 9 degrees of freedom
    assert noisy["high"] - noisy["ratio"] == pytest.approx(half)


def test_probability_copes_with_one_class():
    X = np.zeros((4, 1))
    model = Probability(baselines.mean())
    np.testing.assert_array_equal(model.fit(X, np.ones(4)).predict(X), 1.0)
    np.testing.assert_array_equal(model.fit(X, np.zeros(4)).predict(X), 0.0)


def test_first_candidate_is_the_constant():
    assert next(iter(candidates(False))) == next(iter(candidates(True))) == CONSTANT


def test_command_line(molecules, tmp_path, capsys):
    table = write(tmp_path / "t.csv", molecules.smiles[:10], molecules.y[:10])
    assert main(["report", str(table), "--target", "y", "--out", str(tmp_path / "r.html"), "--quick"]) == 0
    assert "not modelled" in capsys.readouterr().out
    assert (tmp_path / "r.json").is_file()
    assert main(["report", str(table), "--target", "z"]) == 2
    assert "TableError: there is no column 'z'" in capsys.readouterr().err
    assert main(["report", str(table), "--out", str(tmp_path / "no" / "r.html")]) == 2
    before = table.read_bytes()
    assert main(["report", str(table), "--target", "y", "--out", str(table.with_suffix(".html"))]) == 2
    assert "would be written over it: choose another name, such as 't_new.html'" in capsys.readouterr().err
    assert table.read_bytes() == before
    assert main(["predict", str(table), str(table)]) == 2
    assert "Traceback" not in capsys.readouterr().err
