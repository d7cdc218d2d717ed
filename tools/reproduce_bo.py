"""The full run behind lesson 07 and claims C6 and C7. Writes results/bo_*.csv.

    make reproduce                                              everything that is not done yet, then the verdicts
    python tools/reproduce_bo.py --methods "GP mordred"         what C7 needs, about an hour on one core
    python tools/reproduce_bo.py --stages surrogates            what C6 needs besides the stage campaigns
    python tools/reproduce_bo.py --summary                      only the verdicts, from what is there

stage          campaigns
campaigns      Gaussian processes with every acquisition, random and nearest neighbour: 30 starts
surrogates     the models that take minutes a campaign, with the published acquisition: the first 5 of these starts
acquisitions   the same models with log-EI (which EI follows pick by pick) and greedy on the published sets: the first 2
game           lesson 07's game on permittivity, its own methods, with a noisy experiment too; 30 starts
shuffled       the same, EI alone: a share of the molecules carries the descriptors of others; 30 starts

The protocol is DIONYSUS's. The pool is the training and validation molecules of the published split (of permittivity
four fifths of the molecules), the start 5 % of it, for classes 10 %, but 25 to 100 molecules; 250 measurements follow
in batches of five, the five best scores at once. A hit is a molecule of the best tenth, of a binary set a positive; of
Delaney and FreeSolv small values are wanted, as published. Shares leave the hits of the start out, as published. Unlike
there, all methods share their starts, networks take gradient steps at every size, the nearest neighbour measures
batches of five as everybody else, and the whole pool is scored (there 1 000 molecules at most, which matters for BACE).
The published shares of Delaney count five random molecules of the start as found, about 0.006 of the hits. More
differences: our bound takes the deviation of the function, theirs that of a new measurement; our Gaussian process and
NGBoost learn from all that is measured, theirs from 85 % of it; and theirs is another Gaussian process, with a squared
exponential kernel and one length scale a descriptor on quantile-transformed descriptors, fitted by Adam with early
stopping (on classes gpflow's VGP), where ours has a Matern kernel with one length scale, fitted by the marginal
likelihood.

One task is one campaign. It yields a row at each checkpoint, with the model's scores on the held-out molecules (the
published test part): those uses are logged in results/bo_test_log.csv. ``like_start`` is the mean, over the molecules
picked so far, of the largest Tanimoto similarity to a molecule of the start.

results/bo_compared.csv   the shares at the end beside the published ones
results/bo_half.csv       the shares after half the budget, for each acquisition
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

import reproduce_dionysus as dionysus
from course_lib import featurize
from course_lib.acquire import campaign, nearest_neighbour
from course_lib.evaluate import t_interval
from course_lib.featurize.fingerprints import tanimoto
from course_lib.models import GPRegressor
from course_lib.splits import GroupShuffleSplit, assert_no_leak
from full_run import FullRun, Stage

SETS = ("delaney", "freesolv", "bace", "permittivity")
MINIMISED = {"delaney", "freesolv"}
BATCH, BUDGET = 5, 250
CHECKPOINTS = (0, 25, 50, 62, 75, 100, 125, 150, 175, 200, 225, 250)  # 62: a quarter of the budget, 125: half
# 62 is twelve batches and the first two of the next, by score; the model's scores in that row are of the 65th
STARTS, FEW = 30, 5  # of the Gaussian processes and the baselines; of the models that take minutes a campaign


def scaled(values: ArrayLike) -> np.ndarray:
    """Scale to the range 0 to 1; all 0 where nothing varies."""
    values = np.asarray(values, dtype=float)
    return (values - values.min()) / (np.ptp(values) or 1.0)


def dionysus_ucb(mean: ArrayLike, std: ArrayLike, best: float) -> np.ndarray:
    """Confidence bound of DIONYSUS: four parts mean and one part deviation, each scaled to 0 to 1 over the pool."""
    return 0.8 * scaled(mean) + 0.2 * scaled(std)


ACQUISITIONS: dict[str, str | Callable] = {
    "ucb": dionysus_ucb,
    "EI": "expected_improvement",
    "log-EI": "log_expected_improvement",
    "greedy": "greedy",
    "random": "random",
    "nearest neighbour": "nearest_neighbour",
}
AWARE = ("ucb", "EI", "log-EI")  # of the rules of the Gaussian processes
PROCESSES = (("GP", "mordred"), ("GP", "morgan"))
SLOW = (
    ("NGBoost", "mordred"),
    ("NGBoost", "morgan"),
    ("BNN", "mordred"),
    ("BNN", "morgan"),
    ("SNGP", "mordred"),
    ("SNGP", "morgan"),
    ("GNN-GP", "graph"),
)
BASELINES = ("random none random", "1-NN morgan nearest neighbour")


def published_rule(name: str) -> str:
    """Name the acquisition of the published campaigns; of classes the probability alone is searched."""
    return "greedy" if name in dionysus.BINARY else "ucb"


def other_rules(name: str) -> tuple[str, ...]:
    """Name the acquisitions that are tried beside it, EI first."""
    return () if name in dionysus.BINARY else ("EI", "log-EI", "greedy")


def divide(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the pool and the held-out molecules, as row numbers."""
    data = dionysus.read(name)
    if name in dionysus.PUBLISHED:
        part = data.frame["split"].to_numpy()
        pool, test = np.flatnonzero(part != "test"), np.flatnonzero(part == "test")
        # the pool stays as published; what the two share, by connectivity, is not a test
        test = test[~np.isin(data.groups[test], data.groups[pool])]
    else:
        splitter = GroupShuffleSplit(test_size=0.2, n_splits=1, random_state=0)
        pool, test = next(splitter.split(data.smiles, groups=data.groups))
    assert_no_leak(data.groups[pool], data.groups[test])
    return pool, test


