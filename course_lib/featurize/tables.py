"""Tables of features larger than memory: Parquet, in parts, so that a stopped run goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from course_lib.featurize import _store
from course_lib.featurize.fingerprints import texts as as_texts
from course_lib.molecules import MoleculeError, parse

_KEY = "course_lib"


def to_parquet(
    function: Callable[..., pd.DataFrame],
    smiles: Iterable[str],
    folder: str | os.PathLike,
    chunk_size: int = 1000,
    **options: Any,
) -> list[Path]:
    """Write the features of many molecules to a folder, a chunk at a time, and go on where a stopped run was.

    Memory holds one chunk. A part is written under another name and renamed when it is whole. ``pandas.read_parquet``
    reads a part, or the folder as one table.

    Parameters
    ----------
    function : callable
        One of this package: `augment`, `maccs`, `mordred2d`, `morgan`.
    smiles : iterable of str of length n_molecules
    folder : path
        Made when it is not there.
    chunk_size : int
        Molecules in a part.
    **options
        Of the function.

    Returns
    -------
    list of pathlib.Path
        ``part-00000.parquet`` and so on. Their index (or index level) ``row`` is the molecule's position in `smiles`.

    Raises
    ------
    MoleculeError
        When a SMILES cannot be read: names the row, before anything is computed.
    ImportError
        Without pyarrow.
    ValueError
        When the folder holds parts of another table: other molecules, options, chunks, or versions of RDKit or Mordred.
    """
    if find_spec("pyarrow") is None:
        raise ImportError("Parquet needs pyarrow: pip install -c requirements.txt -r requirements-dask.txt")
    if not getattr(function, "__module__", "").startswith(__package__ + "."):
        raise ValueError(f"{function!r} is no function of {__package__}: what it computes has no version to go by")
    if "return_failures" in options:
        raise ValueError("return_failures is for augment alone: the parts hold its rows")
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, not {chunk_size}")
    texts = as_texts(smiles)
    for row, text in enumerate(texts):
        parse(text, row)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(texts), chunk_size)
    paths = [folder / f"part-{number:05d}.parquet" for number in range(len(starts))]
    # what changes no number is no part of what a table is
    named = {name: value for name, value in options.items() if name != "n_jobs"}
    keys = [
        _store.key("parquet", function=function.__name__, smiles=texts[start : start + chunk_size], options=named)
        for start in starts
    ]
    wanted = {path: hashlib.sha256(key.encode()).hexdigest() for path, key in zip(paths, keys, strict=True)}
    found = {path: _key_of(path) for path in sorted(folder.glob("part-*.parquet"))}
    for path, key in found.items():
        if key not in (None, wanted.get(path)):
            what = "molecules, options, chunk_size or versions"
            raise ValueError(f"{path} is part of another table ({what}): give an empty folder")

    for start, (path, key) in zip(starts, wanted.items(), strict=True):
        if found.get(path) == key:
            continue
        try:
            table = function(texts[start : start + chunk_size], **options)
        except MoleculeError as error:
            raise MoleculeError(error.smiles, error.reason, start + error.row, error.what) from None
        table = _at(table, start)
        table.attrs[_KEY] = key
        side = path.with_suffix(".tmp")
        table.to_parquet(side, engine="pyarrow", compression="zstd", index=True)
        side.replace(path)
    return paths


def _at(table: pd.DataFrame, start: int) -> pd.DataFrame:
    """Count the molecules from the start of the whole table."""
    if isinstance(table.index, pd.MultiIndex):
        level = table.index.names.index("row")
        return table.set_axis(table.index.set_levels(table.index.levels[level] + start, level=level))
    return table.set_axis(pd.RangeIndex(start, start + len(table), name="row"))


def _key_of(path: Path) -> str | None:
    """Read what a part says it is; None when it is damaged."""
    try:
        return pd.read_parquet(path, engine="pyarrow", columns=[]).attrs.get(_KEY, "")
    except (ValueError, OSError):
        return None
