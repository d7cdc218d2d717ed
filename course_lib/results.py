"""The small tables that the full runs wrote: what the lessons read instead of running for hours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def results_dir() -> Path:
    """Folder of the full runs' tables: ``$COURSE_RESULTS``, else ``results`` beside the package."""
    chosen = os.environ.get("COURSE_RESULTS", "").strip()
    return Path(chosen) if chosen else Path(__file__).parents[1] / "results"


def full_run(name: str, *, required: bool = True) -> pd.DataFrame | None:
    """Read one table of a full run.

    Parameters
    ----------
    name : str
        File name in ``results/`` without ``.csv``, for instance ``"tg_fixed"``.
    required : bool
        False: say that a table is not there yet and return None, instead of an error.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    FileNotFoundError
        When there is no such table; the message lists those that are there.
    """
    import pandas as pd

    path = results_dir() / f"{name}.csv"
    if not path.is_file() and not required:
        print(f"(full run: {name} is not there yet)")
        return None
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in results_dir().glob("*.csv"))) or "none yet"
        raise FileNotFoundError(f"no full-run table {name!r}; there are: {there}. `make reproduce` writes them.")
    return pd.read_csv(path)


def with_skill(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """Give a table of models one measure of skill and one name a row.

    Parameters
    ----------
    table : pandas.DataFrame or None
        Columns ``model``, ``on`` (the feature) where there are several, and the scores ``r2`` or ``auroc`` or both.
        None, a table that is not there yet, stays None.

    Returns
    -------
    pandas.DataFrame or None
        A copy with ``skill``, which is R2 or, for sets of two classes, AUROC, and ``cell``, model and feature; a score
        that no row has is a column of NaN.
    """
    if table is None:
        return None
    table = table.reindex(columns=[*table, *sorted({"r2", "auroc"} - set(table))])
    cell = table["model"] + " " + table["on"] if "on" in table else table["model"]
    return table.assign(skill=table["r2"].fillna(table["auroc"]), cell=cell)
