"""Tables that lessons print."""

import numpy as np
import pandas as pd
import pytest

from course_lib.teaching import print_table


def test_figures_text_and_gaps_of_a_table(capsys):
    table = pd.DataFrame(
        {"mean error": [1.234, np.nan, 30], "what": ["a", "b", "c"], 8: [1, 2, 3]}, index=["one", "two", "three"]
    )
    print_table(table.rename_axis("model", axis=1), "{:.1f}", missing="none")
    printed = capsys.readouterr().out
    assert "model" not in printed
    assert [line.split() for line in printed.splitlines()] == [
        ["mean", "error", "what", "8"],
        ["one", "1.2", "a", "1.0"],
        ["two", "none", "b", "2.0"],
        ["three", "30.0", "c", "3.0"],
    ]
    print_table(table, index=False)
    assert "three" not in capsys.readouterr().out


def test_headings_stay_two_spaces_apart(capsys):
    print_table(pd.DataFrame({"area of today": [0.1], "error of today": [0.2]}))
    assert "area of today   error of today" in capsys.readouterr().out


def test_a_wrong_format_is_refused_before_anything_is_printed(capsys):
    with pytest.raises(ValueError):
        print_table(pd.DataFrame({"a": [1.0]}), "{:.2q}")
    assert not capsys.readouterr().out
