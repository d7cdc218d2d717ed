"""Checks of lesson 07: expected improvement downwards, paired intervals, a believed measurement, and leaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import norm, t

from course_lib.teaching.exercises.kinds import function_exercise, letters_exercise

# ------------------------------------------------------------------------------------- the molecules of 7.1 and of 7.3
_RNG = np.random.default_rng(7)
MEAN = _RNG.normal(300, 20, 30)
STD = _RNG.uniform(2, 25, 30)
BEST = 285.0
_POINTS = _RNG.normal(size=(12, 2))
COVARIANCE = 4 * np.exp(-((_POINTS[:, None] - _POINTS[None]) ** 2).sum(axis=2) / 2)
PICKED, NOISE_VARIANCE = 3, 1.5


# ------------------------------------------------------------------------- 7.1 expected improvement, smaller is better
def _improvement(mean: Any, std: Any, best: float) -> np.ndarray:
    z = (best - mean) / std
    return (best - mean) * norm.cdf(z) + std * norm.pdf(z)


def _upwards(mean: Any, std: Any, best: float) -> np.ndarray:
    return _improvement(-mean, std, -best)


function_exercise(
    "7.1",
    inputs=lambda: [(MEAN.copy(), STD.copy(), BEST)],
    solution=_improvement,
    why="The gain is best - mean, and the formula stays. It is the same as maximising the values with the other sign: "
    "expected_improvement(-mean, std, -best).",
    mistakes={
        "You look for larger values than the best. Here smaller ones are wanted: the gain is best - mean.": _upwards,
        "That is minus the expected improvement of looking for larger values. Turn the gain around, best - mean, and "
        "leave the rest as it is: the result is never negative.": lambda m, s, b: -_upwards(m, s, b),
        "That is a probability, of any improvement however small. Expected improvement also counts by how much.": (
            lambda m, s, b: norm.cdf((b - m) / s)
        ),
        "That is without the second term, std * norm.pdf(z), so it is negative where the mean is worse than the best: "
        "an improvement never is.": lambda m, s, b: (b - m) * norm.cdf((b - m) / s),
        "That is without the first term, (best - mean) * norm.cdf(z).": lambda m, s, b: s * norm.pdf((b - m) / s),
        "You put the standard deviation in squared: z is the gain divided by std, not by the variance.": (
            lambda m, s, b: _improvement(m, s**2, b)
        ),
        "The density (pdf) and the distribution function (cdf) are swapped.": (
            lambda m, s, b: (b - m) * norm.pdf((b - m) / s) + s * norm.cdf((b - m) / s)
        ),
        "You turned only one of the two gains around: the one in front of cdf and the one in z are the same, "
        "best - mean.": [
            lambda m, s, b: (b - m) * norm.cdf((m - b) / s) + s * norm.pdf((b - m) / s),
            lambda m, s, b: (m - b) * norm.cdf((b - m) / s) + s * norm.pdf((b - m) / s),
        ],
        "The second term is added, not subtracted: doubt makes an improvement larger.": (
            lambda m, s, b: (b - m) * norm.cdf((b - m) / s) - s * norm.pdf((b - m) / s)
        ),
        "That ignores the uncertainty: a mean a little worse than the best may still turn out better, and that chance "
        "is worth something.": lambda m, s, b: np.maximum(b - m, 0),
        "That is a confidence bound. It does not look at the best value at all.": lambda m, s, b: -(m - s),
    },
    shape="Return one number for each molecule, finite and in the order of mean and std.",
    others={
        "one number for each molecule": lambda m, s, b: float(_improvement(m, s, b).mean()),
        "For the first molecule": lambda m, s, b: m * 0 + 1,
    },
    otherwise=lambda given, truth: (
        f"For the first molecule, mean {MEAN[0]:.1f}, std {STD[0]:.1f} and best {BEST:.0f}, you give {given[0]:.3g}; "
        f"it is {truth[0]:.3g}. Set z = (best - mean) / std and look at both terms."
    ),
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


def _why_paired() -> str:
    paired, unpaired = np.ptp(_interval(FIRST, SECOND)), np.ptp(_interval(FIRST, SECOND, se=_unpaired))
    return (
        f"On the made-up shares of this check the interval is {paired:.3f} wide start by start; without the pairing it "
        f"would be {unpaired:.3f}. Here a lucky start helps both by construction; whether it does on our pool, the "
        "correlation in the next cell says."
    )


def _other_interval(given: np.ndarray, truth: np.ndarray) -> str:
    if not np.isclose(given.mean(), truth.mean()):
        return f"The middle of your interval is {given.mean():.3f}; the mean of the differences is {truth.mean():.3f}."
    return f"The half width is {np.ptp(truth) / 2:.4f}: t quantile times ddof=1 spread by the root of n."


function_exercise(
    "7.2",
    inputs=lambda: [(FIRST.copy(), SECOND.copy())],
    solution=_interval,
    why=_why_paired,
    mistakes={
        "You took the spread of each method on its own. Both began with the same molecules, so a lucky start helps "
        "both, and most of that spread cancels in the difference: subtract start by start first.": [
            lambda a, b: _interval(a, b, se=_unpaired),
            lambda a, b: _interval(a, b, float(t.ppf(0.975, 2 * len(a) - 2)), se=_unpaired),
        ],
        "That is the range of a single start, not of the mean over starts: divide by the root of n.": (
            lambda a, b: _interval(a, b, se=lambda a, b: float((a - b).std(ddof=1)))
        ),
        "1.96 is for a known spread. Yours comes from 12 starts: take the t quantile with n - 1 degrees of freedom.": [
            lambda a, b: _interval(a, b, 1.96),
            lambda a, b: _interval(a, b, float(norm.ppf(0.975))),
        ],
        "np.std divides by n. The spread of a sample is estimated with n - 1: ddof=1.": (
            lambda a, b: _interval(a, b, se=lambda a, b: float((a - b).std() / np.sqrt(len(a))))
        ),
        "That is the other way round, b less a.": lambda a, b: _interval(b, a),
        "t.ppf(0.95, ...) leaves 5 % in one tail. A 95 % interval leaves 2.5 % on either side.": (
            lambda a, b: _interval(a, b, float(t.ppf(0.95, len(a) - 1)))
        ),
    },
    shape="Return two numbers: the lower and the upper end.",
    others={
        "two numbers": lambda a, b: float(np.mean(a - b)),
        "middle of your interval": lambda a, b: (0.0, 1.0),
        "half width": lambda a, b: (np.mean(a - b) - 0.5, np.mean(a - b) + 0.5),
    },
    otherwise=_other_interval,
    rtol=1e-4,
)


# --------------------------------------------------------------------------------- 7.3 the doubt after a believed value
def _believe(C: Any, picked: int, noise_variance: float) -> np.ndarray:
    return np.sqrt(np.diag(C) - C[picked] ** 2 / (C[picked, picked] + noise_variance))


def _own_only(C: Any, picked: int, noise_variance: float) -> np.ndarray:
    std = np.sqrt(np.diag(C)).copy()
    std[picked] = 0.0
    return std


function_exercise(
    "7.3",
    inputs=lambda: [(COVARIANCE.copy(), PICKED, NOISE_VARIANCE)],
    solution=_believe,
    why="How much the doubt shrinks does not depend on the value that will be measured. So the batch can be planned "
    "before anything is, and a believed mean leaves all means where they are.",
    mistakes={
        "That leaves the noise out: the picked molecule ends with a doubt of 0, but one noisy value does not settle "
        "it. Divide by its variance plus that of the noise.": (
            lambda C, i, v: np.sqrt(np.maximum(np.diag(C) - C[i] ** 2 / C[i, i], 0))
        ),
        "These are variances. Return standard deviations, their square roots.": (
            lambda C, i, v: np.diag(C) - C[i] ** 2 / (C[i, i] + v)
        ),
        "You changed only the molecule itself. Its neighbours become less doubtful as well, by their covariance with "
        "it: that is what makes a batch spread out.": _own_only,
        "You subtracted the covariance, not its square: the units do not fit (variance less a number without unit).": (
            lambda C, i, v: np.sqrt(np.diag(C) - C[i] / (C[i, i] + v))
        ),
        "Variances can be subtracted, standard deviations do not. Take the root at the end.": (
            lambda C, i, v: np.sqrt(np.diag(C)) - np.abs(C[i]) / np.sqrt(C[i, i] + v)
        ),
        "Your doubt is larger than before. A measurement can only take doubt away: subtract.": (
            lambda C, i, v: np.sqrt(np.diag(C) + C[i] ** 2 / (C[i, i] + v))
        ),
        "That is the doubt as if nothing had been measured.": lambda C, i, v: np.sqrt(np.diag(C)),
    },
    shape="Return one number for each molecule: the standard deviations, not the whole covariance matrix.",
    others={
        "one number for each molecule": lambda C, i, v: C - np.outer(C[i], C[i]) / (C[i, i] + v),
        "For the picked molecule": lambda C, i, v: np.ones(len(C)),
    },
    otherwise=lambda given, truth: (
        f"For the picked molecule itself you give {given[PICKED]:.3f}, it is {truth[PICKED]:.3f}: subtract from its "
        "variance the square of its covariance with itself, divided by the sum of its variance and that of the noise."
    ),
)

# --------------------------------------------------------------------------------------------------- 7.4 spot the leak
letters_exercise(
    "7.4",
    why="B's ten scores were made from every answer before the first question. C's campaigns are honest one by one; "
    "choosing the report by its result is not.",
    not_chosen={
        "A": "A is sound: structures are known before any measurement, and no measured value takes part in the "
        "scaling.",
        "D": "D is fair: the start's hits are counted for both methods alike, both begin with the same molecules, and "
        "in the difference of the two they cancel.",
    },
    chosen={
        "B": "Look at B: the PLS model was fitted to the values of all molecules of the pool, most of which nobody "
        "had measured when the campaign began.",
        "C": "Look at C: the best of many campaigns is partly the luckiest. A new one gets the average, not the "
        "maximum.",
    },
    none="Look again: at least one of the four numbers is better than the next campaign will be.",
    example="AC",
)
