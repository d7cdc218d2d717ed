"""Checks of lesson 07: expected improvement downwards, paired intervals, a believed measurement, and leaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import norm, t

from course_lib.teaching.exercises import Case, Verdict, call, exercise, right, wrong

# ------------------------------------------------------------------------------------- the molecules of 7.1 and of 7.3
_RNG = np.random.default_rng(7)
MEAN = _RNG.normal(300, 20, 30)
STD = _RNG.uniform(2, 25, 30)
BEST = 285.0
_POINTS = _RNG.normal(size=(12, 2))
COVARIANCE = 4 * np.exp(-((_POINTS[:, None] - _POINTS[None]) ** 2).sum(axis=2) / 2)
PICKED, NOISE_VARIANCE = 3, 1.5


def _numbers(result: Any, n: int) -> np.ndarray | None:
    """Return the answer as n finite numbers, or None when it is something else."""
    try:
        array = np.asarray(result, dtype=float)
    except (TypeError, ValueError):
        return None
    return array if array.shape == (n,) and np.isfinite(array).all() else None


# ------------------------------------------------------------------------- 7.1 expected improvement, smaller is better
def _improvement(mean: Any, std: Any, best: float) -> np.ndarray:
    z = (best - mean) / std
    return (best - mean) * norm.cdf(z) + std * norm.pdf(z)


def _upwards(mean: Any, std: Any, best: float) -> np.ndarray:
    return _improvement(-mean, std, -best)


_MISTAKES: dict[str, Callable[..., Any]] = {
    "larger values": _upwards,
    "minus the expected": lambda m, s, b: -_upwards(m, s, b),
    "a probability": lambda m, s, b: norm.cdf((b - m) / s),
    "without the second term": lambda m, s, b: (b - m) * norm.cdf((b - m) / s),
    "without the first": lambda m, s, b: s * norm.pdf((b - m) / s),
    "squared": lambda m, s, b: (b - m) * norm.cdf((b - m) / s**2) + s**2 * norm.pdf((b - m) / s**2),
    "swapped": lambda m, s, b: (b - m) * norm.pdf((b - m) / s) + s * norm.cdf((b - m) / s),
    "ignores the uncertainty": lambda m, s, b: np.maximum(b - m, 0),
    "confidence bound": lambda m, s, b: -(m - s),
}
_SAYS = {
    "larger values": "You look for larger values than the best. Here smaller ones are wanted: the gain is best - mean.",
    "minus the expected": "That is minus the expected improvement of looking for larger values. Turn the gain around, "
    "best - mean, and leave the rest as it is: the result is never negative.",
    "a probability": "That is a probability, of any improvement however small. Expected improvement also counts by how "
    "much.",
    "without the second term": "That is without the second term, std * norm.pdf(z), so it is negative where the mean "
    "is worse than the best: an improvement never is.",
    "without the first": "That is without the first term, (best - mean) * norm.cdf(z).",
    "squared": "You put the standard deviation in squared: z is the gain divided by std, not by the variance.",
    "swapped": "The density (pdf) and the distribution function (cdf) are swapped.",
    "ignores the uncertainty": "That ignores the uncertainty: a mean a little worse than the best may still turn out "
    "better, and that chance is worth something.",
    "confidence bound": "That is a confidence bound. It does not look at the best value at all.",
}


@exercise(
    "7.1",
    solution=lambda: Case(_improvement),
    wrong_answers=lambda: [
        *(Case(function, says=name) for name, function in _MISTAKES.items()),
        Case(lambda m, s, b: float(_improvement(m, s, b).mean()), says="one number for each molecule"),
        Case(lambda m, s, b: m * 0 + 1, says="For the first molecule"),
    ],
)
def _downwards(answer: Any, **context: Any) -> Verdict:
    given = _numbers(call(answer, MEAN, STD, BEST), len(MEAN))
    if given is None:
        return wrong("Return one number for each molecule, finite and in the order of mean and std.")
    truth = _improvement(MEAN, STD, BEST)
    if np.allclose(given, truth, rtol=1e-6):
        return right(
            "The gain is best - mean, and the formula stays. It is the same as maximising the values with the other "
            "sign: expected_improvement(-mean, std, -best)."
        )
    for name, function in _MISTAKES.items():
        if np.allclose(given, function(MEAN, STD, BEST), rtol=1e-6):
            return wrong(_SAYS[name])
    return wrong(
        f"For the first molecule, mean {MEAN[0]:.1f}, std {STD[0]:.1f} and best {BEST:.0f}, you give {given[0]:.3g}; "
        f"it is {truth[0]:.3g}. Set z = (best - mean) / std and look at both terms."
    )


# ------------------------------------------------------------------------------- 7.2 two methods from the same starts
_SHARED = _RNG.normal(0, 0.08, 12)
FIRST = 0.62 + _SHARED + _RNG.normal(0, 0.02, 12)
SECOND = 0.58 + _SHARED + _RNG.normal(0, 0.02, 12)


def _interval(a: Any, b: Any, quantile: float | None = None, se: Callable[..., float] | None = None) -> tuple:
    difference = np.asarray(a) - np.asarray(b)
    n = len(difference)
    quantile = float(t.ppf(0.975, n - 1)) if quantile is None else quantile
    error = difference.std(ddof=1) / np.sqrt(n) if se is None else se(np.asarray(a), np.asarray(b))
    return difference.mean() - quantile * error, difference.mean() + quantile * error


def _unpaired(a: Any, b: Any) -> float:
    return float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))


_INTERVALS: dict[str, Callable[..., Any]] = {
    "on its own": lambda a, b: _interval(a, b, se=_unpaired),
    "on its own ": lambda a, b: _interval(a, b, float(t.ppf(0.975, 2 * len(a) - 2)), se=_unpaired),
    "a single start": lambda a, b: _interval(a, b, se=lambda a, b: float((a - b).std(ddof=1))),
    "12 starts": lambda a, b: _interval(a, b, 1.96),
    "12 starts ": lambda a, b: _interval(a, b, float(norm.ppf(0.975))),
    "n - 1": lambda a, b: _interval(a, b, se=lambda a, b: float((a - b).std() / np.sqrt(len(a)))),
    "other way round": lambda a, b: _interval(b, a),
    "one tail": lambda a, b: _interval(a, b, float(t.ppf(0.95, len(a) - 1))),
}
_INTERVAL_SAYS = {
    "on its own": "You took the spread of each method on its own. Both began with the same molecules, so a lucky start "
    "helps both, and most of that spread cancels in the difference: subtract start by start first.",
    "a single start": "That is the range of a single start, not of the mean over starts: divide by the root of n.",
    "12 starts": "1.96 is for a known spread. Yours comes from 12 starts: take the t quantile with n - 1 degrees of "
    "freedom.",
    "n - 1": "np.std divides by n. The spread of a sample is estimated with n - 1: ddof=1.",
    "other way round": "That is the other way round, b less a.",
    "one tail": "t.ppf(0.95, ...) leaves 5 % in one tail. A 95 % interval leaves 2.5 % on either side.",
}


@exercise(
    "7.2",
    solution=lambda: Case(_interval),
    wrong_answers=lambda: [
        *(Case(function, says=name.strip()) for name, function in _INTERVALS.items()),
        Case(lambda a, b: float(np.mean(a - b)), says="two numbers"),
        Case(lambda a, b: (0.0, 1.0), says="middle of your interval"),
        Case(lambda a, b: (np.mean(a - b) - 0.5, np.mean(a - b) + 0.5), says="half width"),
    ],
)
def _paired(answer: Any, **context: Any) -> Verdict:
    given = _numbers(call(answer, FIRST.copy(), SECOND.copy()), 2)
    if given is None:
        return wrong("Return two numbers: the lower and the upper end.")
    truth = np.array(_interval(FIRST, SECOND))
    if np.allclose(given, truth, rtol=1e-4):
        wide = np.ptp(_interval(FIRST, SECOND, se=_unpaired))
        return right(
            f"On the made-up shares of this check the interval is {np.ptp(truth):.3f} wide start by start; without the "
            f"pairing it would be {wide:.3f}. That is what shared starts are for."
        )
    for name, function in _INTERVALS.items():
        if np.allclose(given, function(FIRST, SECOND), rtol=1e-4):
            return wrong(_INTERVAL_SAYS[name.strip()])
    if not np.isclose(given.mean(), truth.mean()):
        return wrong(
            f"The middle of your interval is {given.mean():.3f}; the mean of the differences is {truth.mean():.3f}."
        )
    return wrong(f"The half width is {np.ptp(truth) / 2:.4f}: t quantile times ddof=1 spread by the root of n.")


# --------------------------------------------------------------------------------- 7.3 the doubt after a believed value
def _believe(C: Any, picked: int, noise_variance: float) -> np.ndarray:
    return np.sqrt(np.diag(C) - C[picked] ** 2 / (C[picked, picked] + noise_variance))


def _own_only(C: Any, picked: int, noise_variance: float, value: float) -> np.ndarray:
    std = np.sqrt(np.diag(C)).copy()
    std[picked] = value
    return std


_BELIEFS: dict[str, Callable[..., Any]] = {
    "leaves the noise out": lambda C, i, v: np.sqrt(np.maximum(np.diag(C) - C[i] ** 2 / C[i, i], 0)),
    "These are variances": lambda C, i, v: np.diag(C) - C[i] ** 2 / (C[i, i] + v),
    "only the molecule itself": lambda C, i, v: _own_only(C, i, v, 0.0),
    "covariance, not its square": lambda C, i, v: np.sqrt(np.diag(C) - C[i] / (C[i, i] + v)),
    "standard deviations do not": lambda C, i, v: np.sqrt(np.diag(C)) - np.abs(C[i]) / np.sqrt(C[i, i] + v),
    "larger than before": lambda C, i, v: np.sqrt(np.diag(C) + C[i] ** 2 / (C[i, i] + v)),
    "as if nothing": lambda C, i, v: np.sqrt(np.diag(C)),
}
_BELIEF_SAYS = {
    "leaves the noise out": "That leaves the noise out: the picked molecule ends with a doubt of 0, but one noisy "
    "value does not settle it. Divide by its variance plus that of the noise.",
    "These are variances": "These are variances. Return standard deviations, their square roots.",
    "only the molecule itself": "You changed only the molecule itself. Its neighbours become less doubtful as well, by "
    "their covariance with it: that is what makes a batch spread out.",
    "covariance, not its square": "You subtracted the covariance, not its square: the units do not fit (variance less "
    "a number without unit).",
    "standard deviations do not": "Variances can be subtracted, standard deviations do not. Take the root at the end.",
    "larger than before": "Your doubt is larger than before. A measurement can only take doubt away: subtract.",
    "as if nothing": "That is the doubt as if nothing had been measured.",
}


@exercise(
    "7.3",
    solution=lambda: Case(_believe),
    wrong_answers=lambda: [
        *(Case(function, says=name) for name, function in _BELIEFS.items()),
        Case(lambda C, i, v: C - np.outer(C[i], C[i]) / (C[i, i] + v), says="one number for each molecule"),
        Case(lambda C, i, v: np.ones(len(C)), says="For the picked molecule"),
    ],
)
def _after(answer: Any, **context: Any) -> Verdict:
    given = _numbers(call(answer, COVARIANCE.copy(), PICKED, NOISE_VARIANCE), len(COVARIANCE))
    if given is None:
        return wrong("Return one number for each molecule: the standard deviations, not the whole covariance matrix.")
    truth = _believe(COVARIANCE, PICKED, NOISE_VARIANCE)
    if np.allclose(given, truth):
        return right(
            "How much the doubt shrinks does not depend on the value that will be measured. So the batch can be "
            "planned before anything is, and a believed mean leaves all means where they are."
        )
    for name, function in _BELIEFS.items():
        if np.allclose(given, function(COVARIANCE, PICKED, NOISE_VARIANCE)):
            return wrong(_BELIEF_SAYS[name])
    return wrong(
        f"For the picked molecule itself you give {given[PICKED]:.3f}, it is {truth[PICKED]:.3f}: from its variance "
        "goes the square of its covariance with itself, divided by its variance plus that of the noise."
    )


# --------------------------------------------------------------------------------------------------- 7.4 spot the leak
@exercise(
    "7.4",
    solution=lambda: Case({"B", "C"}),
    wrong_answers=lambda: [
        Case({"A", "B", "C"}, says="A is sound"),
        Case({"B", "C", "D"}, says="D is fair"),
        Case({"B"}, says="best of many"),
        Case({"C"}, says="nobody had measured"),
        Case({"B", "Z"}, says="letters A to D"),
        Case(set(), says="at least one"),
    ],
)
def _flattered(answer: Any, **context: Any) -> Verdict:
    letters = {str(letter).strip().upper() for letter in answer}
    if not letters:
        return wrong("Look again: at least one of the four reports is better than the next campaign will be.")
    if not letters <= set("ABCD"):
        return wrong("Give letters A to D, for instance {'A', 'C'}.")
    if "A" in letters:
        return wrong(
            "A is sound: structures are known before any measurement, and no measured value takes part in the scaling."
        )
    if "D" in letters:
        return wrong(
            "D is fair: the start's hits are counted for both methods alike, and both begin with the same molecules."
        )
    if "B" not in letters:
        return wrong(
            "Look at B: the PLS model was fitted to the values of all molecules of the store, most of which nobody had "
            "measured when the campaign began."
        )
    if "C" not in letters:
        return wrong(
            "Look at C: the best of many campaigns is partly the luckiest. A new one gets the average, not the maximum."
        )
    return right(
        "B's ten scores were made from every answer before the first question. C's campaigns are honest one by one; "
        "choosing the report by its result is not."
    )
