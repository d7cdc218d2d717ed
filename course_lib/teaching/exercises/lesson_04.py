"""Checks of lesson 04: the epistemic share, a domain before the test, the ceiling of R2, a limit judged elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from course_lib.teaching.exercises import Case, Verdict, call, exercise, right, wrong

NO_FUNCTION = "The answer should be the function itself, without brackets behind its name."


def _parts(means: np.ndarray, stds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return means.var(axis=0), (stds**2).mean(axis=0)


@exercise(
    "4.1",
    solution=lambda: Case(lambda m, s: m.var(axis=0) / (m.var(axis=0) + (s**2).mean(axis=0))),
    wrong_answers=lambda: [
        Case(lambda m, s: m.var(axis=0) / (m.var(axis=0) + s.mean(axis=0)), says="Square the noise"),
        Case(lambda m, s: m.var(axis=0) / (m.var(axis=0) + s.mean(axis=0) ** 2), says="before you average"),
        Case(lambda m, s: m.std(axis=0) / (m.std(axis=0) + s.mean(axis=0)), says="do not add"),
        Case(lambda m, s: np.sqrt(m.var(axis=0) / (m.var(axis=0) + (s**2).mean(axis=0))), says="standard deviations"),
        Case(lambda m, s: (s**2).mean(axis=0) / (m.var(axis=0) + (s**2).mean(axis=0)), says="aleatoric share"),
        Case(lambda m, s: m.var(axis=0) / (s**2).mean(axis=0), says="ratio"),
        Case(lambda m, s: m.var(axis=0), says="variance itself"),
        Case(lambda m, s: m.var(axis=0) / len(m) / (m.var(axis=0) / len(m) + (s**2).mean(axis=0)), says="average"),
        Case(lambda m, s: m.var(axis=0) / (m.var(axis=0) + (s**2).var(axis=0)), says="mean of the noise variances"),
        Case(lambda m, s: m.var(axis=1) / (m.var(axis=1) + (s**2).mean(axis=1)), says="axis=0"),
        Case(lambda m, s: m.var() / (m.var() + (s**2).mean()), says="each molecule"),
        Case(0.5, says="function"),
    ],
)
def _removable(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    rng = np.random.default_rng(4)
    means = rng.normal(size=(25, 6)) * np.array([0.2, 0.5, 1.0, 2.0, 3.0, 0.1])
    stds = rng.uniform(0.2, 2.0, size=(25, 6))
    result = np.asarray(call(answer, means.copy(), stds.copy()), dtype=float)
    if result.ndim == 0:
        return wrong("You returned one number. Give one share for each molecule: work along the members only.")
    if result.shape == (25,):
        return wrong("You worked along the molecules. The members are the first axis: axis=0.")
    if result.shape != (6,):
        return wrong(f"With 25 members and 6 molecules the answer has shape (6,), yours has {result.shape}.")
    epistemic, aleatoric = _parts(means, stds)

    def near(x: np.ndarray) -> bool:
        return bool(np.allclose(result, x, rtol=1e-6))

    def share(part: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return part / (part + rest)

    unbiased = means.var(axis=0, ddof=1)
    if near(share(epistemic, aleatoric)) or near(share(unbiased, aleatoric)):
        return right(
            "Spread of the means, over spread of the means plus mean of the spreads. Near 1: measure more molecules "
            "like this one. Near 0: more data will not help, better measurements or better inputs may."
        )
    if near(share(epistemic, stds.mean(axis=0))):
        return wrong("You added a standard deviation to a variance. Square the noise first.")
    if near(share(epistemic, stds.mean(axis=0) ** 2)):
        return wrong("Square before you average: the law has the mean of the variances, not the square of a mean.")
    if near(share(means.std(axis=0), stds.mean(axis=0))) or near(share(means.std(axis=0), np.sqrt(aleatoric))):
        return wrong("Standard deviations do not add, variances do.")
    if near(np.sqrt(share(epistemic, aleatoric))):
        return wrong(
            "That is the ratio of the two standard deviations, epistemic to total. Asked: the share of variance."
        )
    if near(share(aleatoric, epistemic)):
        return wrong("That is the aleatoric share, what more data would leave. Asked: what they could remove.")
    if near(epistemic / aleatoric):
        return wrong("That is the ratio of the two parts. A share has the total below the line.")
    if near(epistemic) or near(unbiased):
        return wrong("That is the epistemic variance itself. Divide it by the total variance.")
    if near(share(epistemic / 25, aleatoric)) or near(share(unbiased / 25, aleatoric)):
        return wrong(
            "You divided by the number of members: that is how well their average is known, not how they differ."
        )
    if near(share(epistemic, (stds**2).var(axis=0))):
        return wrong("You took the variance of the noise variances. The law has the mean of the noise variances.")
    return wrong(
        "Epistemic: variance of the means over the members. Aleatoric: mean of stds**2. Share: first / their sum."
    )


def _table() -> np.ndarray:
    """Return distances among 40 made-up molecules, two of them alike."""
    rng = np.random.default_rng(7)
    places = rng.normal(size=(40, 3))
    places[:2] = 6.0  # far from all others, but not alone: the nearest is at distance 0
    return np.linalg.norm(places[:, None] - places, axis=2) / 10


def _limit(distances: np.ndarray, reduce: Callable = lambda d: np.quantile(d, 0.95)) -> float:
    return float(reduce(_nearest(distances)))


def _nearest(distances: np.ndarray) -> np.ndarray:
    return (distances + np.diag(np.full(len(distances), np.inf))).min(axis=1)


@exercise(
    "4.2",
    solution=lambda: Case(_limit),
    wrong_answers=lambda: [
        Case(lambda d: np.quantile(d.min(axis=1), 0.95), says="own neighbour"),
        Case(lambda d: np.quantile(d, 0.95), says="nearest"),
        Case(lambda d: np.quantile(d[np.triu_indices(len(d), 1)], 0.95), says="nearest"),
        Case(lambda d: np.quantile(d.max(axis=1), 0.95), says="furthest"),
        Case(lambda d: np.quantile(d.sum(axis=1) / (len(d) - 1), 0.95), says="mean distance"),
        Case(lambda d: _nearest(d).max(), says="strangest"),
        Case(lambda d: np.quantile(_nearest(d), 0.05), says="other end"),
        Case(lambda d: np.median(_nearest(d)), says="half"),
        Case(lambda d: np.quantile(np.where(d > 0, d, np.inf).min(axis=1), 0.95), says="Two different molecules"),
        Case(lambda d: _nearest(d), says="one number"),
        Case(lambda d: np.quantile(1 - _nearest(d), 0.95), says="similarities"),
        Case(0.8, says="function"),
    ],
)
def _domain_limit(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    distances = _table()
    result = call(answer, distances.copy())
    if np.ndim(result) != 0:
        return wrong("You have a distance for each molecule. Make one number of them: their 95 % quantile.")
    value, nearest = float(result), _nearest(distances)

    def near(x: float) -> bool:
        return bool(np.isclose(value, x, rtol=1e-6))

    if near(np.quantile(nearest, 0.95)):
        return right(
            "It came from the training molecules alone, so no test error had a say. By construction about one training "
            "molecule in twenty lies beyond it; a test set with many more is another kind of chemistry."
        )
    if near(0.0):
        return wrong("Each molecule counts as its own neighbour, at distance 0. Leave the diagonal out.")
    if near(np.quantile(np.where(distances > 0, distances, np.inf).min(axis=1), 0.95)):
        return wrong(
            "You left out every distance of 0. Two different molecules may have distance 0 (same fingerprint), and are "
            "then neighbours: leave out the diagonal, not the zeros."
        )
    if near(np.quantile(distances, 0.95)) or near(np.quantile(distances[np.triu_indices(40, 1)], 0.95)):
        return wrong("You took the quantile of all distances. First find each molecule's nearest other one.")
    if near(np.quantile(distances.max(axis=1), 0.95)):
        return wrong("That goes by the furthest molecule. What matters is the nearest one that the model knows.")
    if near(np.quantile(distances.sum(axis=1) / 39, 0.95)) or near(np.quantile(distances.mean(axis=1), 0.95)):
        return wrong("That goes by the mean distance to all. A molecule with one close relative is well known.")
    if near(nearest.max()):
        return wrong("That lets in the strangest training molecule of all, perhaps an error. Take the 95 % quantile.")
    if near(np.quantile(nearest, 0.05)):
        return wrong("That is the other end: nineteen in twenty training molecules would be outside.")
    if near(np.median(nearest)):
        return wrong("That leaves half of the training molecules outside. Take the 95 % quantile.")
    if near(np.quantile(1 - nearest, 0.95)):
        return wrong("The table holds distances, not similarities: no need to subtract from 1.")
    return wrong("For each row: the smallest distance off the diagonal. Then np.quantile(..., 0.95) of these.")


def _sources() -> tuple[np.ndarray, np.ndarray]:
    """Two sources with noise of standard deviation 6; the second copied a third of its values."""
    rng = np.random.default_rng(11)
    true = rng.normal(80, 25, size=300)
    a, b = true + rng.normal(scale=6, size=300), true + rng.normal(scale=6, size=300)
    copied = rng.random(300) < 0.35
    return a, np.where(copied, a, b)


def _ceiling(a: np.ndarray, b: np.ndarray) -> float:
    difference = (a - b)[a != b]
    return float(1 - np.mean(difference**2) / 2 / np.var(a))


@exercise(
    "4.3",
    solution=lambda: Case(_ceiling),
    wrong_answers=lambda: [
        Case(lambda a, b: 1 - np.mean((a - b)[a != b] ** 2) / np.var(a), says="both noises"),
        Case(lambda a, b: 1 - np.mean((a - b) ** 2) / 2 / np.var(a), says="copies"),
        Case(lambda a, b: 1 - np.mean((a - b) ** 2) / np.var(a), says="copies"),
        Case(lambda a, b: 1 - np.std((a - b)[a != b]) / np.sqrt(2) / np.std(a), says="standard deviations"),
        Case(lambda a, b: np.mean((a - b)[a != b] ** 2) / 2 / np.var(a), says="share of noise"),
        Case(lambda a, b: np.sqrt(_ceiling(a, b)), says="root"),
        Case(lambda a, b: 1 - np.mean((a - b)[a != b] ** 2) / 2 / np.var(a[a != b]), says="all rows"),
        Case(lambda a, b: 1 - np.mean((a - b)[a != b] ** 2) / 4 / np.var(a), says="twice"),
        Case(lambda a, b: 1 - np.mean(np.abs(a - b)[a != b]) / 2 / np.var(a), says="squares"),
        Case(lambda a, b: np.corrcoef(a, b)[0, 1] ** 2, says="correlation"),
        Case(lambda a, b: np.corrcoef(a, b)[0, 1], says="correlation"),
        Case(lambda a, b: (a - b)[a != b] ** 2 / 2, says="one number"),
        Case(0.94, says="function"),
    ],
)
def _ceiling_of_r2(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    a, b = _sources()
    result = call(answer, a.copy(), b.copy())
    if np.ndim(result) != 0:
        return wrong("You have a value for each molecule. The ceiling is one number: take means.")
    value, differ = float(result), a != b
    d, squares = a - b, np.mean((a - b)[a != b] ** 2)
    total = np.var(a)

    def near(x: float) -> bool:
        return bool(np.isclose(value, x, rtol=1e-6))

    accepted = [squares / 2, np.var(d[differ]) / 2, np.var(d[differ], ddof=1) / 2]
    if any(near(1 - noise / spread) for noise in accepted for spread in (total, np.var(a, ddof=1))):
        return right(
            "Half the mean squared difference is the noise variance of one source. The true noise may be larger, since "
            "what both sources share does not show: so the true ceiling may be lower."
        )
    if near(1 - squares / total) or near(1 - np.var(d[differ]) / total):
        return wrong("The difference of two sources holds both noises. Asked: the noise variance of one.")
    if near(1 - np.mean(d**2) / 2 / total) or near(1 - np.mean(d**2) / total) or near(1 - np.var(d) / 2 / total):
        return wrong("The identical rows are in: copies agree perfectly and make the noise look smaller than it is.")
    if near(1 - np.std(d[differ]) / np.sqrt(2) / np.std(a)) or near(1 - np.sqrt(squares / 2 / total)):
        return wrong("You divided standard deviations. R2 is made of variances: square both.")
    if near(squares / 2 / total):
        return wrong("That is the share of noise in the labels. The ceiling is what is left: 1 minus it.")
    if near(np.sqrt(_ceiling(a, b))):
        return wrong("That is a root: the ceiling of the correlation with the labels. Asked: that of R2.")
    if near(1 - squares / 2 / np.var(a[differ])):
        return wrong("The noise comes from the rows that differ, the variance of the labels from all rows of a.")
    if near(1 - squares / 4 / total):
        return wrong("You halved twice: the mean squared difference is divided by 2 once, as no root was taken.")
    if near(1 - np.mean(np.abs(d)[differ]) / 2 / total) or near(1 - np.mean(np.abs(d)[differ]) / total):
        return wrong("You averaged the sizes of the differences. A variance is made of their squares.")
    correlation = np.corrcoef(a, b)[0, 1]
    if near(correlation) or near(correlation**2):
        return wrong("That is the correlation of the sources: close to what is asked, but with the copies in.")
    return wrong("1 - (mean of (a - b)**2 over the rows that differ, divided by 2) / variance of a.")


def best_limit(distance: np.ndarray, error: np.ndarray) -> float:
    """Limit of a domain with the smallest mean error inside, among those that keep ten molecules; as in the lesson."""
    return float(min(np.sort(distance)[9:], key=lambda limit: error[distance <= limit].mean()))


def gain(distance: np.ndarray, error: np.ndarray, limit: float) -> float:
    """By which share the mean error inside a limit is below that of all molecules; 0 when nobody is inside."""
    inside = distance <= limit
    return float(1 - error[inside].mean() / error.mean()) if inside.any() else 0.0


@exercise(
    "4.4",
    solution=lambda: Case(lambda d, e, choose, judge: gain(d[judge], e[judge], best_limit(d[choose], e[choose]))),
    wrong_answers=lambda: [
        Case(lambda d, e, choose, judge: gain(d[judge], e[judge], best_limit(d, e)), says="all rows"),
        Case(lambda d, e, choose, judge: gain(d[judge], e[judge], best_limit(d[judge], e[judge])), says="same rows"),
        Case(
            lambda d, e, choose, judge: gain(d[choose], e[choose], best_limit(d[choose], e[choose])), says="same rows"
        ),
        Case(lambda d, e, choose, judge: gain(d, e, best_limit(d[choose], e[choose])), says="also hold"),
        Case(lambda d, e, choose, judge: gain(d, e, best_limit(d, e)), says="colleague"),
        Case(lambda d, e, choose, judge: gain(d[choose], e[choose], best_limit(d[judge], e[judge])), says="roles"),
        Case(lambda d, e, choose, judge: best_limit(d[choose], e[choose]), says="limit itself"),
        Case(
            lambda d, e, choose, judge: e[judge][d[judge] <= best_limit(d[choose], e[choose])].mean(),
            says="error inside",
        ),
        Case(0.0, says="function"),
    ],
)
def _honest_gain(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    rng = np.random.default_rng(2)
    d = rng.uniform(0.2, 1.0, size=60)
    e = np.abs(rng.normal(scale=10 * (0.4 + d)))
    order = rng.permutation(60)
    choose, judge = np.sort(order[:25]), np.sort(order[25:])
    result = call(answer, d.copy(), e.copy(), choose.copy(), judge.copy())
    if np.ndim(result) != 0:
        return wrong("The answer is one number: the gain on the rows that judge.")
    value = float(result)
    limits = {
        "choose": best_limit(d[choose], e[choose]), "judge": best_limit(d[judge], e[judge]), "all": best_limit(d, e)
    }  # fmt: skip
    rows = {"choose": choose, "judge": judge, "all": np.arange(60)}

    def near(where: str, limit: str) -> bool:
        return bool(np.isclose(value, gain(d[rows[where]], e[rows[where]], limits[limit]), rtol=1e-6))

    if near("judge", "choose"):
        return right(
            "The errors that choose do not judge. It is nested cross-validation (lesson 03) for a single number: "
            "whatever is tuned on errors needs other errors to be praised by."
        )
    if near("judge", "all"):
        return wrong("The limit was chosen on all rows, those that judge among them.")
    if near("judge", "judge") or near("choose", "choose"):
        return wrong("The same rows choose and judge: that is the leak again, on half of the molecules.")
    if near("all", "choose"):
        return wrong("You judge on all rows, and these also hold the rows that chose.")
    if near("all", "all"):
        return wrong("That is what the colleague did. Use `choose` to find the limit and `judge` for the gain.")
    if near("choose", "judge"):
        return wrong("The roles are exchanged: the limit comes from `choose`, the gain from `judge`.")
    if any(np.isclose(value, limit) for limit in limits.values()):
        return wrong("That is the limit itself. Asked: what it gains on the rows that judge.")
    if np.isclose(value, e[judge][d[judge] <= limits["choose"]].mean()):
        return wrong("That is the mean error inside the limit. The gain compares it with the error of all: use `gain`.")
    return wrong("Two lines: limit = best_limit(...) on the rows `choose`, then gain(...) on the rows `judge`.")
