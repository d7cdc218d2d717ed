"""A target and its auxiliaries as everything in this package reads them, with the target's held-out molecules gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from course_lib.featurize import maccs
from course_lib.molecules import identity
from course_lib.splits import assert_no_leak

__all__ = ["Task", "key_table", "read_task", "read_tasks"]

FEWEST = 10  # molecules of a data set


@dataclass(frozen=True, eq=False)
class Task:
    """Molecules with a label each.

    Attributes
    ----------
    name : str
    smiles : ndarray of object, shape (n,)
    y : ndarray of float, shape (n,)
        In the set's own unit; 0 and 1 when ``binary``.
    groups : ndarray of object, shape (n,)
        :func:`course_lib.molecules.identity` of each row: sets of different origin can be compared by it.
    binary : bool
        Whether the labels are 0 and 1 only.
    n_removed : int
        Rows that were taken out because their molecule is held out of the target.
    """

    name: str
    smiles: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    binary: bool
    n_removed: int = 0

    def __len__(self) -> int:
        return len(self.y)

    def subset(self, rows: np.ndarray) -> Task:
        """Take the rows at these positions, or under this mask; it stays binary when it was."""
        return replace(self, smiles=self.smiles[rows], y=self.y[rows], groups=self.groups[rows])

    def without(self, groups: Iterable[str]) -> Task:
        """Take out every row of these molecules, given by their identity.

        Raises
        ------
        ValueError
            When fewer than 10 rows are left, or only rows with one and the same label.
        """
        groups = np.array(list(groups), dtype=object)
        kept = np.flatnonzero(~np.isin(self.groups.astype(str), groups.astype(str)))
        left = replace(self.subset(kept), n_removed=self.n_removed + len(self) - len(kept))
        assert_no_leak(left.groups, groups)
        if len(left) < FEWEST:
            raise ValueError(
                f"{self.name!r} has {len(left)} rows left of {len(self)} when the target's held-out molecules are "
                f"taken out; at least {FEWEST} are needed: leave this set out"
            )
        if np.ptp(left.y) == 0:
            raise ValueError(
                f"{self.name!r}: all labels are {left.y[0]:g} when the target's held-out molecules are taken out, so "
                "there is nothing to learn: leave this set out"
            )
        return left

    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the labels; 0 and 1 for classes, which are not scaled."""
        return (0.0, 1.0) if self.binary else (float(self.y.mean()), float(self.y.std()) or 1.0)

    def labels(self) -> np.ndarray:
        """Labels as networks learn them: standardised over these rows, or 0 and 1."""
        mean, std = self.scale()
        return (self.y - mean) / std


def read_task(name: str, data: Any) -> Task:
    """Read one data set.

    Parameters
    ----------
    name : str
    data : Dataset, Task, or mapping with ``smiles`` and ``y``

    Raises
    ------
    ValueError
        When a column is missing, lengths differ, a label is not a finite number, all labels are alike, or there are
        fewer than 10 molecules.
    MoleculeError
        Names the row.
    """
    if isinstance(data, Task):
        return replace(data, name=name)
    columns = {}
    for column in ("smiles", "y"):
        try:
            columns[column] = data[column] if isinstance(data, Mapping) else getattr(data, column)
        except (KeyError, AttributeError):
            raise ValueError(
                f"data set {name!r} has no {column!r}: give a Dataset or {{'smiles': ..., 'y': ...}}"
            ) from None
    smiles = np.array(list(columns["smiles"]), dtype=object)
    given = np.asarray(columns["y"])
    if given.shape != smiles.shape:
        raise ValueError(f"data set {name!r} has {len(smiles)} SMILES and labels of shape {given.shape}: one a row")
    y = pd.to_numeric(pd.Series(given), errors="coerce").to_numpy(float)
    if len(y) < FEWEST:
        raise ValueError(f"data set {name!r} has {len(y)} rows; at least {FEWEST} are needed")
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        raise ValueError(f"data set {name!r}, row {bad[0]}: the label is {given[bad[0]]} ({len(bad)} such rows)")
    if np.ptp(y) == 0:
        raise ValueError(f"data set {name!r}: all labels are {y[0]:g}, so there is nothing to learn")
    groups = np.array([identity(text, row) for row, text in enumerate(smiles)], dtype=object)
    n_molecules = len(set(groups))
    if n_molecules < FEWEST:
        raise ValueError(
            f"data set {name!r} has {n_molecules} molecules in {len(y)} rows; at least {FEWEST} molecules are needed"
        )
    return Task(name, smiles, y, groups, bool(np.isin(y, (0.0, 1.0)).all()))


def read_tasks(
    target: Any, auxiliaries: Mapping[str, Any], held_out: Iterable[str] = ()
) -> tuple[Task, dict[str, Task]]:
    """Read a target and its auxiliaries; the target's held-out molecules are taken out of every auxiliary first.

    Parameters
    ----------
    target : Dataset or mapping with ``smiles`` and ``y``
        Training molecules of the target.
    auxiliaries : mapping name -> Dataset or mapping with ``smiles`` and ``y``
    held_out : iterable of str
        SMILES of the target's validation and test molecules. Compared by connectivity
        (:func:`course_lib.molecules.identity`), so another spelling, a stereoisomer or an isotopologue counts
        as held out too.

    Returns
    -------
    target : Task
    auxiliaries : dict of str to Task
        In the order given; ``n_removed`` says how many rows went.

    Raises
    ------
    LeakError
        When a held-out molecule stands among the target's training molecules.
    ValueError
        When a set cannot be used, or ``held_out`` is one string.
    """
    if not isinstance(auxiliaries, Mapping):
        raise ValueError(f"auxiliaries must be a mapping from name to data set, not {type(auxiliaries).__name__}")
    if isinstance(held_out, str):
        raise ValueError(f"held_out is the string {held_out!r}: give a list of SMILES")
    held = [identity(text, row) for row, text in enumerate(held_out)]
    task = read_task("target", target)
    assert_no_leak(task.groups, held)
    return task, {name: read_task(name, data).without(held) for name, data in auxiliaries.items()}


@lru_cache(maxsize=20_000)
def _keys(smiles: str) -> np.ndarray:
    return maccs([smiles]).to_numpy(np.float32)[0]


def key_table(task: Task) -> np.ndarray:
    """MACCS keys of a task's molecules, 0 and 1, shape (n, 166); a molecule met before comes from memory."""
    return np.array([_keys(text) for text in task.smiles])
