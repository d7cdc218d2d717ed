"""The full run behind lesson 06 and claims B1 to B5. Writes results/molgroup_*.csv.

    make reproduce                                       everything that is not done yet, then the verdicts
    python tools/reproduce_molgroup.py --sets octane     the lesson's own target
    python tools/reproduce_molgroup.py --summary         only the verdicts, from what is there

Eight targets, with each other and nine more sets as auxiliaries; octane has those of the lesson, all embedded, without
motor octane numbers. The target's molecules are split by molecule (embedded sets), by scaffold (Lipo, BACE) or by
cluster of fingerprints (Delaney, FreeSolv) into training, validation and test; a seed is a split and a start of the
networks. At most 500 training molecules of a target and 2 000 molecules of an auxiliary are read, drawn at random. The
published test parts play no part. Validation and test molecules leave every auxiliary before anything else.

stage          one task                 rows
pairs          target, auxiliary, seed  error of the target with this auxiliary, or alone ("none")
similarities   target                   -KL both ways of each auxiliary, by structure and by task (training rows)
groups         target, seed             what each method chooses on the training molecules, and the error with it
forward        octane, seed             the same for greedy forward search
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Iterator
from functools import cache

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pandas as pd
import torch
from scipy.stats import friedmanchisquare

from course_lib import datasets, featurize
from course_lib.auxiliary import JointNetwork, MolGroup, select, structure_similarity, task_similarity
from course_lib.auxiliary.improvement import grouped_split
from course_lib.auxiliary.tasks import Task, read_task, read_tasks
from course_lib.auxiliary.transfer import correlation
from course_lib.evaluate import nadeau_bengio
from course_lib.splits import ClusterKFold, ScaffoldKFold, assert_no_leak
from full_run import FullRun, Stage

TARGETS = ("octane", "sublimation", "permittivity", "flammable", "freesolv", "delaney", "lipo", "bace")
PUBLISHED = ("freesolv", "delaney", "lipo", "bace")
SCAFFOLDS = ("lipo", "bace")
EMBEDDED = (
    "sublimation", "permittivity", "flammable", "cetane", "dipole", "logp", "critical_temperature", "vaporization_298",
    "vaporization_boiling", "fusion", "refractive_index", "melting_point",
)  # fmt: skip
SEEDS = 5
MAX_TRAIN, MAX_AUXILIARY = 500, 2000
SIZES = (1, 2, 3, 5)  # of groups in the gate's order
NETWORK: dict = {"n_steps": 400}
GATE: dict = {"rounds": 2, "n_seeds": 2, "n_steps": 100, "batch_size": 32}
FORWARD: dict = {"n_steps": 200, "hidden": 32}
MARGIN = 0.02  # a pair helps or hurts clearly when its interval lies beyond it
NEAREST = "structure and task"
WITH_THREE = ("random", NEAREST, "ridge transfer")  # also with three, for where the gate takes none
PACKAGES = ("numpy", "scikit-learn", "torch", "lightgbm", "rdkit", "chemicals")
CLAIMS = ("B1", "B2", "B3", "B4", "B5")


# --- data -----------------------------------------------------------------------------------------------------------
def auxiliaries(name: str) -> tuple[str, ...]:
    """Name the auxiliaries of a target."""
    if name == "octane":
        return EMBEDDED
    return tuple(other for other in ("octane", *EMBEDDED, *PUBLISHED) if other != name)


@cache
def read(name: str) -> Task:
    """Read a set, one row a molecule."""
    data = datasets.load(name)
    return read_task(name, data.subset(np.sort(np.unique(data.groups.astype(str), return_index=True)[1])))


@cache
def auxiliary(name: str) -> Task:
    """Read a set as an auxiliary."""
    task = read(name)
    return task.subset(np.sort(np.random.default_rng(0).permutation(len(task))[:MAX_AUXILIARY]))


@cache
def divide(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training, validation and test rows of a target."""
    task = read(name)
    if name not in PUBLISHED:
        train, validation, test = grouped_split(task, seed)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name in SCAFFOLDS:
                folds = ScaffoldKFold(task.smiles, 5, random_state=seed)
            else:
                folds = ClusterKFold(featurize.morgan(task.smiles, radius=2), n_splits=5, random_state=seed)
            (_, test), (_, validation), *rest = folds.split(task.smiles, groups=task.groups)
        train = np.concatenate([part for _, part in rest])
    train = np.sort(np.random.default_rng(seed).permutation(train)[:MAX_TRAIN])
    assert_no_leak(task.groups[train], task.groups[np.concatenate([validation, test])])
    assert_no_leak(task.groups[validation], task.groups[test])
    return train, validation, test