def n_start(name: str, n_pool: int) -> int:
    """Return the size of the start: 5 % of the pool, 10 % for classes, between 25 and 100."""
    return int(np.clip(int((0.10 if name in dionysus.BINARY else 0.05) * n_pool), 25, 100))


def one_campaign(name: str, start: int, method: str) -> Iterator[dict]:
    """Run one campaign, and yield its state at the checkpoints."""
    model, feature, acquisition = method.split(" ", 2)
    data, (pool, test) = dionysus.read(name), divide(name)
    X = dionysus.features(name, "morgan" if feature == "none" else feature)
    binary = name in dionysus.BINARY
    by_model = model not in ("random", "1-NN")
    n_init = n_start(name, len(pool))
    # without a model the classes decide nothing about the picks, but what a hit is: every positive
    hits = data.y[pool] == 1 if binary and not by_model else 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = campaign(
            dionysus.build(model, feature, binary, seed=start) if by_model else None,
            X[pool],
            data.y[pool],
            n_init=n_init,
            budget=BUDGET,
            batch_size=BATCH,
            acquisition=ACQUISITIONS[acquisition],
            maximise=name not in MINIMISED,
            random_state=start,
            hits=hits,
            batch="top",
            test=(X[test], data.y[test]) if by_model else None,
        )
    history, new = found.history, found.hit_fraction(count_start=False)
    bits, picked = dionysus.features(name, "morgan")[pool], history["molecule"].to_numpy()
    likeness = nearest_neighbour(bits[picked[n_init:]], bits[picked[:n_init]])
    for spent in CHECKPOINTS:
        row = history.iloc[n_init + spent - 1]
        yield {
            "model": model,
            "on": feature,
            "acquisition": acquisition,
            "spent": spent,
            "new_hits": new[n_init + spent - 1],
            "hits": found.hit_fraction()[n_init + spent - 1],
            "best": row["best"],
            "like_start": likeness[:spent].mean() if spent else np.nan,
            **{score: row.get(score, np.nan) for score in ("r2", "ama", "auroc", "log_loss")},
            "n_init": n_init,
            "n_pool": len(pool),
            "n_hits": found.n_hits,
        }


