"""What joint training buys: the target's error with auxiliaries against that alone, on the same splits and starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from course_lib.auxiliary.joint import JointNetwork
from course_lib.auxiliary.tasks import Task, read_task
from course_lib.evaluate import Interval, nadeau_bengio
from course_lib.splits import GroupShuffleSplit, assert_no_leak

__all__ = ["Improvement", "grouped_split", "relative_improvement", "target_errors"]

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


class Improvement(NamedTuple):
    """Relative improvement with its interval, and the errors behind it.

    Attributes
    ----------
    interval : Interval
        Of (error alone - error with auxiliaries) / error alone; above 0 when they help. Corrected for overlapping
        splits (:func:`~course_lib.evaluate.nadeau_bengio`).
    table : DataFrame
        One row a seed: seed, alone, joint, improvement, n_train, n_test.
    """

    interval: Interval
    table: pd.DataFrame


def grouped_split(task: Task, seed: int) -> Rows:
    """Split by molecule into training (60 %), validation (20 %) and test rows (20 %)."""
    whole = GroupShuffleSplit(1, test_size=0.2, random_state=seed)
    rest, test = next(whole.split(task.smiles, groups=task.groups))
    inner = GroupShuffleSplit(1, test_size=0.25, random_state=seed)
    train, validation = next(inner.split(rest, groups=task.groups[rest]))
    return rest[train], rest[validation], test


def target_errors(
    target: Any,
    auxiliaries: Mapping[str, Any],
    seeds: int | Iterable[int] = 5,
    *,
    split: Callable[[Task, int], Rows] = grouped_split,
    **options: Any,
) -> pd.DataFrame:
    """Train the target with a group of auxiliaries, none or more, once a seed.

    Parameters
    ----------
    target : Dataset or mapping with ``smiles`` and ``y``
    auxiliaries : mapping name -> Dataset or mapping with ``smiles`` and ``y``
        Without the molecules that the split holds back from the target: those are taken out here.
    seeds : int or iterable of int
        Each seed is one split and one start of the network. A number means that many, from 0.
    split : callable
        ``split(task, seed)`` gives training, validation and test rows; by default 60, 20 and 20 % of the molecules.
    **options
        Of :class:`~course_lib.auxiliary.JointNetwork`.

    Returns
    -------
    DataFrame
        seed, error (root mean squared error in the target's unit; log loss for classes), step (kept), n_train, n_test
        (molecules), seconds.
    """
    task, rows = read_task("target", target), []
    others = {name: read_task(name, data) for name, data in auxiliaries.items()}
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        train, validation, test = split(task, seed)
        assert_no_leak(task.groups[train], task.groups[np.concatenate([validation, test])])
        assert_no_leak(task.groups[validation], task.groups[test])
        begin = time.perf_counter()
        model = JointNetwork(**options, random_state=seed).fit(
            task.subset(train), others, validation=task.subset(validation), held_out=task.smiles[test]
        )
        rows.append(
            {
                "seed": seed,
                "error": model.error(task.smiles[test], task.y[test]),
                "step": model.best_step_,
                "n_train": len(set(task.groups[train])),
                "n_test": len(set(task.groups[test])),
                "seconds": time.perf_counter() - begin,
            }
        )
    found = pd.DataFrame(rows)
    found.attrs["options"] = options
    return found


def relative_improvement(
    target: Any,
    auxiliary: Any,
    seeds: int | Iterable[int] = 5,
    *,
    alone: pd.DataFrame | None = None,
    split: Callable[[Task, int], Rows] = grouped_split,
    **options: Any,
) -> Improvement:
    """Relative improvement of a target by an auxiliary, or by a group of them.

    Both trainings of a seed have the same split, the same start and target batches, and as many optimiser steps.

    Parameters
    ----------
    target : Dataset or mapping with ``smiles`` and ``y``
    auxiliary : Dataset, mapping with ``smiles`` and ``y``, or mapping of names to several of them
    seeds : int or iterable of int
        As in :func:`target_errors`; at least 2.
    split : callable
        As in :func:`target_errors`.
    **options
        As in :func:`target_errors`.
    alone : DataFrame, optional
        Result of :func:`target_errors` with no auxiliary and the same seeds and options, when it is at hand.

    Returns
    -------
    Improvement

    Raises
    ------
    ValueError
        When ``alone`` has other seeds or options, or there are fewer than 2.

    References
    ----------
    Huang, Hu and Ying, NeurIPS 2023, section 3; errors fall where their scores rise, hence the sign.
    """
    one = not isinstance(auxiliary, Mapping) or {"smiles", "y"} <= set(auxiliary)
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if alone is None:
        alone = target_errors(target, {}, seeds, split=split, **options)
    if alone["seed"].tolist() != seeds:
        raise ValueError(f"alone has the seeds {alone['seed'].tolist()}, not {seeds}")
    if alone.attrs.get("options", options) != options:
        raise ValueError(f"alone was trained with the options {alone.attrs['options']}, not {options}")
    joint = target_errors(target, {"auxiliary": auxiliary} if one else auxiliary, seeds, split=split, **options)
    gain = (alone["error"] - joint["error"]) / alone["error"]
    table = joint[["seed", "n_train", "n_test"]].assign(alone=alone["error"], joint=joint["error"], improvement=gain)
    return Improvement(nadeau_bengio(gain, table["n_train"].mean(), table["n_test"].mean()), table)
