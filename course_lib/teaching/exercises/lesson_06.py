"""Checks of lesson 06: relative improvement, the gate's lookahead and meta-gradient, and held-out molecules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from course_lib.molecules import canonical, identity
from course_lib.teaching.exercises import Case, Verdict, call, exercise, right, wrong
from course_lib.teaching.exercises.kinds import NO_FUNCTION, function_exercise


# --- 6.1 relative improvement ----------------------------------------------------------------------------------------
def _improvement(alone: np.ndarray, joint: np.ndarray) -> float:
    return np.mean((alone - joint) / alone)


function_exercise(
    "6.1",
    inputs=lambda: [(np.array([8.0, 12.0, 10.0, 16.0]), np.array([6.0, 13.0, 9.0, 10.0]))],
    solution=_improvement,
    why="Each seed is compared with itself, so that a hard split is hard for both, and counts the same as an easy one. "
    "Positive: company helps.",
    mistakes={
        "The sign is turned round: an error that falls in company is an improvement.": lambda a, j: -_improvement(a, j),
        "You divide by the joint error; divide by the error alone.": lambda a, j: np.mean((a - j) / j),
        "That is a difference in the target's unit. Divide by the error alone, in each seed.": (
            lambda a, j: np.mean(a - j)
        ),
        "You compare two means. Compare seed by seed, then average: hard splits would count more than others.": (
            lambda a, j: 1 - j.mean() / a.mean()
        ),
        "You dropped the sign: seeds in which company hurts also count, with a minus.": (
            lambda a, j: np.mean(np.abs(a - j) / a)
        ),
        "That is the median. Return the mean over the seeds.": lambda a, j: np.median((a - j) / a),
        "That is in per cent; return the share itself.": lambda a, j: 100 * _improvement(a, j),
        "That is what is left of the error. How far is it from 1?": lambda a, j: np.mean(j / a),
    },
    shape="You have a value for each seed. Return one number, their mean.",
    others={"one number": lambda a, j: (a - j) / a},
    otherwise="For each seed: what the error fell by, divided by the error alone. Then the mean over the seeds.",
)


# --- 6.2 the slope after a step on trial -----------------------------------------------------------------------------
def _batches() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    x, x_new = rng.normal(0.4, 1.0, size=9), rng.normal(-0.2, 1.3, size=7)
    return x, 1.7 * x + rng.normal(size=9), x_new, 0.9 * x_new + rng.normal(size=7)


POINT = (0.3, -0.8, 0.35)  # w_target, w_own, alpha


def _residual(w_target, w_own, alpha, x, y):
    return y - (alpha * w_target + (1 - alpha) * w_own) * x


def _pull(w_target, w_own, alpha, x, y):
    return np.mean(_residual(w_target, w_own, alpha, x, y) * x)


def _lookahead(w_target, w_own, alpha, x, y, rate):
    return w_target + 2 * rate * alpha * _pull(w_target, w_own, alpha, x, y)


function_exercise(
    "6.2",
    inputs=lambda: [(*POINT, *_batches()[:2], 0.2)],
    solution=_lookahead,
    why="With little alpha the auxiliary hardly moves the target's slope. The step is on trial only: training goes on "
    "from the old slope.",
    mistakes={
        "The inner derivative is missing: in the mixture w_target stands with a factor alpha.": (
            lambda t, o, a, x, y, r: t + 2 * r * _pull(t, o, a, x, y)
        ),
        "1 - alpha stands with w_own. The slope that moves here stands with alpha.": (
            lambda t, o, a, x, y, r: t + 2 * r * (1 - a) * _pull(t, o, a, x, y)
        ),
        "You go uphill: the loss must fall, so the slope moves along + mean(r x).": (
            lambda t, o, a, x, y, r: t - 2 * r * a * _pull(t, o, a, x, y)
        ),
        "The factor 2 of the derivative of a square is missing.": (
            lambda t, o, a, x, y, r: t + r * a * _pull(t, o, a, x, y)
        ),
        "You take the sum over the batch. The loss is a mean.": (
            lambda t, o, a, x, y, r: t + 2 * r * a * len(x) * _pull(t, o, a, x, y)
        ),
        "That is the step alone. Return where the slope stands after it.": (
            lambda t, o, a, x, y, r: 2 * r * a * _pull(t, o, a, x, y)
        ),
        "You moved from the auxiliary's slope. It is the target's that is moved on trial.": (
            lambda t, o, a, x, y, r: o + 2 * r * a * _pull(t, o, a, x, y)
        ),
        "The auxiliary goes through the mixture, not through the target's slope alone: r = y - (alpha w_target + "
        "(1 - alpha) w_own) x.": lambda t, o, a, x, y, r: t + 2 * r * a * np.mean((y - t * x) * x),
        "The rate is missing.": lambda t, o, a, x, y, r: t + 2 * a * _pull(t, o, a, x, y),
        "Your mixture is the other way round: alpha is the share of the target's slope.": (
            lambda t, o, a, x, y, r: t + 2 * r * a * _pull(t, o, 1 - a, x, y)
        ),
    },
    shape="You have a value for each molecule. Average over the batch: the slope is one number.",
    others={"one number": lambda t, o, a, x, y, r: t + 2 * r * a * _residual(t, o, a, x, y) * x},
    otherwise="Residual r of the mixture; then w_target + 2 * rate * alpha * mean(r * x).",
)


# --- 6.3 the meta-gradient -------------------------------------------------------------------------------------------
def _meta(w_target, w_own, alpha, x, y, x_new, y_new, rate):
    moved = _lookahead(w_target, w_own, alpha, x, y, rate)
    return _slope_of_loss(moved, x_new, y_new) * _by_alpha(w_target, w_own, alpha, x, y, rate)


def _by_alpha(t, o, a, x, y, rate):
    return 2 * rate * (_pull(t, o, a, x, y) - a * (t - o) * np.mean(x**2))


def _slope_of_loss(w, x, y):
    return -2 * np.mean((y - w * x) * x)


def _by_differences(t, o, a, x, y, x_new, y_new, rate):
    loss = [np.mean((y_new - _lookahead(t, o, a + h, x, y, rate) * x_new) ** 2) for h in (1e-5, -1e-5)]
    return (loss[0] - loss[1]) / 2e-5


function_exercise(
    "6.3",
    inputs=lambda: [(*POINT, *_batches(), 0.2)],
    solution=_meta,
    why="A negative value would say: more sharing would have served the target. The target's own wish counts, on "
    "molecules that took no part in the step.",
    mistakes={
        "You judge the slope from before the step. The target's loss is taken at the moved one.": (
            lambda t, o, a, x, y, u, v, r: _slope_of_loss(t, u, v) * _by_alpha(t, o, a, x, y, r)
        ),
        "The second factor is missing: how far does the moved slope go when alpha does?": (
            lambda t, o, a, x, y, u, v, r: _slope_of_loss(_lookahead(t, o, a, x, y, r), u, v)
        ),
        "The first factor is missing: how does the target's loss change with the moved slope?": (
            lambda t, o, a, x, y, u, v, r: _by_alpha(t, o, a, x, y, r)
        ),
        "The residual contains alpha as well: its derivative is the term with (w_target - w_own).": (
            lambda t, o, a, x, y, u, v, r: (
                _slope_of_loss(_lookahead(t, o, a, x, y, r), u, v) * 2 * r * _pull(t, o, a, x, y)
            )
        ),
        "The sign is turned round. The derivative of mean((y - w x)^2) by w is -2 mean((y - w x) x).": (
            lambda *point: -_meta(*point)
        ),
        "You judge on the auxiliary's batch. The target must judge: x_new, y_new.": (
            lambda t, o, a, x, y, u, v, r: _meta(t, o, a, x, y, x, y, r)
        ),
        "That is the derivative of the auxiliary's own loss by alpha. Ask whose wish counts: the target's loss, after "
        "the step.": lambda t, o, a, x, y, u, v, r: -2 * (t - o) * _pull(t, o, a, x, y),
        "A factor 2 is missing: two squares are differentiated, each gives one.": lambda *point: _meta(*point) / 2,
        "That is the loss itself, not its derivative by alpha.": (
            lambda t, o, a, x, y, u, v, r: np.mean((v - _lookahead(t, o, a, x, y, r) * u) ** 2)
        ),
    },
    shape="You have a value for each molecule. Average over the batch: alpha is one number.",
    otherwise="moved slope; times: -2 mean((y_new - moved x_new) x_new), and d moved / d alpha from the text.",
)

# --- 6.4 rows that may stay ------------------------------------------------------------------------------------------
AUXILIARY = ["CCO", "CCCCCC", "C[C@H](O)CC", "OC", "c1ccccc1", "CCO", "CC(C)C", "CCCCO", "CCC(C)O"]
HELD_OUT = ["OCC", "C1=CC=CC=C1", "CC[C@@H](C)O", "OC"]
STAY = [1, 6, 7]


def _may_stay(auxiliary: list[str], held_out: list[str]) -> list[int]:
    held = {identity(text) for text in held_out}
    return [row for row, text in enumerate(auxiliary) if identity(text) not in held]


def _kept_by(form: Callable[[str], str]) -> Callable:
    return lambda auxiliary, held_out: [
        row for row, text in enumerate(auxiliary) if form(text) not in {form(other) for other in held_out}
    ]


@exercise(
    "6.4",
    solution=lambda: Case(_may_stay),
    wrong_answers=lambda: [
        Case(_kept_by(str), says="compare the texts"),
        Case(_kept_by(canonical), says="stereo"),
        Case(lambda a, h: [row for row in range(len(a)) if row not in _may_stay(a, h)], says="other way round"),
        Case(lambda a, h: [a[row] for row in _may_stay(a, h)], says="positions"),
        Case(lambda a, h: list(range(len(a))), says="all rows"),
        Case(
            lambda a, h: [
                row for row in range(len(a)) if row not in {[identity(t) for t in a].index(identity(s)) for s in h}
            ],
            says="first row",
        ),
        Case(
            lambda a, h: [row for row in _may_stay(a, h) if len(a[row]) > 5],
            says="too many",
        ),
        Case([0, 1], says="function"),
    ],
)
def _held_out(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    result = call(answer, list(AUXILIARY), list(HELD_OUT))
    if not np.iterable(result) or isinstance(result, (str, bytes)):
        return wrong("Return a list of positions, counted from 0.")
    given = list(result)
    if any(isinstance(item, str) for item in given):
        return wrong("Return the positions of the rows, not their SMILES: the labels have to follow.")
    if len(given) == len(AUXILIARY) and all(isinstance(item, (bool, np.bool_)) for item in given):
        given = list(np.flatnonzero(given))  # a mask says the same
    kept = sorted(int(item) for item in given)
    if kept == STAY:
        return right("Other spellings, other stereo marks, second rows: all of them would have carried the answer.")
    by_text, by_canonical = (_kept_by(form)(AUXILIARY, HELD_OUT) for form in (str, canonical))
    removed = [row for row in range(len(AUXILIARY)) if row not in STAY]
    for near, text in (
        (list(range(len(AUXILIARY))), "You keep all rows, and with them the held-out molecules."),
        (by_text, "You compare the texts. OCC and CCO are one molecule in two spellings: compare by identity."),
        (by_canonical, "Spellings are dealt with. But a molecule with and without a stereo mark, or its mirror image, "
         "has nearly the same value: identity() does not look at stereo."),
        (removed, "It is the other way round: you return the rows that must go."),
    ):  # fmt: skip
        if kept == near:
            return wrong(text)
    left = [row for row in removed if row in kept]
    if left and [row for row in kept if row in STAY] == STAY:
        return wrong(
            f"Row {left[0]} ({AUXILIARY[left[0]]}) is held out and still there. Did you take out only the first row of "
            "a molecule?"
        )
    lost = [row for row in STAY if row not in kept]
    if lost:
        return wrong(f"You take out too many: row {lost[0]} ({AUXILIARY[lost[0]]}) is not held out.")
    return wrong("For each row: is its identity among those of the held-out molecules? If not, its position stays.")
