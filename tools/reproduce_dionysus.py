"""The full run behind lessons 04, 05 and 08 and claims C1 to C5 and C8. Writes results/dionysus_*.csv.

    make reproduce                                  everything that is not done yet, then the verdicts
    python tools/reproduce_dionysus.py --stages random --jobs 2
    python tools/reproduce_dionysus.py --summary    only the verdicts, from what is there

One task is one data set, one split and one kind of feature. What a model learns, it learns on the molecules of the
training side: for a 70/10/20 split these are train and validation together, and a model that stops early holds back
rows of its own. The published test parts are evaluated by stage ``published`` alone, and each use is logged in
results/dionysus_test_log.csv with its date and commit, before the test part is predicted.
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
from ngboost import NGBClassifier
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.tree import DecisionTreeRegressor

from course_lib import datasets, evaluate, featurize, models
from course_lib.featurize.fingerprints import tanimoto
from course_lib.models import baselines
from course_lib.results import with_skill
from course_lib.splits import ClusterKFold, GroupKFold, GroupShuffleSplit, ScaffoldKFold, assert_no_leak
from full_run import FullRun, Stage

PUBLISHED = ("delaney", "freesolv", "bace")
SETS = (*PUBLISHED, "sublimation", "permittivity", "flammable")
GROWING = ("delaney", "bace", "sublimation", "permittivity")  # sets with 500 training molecules (C4, C8)
BINARY = {"bace", "flammable"}
FEATURES = ("morgan", "mordred", "graph")
SIZES = (25, 50, 100, 200, 300, 500)
N_FEW, DRAWS = 120, 5  # of stage few: less than half of the study's batch
EVALUATIONS = 10  # of each search over hyperparameters
PACKAGES = (
    "numpy", "scikit-learn", "torch", "gpytorch", "pyro-ppl", "ngboost", "rdkit", "mordredcommunity",
    "chemicals",
)  # fmt: skip
CLAIMS = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8")


# --- data and models ------------------------------------------------------------------------------------------------
@cache
def read(name: str) -> datasets.Dataset:
    """Read a set with one row a group; published sets with their published molecules."""
    data = datasets.load(name)
    if name in PUBLISHED:
        return data
    return data.subset(np.sort(np.unique(data.groups, return_index=True)[1]))


@cache
def features(name: str, kind: str) -> np.ndarray:
    """Features of all molecules of a set, raw: whatever is learned about them is learned inside the models."""
    smiles = read(name).smiles
    if kind == "graph":
        return smiles
    table = featurize.morgan(smiles) if kind == "morgan" else featurize.mordred2d(smiles)
    return table.to_numpy(np.float32)


BASELINES: dict[str, tuple[Callable[[int], BaseEstimator], Callable[[int], BaseEstimator]]] = {
    # name: (regressor, classifier) from a seed. The classifiers are the same on the side of the features.
    "mean": (lambda seed: baselines.mean(), lambda seed: DummyClassifier(strategy="prior")),
    "ridge": (lambda seed: baselines.ridge_counts(), lambda seed: logistic(baselines.ridge_counts())),
    "group contribution": (
        lambda seed: baselines.group_contribution(),
        lambda seed: logistic(baselines.group_contribution()),
    ),
    "MLP": (
        lambda seed: baselines.mlp(random_state=seed),
        lambda seed: make_pipeline(
            *baselines.mlp()[:-1], MLPClassifier((64,), solver="lbfgs", alpha=10.0, max_iter=2000, random_state=seed)
        ),
    ),
    "random forest": (
        lambda seed: baselines.random_forest(random_state=seed),
        lambda seed: make_pipeline(
            *baselines.random_forest()[:-1], RandomForestClassifier(300, n_jobs=1, random_state=seed)
        ),
    ),
}


def logistic(ridge: Pipeline) -> Pipeline:
    """Put logistic regression, with scikit-learn's default penalty, in the place of the ridge."""
    return make_pipeline(*ridge[:-1], LogisticRegression(max_iter=2000))


