"""The check of arguments that several modules share."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib.arguments import whole


@pytest.mark.parametrize("value", [3, 3.0, np.int64(3), np.float32(3)])
def test_whole_numbers_come_back_as_ints(value):
    found = whole("k", value)
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize("value", [0, -1, 2.5, np.nan, np.inf, None, "3", [3]])
def test_anything_else_is_named_with_the_remedy(value):
    with pytest.raises(ValueError, match="k is .*: give a whole number of at least 1"):
        whole("k", value)


def test_the_least_is_the_callers():
    assert whole("n_splits", 2, 2) == 2
    with pytest.raises(ValueError, match="n_splits is 1: give a whole number of at least 2"):
        whole("n_splits", 1, 2)
