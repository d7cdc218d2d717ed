"""Numerai's own Parquet files, for learners who have them: the columns asked for, and no others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.panel.simulation import Panel

__all__ = ["load_numerai"]

LARGEST = 700_000_000  # bytes of the table that is returned


def load_numerai(path: str | Path, columns: Sequence[str], *, every: int = 1) -> Panel:
    """Read features and targets of a training or validation file of the Numerai tournament.

    The file is read in batches into one table of float32, so memory holds that table and one batch. The files may not
    be passed on: get them from Numerai under its terms. Reading needs pyarrow (``pip install pyarrow``).

    Parameters
    ----------
    path : str or Path
        Parquet file with a column "era" ("0001" or "era1"), columns ``feature_...`` and ``target...``.
    columns : sequence of str
        Features and targets wanted, by name; the main target first among the targets.
    every : int
        Keep every so many-th era. Weekly eras overlap in their 20-day targets: 4 leaves hardly any overlap.

    Returns
    -------
    Panel
        Without a truth. Rows in which a wanted target is missing are left out and counted in ``n_dropped``.

    Raises
    ------
    ModuleNotFoundError
        Without pyarrow.
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file is no Parquet, a column is missing, repeated, of another kind, or not a number, an era cannot be
        read, a feature has a missing value, or the table would be larger than 700 MB.
    """
    try:
        parquet, types = import_module("pyarrow.parquet"), import_module("pyarrow.types")
        invalid = import_module("pyarrow").ArrowInvalid
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Parquet files are read with pyarrow: pip install pyarrow") from error
    path, columns = Path(path), list(columns)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: download it from Numerai")
    if not every >= 1:
        raise ValueError(f"every is {every!r}: give 1 for all eras, 4 for every fourth")
    features = [name for name in columns if name.startswith("feature")]
    targets = [name for name in columns if name.startswith("target")]
    if not features or not targets or len(set(columns)) != len(features) + len(targets):
        raise ValueError("columns must name at least one feature_... and one target..., each once, and nothing else")
    try:
        file = parquet.ParquetFile(path)
    except invalid as error:
        raise ValueError(f"{path.name} is not a Parquet file: {error}") from error
    with file:
        schema = file.schema_arrow
        missing = [name for name in ["era", *columns] if name not in schema.names]
        if missing:
            raise ValueError(f"{path.name} has no column {missing[0]!r} ({len(missing)} missing): see its schema")
        for name in columns:
            kind = schema.field(name).type
            if not (types.is_integer(kind) or types.is_floating(kind)):
                raise ValueError(f"column {name!r} of {path.name} is {kind}, not a number")
        n_all = file.metadata.num_rows
        eras = _eras(file.read(columns=["era"])["era"].to_pylist(), path.name)
        names = np.unique(eras)
        wanted = np.isin(eras, names[::every])
        if wanted.sum() * len(columns) * 4 > LARGEST:
            raise ValueError(
                f"{wanted.sum()} rows x {len(columns)} columns take more than {LARGEST // 10**6} MB: ask for fewer "
                "columns, or raise `every`"
            )
        table, filled, start = np.empty((int(wanted.sum()), len(columns)), dtype=np.float32), 0, 0
        for batch in file.iter_batches(batch_size=65_536, columns=columns):
            rows = wanted[start : start + batch.num_rows]
            start += batch.num_rows
            if rows.any():
                end = filled + int(rows.sum())
                for number, name in enumerate(columns):
                    values = batch.column(name).to_numpy(zero_copy_only=False)
                    table[filled:end, number] = values[rows]
                filled = end
    if start != n_all:
        raise ValueError(f"{path.name} says that it has {n_all} rows, and gave {start}: download it again")
    is_feature = np.isin(columns, features)
    X, Y, eras = table[:, is_feature], table[:, ~is_feature], eras[wanted]
    row, column = np.nonzero(np.isnan(X))
    if len(row):
        raise ValueError(f"{path.name}: {features[column[0]]!r} is missing in era {eras[row[0]]} ({len(row)} values)")
    known = ~np.isnan(Y).any(axis=1)
    return Panel(
        X=X[known],
        features=tuple(features),
        targets=pd.DataFrame(Y[known], columns=targets),
        eras=eras[known],
        n_dropped=int((~known).sum()),
    )


def _eras(labels: list, name: str) -> np.ndarray:
    found: dict[object, int] = {}
    for row, label in enumerate(labels):
        if label not in found:
            match = re.fullmatch(r"(?:era)?0*(\d+)", str(label))
            if not match:
                raise ValueError(f"row {row} of {name}: era is {label!r}, expected such as '0001' or 'era1'")
            found[label] = int(match[1])
    return np.array([found[label] for label in labels])
