"""The statistics of a report: every number that its page shows, and none of its looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.base import clone

from course_lib.datasets import Audit, Dataset
from course_lib.evaluate import (
    auroc,
    brier,
    calibration_intercept_slope,
    compare,
    mae,
    nadeau_bengio,
    paired,
    r2,
    summary,
)
from course_lib.parallel import each
from course_lib.report.intervals import CVPlus
from course_lib.report.models import BASELINES, CONSTANT, candidates, features
from course_lib.report.splitting import Split, choose_split, distances
from course_lib.settings import progress
from course_lib.splits import scaffold

__all__ = ["MINIMUM", "Study", "study"]

MINIMUM = 15  # molecules
PARTS = ("noise", "split", "models", "scrambling", "intervals", "fit_on_training", "domain", "learning", "candidates")
MOST_FOR_GP = 1_000  # molecules: the time of an exact Gaussian process grows with the cube, and a report fits hundreds
SCRAMBLED = 19  # runs: the real order is one of 20, so p = 0.05 when none of the others does as well
WORTH = 0.95  # an error that is not 5 % below that of the mean is of no use, however sure
_RARE = 5  # molecules of the rarer class


@dataclass
class Study:
    """What was found.

    Attributes
    ----------
    verdict : {"recommended", "not recommended", "not modelled"}
    reasons : list of str
        Why, in words.
    recommended : str or None
        Name of the model.
    numbers : dict
        Everything, nested, as JSON can hold it.
    scores : DataFrame
        Scores of each model, split by split.
    table : DataFrame
        Each molecule with its prediction by a model that did not see it.
    predictions : DataFrame
        Of the candidates.
    suggestions : DataFrame
        Which of them to measure next.
    curve : DataFrame
        Error by number of training molecules.
    scrambled : ndarray
        Skill (1 - error / error of the mean) of the recommended model with scrambled values.
    model : estimator or None
        Fitted: a `CVPlus`; for two classes a model whose ``predict`` gives the probability of class 1.
    features : str or None
        What the model reads: "counts" (molecular weight and atom counts), "bits" (Morgan fingerprint) or "mordred"
        (Mordred's 2D descriptors).
    """

    verdict: str = "not modelled"
    reasons: list[str] = field(default_factory=list)
    recommended: str | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    scores: pd.DataFrame | None = None
    table: pd.DataFrame | None = None
    predictions: pd.DataFrame | None = None
    suggestions: pd.DataFrame | None = None
    curve: pd.DataFrame | None = None
    scrambled: np.ndarray | None = None
    model: Any = None
    features: str | None = None


@dataclass
class _Work:
    """What the steps below share."""

    data: Dataset
    binary: bool
    level: float
    quick: bool
    n_jobs: int
    random_state: int
    tables: dict[str, np.ndarray]
    models: dict[str, tuple[Any, str]]
    split: Split

    @property
    def metric(self) -> str:
        return "brier" if self.binary else "mae"

    def score(self, y, predicted) -> float:
        return brier(y, np.clip(predicted, 0, 1)) if self.binary else mae(y, predicted)

    def parallel(self, function, jobs: list[tuple], what: str) -> list:
        """Run jobs, with a progress bar; the answers come in their order."""
        return list(progress(each(function, jobs, self.n_jobs), what, len(jobs)))


def study(
    data: Dataset,
    audit: Audit,
    new: Dataset | None = None,
    *,
    level: float = 0.9,
    k: int = 5,
    maximise: bool = True,
    quick: bool = False,
    n_jobs: int = 1,
    random_state: int = 0,
) -> Study:
    """Study a table: is there a signal, which model, how sure, how far does it reach, what next.

    Parameters
    ----------
    data, audit
        From `course_lib.datasets.read_table`.
    new : Dataset, optional
        Candidates, from `course_lib.datasets.read_molecules`.
    level : float
        Of the prediction intervals.
    k : int
        How many candidates to propose for measurement.
    maximise : bool
        Whether large values (class 1) are wanted.
    quick : bool
        Fewer splits, folds and scrambled runs: wider intervals, the same questions.
    n_jobs : int
        Processes; the numbers are the same for any.
    random_state : int

    Returns
    -------
    Study
    """
    binary = set(np.unique(data.y)) <= {0.0, 1.0}
    result = Study(numbers={"data": _describe(data, audit, binary)} | dict.fromkeys(PARTS))
    result.numbers["noise"] = None if binary else _noise(audit, data)
    result.reasons = _hopeless(data, binary)
    if result.reasons:
        return result
    models = candidates(binary, random_state)
    if len(data) > MOST_FOR_GP:
        models = {name: model for name, model in models.items() if "Gaussian" not in name}
    smiles = list(data.smiles)
    tables = {kind: features(kind, smiles, n_jobs) for kind in dict.fromkeys(kind for _, kind in models.values())}
    new_bits = None if new is None else features("bits", list(new.smiles))
    split = choose_split(data.smiles, tables["bits"], data.groups, new_bits, random_state)
    work = _Work(data, binary, level, quick, n_jobs, random_state, tables, models, split)
    _compare(work, result)
    _signal(work, result)
    if result.verdict == "recommended":
        _fit(work, result)
        _domain(work, result)
        _learn(work, result)
        if new is not None:
            _predict(work, result, new, new_bits, k, maximise)
    return result


# ------------------------------------------------------------------------------------------------------- before models
def _describe(data: Dataset, audit: Audit, binary: bool) -> dict:
    return {
        "name": data.name,
        "units": data.units,
        "task": "two classes" if binary else "number",
        "molecules": len(data),
        "groups": len(set(data.groups)),
        **audit.counts,
        "mean": float(data.y.mean()),
        "sd": float(data.y.std(ddof=1)) if len(data) > 1 else 0.0,
        "low": float(data.y.min()),
        "high": float(data.y.max()),
        "findings": {kind: int(count) for kind, count in audit.by_kind.items()},
        "notes": list(audit.notes),
    }


def _hopeless(data: Dataset, binary: bool) -> list[str]:
    """Reasons not to fit anything."""
    n, reasons = len(set(data.groups)), []
    if n < MINIMUM:
        reasons.append(
            f"There are {n} different molecules or groups; below {MINIMUM} no split tells a model from luck. Measure "
            "more, chosen to differ from each other, or read the values as they are."
        )
    if np.ptp(data.y) == 0:
        reasons.append(f"All values are {data.y[0]:g}: there is nothing to predict, and nothing to learn from.")
    elif binary and min(data.y.sum(), len(data) - data.y.sum()) < _RARE:
        reasons.append(
            f"The rarer class has {int(min(data.y.sum(), len(data) - data.y.sum()))} molecules; below {_RARE} its "
            "probability cannot be checked."
        )
    cores = {scaffold(smiles) for smiles in data.smiles}
    if len(cores) == 1 and cores != {""}:
        reasons.append(
            f"All molecules have one scaffold ({next(iter(cores))}): what a model learns holds for its substituents at "
            "most, and nothing here can show whether it holds beyond. Add other ring systems."
        )
    return reasons


def _noise(audit: Audit, data: Dataset) -> dict | None:
    """Take the noise of a measurement from molecules measured more than once, and the R2 that it leaves."""
    rows = audit.rows[audit.rows["fate"] != "left out"]
    sets = [values["y"].to_numpy() for _, values in rows.groupby("smiles") if len(values) > 1]
    if not sets:
        return None
    freedom = sum(len(values) - 1 for values in sets)
    sd = float(np.sqrt(sum(((values - values.mean()) ** 2).sum() for values in sets) / freedom))
    variance = float(data.y.var(ddof=1)) if len(data) > 1 else 0.0
    left = sd**2 * float((1 / data.frame["n_rows"]).mean())
    return {
        "sd": sd,
        "molecules": len(sets),
        "degrees_of_freedom": freedom,
        "identical_share": float(np.mean([np.ptp(values) == 0 for values in sets])),
        "r2_ceiling": max(0.0, 1 - left / variance) if variance > 0 else None,
        "mae_floor": sd * float(np.sqrt(2 / np.pi)),
    }


# -------------------------------------------------------------------------------------------------- which model, if any
def _compare(work: _Work, result: Study) -> None:
    """Score all models on the same splits; intervals are Nadeau and Bengio's."""
    repeats, data = 2 if work.quick else 4, work.data
    cv = work.split.splitter(5, repeats, work.random_state)
    scores, found = [], {}
    for name, (model, kind) in progress(work.models.items(), "models", len(work.models)):
        part, predicted = compare(
            {name: model}, work.tables[kind], data.y, data.groups, cv=cv, metrics={work.metric: work.score},
            n_jobs=work.n_jobs, return_predictions=True,
        )  # fmt: skip
        scores.append(part)
        found[name] = predicted.groupby("molecule")["y_pred"].mean().to_numpy()
    result.scores = pd.concat(scores, ignore_index=True)
    means = summary(result.scores, work.metric)
    gains = _against_mean(result.scores)
    best = means[means["model"] != CONSTANT].sort_values("mean", kind="stable")["model"].iloc[0]
    simple = [name for name in BASELINES if name in work.models and name != CONSTANT]
    simplest = min(simple, key=lambda name: float(means.set_index("model").loc[name, "mean"]))
    result.recommended, result.features = best, work.models[best][1]
    against = None
    if best not in simple:
        against = paired(result.scores, simplest, work.metric).set_index("model").loc[best]
        against = {key: float(against[key]) for key in ("difference", "low", "high")}
    result.table = data.frame.assign(predicted=found[best])
    result.numbers["split"] = {
        "kind": work.split.kind, "why": work.split.why, "folds": 5, "repeats": repeats, "nearest": work.split.nearest
    }  # fmt: skip
    result.numbers["models"] = {
        "metric": work.metric,
        "scores": means.to_dict("records"),
        "against_mean": gains.to_dict("records"),
        "best": best,
        "gaussian_processes_left_out_above": MOST_FOR_GP if len(data) > MOST_FOR_GP else None,
        "best_baseline": simplest,
        "against_baseline": against,
        "pooled": _pooled(work, found[best]),
    }


def _against_mean(scores: pd.DataFrame) -> pd.DataFrame:
    """Error of each model as a share of that of the mean, with 95 % interval: columns model, ratio, low, high.

    A ratio of means over splits, whose interval is that of its linear part (delta method). A difference would be as
    unsteady as the folds are unequal; a mean of ratios would count folds in which the mean does well by chance. See
    Cochran, Sampling Techniques, 3rd edition, Wiley 1977, chapter 6.
    """
    error = scores.pivot(index=["repeat", "fold"], columns="model", values="value")
    sizes = scores[["n_train", "n_test"]].mean()
    mean, rows = error[CONSTANT].to_numpy(), []
    for name in dict.fromkeys(scores["model"]):
        if name != CONSTANT:
            own = error[name].to_numpy()
            ratio = own.mean() / mean.mean()
            found = nadeau_bengio(ratio + (own - ratio * mean) / mean.mean(), sizes["n_train"], sizes["n_test"])
            rows.append({"model": name, "ratio": ratio, "low": max(0.0, found.low), "high": found.high})
    return pd.DataFrame(rows)


def _pooled(work: _Work, predicted: np.ndarray) -> dict:
    """Scores of all left-out predictions together, each the mean over repeats."""
    y = work.data.y
    if not work.binary:
        return {"mae": mae(y, predicted), "r2": r2(y, predicted)}
    p = np.clip(predicted, 1e-6, 1 - 1e-6)
    shape = calibration_intercept_slope(y, p)
    return {"brier": brier(y, p), "auroc": auroc(y, p), "intercept": shape.intercept, "slope": shape.slope}


def _skill(work: _Work, name: str, y: np.ndarray, splits: list) -> float:
    """Compute 1 - error / error of the mean, over one cross-validation."""
    model, kind = work.models[name]
    X, errors = work.tables[kind], []
    for train, test in splits:
        fitted = clone(model).fit(X[train], y[train])
        constant = np.full(len(test), y[train].mean())
        errors.append((work.score(y[test], fitted.predict(X[test])), work.score(y[test], constant)))
    own, constant = np.mean(errors, axis=0)
    return float(1 - own / constant)


def _signal(work: _Work, result: Study) -> None:
    """Recommend only what passes two tests: it beats the mean (interval, and 5 %), and not so with scrambled values.

    Neither allows for the choice of the best of several models. In 40 draws of pure noise (benchmarks/report.py) no
    model was recommended, so it happens in fewer than about 7 % of cases. The first test turned all of them down: what
    the second adds is not measured there.
    """
    name, data = result.recommended, work.data
    gain = next(row for row in result.numbers["models"]["against_mean"] if row["model"] == name)
    splits = work.split.splits(3 if work.quick else 5, 1, work.random_state)
    if gain["high"] < 1 and gain["ratio"] <= WORTH:
        rng = np.random.default_rng(work.random_state)
        orders = [rng.permutation(len(data)) for _ in range(SCRAMBLED)]
        jobs = [(work, name, data.y[order], splits) for order in [np.arange(len(data)), *orders]]
        skill, *scrambled = work.parallel(_skill, jobs, "scrambled values")
        result.scrambled = np.array(scrambled)
        p = (1 + int(np.sum(result.scrambled >= skill))) / (1 + len(scrambled))
        result.numbers["scrambling"] = {
            "skill": skill, "p": p, "runs": len(scrambled), "largest": float(result.scrambled.max())
        }  # fmt: skip
        if p <= 0.05:
            result.verdict = "recommended"
            return
        result.reasons.append(
            f"With scrambled values the best model does as well in {p:.0%} of the runs: what it seems to know is "
            "chance."
        )
    else:
        result.reasons.append(
            f"The best of {len(work.models) - 1} models ({name}) is not shown to be 5 % better than the mean: "
            f"its error is {gain['ratio']:.2f} times the mean's, interval {gain['low']:.2f} to {gain['high']:.2f}."
        )
    result.verdict, result.recommended = "not recommended", None
    result.reasons.append(
        "This says nothing against the values. It may be too few molecules, too much noise, or a property that these "
        "features do not see. The mean and the spread of the values are the honest prediction."
    )


# ------------------------------------------------------------------------------------------ the recommended model, used
def _inner(work: _Work) -> int:
    return 5 if work.quick else 10


def _covered(work: _Work, name: str, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval of each test molecule, by CV+ on the training molecules alone."""
    model, kind = work.models[name]
    fold = work.split.folds(train, _inner(work), work.random_state)
    X, y = work.tables[kind], work.data.y
    return CVPlus(model, work.level).fit(X[train], y[train], fold).interval(X[test])


def _fit(work: _Work, result: Study) -> None:
    """Fit the model on all molecules; measure how many left-out molecules its intervals hold."""
    name, (model, kind), y = result.recommended, work.models[result.recommended], work.data.y
    X, everything = work.tables[kind], np.arange(len(y))
    if work.binary:
        result.model = clone(model).fit(X, y)
    else:
        fold = work.split.folds(everything, _inner(work), work.random_state)
        result.model = CVPlus(model, work.level).fit(X, y, fold)
        splits = work.split.splits(5, 1, work.random_state)
        found = work.parallel(_covered, [(work, name, *split) for split in splits], "intervals")
        low, high = np.empty(len(y)), np.empty(len(y))
        for (_, test), ends in zip(splits, found, strict=True):
            low[test], high[test] = ends
        inside = (low <= y) & (y <= high)
        bounds = binomtest(int(inside.sum()), len(y)).proportion_ci(method="wilson")
        result.table = result.table.assign(low=low, high=high)
        result.numbers["intervals"] = {
            "method": "CV+",
            "level": work.level,
            "coverage": float(inside.mean()),
            "coverage_low": float(bounds.low),
            "coverage_high": float(bounds.high),
            "mean_width": float(np.mean(high - low)),
        }
    result.numbers["fit_on_training"] = work.score(y, result.model.predict(X))


def _domain(work: _Work, result: Study) -> None:
    """Say how far the table reaches: the distance that 95 % of its molecules have to their nearest neighbour."""
    between = distances(work.tables["bits"], work.tables["bits"])
    np.fill_diagonal(between, np.inf)
    limit = float(np.quantile(between.min(axis=1), 0.95))
    nearest = np.empty(len(work.data))
    for train, test in work.split.splits(5, 1, work.random_state):
        nearest[test] = between[np.ix_(test, train)].min(axis=1)
    inside = nearest <= limit
    result.table = result.table.assign(distance=nearest, in_domain=inside)
    predicted, y = result.table["predicted"].to_numpy(), work.data.y
    result.numbers["domain"] = {
        "limit": limit,
        "share_inside": float(inside.mean()),
        "error_inside": work.score(y[inside], predicted[inside]) if inside.any() else None,
        "error_outside": work.score(y[~inside], predicted[~inside]) if not inside.all() else None,
    }


def _shrunk(work: _Work, name: str, train: np.ndarray, test: np.ndarray) -> float:
    model, kind = work.models[name]
    X, y = work.tables[kind], work.data.y
    return work.score(y[test], clone(model).fit(X[train], y[train]).predict(X[test]))


def _learn(work: _Work, result: Study) -> None:
    """Error at several sizes, and a power law through them to say what twice the molecules may buy."""
    splits = work.split.splits(5, 1 if work.quick else 2, work.random_state)
    shares = np.array([0.35, 0.5, 0.7, 1.0])
    rng = np.random.default_rng(work.random_state)
    jobs = []
    for train, test in splits:
        order = rng.permutation(train)  # each size holds the smaller ones
        jobs += [(work, result.recommended, order[: max(8, round(share * len(order)))], test) for share in shares]
    errors = np.array(work.parallel(_shrunk, jobs, "learning curve")).reshape(len(splits), len(shares))
    sizes = np.array([len(job[2]) for job in jobs]).reshape(errors.shape)
    ratio = np.mean([len(test) / len(train) for train, test in splits])
    found = [nadeau_bengio(errors[:, place], 1.0, ratio) for place in range(len(shares))]
    result.curve = pd.DataFrame(
        {
            "model": result.recommended,
            "n_train": sizes.mean(axis=0).round().astype(int),
            "mean": [interval.estimate for interval in found],
            "low": [max(0.0, interval.low) for interval in found],
            "high": [interval.high for interval in found],
        }
    )
    slopes = np.array(
        [np.polyfit(np.log(n), np.log(np.maximum(e, 1e-9)), 1)[0] for n, e in zip(sizes, errors, strict=True)]
    )
    slope = nadeau_bengio(slopes, 1.0, ratio)
    now = next(row for row in result.numbers["models"]["scores"] if row["model"] == result.recommended)["mean"]
    twice = {
        "error": now * 2**slope.estimate,
        "low": now * 2 ** min(slope.low, slope.high),
        "high": now * 2 ** max(slope.low, slope.high),
    }
    result.numbers["learning"] = {
        "curve": result.curve.drop(columns="model").to_dict("records"),
        "error_now": now,
        "error_at_twice": twice,
        "change_of_last_doubling": float(errors[:, -1].mean() - errors[:, 1].mean()),
    }


def _predict(work: _Work, result: Study, new: Dataset, new_bits: np.ndarray, k: int, maximise: bool) -> None:
    """Predict the candidates, and say which to measure next."""
    kind = result.features
    X = new_bits if kind == "bits" else features(kind, list(new.smiles), work.n_jobs)
    nearest = distances(new_bits, work.tables["bits"])
    table = new.frame[["row", "name", "smiles"]].assign(predicted=result.model.predict(X))
    if not work.binary:
        low, high = result.model.interval(X)
        table = table.assign(low=low, high=high)
    distance = nearest.min(axis=1)
    result.predictions = table.assign(distance=distance, in_domain=distance <= result.numbers["domain"]["limit"])
    result.suggestions = _suggest(work, result, new, k, maximise)
    result.numbers["candidates"] = {
        "molecules": len(new),
        "in_domain": int(result.predictions["in_domain"].sum()),
        "predictions": result.predictions.to_dict("records"),
        "next": None if result.suggestions is None else result.suggestions.drop(columns="drawing").to_dict("records"),
        "maximise": maximise,
    }


def _suggest(work: _Work, result: Study, new: Dataset, k: int, maximise: bool) -> pd.DataFrame | None:
    """Ask for the next k: by expected improvement where the model states its doubt, else by prediction."""
    from course_lib.acquire import suggest

    model, kind = work.models[result.recommended]
    known = set(work.data.smiles)
    if all(smiles in known for smiles in new.smiles):
        return None
    doubt = not work.binary and model_states_doubt(model)
    return suggest(
        model.classifier if work.binary else model,
        work.data,
        list(new.smiles),
        k,
        features=lambda smiles: np.asarray(features(kind, smiles, work.n_jobs), dtype=float),
        acquisition=None if doubt or work.binary else "greedy",
        maximise=maximise,
        random_state=work.random_state,
    )


def model_states_doubt(model: Any) -> bool:
    """Whether ``predict(X, return_std=True)`` works: for the Gaussian processes here."""
    from course_lib.models.baselines import GaussianProcess

    return isinstance(getattr(model, "steps", [[None, model]])[-1][1], GaussianProcess)