def build(name: str, kind: str, binary: bool, seed: int) -> BaseEstimator:
    """Make one model of the study, or a baseline, for a kind of feature."""
    if name in BASELINES:
        return BASELINES[name][binary](seed)
    side = "Classifier" if binary else "Regressor"
    if name == "GP":  # the kernel goes with the feature, set in advance
        return getattr(models, f"GP{side}")(kernel="tanimoto" if kind == "morgan" else "matern", random_state=seed)
    stem = {"GNN-GP": "GNNGP", "deep ensemble": "DeepEnsemble"}.get(name, name)
    return getattr(models, f"{stem}{side}")(random_state=seed)


STUDY = ("GP", "NGBoost", "BNN", "SNGP")
FROM_SMILES = ("mean", "ridge", "group contribution")  # baselines that take SMILES themselves
CELLS = {
    "morgan": STUDY,
    "mordred": (*STUDY, "deep ensemble", "MLP", "random forest"),
    "embedding": STUDY,
    "graph": ("GNN-GP", "GNN", *FROM_SMILES),
}


def cells(
    name: str, kind: str, train: np.ndarray, test: np.ndarray, seed: int, wanted: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray | None]]:
    """Fit the wanted models on one kind of feature; give model, feature, prediction and its standard deviation.

    For classes the prediction is the probability of the second class. Task "graph" also learns the embedding, on the
    training molecules alone, and puts the models of feature "embedding" on it.
    """
    data, X, binary = read(name), features(name, kind), name in BINARY
    tables = {kind: (X[train], X[test])}
    if kind == "graph" and wanted.get("embedding"):
        embedding = models.GNNEmbedding(random_state=seed).fit(X[train], data.y[train])
        tables["embedding"] = tuple(np.asarray(embedding.transform(X[side])) for side in (train, test))
    for feature, (fit_on, predict_on) in tables.items():
        for model in wanted.get(feature, ()):
            estimator = build(model, feature, binary, seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                estimator.fit(fit_on, data.y[train])
                yield model, feature, *predictions(estimator, predict_on, binary)


def predictions(estimator: BaseEstimator, X: np.ndarray, binary: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the probability of the second class and None, or the mean and its standard deviation, if it has one."""
    if binary:
        return estimator.predict_proba(X)[:, 1], None
    if hasattr(estimator, "predict_parts"):
        return estimator.predict(X, return_std=True)
    return estimator.predict(X), None  # a baseline without a distribution


# --- scores ---------------------------------------------------------------------------------------------------------
def scores(y: np.ndarray, prediction: np.ndarray, std: np.ndarray | None, binary: bool) -> dict[str, float]:
    """Compute accuracy and calibration of one cell."""
    if binary:
        p = np.clip(prediction, 1e-6, 1 - 1e-6)
        if len(np.unique(y)) < 2:  # a cluster of one class: no ranking, no slope
            return {"log_loss": evaluate.log_loss(y, p), "brier": evaluate.brier(y, p)}
        return {
            "auroc": evaluate.auroc(y, p),
            "log_loss": evaluate.log_loss(y, p),
            "brier": evaluate.brier(y, p),
            "ece": evaluate.ece(y, p),
            "ece_dionysus": evaluate.dionysus_ece(y, p) if np.ptp(p) > 0 else np.nan,  # it stretches p to [0, 1]
            "ece_perfect": float(np.mean(evaluate.perfect_reference(evaluate.ece, p=p, random_state=0))),
        }
    found = {"r2": evaluate.r2(y, prediction), "rmse": evaluate.rmse(y, prediction), "mae": evaluate.mae(y, prediction)}
    if std is not None:
        found |= {
            "ama": evaluate.miscalibration_area(y, prediction, std),
            "ama_dionysus": evaluate.dionysus_ama(y, prediction, std),
            "nll": evaluate.nll(y, prediction, std),
            "crps": evaluate.crps(y, prediction, std),
            "coverage95": evaluate.coverage(y, prediction, std, 0.95),
            "mean_z2": evaluate.mean_squared_z(y, prediction, std),
            "kendall": kendall(y, prediction, std),
        }
    return found


def rows(
    name: str,
    kind: str,
    train: np.ndarray,
    test: np.ndarray,
    seed: int,
    wanted: dict[str, tuple[str, ...]] = CELLS,
    **labels: object,
) -> Iterator[dict]:
    """Fit, predict, score: one row a cell."""
    data = read(name)
    assert_no_leak(data.groups[train], data.groups[test])
    for model, feature, prediction, std in cells(name, kind, train, test, seed, wanted):
        yield {
            **labels,
            "model": model,
            "on": feature,
            **scores(data.y[test], prediction, std, name in BINARY),
            "n_train": len(train),
            "n_test": len(test),
        }


# --- stage published: the published splits, each use of a test part logged ------------------------------------------
def published(name: str, number: int, kind: str) -> Iterator[dict]:
    """Compute every cell on the published split, with bootstrap intervals, beside the published figures."""
    data = read(name)
    part = data.frame["split"].to_numpy()
    test = np.flatnonzero(part == "test")
    RUN.log_test_use(set=name, feature=kind)
    # the test part stays as published; a training molecule that shares its connectivity with one of it goes
    train = np.flatnonzero((part != "test") & ~np.isin(data.groups, data.groups[test]))
    y, binary = data.y[test], name in BINARY
    assert_no_leak(data.groups[train], data.groups[test])
    measures = {"auroc": evaluate.auroc, "log_loss": evaluate.log_loss} if binary else {"r2": evaluate.r2}
    for model, feature, prediction, std in cells(name, kind, train, test, number, CELLS):
        row = {"model": model, "on": feature, **scores(y, prediction, std, binary)}
        for measure, function in measures.items():
            interval = evaluate.bootstrap_interval(function, y, prediction, groups=data.groups[test], random_state=0)
            row |= {f"{measure}_low": interval.low, f"{measure}_high": interval.high}
        if std is not None:
            area = evaluate.perfect_reference(evaluate.miscalibration_area, n=len(y), random_state=0)
            row["ama_perfect_high"] = float(np.quantile(area, 0.95))
            interval = evaluate.bootstrap_interval(kendall, y, prediction, std, groups=data.groups[test])
            row |= {"kendall_low": interval.low, "kendall_high": interval.high}
        if binary:
            for measure in (evaluate.ece, evaluate.log_loss):
                reference = evaluate.perfect_reference(measure, p=np.clip(prediction, 1e-6, 1 - 1e-6), random_state=0)
                ends = ("low", 0.05), ("high", 0.95)
                row |= {f"{measure.__name__}_perfect_{end}": float(np.quantile(reference, q)) for end, q in ends}
        yield {**row, "n_train": len(train), "n_test": len(test), "n_removed": int((part != "test").sum() - len(train))}


LOG_LOSS = ("log_loss", "log_loss_low", "log_loss_high", "log_loss_perfect_low", "log_loss_perfect_high")


def kendall(y: np.ndarray, mean: np.ndarray, std: np.ndarray) -> float:
    """Kendall's rank correlation of error and predicted standard deviation."""
    return evaluate.error_rank_correlation(y, mean, std).kendall


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Put the cells of stage ``published`` beside the published figures, one row a cell.

    ``reaches``: the upper end of our bootstrap interval of R2 (AUROC) is at least the published figure.
    ``calibrated``: the miscalibration area (ECE) is no larger than the bound below which 19 of 20 perfect models stay,
    or, by the study's own rule, at most the published one. ``rank``: Kendall's correlation of error and predicted
    deviation (regression). ``log_loss`` (classes) has no published figure; ``log_loss_perfect_low`` and ``_high`` hold
    nine of ten models whose probabilities are true. ``mean_z2`` says why a cell of a regression is not calibrated:
    below 1 its intervals are too wide, above 1 too narrow, and near 1 the errors are not normal.
    """
    wide = pd.read_csv(Path(__file__).resolve().parents[1] / "data" / "dionysus_published.csv")
    wide = wide.rename(columns={"feature": "on"}).pivot(
        index=["set", "model", "on"], columns="measure", values=["value", "low", "high"]
    )
    rows = []
    for row in table.to_dict("records"):
        key = (row["set"], row["model"], row["on"])
        if key not in wide.index:
            continue
        skill, gap = ("auroc", "ece") if row["set"] in BINARY else ("r2", "ama")
        theirs = wide.loc[key]
        rows.append(
            {
                **dict(zip(("set", "model", "on"), key, strict=True)),
                "measure": skill,
                "published": theirs["value", skill],
                "published_low": theirs["low", skill],
                "published_high": theirs["high", skill],
                "here": row[skill],
                "low": row[f"{skill}_low"],
                "high": row[f"{skill}_high"],
                "reaches": row[f"{skill}_high"] >= theirs["value", skill],
                "calibration": gap,
                "published_gap": theirs["value", gap],
                "gap_their_rule": row[f"{gap}_dionysus"],
                "gap": row[gap],
                "gap_perfect_high": row[f"{gap}_perfect_high"],
                **{f"published_gap_{end}": theirs[end, gap] for end in ("low", "high")},
                "published_rank": theirs["value", "kendall"],
                "rank": row["kendall"],
                "rank_low": row["kendall_low"],
                "rank_high": row["kendall_high"],
                **{column: row[column] for column in (*LOG_LOSS, "coverage95", "mean_z2", "n_train", "n_removed")},
                "calibrated": row[gap] <= row[f"{gap}_perfect_high"] or row[f"{gap}_dionysus"] <= theirs["value", gap],
            }
        )
    return pd.DataFrame(rows)


# --- stages random, cluster: further splits, so that one lucky split decides nothing --------------------------------
def random_split(name: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row numbers: four fifths of the molecules, in random order, and a fifth as test."""
    groups = read(name).groups
    pool, test = next(GroupShuffleSplit(test_size=0.2, n_splits=1, random_state=number).split(groups, groups=groups))
    return np.random.default_rng(number).permutation(pool), test


def random(name: str, number: int, kind: str) -> Iterator[dict]:
    """Compute every cell on a random split, 80/20 (70/10/20 with the validation part inside the models)."""
    train, test = random_split(name, number)
    yield from rows(name, kind, np.sort(train), test, number)


def cluster(name: str, number: int, kind: str) -> Iterator[dict]:
    """Compute every cell on one fold of a five-fold cluster split by structure."""
    data = read(name)
    splitter = ClusterKFold(features(name, "mordred"), n_splits=5, random_state=0)
    train, test = list(splitter.split(data.smiles, groups=data.groups))[number]
    yield from rows(name, kind, train, test, number)


# --- stage sizes: training sizes from 25 to all (C5, C8) ------------------------------------------------------------
GROWN = {"mordred": CELLS["mordred"], "graph": ("GNN-GP", *FROM_SMILES)}


def sizes(name: str, number: int, kind: str) -> Iterator[dict]:
    """Grow the training set of one split: nested draws, the same fifth of the molecules as test for all of them."""
    data, (order, test) = read(name), random_split(name, number)
    for n in [*(n for n in SIZES if n < len(order)), len(order)]:
        train = order[:n]
        if name in BINARY and len(np.unique(data.y[train])) < 2:
            continue
        wanted = {**GROWN, "morgan": ("GP",), "embedding": ("GP", "NGBoost") if n == 100 else ()}
        yield from rows(name, kind, train, test, number, wanted, n=n)


# --- stage ngboost: does the first part of C8 fail for our version of NGBoost only? -----------------------------------
class _AsPublished:
    """NGBoost as the study set it: 2000 short steps, stopped early by 15 % of the molecules, no choice of columns.

    It predicts from the best round; the package by itself keeps the rounds after it too.
    """

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        y = y.astype(int) if self._library is NGBClassifier else y
        X, X_val, y, y_val = train_test_split(X, y, test_size=0.15, random_state=self.random_state)
        tree = DecisionTreeRegressor(max_depth=3, random_state=self.random_state)  # without a seed ties break anew
        self.model_ = self._library(
            Base=tree, **self._options, n_estimators=2000, learning_rate=0.005, verbose=False,
            random_state=self.random_state,
        )  # fmt: skip
        self.model_.fit(X, y, X_val, y_val, early_stopping_rounds=100)
        self.n_rounds_, self.std_factor_ = self.model_.best_val_loss_itr + 1, 1.0


class NGBoostAsPublishedRegressor(_AsPublished, models.NGBoostRegressor):
    """See `_AsPublished`."""


class NGBoostAsPublishedClassifier(_AsPublished, models.NGBoostClassifier):
    """See `_AsPublished`; the package's own line search too, which ours cuts short."""

    _library = NGBClassifier


def ngboost(name: str, number: int, kind: str) -> Iterator[dict]:
    """Fit the published NGBoost to the splits of stage sizes, up to 100 molecules. It decides nothing."""
    data, X, binary = read(name), features(name, kind), name in BINARY
    order, test = random_split(name, number)
    assert_no_leak(data.groups[order], data.groups[test])
    for n in (n for n in SIZES if n <= 100):
        model = (NGBoostAsPublishedClassifier if binary else NGBoostAsPublishedRegressor)(random_state=number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X[order[:n]], data.y[order[:n]])
        found = scores(data.y[test], *predictions(model, X[test], binary), binary)
        yield {"model": "NGBoost as published", "on": kind, **found, "n_train": n, "n_test": len(test), "n": n}


# --- stage few: do the networks learn from 120 molecules? -----------------------------------------------------------
NETWORKS = {"mordred": ("BNN", "SNGP", "deep ensemble", "MLP"), "graph": ("GNN-GP", "GNN")}


def few(name: str, number: int, kind: str) -> Iterator[dict]:
    """Fit every network, and some others, to 120 molecules of a random four fifths; score on the other fifth."""
    train, test = random_split(name, number)
    wanted = {"mordred": (*NETWORKS["mordred"], "GP", "NGBoost"), "graph": (*NETWORKS["graph"], "ridge")}
    yield from rows(name, kind, train[:N_FEW], test, number, wanted)


# --- stage shifts: what "new" means (lesson 08) ---------------------------------------------------------------------
SHIFTED = GROWN


def shift_splits(name: str) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Return five splits of each kind; leave-one-cluster-out has one for each of ten clusters."""
    data, table = read(name), features(name, "mordred")
    splitters = {
        "random": GroupKFold(5, shuffle=True, random_state=0),
        "scaffold": ScaffoldKFold(data.smiles, 5, random_state=0),
        "cluster": ClusterKFold(table, n_splits=5, random_state=0),
        "cluster with target": ClusterKFold(table, data.y, n_splits=5, random_state=0),
        "leave one cluster out": ClusterKFold(table, n_splits=10, n_clusters=10, random_state=0),
    }
    return {kind: list(splitter.split(data.smiles, groups=data.groups)) for kind, splitter in splitters.items()}


def shifts(name: str, number: int, kind: str) -> Iterator[dict]:
    """Compute models on one fold of every kind of split, with how far its test molecules lie from training."""
    table = features(name, "morgan").astype(bool)
    for split, folds in shift_splits(name).items():
        for fold in range(number, len(folds), 5):
            train, test = folds[fold]
            if len(test) < 10:  # a score of so few molecules says nothing
                continue
            nearest = np.median(tanimoto(table[test], table[train]).max(axis=1))
            yield from rows(name, kind, train, test, number, SHIFTED, by=split, fold=fold, similarity=float(nearest))


# --- stage tuned: what tuning buys at 100 molecules -----------------------------------------------------------------
TUNED = {"mordred": ("GP", "NGBoost", "BNN", "SNGP", "deep ensemble"), "graph": ("GNN-GP",)}


def tuned(name: str, number: int, kind: str) -> Iterator[dict]:
    """Score each model as it comes and tuned on three group folds of its 100 training molecules.

    What is tuned is the whole predicted distribution: the CRPS, for classes the log loss.
    """
    data, X, binary = read(name), features(name, kind), name in BINARY
    train, test = next(
        GroupShuffleSplit(train_size=100, n_splits=1, random_state=number).split(data.smiles, groups=data.groups)
    )
    assert_no_leak(data.groups[train], data.groups[test])
    for model in TUNED.get(kind, ()):
        plain = build(model, kind, binary, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = models.tune(
                plain,
                X[train],
                data.y[train],
                groups=data.groups[train],
                cv=GroupKFold(3, shuffle=True, random_state=number),
                n_iter=EVALUATIONS,
                random_state=number,
                space=type(plain).TUNE_SPACE,
                **({} if binary else {"loss": evaluate.crps, "return_std": True}),
            )
            arms = {"as it comes": clone(plain).fit(X[train], data.y[train]), "tuned": found.best_estimator}
            for arm, estimator in arms.items():
                prediction, std = predictions(estimator, X[test], binary)
                yield {
                    "model": model,
                    "arm": arm,
                    **scores(data.y[test], prediction, std, binary),
                    "n_train": len(train),
                    "n_test": len(test),
                }


# --- stage simulated: do the parts of the variance behave? (C1) -----------------------------------------------------
def simulated_data(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw n points of a smooth function of two inputs, noise sd 0.3; the inputs crowd the middle."""
    X = rng.normal(size=(n, 2))
    return X, np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] ** 2 + rng.normal(scale=0.3, size=n)


PARTS: dict[str, Callable[[int], BaseEstimator]] = {
    "GP": lambda seed: models.GPRegressor(random_state=seed),
    "bootstrap ensemble": lambda seed: models.BootstrapEnsemble(
        models.LightGBMRegressor(min_child_samples=3), random_state=seed
    ),
    "BNN": lambda seed: models.BNNRegressor(random_state=seed),
    "SNGP": lambda seed: models.SNGPRegressor(random_state=seed),
    "deep ensemble": lambda seed: models.DeepEnsembleRegressor(random_state=seed),
    "NGBoost": lambda seed: models.NGBoostRegressor(random_state=seed),  # no epistemic part: shown, not counted
}


def simulated(name: str, number: int, kind: str) -> Iterator[dict]:
    """Report each model's parts with 50 and with 200 points, over new points that reach beyond the data."""
    rng = np.random.default_rng(number)
    X, y = simulated_data(200, rng)
    grid = rng.uniform(-4, 4, size=(400, 2))
    inside = simulated_data(400, rng)[0]
    for model, make in PARTS.items():
        for n in (50, 200):
            fitted = make(number).fit(X[:n], y[:n])
            near, far = fitted.predict_parts(inside), fitted.predict_parts(grid)
            distance = np.sqrt(((grid[:, None, :] - X[None, :n, :]) ** 2).sum(axis=2)).min(axis=1)
            spread = far["epistemic"].rank().corr(pd.Series(distance).rank())
            yield {
                "model": model,
                "n": n,
                "epistemic_variance": float((near["epistemic"] ** 2).mean()),
                "aleatoric_variance": float((near["aleatoric"] ** 2).mean()),
                "true_noise_variance": 0.3**2,
                "rank_correlation_with_distance": float(spread),
            }


# --- the run --------------------------------------------------------------------------------------------------------
def tasks(sets: tuple[str, ...], n: int, kinds: tuple[str, ...] = FEATURES) -> tuple[tuple[str, int, str], ...]:
    """Split by split over all sets, so that every set advances."""
    return tuple((name, number, kind) for number in range(n) for name in sets for kind in kinds)


RUN = FullRun(
    "dionysus",
    ("set", "split", "feature"),
    {
        "simulated": Stage(simulated, tasks(("simulated",), 20, ("inputs",))),
        "published": Stage(published, tasks(PUBLISHED, 1)),
        "few": Stage(few, tasks(("delaney",), DRAWS, ("mordred", "graph"))),
        "sizes": Stage(sizes, tasks(SETS, 10)),
        "ngboost": Stage(ngboost, tasks(GROWING, 10, ("mordred",))),
        "random": Stage(random, tasks(SETS, 10)),
        "shifts": Stage(
            shifts, tasks(("sublimation", "permittivity", "flammable", "delaney"), 5, ("mordred", "graph"))
        ),
        "cluster": Stage(cluster, tasks(PUBLISHED, 5)),
        "tuned": Stage(tuned, tasks(("sublimation", "permittivity", "flammable"), 5, ("mordred", "graph"))),
    },
)


# --- verdicts -------------------------------------------------------------------------------------------------------
def units(table: pd.DataFrame, function: Callable[[pd.DataFrame], dict | None]) -> pd.DataFrame:
    """One row a set from a function of its part of the table; sets for which it gives None are left out."""
    found = {name: function(part) for name, part in table.groupby("set", sort=False)}
    return pd.DataFrame([{"set": name, **row} for name, row in found.items() if row is not None])


def lead(means: pd.Series, one: str) -> float:
    """How far one entry lies above the best of the others."""
    return float(means[one] - means.drop(one).max())


def c1(table: pd.DataFrame) -> pd.DataFrame:
    found = []
    for model, part in table.groupby("model", sort=False):
        if part["epistemic_variance"].isna().any():
            continue
        mean = part.groupby("n").mean(numeric_only=True)
        fall = 1 - mean.loc[200, "epistemic_variance"] / mean.loc[50, "epistemic_variance"]
        change = abs(mean.loc[200, "aleatoric_variance"] / mean.loc[50, "aleatoric_variance"] - 1)
        distance = part["rank_correlation_with_distance"].mean()
        parts = {"fall": fall - 0.20, "distance": distance - 0.20, "aleatoric": 0.20 - change}
        found.append({"model": model, "estimate": min(parts.values()), **parts})
    return pd.DataFrame(found)


def c2(part: pd.DataFrame) -> dict:
    part = part[part["model"].isin(STUDY)]
    by_feature = part.groupby("on")["skill"].mean()
    by_model = part[part["on"] == "mordred"].groupby("model")["skill"].mean()
    leads = {"mordred": lead(by_feature, "mordred"), "gp": lead(by_model, "GP")}
    return {"estimate": min(leads.values()), **leads}


def c3(part: pd.DataFrame) -> dict:
    return {"estimate": lead(part[part["on"] == "morgan"].groupby("model")["skill"].mean(), "GP")}


def c4(part: pd.DataFrame) -> dict | None:
    if part["n_train"].max() < 500:
        return None
    means = part.groupby("cell")["skill"].mean()
    gaps = {name: float(means.max() - means[name]) for name in ("BNN mordred", "GNN-GP graph")}
    return {"estimate": max(gaps.values()), **gaps, "best": means.idxmax()}


def c5(part: pd.DataFrame) -> dict:
    means = part[part["n"] == 100].groupby("cell")["skill"].mean()
    return {"estimate": float(means.max() - means[["GP embedding", "NGBoost embedding"]].max()), "best": means.idxmax()}


def c8(part: pd.DataFrame) -> dict:
    means = part[part["on"] != "embedding"].pivot_table(index="n", columns="cell", values="skill")
    deep = ["BNN mordred", "SNGP mordred", "deep ensemble mordred", "MLP mordred", "GNN-GP graph"]
    shallow = means.columns.difference(deep)

    def mean_over(which: pd.Series) -> pd.Series:
        return means.loc[which].mean()

    few = mean_over(means.index <= 100)
    small = mean_over(means.index < 300)
    large = mean_over(means.index >= 500)
    parts = {
        "ngboost": lead(few, "NGBoost mordred"),
        "deep_poor_below_300": float(small[shallow].max() - small[deep].max() - 0.10),
        "deep_good_from_500": float(0.05 - (large[shallow].max() - large[deep].max())),
    }
    return {"estimate": min(parts.values()), **parts}


def primaries() -> dict[str, pd.DataFrame]:
    """Compute the primary endpoint of each claim whose stages are complete: one row a set (a model for C1)."""
    found = {}
    if RUN.complete("simulated"):
        found["C1"] = c1(RUN.read("simulated"))
    if RUN.complete("published"):
        RUN.write("compared", compared(RUN.read("published")))
    if RUN.complete("random"):
        table = with_skill(RUN.read("random"))
        found |= {"C2": units(table, c2), "C3": units(table, c3)}
        found["C4"] = units(table[table["set"].isin(GROWING)], c4)
    if RUN.complete("sizes"):
        table = with_skill(RUN.read("sizes"))
        found["C5"] = units(table, c5)
        found["C8"] = units(table[table["set"].isin(GROWING)], c8)
    return found


def decide() -> None:
    """Write the verdicts of the family, with those of lesson 07: Holm's correction is over all of them."""
    import reproduce_bo

    RUN.decide({**primaries(), **reproduce_bo.primaries()}, CLAIMS, PACKAGES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=list(RUN.stages), default=list(RUN.stages))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--summary", action="store_true", help="verdicts only")
    options = parser.parse_args()
    if not options.summary:
        for name in options.sets:
            featurize.mordred2d(read(name).smiles, n_jobs=options.jobs)  # into the cache, in parallel over molecules
        RUN.run(options.stages, options.jobs, lambda task: task[0] in options.sets or task[0] not in SETS)
    decide()
    RUN.about(PACKAGES, sizes=SIZES, evaluations=EVALUATIONS, sets={name: len(read(name)) for name in SETS})


torch.set_num_threads(1)

if __name__ == "__main__":
    import reproduce_dionysus  # by its name, so that worker processes can import what they are sent

    reproduce_dionysus.main()
