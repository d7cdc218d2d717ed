"""Lesson 10: its messy table, what was planted in it, and the facts that its text rests on."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import messy_table
from course_lib.datasets import TableError, load, read_molecules, read_table
from course_lib.teaching.uploads import upload, uploaded

TABLE, CANDIDATES = messy_table.DATA / "lab_table.csv", messy_table.DATA / "lab_candidates.csv"


def test_the_files_are_what_the_script_writes():
    table, candidates = messy_table.texts()
    assert table == TABLE.read_bytes()
    assert candidates == CANDIDATES.read_text(encoding="utf-8")


def test_what_was_planted_is_found_and_the_rest_is_the_set():
    data, audit = read_table(TABLE)
    assert audit.counts == {"rows": 89, "used": 69, "merged": 10, "left_out": 10}
    reasons = " ".join(audit.rows["reason"])
    for words in (
        "a bound",
        "no value",
        "is a name",
        "CAS number",
        "space in SMILES",
        "unclosed",
        "formula",
        "kcal/mol",
    ):
        assert words in reasons, words
    true = load("sublimation")
    known = dict(zip(true.smiles, true.y, strict=True))
    slip = audit.having("outlier")
    assert len(slip) == 1
    by_hand = "O=C(O)c1ccccc1O"  # salicylic acid, not drawn from the set
    single = (data.frame["n_rows"] == 1) & (data.frame["row"] != slip[0]) & (data.smiles != by_hand)
    assert single.sum() > 50
    assert max(abs(known[s] - y) for s, y in zip(data.smiles[single], data.y[single], strict=True)) < 0.06
    found = data.frame.loc[data.frame["row"] == slip[0]].iloc[0]
    assert found["y"] == pytest.approx(10 * known[found["smiles"]], abs=0.1)
    assert f";{found['y']:.1f}".replace(".", ",").encode() + b";" in TABLE.read_bytes()


def test_candidates_are_new():
    data, _ = read_table(TABLE)
    new, audit = read_molecules(CANDIDATES)
    assert audit.counts["used"] == messy_table.CANDIDATES
    assert not set(new.groups) & set(data.groups)


def test_a_twin_in_training_flatters_the_nearest_neighbour():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=200), rng.normal(scale=0.1, size=400)
    y = np.tile(rng.normal(size=200), 2) + noise
    twice = np.tile(x, 2)
    off = {}
    for kind, test in {"row": rng.permutation(400)[:80], "molecule": np.r_[0:40, 200:240]}.items():
        train = np.setdiff1d(np.arange(400), test)
        nearest = train[np.abs(twice[test][:, None] - twice[train]).argmin(axis=1)]
        off[kind] = np.abs(y[test] - y[nearest]).mean()
    assert off["row"] < 0.5 * off["molecule"]


@pytest.mark.parametrize(("folder", "where"), [(None, "data"), ("here", "here")])
def test_the_lesson_writes_its_report_beside_the_table_and_under_another_name(tmp_path, folder, where):
    source = (messy_table.DATA.parent / "notebooks" / "src" / "10_your_own_data.py").read_text(encoding="utf-8")
    function = next(part for part in ast.parse(source).body if getattr(part, "name", "") == "my_report")
    calls = []
    names = {"Path": Path, "TableError": TableError, "report": lambda *args, **options: calls.append((args, options))}
    exec(compile(ast.Module([function], []), "lesson 10", "exec"), names)
    path = tmp_path / "data" / "my_table.csv"
    names["my_report"](str(path), "y", "new.csv", folder=folder and tmp_path / folder)
    (args, options) = calls[0]
    assert args == (path, "y")
    assert options["candidates"] == "new.csv"
    assert options["out"] == tmp_path / where / "my_table_report.html"


def test_uploads_of_both_generations_of_widgets():
    assert uploaded({"a.csv": {"content": b"1"}}) == [("a.csv", b"1")]
    assert uploaded(({"name": "a.csv", "content": memoryview(b"1")},)) == [("a.csv", b"1")]


def test_an_uploaded_file_reaches_the_function(monkeypatch):
    import IPython.display
    import ipywidgets

    shown, seen = [], []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    upload(lambda path: seen.append((path.name, path.read_bytes())))
    button = shown[0].children[0]
    assert isinstance(button, ipywidgets.FileUpload)
    button.notify_change({"name": "value", "new": ({"name": "../a.csv", "content": b"x"},), "type": "change"})
    assert seen == [("a.csv", b"x")]
