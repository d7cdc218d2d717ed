"""Pictures of the machinery's own lesson; figures of results are in `course_lib.plots`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRUE_ERROR = 30.0
"""Mean absolute error of the imaginary model, in kelvin."""


def simulated_scores(n_test: int = 10, n_trials: int = 2000, random_state: int = 0) -> np.ndarray:
    """Scores of one and the same model on many test sets.

    The model's errors follow a Laplace distribution whose mean absolute value is `TRUE_ERROR`.

    Parameters
    ----------
    n_test : int
        Molecules in each test set.
    n_trials : int
        Number of test sets.
    random_state : int

    Returns
    -------
    array, shape (n_trials,)
        Mean absolute error on each test set, in kelvin.
    """
    errors = np.random.default_rng(random_state).laplace(scale=TRUE_ERROR, size=(n_trials, n_test))
    return np.abs(errors).mean(axis=1)


def score_histogram(n_test: int = 10, ax: Axes | None = None) -> Axes:
    """Histogram of the scores that one model gets on different test sets of the same size.

    Parameters
    ----------
    n_test : int
        Molecules in each test set.
    ax : matplotlib Axes, optional
        Drawn into when given.

    Returns
    -------
    matplotlib Axes
    """
    import matplotlib.pyplot as plt

    from course_lib.plots import COLOURS

    if ax is None:
        figure, ax = plt.subplots(figsize=(6, 3))  # fixed margins: a slider waits for this figure
        figure.subplots_adjust(left=0.1, right=0.98, bottom=0.17, top=0.9)
    scores = simulated_scores(n_test)
    low, high = np.percentile(scores, [5, 95])
    ax.stairs(*np.histogram(scores, bins=np.arange(0, 91, 2)), fill=True, color=COLOURS[5])
    ax.axvline(TRUE_ERROR, color="black", linewidth=1.5, label="the model's true error")
    ax.axvspan(low, high, color=COLOURS[4], alpha=0.3, zorder=0, label="nine test sets in ten")
    ax.set(
        title=f"One model, many test sets of {n_test} molecules",
        xlabel="mean absolute error on the test set / K",
        ylabel="number of test sets",
        xlim=(0, 90),
    )
    ax.legend(frameon=False, fontsize=9)
    return ax
