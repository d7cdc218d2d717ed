"""All ways to choose auxiliaries behind one call, so that they can be compared on the same molecules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from course_lib.auxiliary.gradients import principal_gradient_distance
from course_lib.auxiliary.joint import JointNetwork
from course_lib.auxiliary.molgroup import MolGroup
from course_lib.auxiliary.recommendation import recommend
from course_lib.auxiliary.similarity import structure_similarity, task_similarity
from course_lib.auxiliary.tasks import Task, read_tasks
from course_lib.auxiliary.transfer import ridge_transfer
from course_lib.splits import GroupShuffleSplit

__all__ = ["RIVALS", "Selection", "select"]


class Selection(NamedTuple):
    """What a method chose.

    Attributes
    ----------
    selected : list of str
        Names, best first.
    scores : Series of float
        One entry an auxiliary, higher is better, in the method's own unit.
    seconds : float
        Processor time that it took; reading the sets, and taking held-out molecules out, is not counted.
    """

    selected: list[str]
    scores: pd.Series
    seconds: float


def _best(scores: Mapping[str, float], k: int, above: float = -np.inf) -> list[str]:
    scores = dict(scores)
    order = sorted(scores, key=lambda name: (-scores[name], name))
    return [name for name in order if scores[name] > above][:k]


def _all(target, others, k, seed):
    return sorted(others), dict.fromkeys(others, 0.0)


def _none(target, others, k, seed):
    return [], dict.fromkeys(others, 0.0)


def _random(target, others, k, seed):
    names = sorted(others)
    scores = dict(zip(names, np.random.default_rng(seed).random(len(names)), strict=True))
    return _best(scores, k), scores


def _structure(target, others, k, seed):
    scores = structure_similarity({"": target, **others}).loc["", list(others)]
    return _best(scores, k), scores


def _task(target, others, k, seed, **options):
    scores = task_similarity({"": target, **others}, random_state=seed, **options).loc["", list(others)]
    return _best(scores, k), scores


def _both(target, others, k, seed, **options):
    parts = (_structure(target, others, k, seed)[1], _task(target, others, k, seed, **options)[1])
    scores = sum((part - part.mean()) / (part.std(ddof=0) or 1.0) for part in parts)
    return _best(scores, k), scores


def _ridge(target, others, k, seed):
    scores = ridge_transfer(target, others, random_state=seed)
    return _best(scores, k), scores


def _gradient(target, others, k, seed, **options):
    scores = -principal_gradient_distance(target, others, random_state=seed, **options)
    return _best(scores, k), scores


def _forward(target: Task, others, k, seed, **options):
    """Add the auxiliary that lowers the validation error most, until none does; a score is the share it took off."""
    splits = GroupShuffleSplit(2, test_size=0.25, random_state=seed)
    parts = list(splits.split(target.smiles, groups=target.groups))

    def error(names: list[str]) -> float:
        values = []
        for number, (train, validation) in enumerate(parts):
            model = JointNetwork(**options, random_state=seed + number)
            model.fit(
                target.subset(train), {name: others[name] for name in names}, validation=target.subset(validation)
            )
            values.append(model.history_["validation"].min())
        return float(np.mean(values))

    chosen, best, scores = [], error([]), {}
    while len(chosen) < min(k, len(others)):
        tried = {name: 1 - error([*chosen, name]) / best for name in sorted(others) if name not in chosen}
        scores.update(tried)
        (leader,) = _best(tried, 1)
        if tried[leader] <= 0:
            break
        chosen.append(leader)
        best *= 1 - tried[leader]
    return chosen, scores


def _molgroup(target, others, k, seed, **options):
    model = MolGroup(k, random_state=seed, **options).fit(target, others)
    return model.selected_, model.scores_


def _recommended(target, others, k, seed):
    scores = recommend(target, others, seed)
    return _best(scores, k, above=0.0), scores


RIVALS: dict[str, Callable[..., tuple[list[str], Mapping[str, float]]]] = {
    "all": _all,
    "none": _none,
    "random": _random,
    "structure": _structure,
    "task": _task,
    "structure and task": _both,
    "ridge transfer": _ridge,
    "principal gradient": _gradient,
    "forward search": _forward,
    "molgroup": _molgroup,
    "recommended": _recommended,
}
"""Methods of :func:`select` by name. The similarities are ``-KL(target || auxiliary)``."""


def select(
    method: str,
    target: Any,
    auxiliaries: Mapping[str, Any],
    k: int = 3,
    *,
    held_out: Iterable[str] = (),
    random_state: int = 0,
    **options: Any,
) -> Selection:
    """Choose auxiliaries by one of the methods.

    Parameters
    ----------
    method : str
        A key of ``RIVALS``: all, none, random, structure, task, structure and task (the mean of both, each standardised
        over the auxiliaries), ridge transfer, principal gradient, forward search (greedy, by the validation error of
        joint training, two splits), molgroup, recommended.
    target : Dataset or mapping with ``smiles`` and ``y``
        Training molecules of the target: no method sees any other.
    auxiliaries : mapping name -> Dataset or mapping with ``smiles`` and ``y``
    k : int
        Auxiliaries selected; forward search, molgroup and recommended may take fewer. ``all`` takes all.
    held_out : iterable of str
        SMILES of the target's validation and test molecules: taken out of every auxiliary before anything else.
    random_state : int
    **options
        Of the method: of :func:`task_similarity`, :func:`principal_gradient_distance`, :class:`JointNetwork` (forward
        search) or :class:`MolGroup`.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError
        When there is no such method, it takes no options, k is negative, and see :func:`read_tasks`.
    """
    if method not in RIVALS:
        raise ValueError(f"method is {method!r}: choose one of {list(RIVALS)}")
    if k < 0:
        raise ValueError(f"k is {k}: give 0 or more")
    if options and "options" not in signature(RIVALS[method]).parameters:
        raise ValueError(f"{method!r} takes no options: leave out {list(options)}")
    task, others = read_tasks(target, auxiliaries, held_out)
    begin = time.process_time()
    selected, scores = RIVALS[method](task, others, k, random_state, **options)
    seconds = time.process_time() - begin
    return Selection(selected, pd.Series(scores, name=method, dtype=float).reindex(list(others)), seconds)