class _Split:
    """One split of a target, and what a network learns with a group of auxiliaries."""

    def __init__(self, name: str, seed: int) -> None:
        task, (train, validation, test) = read(name), divide(name, seed)
        self.seed = seed
        self.train, self.validation, self.test = (task.subset(rows) for rows in (train, validation, test))
        self.held_out = [*self.validation.smiles, *self.test.smiles]
        self.known: dict[frozenset, dict] = {}

    def row(self, group: list[str]) -> dict:
        """Error on the test molecules, trained with this group; the same group is trained once."""
        key = frozenset(group)
        if key not in self.known:
            model = JointNetwork(**NETWORK, random_state=self.seed)
            others = {other: auxiliary(other) for other in group}
            model.fit(self.train, others, validation=self.validation, held_out=self.test.smiles)
            self.known[key] = {
                "error": model.error(self.test.smiles, self.test.y),
                "step": model.best_step_,
                "n_train": len(self.train),
                "n_test": len(self.test),
            }
        return self.known[key]


# --- stages ---------------------------------------------------------------------------------------------------------
def one_pair(name: str, other: str, seed: int) -> Iterator[dict]:
    """Train a target with one auxiliary, or alone."""
    yield _Split(name, seed).row([] if other == "none" else [other])


def one_similarity(name: str, _: str, seed: int) -> Iterator[dict]:
    """Compare a target's training molecules with each auxiliary."""
    split = _Split(name, seed)
    target, others = read_tasks(split.train, {other: auxiliary(other) for other in auxiliaries(name)}, split.held_out)
    sets = {"target": target, **others}
    tables = {"structure": structure_similarity(sets), "task": task_similarity(sets, random_state=seed)}
    for other in others:
        row = {"other": other}
        for kind, table in tables.items():
            row |= {kind: table.loc["target", other], f"{kind}_reversed": table.loc[other, "target"]}
        yield row


def one_selection(name: str, _: str, seed: int) -> Iterator[dict]:
    """Choose by the gate, by its rivals with as many sets as it took, and by some with three; train with each."""
    split = _Split(name, seed)
    others = {other: auxiliary(other) for other in auxiliaries(name)}
    options = {"held_out": split.held_out, "random_state": seed}

    def line(method: str, group: list[str], seconds: float = 0.0) -> dict:
        return {
            "method": method,
            "k": len(group),
            "group": " ".join(group),
            "seconds": seconds,
            **split.row(group),
        }

    begin = time.process_time()
    gate = MolGroup(5, **GATE, random_state=seed).fit(split.train, others, held_out=split.held_out)
    yield line("molgroup", gate.selected_, time.process_time() - begin)
    k = len(gate.selected_)
    for size in SIZES:
        yield line(f"gate's best {size}", gate.ranking_[:size])
    yield line("none", [])
    yield line("all", list(others))
    for method in ("random", "structure", "task", NEAREST, "ridge transfer", "principal gradient"):
        found = select(method, split.train, others, k=max(k, 3), **options)
        yield line(method, found.selected[:k], found.seconds)
        if method in WITH_THREE:
            yield line(f"{method}, three", found.selected[:3], found.seconds)
    found = select("recommended", split.train, others, k=5, **options)
    yield line("recommended", found.selected, found.seconds)


def one_search(name: str, _: str, seed: int) -> Iterator[dict]:
    """Choose by greedy forward search, three at most, and train with the choice."""
    split = _Split(name, seed)
    others = {other: auxiliary(other) for other in auxiliaries(name)}
    found = select("forward search", split.train, others, k=3, held_out=split.held_out, random_state=seed, **FORWARD)
    group = found.selected
    yield {"method": "forward search", "k": len(group), "group": " ".join(group), "seconds": found.seconds} | split.row(
        group
    )


