import numpy as np
import pandas as pd
import pytest

from course_lib import results


def test_full_run_reads_a_table_and_names_those_there_are(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RESULTS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="none yet"):
        results.full_run("tg_fixed")
    pd.DataFrame({"a": [1, 2]}).to_csv(tmp_path / "tg_fixed.csv", index=False)
    assert results.full_run("tg_fixed")["a"].tolist() == [1, 2]
    with pytest.raises(FileNotFoundError, match="'tg_typo'.*tg_fixed.*make reproduce"):
        results.full_run("tg_typo")


def test_a_table_that_may_be_missing_is_said_to_be(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_RESULTS", str(tmp_path))
    assert results.full_run("tg_fixed", required=False) is None
    assert capsys.readouterr().out == "(full run: tg_fixed is not there yet)\n"


def test_skill_is_r2_or_auroc():
    table = pd.DataFrame({"model": "GP", "on": ["mordred", "morgan", "graph"], "r2": [0.5, -0.1, np.nan]})
    numbers = results.with_skill(table)
    assert numbers["skill"].tolist()[:2] == [0.5, -0.1]
    assert numbers["skill"].isna().tolist() == [False, False, True]
    assert numbers["auroc"].isna().all()
    assert numbers["cell"].tolist() == ["GP mordred", "GP morgan", "GP graph"]
    assert results.with_skill(table.drop(columns="on"))["cell"].tolist() == ["GP"] * 3
    classes = results.with_skill(table.assign(auroc=[np.nan, np.nan, 0.8]))
    assert classes["skill"].tolist() == [0.5, -0.1, 0.8]
    assert "skill" not in table
    assert results.with_skill(None) is None