def tasks(
    starts: int,
    cells: tuple[tuple[str, str], ...],
    rules: Callable[[str], tuple[str, ...]],
    others: tuple[str, ...] = (),
) -> tuple[tuple[str, int, str], ...]:
    """Start by start over all sets, so that an unfinished run has the same starts of every method."""
    return tuple(
        (name, start, method)
        for start in range(starts)
        for name in SETS
        for method in (*(f"{model} {feature} {rule}" for model, feature in cells for rule in rules(name)), *others)
    )


# --- stages game and shuffled: what lesson 07 plays with five starts, with thirty ------------------------------------
SIZES = {"n_init": 20, "budget": 40, "batch_size": 5}
EI = {"acquisition": "log_expected_improvement"}
GAME = {
    "EI": EI,
    "EI, top five": {**EI, "batch": "top"},
    "UCB": {"acquisition": "upper_confidence_bound", "batch": "top"},
    "Thompson": {"acquisition": "thompson"},
    "greedy": {"acquisition": "greedy"},
    "variance": {"acquisition": "variance", "batch": "top"},
    "nearest neighbour": {"acquisition": "nearest_neighbour"},
    "random": {"acquisition": "random"},
    "EI, noisy": EI,
    "greedy, noisy": {"acquisition": "greedy"},
}
SEEDS = np.random.default_rng(0).integers(2**31, size=STARTS)  # as `campaigns` draws them


