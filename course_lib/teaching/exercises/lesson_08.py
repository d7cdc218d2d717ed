"""Checks of lesson 08: skill against the training mean, gradient steps, rows that belong to the pool."""

from __future__ import annotations

import numpy as np

from course_lib.teaching.exercises.kinds import function_exercise


# --- 8.1 skill against the training mean -----------------------------------------------------------------------------
def _new_family() -> list[tuple]:
    rng = np.random.default_rng(81)
    known = rng.gamma(2.0, 10.0, size=35)
    y = rng.normal(45.0, 6.0, size=14)  # its values lie higher and closer together
    return [(y, y + rng.normal(3.0, 5.0, size=14), known)]


def _mse(a: np.ndarray, b: np.ndarray | float) -> float:
    return float(np.mean((a - b) ** 2))


def _ratio(y: np.ndarray, predicted: np.ndarray, known: np.ndarray) -> float:
    return _mse(y, predicted) / _mse(y, known.mean())


function_exercise(
    "8.1",
    inputs=_new_family,
    solution=lambda y, p, known: 1 - _ratio(y, p, known),
    why="Zero means: no better than what you would have said before you had a model. It asks what the model was worth. "
    "R2 asks for more: to beat the new family's own mean, which nobody knows beforehand.",
    mistakes={
        "That is the usual R2: it compares with the mean of the test values, which nobody knows before.": [
            lambda y, p, known: 1 - _mse(y, p) / np.var(y),
            lambda y, p, known: 1 - _mse(y, p) / np.var(y, ddof=1),
        ],
        "You divided by the spread of the training values about their own mean. Both errors are of the test molecules: "
        "compare y_test with the training mean.": [
            lambda y, p, known: 1 - _mse(y, p) / np.var(known),
            lambda y, p, known: 1 - _mse(y, p) / np.var(known, ddof=1),
        ],
        "That is the ratio. A skill of 1 should be perfect and 0 useless: 1 minus the ratio.": _ratio,
        "The sign is turned round: a perfect model should have 1.": lambda y, p, known: _ratio(y, p, known) - 1,
        "The ratio stands upside down: the model's error goes on top.": lambda y, p, known: 1 - 1 / _ratio(y, p, known),
        "You took a root. Asked is the ratio of the mean *squared* errors.": lambda y, p, known: (
            1 - np.sqrt(_ratio(y, p, known))
        ),
        "These are absolute errors. Asked is the ratio of the mean *squared* errors.": lambda y, p, known: (
            1 - np.mean(abs(y - p)) / np.mean(abs(y - known.mean()))
        ),
        "Below the line you measured how far the predictions move. Compare the measured values there.": (
            lambda y, p, known: 1 - _mse(y, p) / _mse(p, known.mean())
        ),
        "You compared with the median of the training values. Their mean is asked.": (
            lambda y, p, known: 1 - _mse(y, p) / _mse(y, np.median(known))
        ),
        "One of the two is a sum and the other a mean: the number of molecules does not cancel.": [
            lambda y, p, known: 1 - len(y) * _ratio(y, p, known),
            lambda y, p, known: 1 - _ratio(y, p, known) / len(y),
        ],
    },
    shape="Give one number for the test set: average the squared errors before you divide.",
    others={"one number": lambda y, p, known: 1 - (y - p) ** 2 / (y - known.mean()) ** 2},
    otherwise="Compare two mean squared errors, both over the test molecules: that of the predictions, and that of a "
    "single number. Which number would you have said before you had a model?",
)

