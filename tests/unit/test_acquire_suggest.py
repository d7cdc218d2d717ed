"""Suggestions for one's own table: what is left out and why, the nearest measured molecule, files, both directions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from course_lib.acquire import draw, suggest
from course_lib.datasets import load
from course_lib.featurize import morgan
from course_lib.models import GPClassifier, GPRegressor
from course_lib.molecules import MoleculeError

MEASURED = ["CCO", "CCCO", "CCCCO", "CCCCCO", "c1ccccc1", "Cc1ccccc1", "CCc1ccccc1"]
VALUES = [4.0, 3.0, 2.0, 1.0, -1.0, -2.0, -3.0]
CANDIDATES = ["CCCc1ccccc1", "CO", "OCC", "CCCCCCO", "not a molecule", "C(O)CCCCC", "CCCCCCCO"]
MODEL = GPRegressor("tanimoto", n_restarts=0)


def ask(**given):
    given = {"model": MODEL, "measured": (MEASURED, VALUES), "candidates": CANDIDATES, "features": morgan, **given}
    return suggest(**given)


def test_table_of_suggestions():
    table = ask(k=3)
    assert list(table) == [
        "candidate", "smiles", "mean", "std", "acquisition", "nearest", "nearest_value", "similarity", "drawing",
    ]  # fmt: skip
    assert table["smiles"].tolist() == [
        {0: "CCCc1ccccc1", 1: "CO", 3: "CCCCCCO", 6: "CCCCCCCO"}[i] for i in table["candidate"]
    ]
    fitted = MODEL.fit(morgan(MEASURED), VALUES)
    mean, std = fitted.predict(morgan(table["smiles"]), return_std=True)
    assert table["mean"].to_numpy() == pytest.approx(mean)
    assert table["std"].to_numpy() == pytest.approx(std)
    assert table["drawing"].str.contains("</svg>").all()


def test_what_is_left_out_is_listed_with_its_reason():
    left_out = pd.DataFrame(ask().attrs["left_out"])
    assert left_out["candidate"].tolist() == [2, 4, 5]
    assert left_out["reason"].tolist()[::2] == ["already measured", "same molecule as candidate 3"]
    assert left_out["reason"][1].startswith("unreadable: ")
    assert len(ask(k=99)) == len(CANDIDATES) - 3


def test_nearest_measured_molecule():
    table = ask(k=99).set_index("candidate")
    assert table.loc[0, "nearest"] == "CCc1ccccc1"
    assert table.loc[0, "nearest_value"] == -3
    assert 0 < table.loc[0, "similarity"] < 1
    bits = morgan(["CCCc1ccccc1", "CCc1ccccc1"]).to_numpy(bool)
    assert table.loc[0, "similarity"] == pytest.approx((bits[0] & bits[1]).sum() / (bits[0] | bits[1]).sum())


def test_minimising_asks_for_the_other_end():
    up, down = (ask(k=1, acquisition="greedy", maximise=way) for way in (True, False))
    assert up["smiles"].tolist() == ["CO"]
    assert down["smiles"].tolist() == ["CCCc1ccccc1"]
    both = [ask(k=99, acquisition="greedy", maximise=way).set_index("candidate")["mean"] for way in (True, False)]
    pd.testing.assert_series_equal(*(part.sort_index() for part in both))


def test_files_data_sets_and_lists_give_the_same(tmp_path):
    readable = [text for text in CANDIDATES if " " not in text]
    table = tmp_path / "candidates.csv"
    pd.DataFrame({"name": range(len(readable)), "SMILES": readable}).to_csv(table, index=False)
    lines = tmp_path / "candidates.smi"
    lines.write_text("\n".join(f"{text} name {i}" for i, text in enumerate(readable)))
    expected = ask(candidates=readable)
    pd.testing.assert_frame_equal(ask(candidates=table), expected)
    pd.testing.assert_frame_equal(ask(candidates=str(lines)), expected)
    data = load("octane")
    found = suggest(MODEL, data.subset(range(30)), data, k=2, features=morgan)
    assert not set(found["candidate"]) & set(range(30))


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("semicolons.csv", "name;smiles\na;CO\nb;CCCCCCO\n", "utf-8"),
        ("excel.csv", "SMILES,名前\nCO,メタノール\nCCCCCCO,ヘキサノール\n", "cp932"),
        ("tabs.tsv", "smiles\ty\nCO\t\nCCCCCCO\t\n", "utf-8"),
        ("header.txt", "smiles\nCO methanol\nCCCCCCO\n", "utf-8-sig"),
        ("japanese.smi", "CO メタノール\nCCCCCCO ヘキサノール\n", "cp932"),
    ],
)
def test_files_as_spreadsheets_write_them(tmp_path, name, text, encoding):
    (tmp_path / name).write_text(text, encoding=encoding)
    pd.testing.assert_frame_equal(ask(candidates=tmp_path / name), ask(candidates=["CO", "CCCCCCO"]))


def test_an_empty_line_or_cell_is_left_out_by_name(tmp_path):
    lines = tmp_path / "list.txt"
    lines.write_text("CO\n\nCCCCCCO\n")
    assert ask(candidates=lines).attrs["left_out"] == [{"candidate": 1, "smiles": "", "reason": "unreadable: empty"}]
    table = tmp_path / "list.csv"
    table.write_text("smiles,x\nCO,1\n,2\n")
    assert [entry["candidate"] for entry in ask(candidates=table).attrs["left_out"]] == [1]


@pytest.mark.parametrize("model", [GPClassifier("tanimoto"), RandomForestClassifier(20, random_state=0)])
def test_classes(model):
    labels = [1, 1, 1, 1, 0, 0, 0]
    up, down = (ask(model=model, measured=(MEASURED, labels), k=99, maximise=way) for way in (True, False))
    assert up["std"].isna().all()
    assert up["smiles"].iloc[-1] == down["smiles"].iloc[0] == "CCCc1ccccc1"
    together = up.set_index("candidate")["mean"] + down.set_index("candidate")["mean"]
    assert together.to_numpy() == pytest.approx(1, abs=1e-6)


def test_a_model_that_takes_smiles_and_one_without_a_distribution():
    from course_lib.models.baselines import tanimoto_gp

    assert len(ask(model=tanimoto_gp(), features=None, k=2)) == 2
    forest = RandomForestRegressor(10, random_state=0)
    assert ask(model=forest, acquisition="greedy")["std"].isna().all()
    with pytest.raises(ValueError, match="RandomForestRegressor has none here: .*'greedy'"):
        ask(model=forest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measured": (["CCO"], [1.0])}, "at least 2 molecules"),
        ({"measured": (MEASURED, [*VALUES[:-1], np.nan])}, "row 6 of measured, 'CCc1ccccc1', has the value nan"),
        ({"measured": (MEASURED, VALUES[:-1])}, "one value a molecule"),
        ({"candidates": ["OCC", "C1CC"]}, "none of the 2 candidates is left: 1 already measured, 1 unreadable"),
        ({"candidates": []}, "the list is empty"),
        ({"candidates": pd.DataFrame({"smiles": ["CCO"]})}, r"candidates is a table with .* smiles: .*table\["),
        ({"measured": pd.DataFrame({"smiles": MEASURED, "y": VALUES})}, "measured is a table .* smiles, y: give two"),
        ({"candidates": "nowhere.csv"}, "there is no file 'nowhere.csv'"),
        ({"candidates": "CCCO"}, "there is no file 'CCCO' .*give a single molecule as a list"),
        ({"k": 0}, "k is 0: give a whole number of at least 1"),
        ({"k": None}, "k is None: give a whole number"),
        ({"maximise": "min"}, "maximise is 'min': give True"),
        ({"model": None}, "model is None: give an estimator"),
        ({"features": lambda smiles: np.eye(3)}, "features gave 3 rows for"),
        ({"acquisition": "best"}, "unknown acquisition 'best'"),
        ({"model": GPClassifier("tanimoto")}, "needs values 0 and 1"),
    ],
)
def test_errors_name_the_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        ask(**change)


def test_an_unreadable_measured_molecule_and_a_table_without_structures(tmp_path):
    with pytest.raises(MoleculeError, match="row 1: 'C1CC' is not a molecule"):
        ask(measured=(["CCO", "C1CC"], [1, 2]))
    (tmp_path / "x.csv").write_text("structure,y\nCCO,1\n")
    with pytest.raises(ValueError, match="no column 'smiles', but structure, y: rename"):
        ask(candidates=tmp_path / "x.csv")


def test_draw_gives_one_picture():
    assert draw("CCO").count("<svg") == 1
    assert "width='300px'" in draw("CCO", width=300)
