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