# --- 8.2 gradient steps ----------------------------------------------------------------------------------------------
function_exercise(
    "8.2",
    inputs=lambda: [(600, 10, 256), (250, 10, 256), (512, 3, 256), (700, 7, 300), (90, 4, 32), (1000, 5, 100)],
    solution=lambda n, epochs, batch=256: n // batch * epochs,
    why="Full batches in an epoch, times epochs. With 255 molecules that is 0 x epochs: however long it trains, "
    "nothing is learned, and no error is raised.",
    mistakes={
        "This keeps the last batch, full or not. That is the usual rule; the one asked for drops it.": (
            lambda n, epochs, batch=256: -(-n // batch) * epochs
        ),
        "You counted parts of a batch as parts of a step. A batch is used whole or not at all.": (
            lambda n, epochs, batch=256: n / batch * epochs
        ),
        "Here the rest of an epoch is carried over to the next one. It is dropped at the end of each.": (
            lambda n, epochs, batch=256: n * epochs // batch
        ),
        "These are the steps of one epoch. How many epochs are there?": lambda n, epochs, batch=256: n // batch,
        "You gave every epoch at least one step. That would have been wise; it is not what was run.": (
            lambda n, epochs, batch=256: max(1, n // batch) * epochs
        ),
        "You rounded to the nearest. Dropping always rounds down.": (
            lambda n, epochs, batch=256: round(n / batch) * epochs
        ),
        "256 is written into your function. Use `batch`: other programs have other sizes.": (
            lambda n, epochs, batch=256: n // 256 * epochs
        ),
        "That counts the molecules that are used, over all epochs. A batch of them makes one step.": (
            lambda n, epochs, batch=256: n // batch * batch * epochs
        ),
        "That is what is left over. Count the full batches.": lambda n, epochs, batch=256: n % batch * epochs,
        "Right but for one case: a last batch that is exactly full (512 = 2 x 256) is not dropped.": (
            lambda n, epochs, batch=256: (n - 1) // batch * epochs
        ),
        "Each epoch goes through all batches: steps an epoch times epochs.": (
            lambda n, epochs, batch=256: n // batch + epochs
        ),
    },
    shape="Give one number: the steps of the whole training.",
    otherwise="How many full batches are there in `n` molecules? Each is one step, in each epoch.",
)


# --- 8.3 spot the leak -----------------------------------------------------------------------------------------------
_POOL = np.array([2, 3, 5, 8, 9, 11, 12, 14, 17, 19])  # 20 rows in the table; the others are the test
_ORDER = np.array([4, 0, 9, 7, 1, 3, 8, 2, 6, 5])


def _other_rows(given: np.ndarray, truth: np.ndarray) -> str:
    if not np.isin(given, _POOL).all():
        return "Some of these rows are not in the pool. Perhaps you have `pool` and `order` turned round?"
    return "Rows of the pool, but in another order than `order`: two runs would not nest."


def _not_n_rows(given: np.ndarray) -> str:
    if given.ndim == 0:
        return "That is one row. The first n of the order are order[:n]."
    return "Take the first n places of `order`, then ask the pool which rows stand there."


function_exercise(
    "8.3",
    inputs=lambda: [(_POOL.copy(), _ORDER.copy(), 4)],
    solution=lambda pool, order, n: pool[order[:n]],
    also_right=[lambda pool, order, n: np.sort(pool[order[:n]])],
    why="order[:n] are places in the pool, and the pool knows which row of the table stands at each place. Name such "
    "arrays by what they count, and let assert_no_leak look at every split all the same.",
    mistakes={
        "This is the same slip: places in the pool, used as rows of the table.": lambda pool, order, n: order[:n],
        "These are rows of the pool, but its first rows. The random order is not used.": lambda pool, order, n: pool[
            :n
        ],
        "These are the right rows in the right order, but all of the pool, whatever n is.": (
            lambda pool, order, n: pool[order]
        ),
        "You returned the rest: what comes after the first n.": lambda pool, order, n: pool[order[n:]],
        "These are the last n of the order. The first n are asked.": lambda pool, order, n: pool[order[-n:]],
        "You chose the places whose number in `order` is small: as many rows, but other molecules than order[:n].": [
            lambda pool, order, n: pool[order < n],
            lambda pool, order, n: pool[order < n][::-1],
        ],
        "You threw out the numbers that are no rows of the pool. No test molecule is left, but places are still read "
        "as rows, and part of the pool can never be chosen.": [
            lambda pool, order, n: order[np.isin(order, pool)][:n],
            lambda pool, order, n: order[:n][np.isin(order[:n], pool)],
        ],
    },
    shape=_not_n_rows,
    others={
        "turned round": lambda pool, order, n: order[pool[pool < len(order)]][:n],
        "another order": lambda pool, order, n: np.random.default_rng(0).permutation(pool)[:n],
        "one row": lambda pool, order, n: pool[order[n]],
    },
    otherwise=_other_rows,
)
