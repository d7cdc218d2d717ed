"""Checks of lesson 04: the epistemic share, a domain before the test, the ceiling of R2, a limit judged elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from course_lib.teaching.exercises.kinds import function_exercise


# --- 4.1 the epistemic share -----------------------------------------------------------------------------------------
def _members() -> list[tuple]:
    rng = np.random.default_rng(4)
    means = rng.normal(size=(25, 6)) * np.array([0.2, 0.5, 1.0, 2.0, 3.0, 0.1])
    return [(means, rng.uniform(0.2, 2.0, size=(25, 6)))]


def _share(part: np.ndarray, rest: np.ndarray) -> np.ndarray:
    return part / (part + rest)


def _epistemic(m: np.ndarray) -> np.ndarray:
    return m.var(axis=0)


def _unbiased(m: np.ndarray) -> np.ndarray:
    return m.var(axis=0, ddof=1)


def _aleatoric(s: np.ndarray) -> np.ndarray:
    return (s**2).mean(axis=0)


def _shape_of_shares(given: np.ndarray) -> str:
    if given.ndim == 0:
        return "You returned one number. Give one share for each molecule: work along the members only."
    if given.shape == (25,):
        return "You worked along the molecules. The members are the first axis: axis=0."
    return f"With 25 members and 6 molecules the answer has shape (6,), yours has {given.shape}."


function_exercise(
    "4.1",
    inputs=_members,
    solution=lambda m, s: _share(_epistemic(m), _aleatoric(s)),
    also_right=[lambda m, s: _share(_unbiased(m), _aleatoric(s))],
    why="Spread of the means, over spread of the means plus mean of the spreads. Near 1: by the model, measure more "
    "molecules like this one. Near 0: by the model, more data would change little. Sections 3 and 5 ask whether to "
    "believe it.",
    mistakes={
        "You added a standard deviation to a variance. Square the noise first.": (
            lambda m, s: _share(_epistemic(m), s.mean(axis=0))
        ),
        "Square before you average: the law has the mean of the variances, not the square of a mean.": (
            lambda m, s: _share(_epistemic(m), s.mean(axis=0) ** 2)
        ),
        "Standard deviations do not add, variances do.": [
            lambda m, s: _share(m.std(axis=0), s.mean(axis=0)),
            lambda m, s: _share(m.std(axis=0), np.sqrt(_aleatoric(s))),
        ],
        "That is the ratio of the two standard deviations, epistemic to total. Asked: the share of variance.": (
            lambda m, s: np.sqrt(_share(_epistemic(m), _aleatoric(s)))
        ),
        "That is the aleatoric share, what more data would leave. Asked: what they could remove.": (
            lambda m, s: _share(_aleatoric(s), _epistemic(m))
        ),
        "That is the ratio of the two parts. A share has the total below the line.": (
            lambda m, s: _epistemic(m) / _aleatoric(s)
        ),
        "That is the epistemic variance itself. Divide it by the total variance.": [
            lambda m, s: _epistemic(m),
            lambda m, s: _unbiased(m),
        ],
        "You divided by the number of members: that is how well their average is known, not how they differ.": [
            lambda m, s: _share(_epistemic(m) / len(m), _aleatoric(s)),
            lambda m, s: _share(_unbiased(m) / len(m), _aleatoric(s)),
        ],
        "You took the variance of the noise variances. The law has the mean of the noise variances.": (
            lambda m, s: _share(_epistemic(m), (s**2).var(axis=0))
        ),
    },
    shape=_shape_of_shares,
    others={
        "axis=0": lambda m, s: m.var(axis=1) / (m.var(axis=1) + (s**2).mean(axis=1)),
        "each molecule": lambda m, s: m.var() / (m.var() + (s**2).mean()),
    },
    otherwise="Epistemic: variance of the means over the members. Aleatoric: mean of stds**2. Share: first / their "
    "sum.",
)


# --- 4.2 a domain before the test ------------------------------------------------------------------------------------
def _distances() -> list[tuple]:
    rng = np.random.default_rng(7)
    places = rng.normal(size=(40, 3))
    places[:2] = 6.0  # two molecules far from all others, but not alone: they are at distance 0
    return [(np.linalg.norm(places[:, None] - places, axis=2) / 10,)]


def _nearest(distances: np.ndarray) -> np.ndarray:
    return (distances + np.diag(np.full(len(distances), np.inf))).min(axis=1)


def _limit(nearest: Callable[[np.ndarray], np.ndarray], level: float = 0.95) -> Callable[[np.ndarray], float]:
    return lambda distances: np.quantile(nearest(distances), level)


function_exercise(
    "4.2",
    inputs=_distances,
    solution=_limit(_nearest),
    why="It came from the training molecules alone, so no test error had a say. By construction about one training "
    "molecule in twenty lies beyond it; a test set with many more is another kind of chemistry.",
    mistakes={
        "Each molecule counts as its own neighbour, at distance 0. Leave the diagonal out.": (
            _limit(lambda d: d.min(axis=1))
        ),
        "You left out every distance of 0. Two different molecules may have distance 0 (same fingerprint), and are "
        "then neighbours: leave out the diagonal, not the zeros.": (
            _limit(lambda d: np.where(d > 0, d, np.inf).min(axis=1))
        ),
        "You took the quantile of all distances. First find each molecule's nearest other one.": [
            _limit(lambda d: d),
            _limit(lambda d: d[np.triu_indices(len(d), 1)]),
        ],
        "That goes by the furthest molecule. What matters is the nearest one that the model knows.": (
            _limit(lambda d: d.max(axis=1))
        ),
        "That goes by the mean distance to all. A molecule with one close relative is well known.": [
            _limit(lambda d: d.sum(axis=1) / (len(d) - 1)),
            _limit(lambda d: d.mean(axis=1)),
        ],
        "That lets in the strangest training molecule of all, perhaps an error. Take the 95 % quantile.": (
            _limit(_nearest, 1.0)
        ),
        "That is the other end: nineteen in twenty training molecules would be outside.": _limit(_nearest, 0.05),
        "That leaves half of the training molecules outside. Take the 95 % quantile.": _limit(_nearest, 0.5),
        "The table holds distances, not similarities: no need to subtract from 1.": _limit(lambda d: 1 - _nearest(d)),
    },
    shape="You have a distance for each molecule. Make one number of them: their 95 % quantile.",
    others={"one number": _nearest},
    otherwise="For each row: the smallest distance off the diagonal. Then np.quantile(..., 0.95) of these.",
)


# --- 4.3 the ceiling of R2 -------------------------------------------------------------------------------------------
def _sources() -> list[tuple]:
    """Two sources with noise of standard deviation 6; the second copied a third of its values."""
    rng = np.random.default_rng(11)
    true = rng.normal(80, 25, size=300)
    a, b = true + rng.normal(scale=6, size=300), true + rng.normal(scale=6, size=300)
    copied = rng.random(300) < 0.35
    return [(a, np.where(copied, a, b))]


def _squares(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean((a - b)[a != b] ** 2))


def _variance(a: np.ndarray, b: np.ndarray, ddof: int = 0) -> float:
    return float(np.var((a - b)[a != b], ddof=ddof))


def _ceiling(a: np.ndarray, b: np.ndarray) -> float:
    return float(1 - _squares(a, b) / 2 / np.var(a))


function_exercise(
    "4.3",
    inputs=_sources,
    solution=_ceiling,
    also_right=[
        lambda a, b: 1 - _squares(a, b) / 2 / np.var(a, ddof=1),
        *(
            lambda a, b, ddof=ddof, of_labels=of_labels: 1 - _variance(a, b, ddof) / 2 / np.var(a, ddof=of_labels)
            for ddof in (0, 1)
            for of_labels in (0, 1)
        ),
    ],
    why="Half the mean squared difference is the noise variance of one source. The true ceiling may be lower, since "
    "what both sources share does not show, or higher, since honest agreements were left out.",
    mistakes={
        "The difference of two sources holds both noises. Asked: the noise variance of one.": [
            lambda a, b: 1 - _squares(a, b) / np.var(a),
            lambda a, b: 1 - _variance(a, b) / np.var(a),
        ],
        "The identical rows are in: copies agree perfectly and make the noise look smaller than it is.": [
            lambda a, b: 1 - np.mean((a - b) ** 2) / 2 / np.var(a),
            lambda a, b: 1 - np.mean((a - b) ** 2) / np.var(a),
            lambda a, b: 1 - np.var(a - b) / 2 / np.var(a),
        ],
        "You divided standard deviations. R2 is made of variances: square both.": [
            lambda a, b: 1 - np.sqrt(_variance(a, b) / 2) / np.std(a),
            lambda a, b: 1 - np.sqrt(_squares(a, b) / 2 / np.var(a)),
        ],
        "That is the share of noise in the labels. The ceiling is what is left: 1 minus it.": (
            lambda a, b: _squares(a, b) / 2 / np.var(a)
        ),
        "That is a root: the ceiling of the correlation with the labels. Asked: that of R2.": (
            lambda a, b: np.sqrt(_ceiling(a, b))
        ),
        "The noise comes from the rows that differ, the variance of the labels from all rows of a.": (
            lambda a, b: 1 - _squares(a, b) / 2 / np.var(a[a != b])
        ),
        "You halved twice: the mean squared difference is divided by 2 once, as no root was taken.": (
            lambda a, b: 1 - _squares(a, b) / 4 / np.var(a)
        ),
        "You averaged the sizes of the differences. A variance is made of their squares.": [
            lambda a, b: 1 - np.mean(np.abs(a - b)[a != b]) / 2 / np.var(a),
            lambda a, b: 1 - np.mean(np.abs(a - b)[a != b]) / np.var(a),
        ],
        "That is the correlation of the sources: close to what is asked, but with the copies in.": [
            lambda a, b: np.corrcoef(a, b)[0, 1],
            lambda a, b: np.corrcoef(a, b)[0, 1] ** 2,
        ],
    },
    shape="You have a value for each molecule. The ceiling is one number: take means.",
    others={"one number": lambda a, b: (a - b)[a != b] ** 2 / 2},
    otherwise="1 - (mean of (a - b)**2 over the rows that differ, divided by 2) / variance of a.",
)


# --- 4.4 a limit judged elsewhere ------------------------------------------------------------------------------------
def best_limit(distance: np.ndarray, error: np.ndarray) -> float:
    """Limit of a domain with the smallest mean error inside, among those that keep ten molecules; as in the lesson."""
    return float(min(np.sort(distance)[9:], key=lambda limit: error[distance <= limit].mean()))


def gain(distance: np.ndarray, error: np.ndarray, limit: float) -> float:
    """By which share the mean error inside a limit is below that of all molecules; 0 when nobody is inside."""
    inside = distance <= limit
    return float(1 - error[inside].mean() / error.mean()) if inside.any() else 0.0


def _errors() -> list[tuple]:
    rng = np.random.default_rng(2)
    distance = rng.uniform(0.2, 1.0, size=60)
    error = np.abs(rng.normal(scale=10 * (0.4 + distance)))
    order = rng.permutation(60)
    return [(distance, error, np.sort(order[:25]), np.sort(order[25:]))]


function_exercise(
    "4.4",
    inputs=_errors,
    solution=lambda d, e, choose, judge: gain(d[judge], e[judge], best_limit(d[choose], e[choose])),
    why="The errors that choose do not judge. It is nested cross-validation (lesson 03) for a single number: whatever "
    "is tuned on errors needs other errors to be praised by.",
    mistakes={
        "The limit was chosen on all rows, those that judge among them.": (
            lambda d, e, choose, judge: gain(d[judge], e[judge], best_limit(d, e))
        ),
        "The same rows choose and judge: that is the leak again, on half of the molecules.": [
            lambda d, e, choose, judge: gain(d[judge], e[judge], best_limit(d[judge], e[judge])),
            lambda d, e, choose, judge: gain(d[choose], e[choose], best_limit(d[choose], e[choose])),
        ],
        "You judge on all rows, and these also hold the rows that chose.": (
            lambda d, e, choose, judge: gain(d, e, best_limit(d[choose], e[choose]))
        ),
        "That is what the colleague did. Use `choose` to find the limit and `judge` for the gain.": (
            lambda d, e, choose, judge: gain(d, e, best_limit(d, e))
        ),
        "The roles are exchanged: the limit comes from `choose`, the gain from `judge`.": (
            lambda d, e, choose, judge: gain(d[choose], e[choose], best_limit(d[judge], e[judge]))
        ),
        "That is the limit itself. Asked: what it gains on the rows that judge.": [
            lambda d, e, choose, judge: best_limit(d[choose], e[choose]),
            lambda d, e, choose, judge: best_limit(d[judge], e[judge]),
            lambda d, e, choose, judge: best_limit(d, e),
        ],
        "That is the mean error inside the limit. The gain compares it with the error of all: use `gain`.": (
            lambda d, e, choose, judge: e[judge][d[judge] <= best_limit(d[choose], e[choose])].mean()
        ),
    },
    shape="The answer is one number: the gain on the rows that judge.",
    otherwise="Two lines: limit = best_limit(...) on the rows `choose`, then gain(...) on the rows `judge`.",
)
