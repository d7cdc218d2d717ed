"""The small tables that the full runs wrote: what the lessons read instead of running for hours."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).resolve().parents[1] / "results"


def full_run(name: str) -> pd.DataFrame:
    """Read one table of a full run.

    Parameters
    ----------
    name : str
        File name in ``results/`` without ``.csv``, for instance ``"tg_fixed"``.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    FileNotFoundError
        When there is no such table; the message lists those that are there.
    """
    path = RESULTS / f"{name}.csv"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in RESULTS.glob("*.csv"))) or "none yet"
        raise FileNotFoundError(f"no full-run table {name!r}; tables in results/: {there}. `make reproduce` writes them.")
    return pd.read_csv(path)
