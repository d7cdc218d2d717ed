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