@cache
def game_pool(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row numbers of pool and held-out molecules, and descriptors whose columns were chosen on the pool."""
    pool, test = divide(name)
    table = featurize.mordred2d(dionysus.read(name).smiles)
    return pool, test, np.asarray(featurize.Descriptors().fit(table.iloc[pool]).transform(table))


def game(name: str, start: int, method: str) -> Iterator[dict]:
    """Run one campaign of lesson 07, and yield its state after each round, in the words of `campaigns`.

    ``alike`` is the mean Tanimoto similarity within the batch, ``luck`` by how many standard deviations of the noise
    the largest measurement so far is larger than the truth.
    """
    (pool, test, X), y, noisy = game_pool(name), dionysus.read(name).y, method.endswith("noisy")
    noise = y[pool].std() / 3 if noisy else None
    held_out = (X[test], y[test])
    found = campaign(
        GPRegressor(n_restarts=0), X[pool], y[pool], **SIZES, **GAME[method], noise=noise, test=held_out,
        random_state=int(SEEDS[start]),
    )  # fmt: skip
    bits = dionysus.features(name, "morgan")[pool]
    history = found.history.assign(
        n=np.arange(1, len(found.history) + 1),
        hit_fraction=found.hit_fraction(),
        new_hit_fraction=found.hit_fraction(count_start=False),
    )
    for _, batch in history[history["round"] > 0].groupby("round"):
        similar = tanimoto(bits[batch["molecule"]], bits[batch["molecule"]])
        first = history.iloc[history["value"][: batch["n"].iloc[-1]].argmax()]
        yield {
            **batch.iloc[-1][["n", "hit_fraction", "new_hit_fraction", "best", "r2", "ama"]],
            "alike": similar[np.triu_indices(len(batch), 1)].mean(),
            "luck": (first["value"] - y[pool][first["molecule"]]) / noise if noisy else np.nan,
        }


SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def shuffled(name: str, start: int, method: str) -> Iterator[dict]:
    """Run lesson 07's campaign with the descriptors of a share of the molecules exchanged, anew for each start.

    ``lead`` is the share of the hits found less that which chance finds of the hits left after the start.
    """
    share, (pool, _, X) = float(method), game_pool(name)
    X, y = X[pool], dionysus.read(name).y[pool]
    rng = np.random.default_rng(start)
    rows = rng.permutation(len(X))[: int(share * len(X))]
    wrong = X.copy()
    wrong[rows] = X[rng.permutation(rows)]
    seed = int(np.random.default_rng(start).integers(2**31, size=1)[0])  # as `campaigns` draws the first one
    found = campaign(GPRegressor(n_restarts=0), wrong, y, **SIZES, batch="top", random_state=seed)
    hits, new = found.hit_fraction()[-1], found.hit_fraction(count_start=False)[-1]
    chance = SIZES["budget"] / (len(y) - SIZES["n_init"]) * (1 - (hits - new))
    yield {"wrong": share, "new_hits": new, "chance": chance, "lead": new - chance}


CAMPAIGNS = ("campaigns", "surrogates", "acquisitions")  # stages whose rows are checkpoints of a campaign
RUN = FullRun(
    "bo",
    ("set", "start", "method"),
    {
        "campaigns": Stage(
            one_campaign,
            tasks(STARTS, PROCESSES, lambda name: (published_rule(name), *other_rules(name)), BASELINES),
        ),
        "surrogates": Stage(one_campaign, tasks(FEW, SLOW, lambda name: (published_rule(name),))),
        "acquisitions": Stage(
            one_campaign,
            tasks(2, SLOW, lambda name: other_rules(name)[1:] if name in dionysus.PUBLISHED else ()),
        ),
        "game": Stage(game, tuple(("permittivity", start, method) for start in range(STARTS) for method in GAME)),
        "shuffled": Stage(
            shuffled, tuple(("permittivity", start, str(share)) for start in range(STARTS) for share in SHARES)
        ),
    },
)


# --- verdicts -------------------------------------------------------------------------------------------------------
def c6(part: pd.DataFrame) -> dict:
    """How far the poorer of GP and NGBoost on Mordred leads the best other after half the budget, on shared starts.

    As a part of the largest share that so many measurements can find, hits of the start not taken off. Two things count
    against the claim: the best of several others on few starts is partly the luckiest, and where nearly all hits are
    found by then nobody can lead. So ``at_quarter`` is the same after a quarter of the budget; it decides nothing.
    """
    rule = published_rule(part["set"].iloc[0])
    two = ["GP mordred", "NGBoost mordred"]

    def lead(spent: int) -> tuple[float, pd.Series, str]:
        at = part[(part["spent"] == spent) & (part["acquisition"] == rule) & (part["start"] < FEW)]
        means = at.groupby(at["model"] + " " + at["on"])["new_hits"].mean()
        others = means.drop(two)
        largest = min(1.0, spent / at["n_hits"].iloc[0])
        return float(means[two].min() - others.max()) / largest, means, others.idxmax()

    estimate, means, best_other = lead(BUDGET // 2)
    return {"estimate": estimate, **means[two], "best_other": best_other, "at_quarter": lead(BUDGET // 4)[0]}


def c7(part: pd.DataFrame) -> dict | None:
    """Hits early, greedy less aware, and R2 at half the budget, aware less greedy, from the margin; the smaller counts.

    Aware is the mean of the rules that look at the uncertainty. Beside them stand the differences from the one that is
    best in each, and how much more greedy's picks are like the start. EI and its logarithm pick the same molecules
    unless EI underflows, so EI counts twice in that mean; the parts ``_once`` count it once. (They were added after the
    first 60 campaigns had shown how seldom it underflows, and decide nothing.)
    """
    gp = part[(part["model"] == "GP") & (part["on"] == "mordred")]
    if gp["set"].iloc[0] in dionysus.BINARY:
        return None

    def mean(spent: int, what: str) -> pd.Series:
        return gp[gp["spent"] == spent].groupby("acquisition")[what].mean()

    early, r2, like = mean(BUDGET // 4, "new_hits"), mean(BUDGET // 2, "r2"), mean(BUDGET // 2, "like_start")
    aware, once = list(AWARE), ["ucb", "log-EI"]
    parts = {"early": early["greedy"] - early[aware].mean() - 0.02, "poorer": r2[aware].mean() - r2["greedy"] - 0.02}
    return {
        "estimate": float(min(parts.values())),
        **parts,
        "early_from_best": early["greedy"] - early[aware].max(),
        "poorer_from_best": r2[aware].max() - r2["greedy"],
        "early_once": early["greedy"] - early[once].mean() - 0.02,
        "poorer_once": r2[once].mean() - r2["greedy"] - 0.02,
        "more_like_start": like["greedy"] - like[aware].mean(),
    }


def shares(table: pd.DataFrame, spent: int) -> pd.DataFrame:
    """Mean share of the hits after so many measurements with its 95 % interval over the starts; a row a campaign.

    ``most`` is the largest share that so many measurements can find, the hits of the start taken off, as they are in
    all these shares; ``of_most`` is how much of it was found, 1 when every campaign found all that it could.
    """
    rows, keys = [], ["set", "model", "on", "acquisition"]
    for key, part in table[table["spent"] == spent].groupby(keys, sort=False):
        if len(part) > 1:
            found = t_interval(part["new_hits"])
            figures = {"hits": found.estimate, "low": found.low, "high": found.high, "se": found.se}
            left = 1 - (part["hits"] - part["new_hits"])
            most = np.minimum(left, spent / part["n_hits"])
            figures |= {"most": most.mean(), "of_most": (part["new_hits"] / most).mean()}
            rows.append({**dict(zip(keys, key, strict=True)), "n_starts": len(part), **figures})
    return pd.DataFrame(rows)


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Shares at the end, by the published rule, beside the published ones.

    ``reaches`` says whether ours is at least the published share less one standard error of it, ``gain`` by how much
    ours is larger: at least 0.2 is expected of the neural surrogates on Delaney, since they take gradient steps here.
    Where ``of_most`` is 1, a campaign has found whatever there was to find, and what still parts the two shares is how
    many hits the starts happened to hold.
    """
    found = shares(table, BUDGET)
    rule = found["set"].map(published_rule)
    found = found[(found["acquisition"] == rule) | found["model"].isin(["random", "1-NN"])]
    found = found.assign(feature=found["on"].replace("none", "morgan"))
    published = pd.read_csv(Path(__file__).resolve().parents[1] / "data" / "dionysus_published.csv")
    published = published[published["measure"] == "hits"].rename(columns={"value": "published"})
    published["published_se"] = (published["high"] - published["low"]) / (2 * 1.96)  # theirs is a normal interval
    keys = ["set", "model", "feature"]
    found = found.merge(published[[*keys, "published", "published_se"]], on=keys, validate="one_to_one")
    return found.assign(
        reaches=found["hits"] >= found["published"] - found["published_se"],
        gain=found["hits"] - found["published"],
    )


def primaries() -> dict[str, pd.DataFrame]:
    """Compute the primary endpoint of each claim whose campaigns are all done: one row a set."""
    found, table = {}, pd.concat([RUN.read(stage) for stage in CAMPAIGNS], ignore_index=True)
    of_c7 = {task for task in RUN.stages["campaigns"].tasks if task[2].startswith("GP mordred")}
    if RUN.done("campaigns") >= of_c7:
        RUN.write("compared", compared(table))
        RUN.write("half", shares(table, BUDGET // 2))
        found["C7"] = dionysus.units(table, c7)
    if RUN.complete("campaigns") and RUN.complete("surrogates"):
        found["C6"] = dionysus.units(table, c6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=list(RUN.stages), default=list(RUN.stages))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--starts", type=int, default=STARTS, help="only the first so many starting sets")
    parser.add_argument(
        "--methods", nargs="+", default=[""], help='only those that begin so, for instance "GP mordred"'
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--summary", action="store_true", help="verdicts only")
    options = parser.parse_args()
    if not options.summary:
        for name in options.sets:
            if name in dionysus.PUBLISHED:
                for stage in set(options.stages) & set(CAMPAIGNS):
                    RUN.log_test_use(set=name, stage=stage)
            dionysus.features(name, "mordred")  # into the cache
        begins = tuple(options.methods)

        def wanted(task: tuple) -> bool:
            return task[0] in options.sets and task[1] < options.starts and task[2].startswith(begins)

        RUN.run(options.stages, options.jobs, wanted)
    dionysus.decide()
    RUN.about(dionysus.PACKAGES, sets=SETS, starts=[STARTS, FEW], budget=BUDGET, batch=BATCH)


torch.set_num_threads(1)

if __name__ == "__main__":
    import reproduce_bo  # by its name, so that worker processes can import what they are sent

    reproduce_bo.main()