RUN = FullRun(
    "molgroup",
    ("set", "auxiliary", "seed"),
    {
        "pairs": Stage(
            one_pair,
            tuple(
                (name, other, seed)
                for seed in range(SEEDS)
                for name in TARGETS
                for other in ("none", *auxiliaries(name))
            ),
        ),
        "similarities": Stage(one_similarity, tuple((name, "each", 0) for name in TARGETS)),
        "groups": Stage(one_selection, tuple((name, "chosen", seed) for seed in range(SEEDS) for name in TARGETS)),
        "forward": Stage(one_search, tuple(("octane", "chosen", seed) for seed in range(SEEDS))),
    },
)


# --- verdicts -------------------------------------------------------------------------------------------------------
def improvements(pairs: pd.DataFrame) -> pd.DataFrame:
    """Relative improvement of each pair over the target alone, with its interval over the seeds."""
    found = []
    for name, part in pairs.groupby("set", sort=False):
        error = part.pivot(index="seed", columns="auxiliary", values="error")
        n_train, n_test = part["n_train"].mean(), part["n_test"].mean()
        for other in error.columns.drop("none"):
            interval = nadeau_bengio(1 - error[other] / error["none"], n_train, n_test)
            figures = {"improvement": interval.estimate, "low": interval.low, "high": interval.high}
            found.append({"set": name, "auxiliary": other, **figures})
    return pd.DataFrame(found)


def differences(pairs: pd.DataFrame) -> pd.DataFrame:
    """Friedman's test of whether a target's auxiliaries differ at all, each seed ranking them; one row a target.

    Splits overlap, so it speaks of these molecules and not of new ones. Secondary: no claim rests on it.
    """
    rows = []
    for name, part in pairs[pairs["auxiliary"] != "none"].groupby("set", sort=False):
        wide = part.pivot(index="seed", columns="auxiliary", values="error")
        statistic, p = friedmanchisquare(*wide.to_numpy().T)
        rows.append({"set": name, "n_auxiliaries": wide.shape[1], "statistic": statistic, "p": p})
    return pd.DataFrame(rows)


