"""Checks of arguments that several modules share; the errors name the argument, its value and the remedy."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least ``least``, as an int; 4.0 is one.

    Raises
    ------
    ValueError
        For anything else.
    """
    if not (isinstance(value, Real) and math.isfinite(value) and int(value) == value and value >= least):
        raise ValueError(f"{name} is {value!r}: give a whole number of at least {least}")
    return int(value)
