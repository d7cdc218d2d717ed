"""Data sets of the course, and your own: ``available()``, ``load(name)``, ``audit(frame)``, ``read_table(path)``.

>>> from course_lib import datasets
>>> data = datasets.load("sublimation")
>>> data.smiles, data.y, data.units, data.groups, data.frame, data.card
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._audit import KINDS, Audit, audit, compare_sources
from ._base import (
    ChecksumError,
    Dataset,
    DatasetError,
    DownloadError,
    SourceChangedError,
    TruncatedFileError,
    UnknownDatasetError,
    entry,
    registry,
)
from ._files import TableError
from ._table import read_molecules, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "KINDS",
    "Audit",
    "ChecksumError",
    "Dataset",
    "DatasetError",
    "DownloadError",
    "SourceChangedError",
    "TableError",
    "TruncatedFileError",
    "UnknownDatasetError",
    "audit",
    "available",
    "compare_sources",
    "load",
    "read_molecules",
    "read_table",
]


def available() -> pd.DataFrame:
    """List the data sets.

    Returns
    -------
    pandas.DataFrame
        Columns name, n (rows that `load` returns), units, kind (table: in the repository, embedded: from an installed
        package, fetched: from its author's address), task, quantity.
    """
    import pandas as pd

    columns = ["name", "n", "units", "kind", "task", "quantity"]
    return pd.DataFrame([{"name": name, **values} for name, values in registry().items()]).reindex(columns=columns)


def load(name: str, **options: Any) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : str
        One of the names that `available` lists.
    **options
        ``tg_vinyl``: ``duplicates=True``, ``repair=True``. ``delaney``, ``freesolv``, ``bace``: ``split=True``.
        ``homopolymer_tg``: ``form="h_capped"``, ``status="verified"``, ``duplicates=False``.

    Returns
    -------
    Dataset

    Raises
    ------
    UnknownDatasetError
        When there is no such set (the message suggests the nearest name) or the set has no such option.
    DownloadError, ChecksumError, TruncatedFileError
        When a fetched set cannot be had.
    SourceChangedError
        When the installed `chemicals` package lacks a table.
    course_lib.settings.CacheError
        When the cache cannot be written.
    """
    import inspect

    kind = entry(name)["kind"]
    if kind == "embedded":
        from . import _embedded

        loader, arguments = _embedded.load, (name,)
    elif kind == "table":
        from . import _polymers

        loader, arguments = _polymers.homopolymer_tg, ()
    else:
        from . import _published

        loader, arguments = (_published.tg_vinyl, ()) if name == "tg_vinyl" else (_published.dionysus, (name,))
    known = list(inspect.signature(loader).parameters)[len(arguments) :]
    unknown = [option for option in options if option not in known]
    if unknown:
        has = f"It has: {', '.join(known)}." if known else "It has none."
        raise UnknownDatasetError(f"data set {name!r} has no option {unknown[0]!r}. {has}")
    return loader(*arguments, **options)