def b1(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the smaller of the shares of auxiliaries that clearly help and that clearly hurt; one row a target."""
    rows = []
    for name, part in table.groupby("set", sort=False):
        shares = {"help": (part["low"] > MARGIN).mean(), "hurt": (part["high"] < -MARGIN).mean()}
        rows.append({"set": name, "estimate": min(shares.values()), **shares, "n_auxiliaries": len(part)})
    return pd.DataFrame(rows)


def asymmetry(table: pd.DataFrame) -> float:
    """Mean absolute difference between the two directions of a pair, over pairs that were trained both ways."""
    wide = table.pivot(index="set", columns="auxiliary", values="improvement")
    both = [name for name in wide.index if name in wide.columns]
    values = [abs(wide.loc[one, other] - wide.loc[other, one]) for i, one in enumerate(both) for other in both[i + 1 :]]
    return float(np.nanmean(values)) if values else np.nan


def b2(table: pd.DataFrame) -> pd.DataFrame:
    """Compute what the combined similarity's correlation gains over the better single one's; one row a target."""
    rows = []
    for name, part in table.groupby("set", sort=False):
        others = table[table["set"] != name]
        values = others[["structure", "task", "improvement"]]
        values = values - values.groupby(others["set"]).transform("mean")  # differences within a target, not between
        weights = np.linalg.lstsq(values[["structure", "task"]], values["improvement"], rcond=None)[0]
        combined = pd.Series(part[["structure", "task"]].to_numpy() @ weights)
        found = {kind: correlation(part[kind], part["improvement"]) for kind in ("structure", "task")}
        rows.append({"set": name, **found, "combined": correlation(combined, part["improvement"])})
    found = pd.DataFrame(rows)
    better = found[["structure", "task"]].mean().idxmax()
    return found.assign(estimate=found["combined"] - found[better], better=better)


def b3(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the share that clearly helps among the less similar half, by structure; one row a target."""
    rows = []
    for name, part in table.groupby("set", sort=False):
        half = part.nsmallest(len(part) // 2, "structure")
        rows.append({"set": name, "estimate": (half["low"] > MARGIN).mean(), "n_auxiliaries": len(half)})
    return pd.DataFrame(rows)


def gains(groups: pd.DataFrame) -> pd.DataFrame:
    """Relative improvement over the target alone, one row a target and seed, one column a method."""
    error = groups.pivot(index=["set", "seed"], columns="method", values="error")
    return 1 - error.div(error["none"], axis=0)


def b4(groups: pd.DataFrame) -> pd.DataFrame:
    """Compute the smaller improvement of the gate's group: over the target alone, and over the nearest sets."""
    error = groups.pivot(index=["set", "seed"], columns="method", values="error")
    parts = pd.DataFrame(
        {
            "over_alone": 1 - error["molgroup"] / error["none"],
            "over_nearest": 1 - error["molgroup"] / error[NEAREST],
        }
    )
    found = parts.groupby("set", sort=False).mean()
    return found.assign(estimate=found.min(axis=1)).reset_index()


def b5(groups: pd.DataFrame) -> pd.DataFrame:
    """Compute the improvement by the gate's best five auxiliaries less that by its best one."""
    found = gains(groups).groupby("set", sort=False).mean()
    sizes = found[[f"gate's best {size}" for size in SIZES] + ["all"]]
    return sizes.assign(estimate=found["gate's best 5"] - found["gate's best 1"]).reset_index()


def summary(groups: pd.DataFrame) -> pd.DataFrame:
    """Gain of each method over the target alone, with its interval over the seeds, and the seconds of a selection."""
    gain, rows = gains(groups), []
    for (name, method), part in groups.groupby(["set", "method"], sort=False):
        interval = nadeau_bengio(gain.loc[name, method], part["n_train"].mean(), part["n_test"].mean())
        figures = {"gain": interval.estimate, "low": interval.low, "high": interval.high}
        rows.append(
            {"set": name, "method": method, **figures, "k": part["k"].mean(), "seconds": part["seconds"].mean()}
        )
    return pd.DataFrame(rows)


def primaries() -> dict[str, pd.DataFrame]:
    """Compute the primary endpoint of each claim whose stages are complete, and write the tables behind them."""
    found: dict[str, pd.DataFrame] = {}
    if RUN.complete("pairs"):
        trained = RUN.read("pairs")
        RUN.write("differences", differences(trained))
        pairs = improvements(trained)
        found["B1"] = b1(pairs)
        print(f"mean absolute difference between the two directions of a pair: {asymmetry(pairs):.3f}")
        if RUN.complete("similarities"):
            near = RUN.read("similarities").drop(columns=["auxiliary", "seed"]).rename(columns={"other": "auxiliary"})
            pairs = pairs.merge(near, on=["set", "auxiliary"], validate="one_to_one")
            found |= {"B2": b2(pairs), "B3": b3(pairs)}
        RUN.write("improvements", pairs)
    if RUN.complete("groups"):
        groups = RUN.read("groups")
        found |= {"B4": b4(groups), "B5": b5(groups)}
        tables = [groups, RUN.read("forward")] if RUN.complete("forward") else [groups]
        RUN.write("summary", summary(pd.concat(tables, ignore_index=True)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=list(RUN.stages), default=list(RUN.stages))
    parser.add_argument("--sets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--seeds", type=int, default=SEEDS, help="only the first so many seeds")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--summary", action="store_true", help="verdicts only")
    options = parser.parse_args()
    if not options.summary:
        RUN.run(options.stages, options.jobs, lambda task: task[0] in options.sets and task[2] < options.seeds)
    RUN.decide(primaries(), CLAIMS, PACKAGES)
    RUN.about(PACKAGES, seeds=SEEDS, network=NETWORK, gate=GATE, forward=FORWARD, most=[MAX_TRAIN, MAX_AUXILIARY])


torch.set_num_threads(1)

if __name__ == "__main__":
    import reproduce_molgroup  # by its name, so that worker processes can import what they are sent

    reproduce_molgroup.main()
