"""One function a figure: each draws into the Axes it is given (or a new one) and returns it.

Colours are those of Okabe and Ito, which people with any common colour-vision deficiency can tell apart; where it
matters, marks differ in shape as well.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "MARKERS",
    "boosting_steps",
    "comparison",
    "conformer_cloud",
    "conformer_explorer",
    "dots",
    "estimates",
    "fold_viewer",
    "folds",
    "grid",
    "learning_curve",
    "molecules",
    "named_values",
    "parity",
    "score_distribution",
    "search_history",
    "tree_steps",
]

COLOURS: tuple[str, ...] = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # green
    "#CC79A7",  # pink
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#000000",  # black
    "#F0E442",  # yellow
)
"""Okabe and Ito's palette (Color Universal Design, 2008), in the order in which figures use it."""

MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Marks of points, as Matplotlib names them, in the order in which figures use them."""

_GREY = "#666666"


def _axes(ax, width: float, height: float) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _with_units(what: str, units: str) -> str:
    return f"{what} ({units})" if units else what


def _wrap(text, width: int = 22) -> str:
    return textwrap.fill(str(text), width, break_long_words=False)


def _title(ax, title: str, width: int = 60, above: float = 0.0) -> None:
    """Write the title, so many points above the axes (the height of a legend that stands there)."""
    if title:
        ax.set_title(_wrap(title, width), fontsize=11, pad=6 + above)


def _legend(ax, columns: int | None = None, **options) -> float:
    """Put the legend where no data can lie under it: right of the axes, or above them in so many columns.

    Returns its height above the axes in points, for `_title`.
    """
    options |= {"fontsize": 8, "frameon": False, "borderaxespad": 0.2}
    if columns is None:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), **options)
        return 0.0
    legend = ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, **options)
    return legend.get_window_extent().height * 72 / ax.figure.dpi


def _style(number: int) -> dict[str, str]:
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def parity(
    y_true,
    y_pred,
    labels=None,
    *,
    units: str = "",
    quantity: str = "value",
    title: str = "",
    errors: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Predicted against measured values, on equal axes with the line of perfect prediction.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Measured and predicted values.
    labels : array-like of shape (n,), optional
        What each point belongs to ("cross-validation", "test", a model's name): one colour and mark a label, in order
        of first appearance.
    units, quantity, title : str
        For the axes ("K", "glass transition") and above them.
    errors : bool
        Write each label's mean absolute error (MAE) into the legend.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When the lengths differ or there is no point.
    """
    y_true, y_pred = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    names = np.full(len(y_true), "") if labels is None else np.asarray(labels).astype(str)
    if y_true.ndim != 1 or not y_true.shape == y_pred.shape == names.shape or not len(y_true):
        raise ValueError(
            f"y_true {y_true.shape}, y_pred {y_pred.shape} and labels {names.shape} must be lists of the same length, "
            "not empty"
        )
    ax = _axes(ax, 4.8, 4.8)
    low, high = min(y_true.min(), y_pred.min()), max(y_true.max(), y_pred.max())
    margin = 0.05 * ((high - low) or 1.0)
    limits = (low - margin, high + margin)
    ax.axline((low, low), slope=1, color=_GREY, linewidth=1, zorder=1)  # to the corners, also when limits change
    for number, name in enumerate(dict.fromkeys(names.tolist())):
        chosen = names == name
        text = name
        if errors:
            mae = np.mean(np.abs(y_true[chosen] - y_pred[chosen]))
            text = f"{name} (MAE {mae:.3g} {units}".rstrip() + ")" if name else f"MAE {mae:.3g} {units}".rstrip()
        style = _style(number)
        ax.scatter(
            y_true[chosen],
            y_pred[chosen],
            s=22,
            alpha=0.75,
            linewidths=0,
            zorder=2,
            label=_wrap(text, 34),
            **style,
        )
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    ax.set_xlabel(_with_units(f"measured {quantity}", units))
    ax.set_ylabel(_with_units(f"predicted {quantity}", units))
    above = _legend(ax, 1) if errors or labels is not None else 0.0
    _title(ax, title, 50, above)
    return ax


def _series(scores, metric) -> dict[str, np.ndarray]:
    """Name -> values, from a mapping or from the tidy table of ``evaluate.compare``."""
    if hasattr(scores, "columns"):
        chosen = scores if metric is None else scores[scores["metric"] == metric]
        if chosen.empty:
            raise ValueError(
                f"no scores for metric {metric!r}: there are {', '.join(sorted(scores['metric'].unique()))}"
            )
        if chosen["metric"].nunique() > 1:
            raise ValueError("the table holds several metrics: choose one, metric='mae'")
        series = {name: part["value"].to_numpy(dtype=float) for name, part in chosen.groupby("model", sort=False)}
    else:
        series = {name: np.asarray(values, dtype=float) for name, values in scores.items()}
    if not series or any(len(values) == 0 for values in series.values()):
        raise ValueError("there is no score to draw")
    return series


def score_distribution(
    scores: Mapping[str, Sequence[float]] | pd.DataFrame,
    *,
    metric: str | None = None,
    xlabel: str | None = None,
    units: str = "",
    title: str = "",
    reference: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Every score as a point, one line of points a model, with the median and the quartiles behind them.

    Parameters
    ----------
    scores : mapping name -> values, or DataFrame from ``evaluate.compare``
        One value a split.
    metric : str, optional
        Which metric of the DataFrame.
    xlabel, units, title : str
        The label is the metric's name by default.
    reference : float, optional
        A value to mark with a dashed line (0 for R2, the noise of the labels for an error).
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    series = _series(scores, metric)
    ax = _axes(ax, 6.4, 0.9 + 0.55 * len(series))
    ax.use_sticky_edges = False  # scores that are all alike would stand on the frame
    rng = np.random.default_rng(0)  # only the vertical scatter of the points
    for number, (name, values) in enumerate(series.items()):
        first, middle, third = np.quantile(values, [0.25, 0.5, 0.75])
        colour = COLOURS[number % len(COLOURS)]
        ax.barh(number, third - first, left=first, height=0.6, color=colour, alpha=0.2, linewidth=0)
        ax.plot([middle, middle], [number - 0.3, number + 0.3], color=colour, linewidth=2)
        jitter = rng.uniform(-0.2, 0.2, len(values))
        ax.scatter(values, number + jitter, s=16, alpha=0.8, linewidths=0, color=colour, label=str(name))
    if reference is not None:
        ax.axvline(reference, color=_GREY, linestyle="--", linewidth=1, zorder=0)
    ax.set_yticks(range(len(series)), [_wrap(name) for name in series], fontsize=9)
    ax.set_ylim(len(series) - 0.5, -0.5)
    ax.set_xlabel(_with_units(xlabel or metric or "score", units))
    ax.grid(axis="x", alpha=0.3)
    _title(ax, title)
    return ax


def learning_curve(
    table: pd.DataFrame,
    *,
    x: str = "n_train",
    y: str = "mean",
    label: str = "model",
    low: str = "low",
    high: str = "high",
    xlabel: str = "training molecules",
    ylabel: str = "mean absolute error",
    units: str = "",
    title: str = "",
    log: bool = True,
    order: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Score against training size, one line a model, with its interval as a band.

    Parameters
    ----------
    table : DataFrame
        One row for each size and model.
    x, y, label, low, high : str
        Names of its columns. Without the columns ``low`` and ``high`` no band is drawn.
    xlabel, ylabel, units, title : str
        The units are those of y.
    log : bool
        Logarithmic x axis, marked at the sizes that were run.
    order : sequence of str, optional
        All labels, in order: each then keeps its colour and marker in every panel, also where some are missing.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When a column is missing, or a label is not in ``order``.
    """
    missing = [name for name in (x, y) if name not in table.columns]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}: there are {', '.join(map(str, table.columns))}")
    ax = _axes(ax, 7.6, 4.2)
    parts = dict(list(table.groupby(label, sort=False))) if label in table.columns else {"": table}
    if order is not None and (unknown := set(parts) - set(order)):
        raise ValueError(f"{sorted(unknown)[0]!r} is not in order: name all labels")
    names = list(parts if order is None else order)
    for name in sorted(parts, key=names.index):
        part, style = parts[name].sort_values(x), _style(names.index(name))
        ax.plot(part[x], part[y], markersize=5, linewidth=1.6, label=_wrap(name, 30), **style)
        if low in part.columns and high in part.columns:
            ax.fill_between(part[x], part[low], part[high], color=style["color"], alpha=0.15, linewidth=0)
    sizes = np.unique(table[x])
    if log:
        ax.set_xscale("log")
        ax.set_xticks(_spread_out(sizes), minor=False)
        ax.set_xticks([], minor=True)
        ax.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(_with_units(ylabel, units))
    ax.grid(alpha=0.3)
    if label in table.columns:
        _legend(ax)
    _title(ax, title)
    return ax


def _spread_out(sizes, ratio: float = 1.18) -> list[float]:
    """Of the sizes, those far enough apart on a logarithmic axis for their labels not to touch."""
    kept: list[float] = []
    for size in sizes:
        if not kept or size >= ratio * kept[-1]:
            kept.append(size)
    return kept


def comparison(
    differences: pd.DataFrame,
    *,
    xlabel: str | None = None,
    units: str = "",
    title: str = "",
    margin: float | None = None,
    better: str | None = "lower",
    ax: Axes | None = None,
) -> Axes:
    """Paired differences to a reference with their intervals, the line of no difference, and which side is better.

    Parameters
    ----------
    differences : DataFrame
        From ``evaluate.paired``: columns model, difference, low, high (reference and metric for the label).
    xlabel, units, title : str
        The label is made from the reference's and the metric's name by default.
    margin : float, optional
        Smallest difference that matters: a grey band from -margin to margin.
    better : {"lower", "higher", None}
        On which side of 0 a model beats the reference; written under the axis.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    if differences.empty:
        raise ValueError("there is no difference to draw")
    if better not in ("lower", "higher", None):
        raise ValueError(f"better is {better!r}: choose 'lower', 'higher' or None")
    ax = _axes(ax, 6.4, 1.2 + 0.5 * len(differences))
    if margin is not None:
        ax.axvspan(-margin, margin, color="#999999", alpha=0.2, linewidth=0)
    ax.axvline(0, color=_GREY, linewidth=1)
    for number, row in enumerate(differences.itertuples()):
        span = [[row.difference - row.low], [row.high - row.difference]]
        ax.errorbar(
            row.difference, number, xerr=span, fmt="o", color=COLOURS[0], capsize=4, markersize=6, linewidth=1.6
        )
    ax.set_yticks(range(len(differences)), [_wrap(name) for name in differences["model"]], fontsize=9)
    ax.set_ylim(len(differences) - 0.5, -0.5)
    if xlabel is None:
        metric = differences["metric"].iloc[0] if "metric" in differences else "score"
        reference = differences["reference"].iloc[0] if "reference" in differences else "reference"
        xlabel = f"difference in {metric} to {reference}"
    lines = [_wrap(_with_units(xlabel, units), 60)]
    if better:
        side = "left of 0 is better" if better == "lower" else "right of 0 is better"
        lines.append(f"{side} than the reference")
    ax.set_xlabel("\n".join(lines))
    ax.grid(axis="x", alpha=0.3)
    _title(ax, title)
    return ax


def folds(groups, splitter, *, y=None, title: str = "", max_splits: int = 8, ax: Axes | None = None) -> Axes:
    """Show what a splitter does with molecules: one line a split, training rows light, test rows dark.

    Rows are drawn side by side, molecule by molecule; the strip at the bottom shows where one molecule ends and the
    next begins. How many molecules stand on both sides is written at the end of each line, and their rows are marked.

    Parameters
    ----------
    groups : array-like of shape (n_rows,)
        Molecule of each row.
    splitter : scikit-learn splitter
        Also one that ignores groups, such as ``KFold``: this is the figure that shows its leak.
    y : array-like of shape (n_rows,), optional
        Target, for splitters that need it.
    title : str
    max_splits : int
        Draw only the first so many splits.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    groups = np.asarray(groups)
    n = len(groups)
    _, first, number = np.unique(groups.astype(str), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[number]  # molecules in order of first appearance
    order = np.argsort(rank, kind="stable")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The groups parameter is ignored")  # that is what the figure shows
        splits = list(splitter.split(np.zeros((n, 1)), y, groups))[:max_splits]
    if not splits:
        raise ValueError("the splitter gave no split")
    picture = np.full((len(splits), n), np.nan)
    shared = []
    for line, (train, test) in enumerate(splits):
        both = np.intersect1d(rank[train], rank[test])
        shared.append(len(both))
        picture[line, train] = 0
        picture[line, test] = 1
        picture[line, test[np.isin(rank[test], both)]] = 2
    ax = _axes(ax, 7.2, 1.3 + 0.32 * (len(splits) + 1))
    colours = ListedColormap(["#D9E6F2", COLOURS[0], COLOURS[1]])
    options = {"aspect": "auto", "interpolation": "nearest"}
    for line in range(len(splits)):
        extent = (0, n, line + 0.42, line - 0.42)
        ax.imshow(picture[line : line + 1, order], cmap=colours, vmin=0, vmax=2, extent=extent, **options)
        ax.text(1.01 * n, line, f"{shared[line]}", va="center", fontsize=9)
    strip = (rank[order] % 2)[None, :]
    grey = ListedColormap(["#BBBBBB", "#555555"])
    ax.imshow(strip, cmap=grey, vmin=0, vmax=1, extent=(0, n, len(splits) + 0.25, len(splits) - 0.25), **options)
    ax.set_yticks(range(len(splits) + 1), [*(f"split {k + 1}" for k in range(len(splits))), "molecules"], fontsize=9)
    ax.set(xlim=(0, n), ylim=(len(splits) + 0.5, -0.6))
    ax.set_xlabel("rows, molecule by molecule; at the right: molecules on both sides")
    names = ["training", "test", "test, molecule also in training"]
    kinds = [Patch(color=colours(k), label=name) for k, name in enumerate(names) if k < 2 or any(shared)]
    ax.spines[["top", "right", "left", "bottom"]].set_visible(False)
    _title(ax, title, 70, _legend(ax, 3, handles=kinds))
    return ax


def named_values(
    values,
    names,
    *,
    units: str = "",
    quantity: str = "value",
    n_named: int = 9,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """All values of a table in rising order, a few of them with their names.

    Parameters
    ----------
    values : array-like of shape (n,)
    names : array-like of shape (n,)
        What each value belongs to.
    units, quantity, title : str
        For the value axis and above.
    n_named : int
        How many points are named: one in each of as many equal parts of the value axis (none where a part is
        empty), the one with the shortest name.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When the lengths differ, or there are fewer than two values.
    """
    values, names = np.asarray(values, dtype=float), np.asarray(names).astype(str)
    if values.ndim != 1 or values.shape != names.shape or len(values) < 2:
        raise ValueError(f"values {values.shape} and names {names.shape} must be lists of one length, at least 2")
    order = np.argsort(values, kind="stable")
    values, names = values[order], names[order]
    ax = _axes(ax, 8.4, 4.6)
    ax.plot(np.arange(len(values)), values, ".", markersize=4, color=COLOURS[0])
    height = np.ptp(values) or 1.0
    part = np.minimum((values - values[0]) / height * n_named, n_named - 1).astype(int)
    for number in (min(np.flatnonzero(part == p), key=lambda k: len(names[k])) for p in np.unique(part)):
        left = number > 0.5 * len(values)  # the curve rises: free space is above it on the left, below it on the right
        ax.plot(number, values[number], "o", markersize=7, color=COLOURS[1])
        ax.annotate(
            names[number],
            (number, values[number]),
            xytext=(-8, 5) if left else (8, -5),
            textcoords="offset points",
            ha="right" if left else "left",
            va="bottom" if left else "top",
            fontsize=8.5,
        )
    ax.set(xlim=(-0.02 * len(values), 1.02 * len(values)), ylim=(values[0] - 0.1 * height, values[-1] + 0.1 * height))
    ax.set_xlabel("place in the order")
    ax.set_ylabel(_with_units(quantity, units))
    ax.grid(axis="y", alpha=0.3)
    _title(ax, title)
    return ax


def estimates(
    estimated: Mapping[str, Sequence[float]],
    measured: Mapping[str, Sequence[float]],
    *,
    units: str = "",
    tolerance: float | None = 0.1,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Error that cross-validation promised against the error on molecules outside, one point a draw.

    Parameters
    ----------
    estimated, measured : mapping name -> array-like of shape (n_draws,)
        Cross-validated error and error outside, for each model.
    units, title : str
    tolerance : float, optional
        Half width of the grey band, as a share of the error outside.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When the two do not name the same models, or lengths differ.
    """
    if set(estimated) != set(measured) or not estimated:
        raise ValueError(f"estimated has {', '.join(estimated)}; measured has {', '.join(measured)}")
    ax = _axes(ax, 6.4, 6.0)
    for number, name in enumerate(estimated):
        x, y = np.asarray(measured[name], dtype=float), np.asarray(estimated[name], dtype=float)
        if x.ndim != 1 or x.shape != y.shape:
            raise ValueError(f"{name}: {y.shape} estimates for {x.shape} errors")
        ax.scatter(x, y, s=26, alpha=0.8, linewidths=0, zorder=3, label=_wrap(name, 30), **_style(number))
    every = np.concatenate([np.asarray(v, dtype=float) for v in (*estimated.values(), *measured.values())])
    span = np.array([0.9 * every.min(), 1.05 * every.max()])
    ax.axline((0, 0), slope=1, color=_GREY, linewidth=1, zorder=1, label="estimate = error outside")
    if tolerance is not None:
        far = np.array([0.0, 10 * every.max()])  # beyond the limits, also when these are changed
        low, high = far * (1 - tolerance), far * (1 + tolerance)
        label = f"within {100 * tolerance:.0f} %"
        ax.fill_between(far, low, high, color="#999999", alpha=0.2, linewidth=0, zorder=0, label=label)
    ax.set(xlim=span, ylim=span, aspect="equal")
    ax.set_xlabel(_with_units("error on all molecules outside", units))
    ax.set_ylabel(_with_units("error that cross-validation promised", units))
    _title(ax, title, above=_legend(ax, 2))
    return ax


# ------------------------------------------------------------------------------------------------------------ lesson 03
def boosting_steps(
    x, y, steps: Mapping[int, Callable], *, xlabel: str = "x", ylabel: str = "y", units: str = "", axes=None
) -> np.ndarray:
    """Show what a boosted model on one variable says after some numbers of trees, and what is still wrong then.

    Parameters
    ----------
    x, y : array-like of shape (n,)
        The variable and the target of the training molecules.
    steps : mapping number of trees -> function
        Each function takes x of shape (m,) and gives predictions of shape (m,).
    xlabel, ylabel, units : str
    axes : array of matplotlib Axes, shape (2, len(steps)), optional

    Returns
    -------
    ndarray of Axes, shape (2, len(steps))
        Above: data and prediction. Below: the errors that the next tree is given.
    """
    import matplotlib.pyplot as plt

    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if axes is None:
        size = (3.1 * len(steps), 5.2)
        axes = plt.subplots(2, len(steps), figsize=size, sharex=True, sharey="row", layout="constrained")[1]
    axes = np.asarray(axes).reshape(2, len(steps))
    grid = np.linspace(x.min(), x.max(), 500)
    for (number, function), (top, bottom) in zip(steps.items(), axes.T, strict=True):
        error = y - function(x)
        top.scatter(x, y, s=14, color=COLOURS[0], alpha=0.6, linewidths=0)
        top.plot(grid, function(grid), color=COLOURS[1], linewidth=1.8)
        top.set_title(f"{number} tree{'s' if number != 1 else ''}", fontsize=11)
        bottom.axhline(0, color=_GREY, linewidth=1)
        bottom.vlines(x, 0, error, color=COLOURS[0], alpha=0.4, linewidth=1)
        bottom.scatter(x, error, s=10, color=COLOURS[0], linewidths=0)
        bottom.set_title(f"mean size {np.abs(error).mean():.0f} {units}", fontsize=10)
        bottom.set_xlabel(_wrap(xlabel, 34))
    axes[0, 0].set_ylabel(_with_units(ylabel, units))
    axes[1, 0].set_ylabel(_with_units("error that is left", units))
    return axes


def tree_steps(
    x, y, trees: Mapping[str, Callable], *, xlabel: str = "x", ylabel: str = "y", units: str = "", axes=None
) -> np.ndarray:
    """Single trees on one variable side by side: the steps they predict, and where they cut.

    Parameters
    ----------
    x, y : array-like of shape (n,)
    trees : mapping name -> function
        Each function takes x of shape (m,) and gives predictions of shape (m,).
    xlabel, ylabel, units : str
    axes : array of matplotlib Axes, shape (len(trees),), optional

    Returns
    -------
    ndarray of Axes, shape (len(trees),)
    """
    import matplotlib.pyplot as plt

    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if axes is None:
        size = (4.4 * len(trees), 3.4)
        axes = plt.subplots(1, len(trees), figsize=size, sharey=True, squeeze=False, layout="constrained")[1][0]
    axes = np.asarray(axes).ravel()
    grid = np.linspace(x.min(), x.max(), 2001)
    for ax, (name, function) in zip(axes, trees.items(), strict=True):
        steps = function(grid)
        for cut in grid[1:][np.diff(steps) != 0]:
            ax.axvline(cut, color=_GREY, linewidth=0.8, linestyle=":")
        ax.scatter(x, y, s=16, color=COLOURS[0], alpha=0.6, linewidths=0)
        ax.plot(grid, steps, color=COLOURS[1], linewidth=1.8)
        ax.set_xlabel(_wrap(xlabel, 46))
        _title(ax, name, 44)
    axes[0].set_ylabel(_with_units(ylabel, units))
    return axes


def fold_viewer(
    split_by: str = "rows", n_folds: int = 5, rows_per_molecule: int = 6, n_molecules: int = 10, ax: Axes | None = None
) -> Axes:
    """Folds of augmented rows, dealt by row or by molecule: a made-up table for :func:`folds`.

    Parameters
    ----------
    split_by : {"rows", "molecules"}
    n_folds, rows_per_molecule, n_molecules : int
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For any other ``split_by``.
    """
    from sklearn.model_selection import KFold

    from course_lib.splits import GroupKFold

    splitters = {"rows": KFold, "molecules": GroupKFold}
    if split_by not in splitters:
        raise ValueError(f"split_by is {split_by!r}: choose 'rows' or 'molecules'")
    groups = np.repeat(np.arange(n_molecules), rows_per_molecule)
    splitter = splitters[split_by](n_folds, shuffle=True, random_state=0)
    title = f"{n_molecules} molecules with {rows_per_molecule} rows each, {n_folds} folds of {split_by}"
    return folds(groups, splitter, title=title, max_splits=n_folds, ax=ax)


def search_history(
    scores: Mapping[str, Sequence[float]],
    *,
    start: float | None = None,
    units: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Errors that a search of hyperparameters met, evaluation by evaluation, and the smallest so far.

    Parameters
    ----------
    scores : mapping name of the method -> errors in order
        Smaller is better.
    start : float, optional
        Error of the settings left as they come, as a dashed line.
    units, title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    ax = _axes(ax, 5.6, 4.0)
    for number, (name, values) in enumerate(scores.items()):
        values, style = np.asarray(values, dtype=float), _style(number)
        at = np.arange(1, len(values) + 1)
        ax.scatter(at, values, s=24, alpha=0.6, linewidths=0, zorder=3, **style)
        best = np.minimum.accumulate(values)
        ax.step(at, best, where="post", color=style["color"], linewidth=1.8, linestyle="-" if number == 0 else "--",
                label=f"{name}: smallest so far")  # fmt: skip
    if start is not None:
        ax.axhline(start, color=_GREY, linestyle=":", linewidth=1.4, label="settings as they come")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("evaluation")
    ax.set_ylabel(_with_units("error of the inner folds", units))
    ax.grid(alpha=0.3)
    _title(ax, title, 48, _legend(ax, 1))
    return ax


def dots(
    table: pd.DataFrame,
    *,
    xlabel: str = "",
    title: str = "",
    band: tuple[float, float] | None = None,
    zero: str = "",
    highlight: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One line for each row of a table, one mark for each column: arms against data sets, say.

    Parameters
    ----------
    table : DataFrame
        Numbers; NaN leaves a mark out. Index: labels of the lines. Columns: names for the legend.
    xlabel, title : str
    band : (low, high), optional
        A grey band, such as what is too small to matter.
    zero : str
        What stands at 0, written into the legend.
    highlight : str, optional
        A column to draw as large open marks (today's run beside the full one).
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When the table holds no number.
    """
    if not np.isfinite(table.to_numpy(dtype=float)).any():
        raise ValueError("there is nothing to draw")
    ax = _axes(ax, 7.6, 1.7 + 0.36 * len(table))
    if band is not None:
        ax.axvspan(*band, color="#999999", alpha=0.2, linewidth=0)
    ax.axvline(0, color=_GREY, linewidth=1, label=zero or None)
    lines = np.arange(len(table))
    shifts = np.linspace(-0.25, 0.25, len(table.columns)) if len(table.columns) > 1 else np.zeros(1)
    for number, (name, shift) in enumerate(zip(table.columns, shifts, strict=True)):
        style = _style(number)
        if name == highlight:
            style = {"facecolors": "none", "edgecolors": "#000000", "marker": "o", "s": 70, "linewidths": 1.6}
        else:
            style |= {"s": 30, "linewidths": 0, "alpha": 0.85}
        ax.scatter(table[name], lines + shift, label=str(name), zorder=3, **style)
    ax.set_yticks(lines, [_wrap(name, 34) for name in table.index], fontsize=9)
    ax.set_ylim(len(table) - 0.5, -0.5)
    for line in lines[:-1]:
        ax.axhline(line + 0.5, color="#DDDDDD", linewidth=0.6, zorder=0)
    ax.margins(x=0.03)
    ax.set_xlabel(_wrap(xlabel, 58))
    _legend(ax)
    ax.grid(axis="x", alpha=0.3)
    _title(ax, title, 70)
    return ax


def molecules(
    smiles: Sequence[str],
    labels: Sequence[str],
    *,
    columns: int | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Structural formulas side by side, each over its label.

    Parameters
    ----------
    smiles : sequence of str
        Molecules; at ``*``, an open end, the bond is crossed by a wavy line.
    labels : sequence of str
        As many; a line break is kept.
    columns : int, optional
        How many stand side by side before a new line begins; all by default. Lettering keeps its size on a page 700
        pixels wide up to three, and shrinks with more.
    title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When there is no molecule, or not one label for each.
    course_lib.molecules.MoleculeError
        When a SMILES cannot be read.
    """
    import io

    import matplotlib.pyplot as plt
    from rdkit.Chem.Draw import rdMolDraw2D

    from course_lib.molecules import parse

    if not len(smiles) or len(smiles) != len(labels):
        raise ValueError(f"{len(smiles)} molecules and {len(labels)} labels: give one label for each molecule")
    columns = len(smiles) if columns is None else min(columns, len(smiles))
    if columns < 1:
        raise ValueError(f"columns is {columns}: give at least 1")
    rows = -(-len(smiles) // columns)
    width, height = 300, 200
    foot = 8 + 21 * max(str(label).count("\n") + 1 for label in labels)  # a line of a label is 21 high
    title_width = min(90, 32 * columns)
    head = 0.15 + 0.2 * (_wrap(title, title_width).count("\n") + 1) if title else 0.0
    ax = _axes(ax, 2.6 * columns, 2.6 / width * rows * (height + foot) + head)
    for number, (text, label) in enumerate(zip(smiles, labels, strict=True)):
        canvas = rdMolDraw2D.MolDraw2DCairo(2 * width, 2 * height)
        options = canvas.drawOptions()
        options.useBWAtomPalette()
        options.dummiesAreAttachments = True  # an open end is crossed by a wavy line
        options.fixedBondLength, options.bondLineWidth, options.minFontSize = 80.0, 3.0, 34
        rdMolDraw2D.PrepareAndDrawMolecule(canvas, parse(text, number))
        canvas.FinishDrawing()
        picture = plt.imread(io.BytesIO(canvas.GetDrawingText()))
        left, base = number % columns * width, -(number // columns) * (height + foot)
        ax.imshow(picture, extent=(left, left + width, base, base + height), interpolation="antialiased")
        ax.text(left + width / 2, base - 8, label, ha="center", va="top", fontsize=10)
    ax.set(xlim=(0, columns * width), ylim=(base - foot, height), aspect="equal")
    ax.axis("off")
    _title(ax, title, title_width)
    return ax


def conformer_cloud(
    structures, *, n: int | None = None, core: str | None = None, title: str = "", ax: Axes | None = None
) -> Axes:
    """Conformers of one molecule laid over each other in space, without their hydrogens.

    All are turned and shifted onto the first, heavy atom on heavy atom, or by a chosen part alone. Bonds are grey,
    oxygen atoms red squares, nitrogen atoms blue triangles, halogens green diamonds, all other atoms but carbon and
    hydrogen black crosses.

    Parameters
    ----------
    structures : ConformerSet
        From ``featurize.conformers``.
    n : int, optional
        Draw only the first so many.
    core : str, optional
        SMARTS of the part to lay on each other, with at least three heavy atoms, for instance ``"CC(=O)OC"``.
    title : str
    ax : matplotlib 3D Axes, optional
        Made with ``projection="3d"``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When there is no conformer to draw, or no such part.
    """
    import matplotlib.pyplot as plt
    from mpl_toolkits.mplot3d.art3d import Line3DCollection
    from rdkit import Chem

    places = structures.coordinates[:n]
    if not len(places):
        raise ValueError(f"no conformer of {structures.smiles} to draw: {structures.reason or 'none asked for'}")
    atoms = list(structures.mol.GetAtoms())
    heavy = np.array([atom.GetIdx() for atom in atoms if atom.GetAtomicNum() > 1])
    part = heavy if core is None else np.array(structures.mol.GetSubstructMatch(Chem.MolFromSmarts(core)), dtype=int)
    if core is not None and len(part) < 3:
        raise ValueError(f"{structures.smiles} holds no part {core!r} of at least three atoms")
    places = _superposed(places, part)
    if ax is None:
        ax = plt.subplots(figsize=(4.2, 4.2), subplot_kw={"projection": "3d"}, layout="constrained")[1]
    ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in structures.mol.GetBonds()]
    ends = np.array([pair for pair in ends if set(pair) <= set(heavy.tolist())]).reshape(-1, 2)
    clear = max(0.15, min(0.9, 4.0 / len(places)))
    ax.add_collection3d(Line3DCollection(places[:, ends].reshape(-1, 2, 3), colors="#444444", alpha=clear))
    groups = {(8,): (1, "s"), (7,): (0, "^"), (9, 17, 35, 53): (2, "D")}
    for position in heavy:
        number = atoms[position].GetAtomicNum()
        if number == 6:
            continue
        colour, mark = next((look for elements, look in groups.items() if number in elements), (6, "x"))
        x, y, z = places[:, position].T
        ax.scatter(x, y, z, color=COLOURS[colour], marker=mark, s=18, alpha=clear, depthshade=False)
    low, high = places[:, heavy].min(axis=(0, 1)) - 0.3, places[:, heavy].max(axis=(0, 1)) + 0.3
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    ax.set_box_aspect(high - low, zoom=1.2)
    ax.view_init(elev=20, azim=-70)
    ax.set_axis_off()
    if title:
        ax.set_title(_wrap(title, 40), fontsize=11)
    return ax


def _superposed(places: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Turn and shift each structure onto the first by its chosen atoms (Kabsch); the first lies along its axes.

    ``places`` has shape (n_conformers, n_atoms, 3).
    """
    places = places - places[:, chosen].mean(axis=1, keepdims=True)
    axes = np.linalg.svd(places[0, chosen], full_matrices=True)[2]
    axes[2] *= np.sign(np.linalg.det(axes)) or 1.0
    reference = places[0] @ axes.T
    out = [reference]
    for other in places[1:]:
        u, _, vt = np.linalg.svd(other[chosen].T @ reference[chosen])
        u[:, 2] *= np.sign(np.linalg.det(u @ vt)) or 1.0
        out.append(other @ (u @ vt))
    return np.array(out)


def conformer_explorer(
    structures,
    values: Sequence[float],
    n: int,
    *,
    core: str | None = None,
    quantity: str,
    units: str = "",
    limits: tuple[float, float] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Show the first n conformers in space, and beside them what one descriptor says of each.

    Parameters
    ----------
    structures : ConformerSet
    values : sequence of float of length n_conformers
        The descriptor of each conformer.
    n : int
        How many to show, from the first.
    core : str, optional
        See `conformer_cloud`.
    quantity, units, title : str
    limits : (float, float), optional
        Ends of the descriptor's axis, so that pictures can be compared.
    ax : matplotlib Axes, optional
        For the descriptor; then no structure is drawn.

    Returns
    -------
    Axes
        That of the descriptor.

    Raises
    ------
    ValueError
        When there are fewer than `n` conformers or values, or `n` is below 1.
    """
    import matplotlib.pyplot as plt

    values = np.asarray(values, dtype=float)
    if not 1 <= n <= min(len(structures), len(values)):
        raise ValueError(f"cannot show {n} conformers: there are {len(structures)}, with {len(values)} values")
    if ax is None:
        figure = plt.figure(figsize=(8.2, 3.6))
        space = figure.add_axes((0.0, 0.0, 0.42, 0.88), projection="3d")
        conformer_cloud(structures, n=n, core=core, title=title, ax=space)
        ax = figure.add_axes((0.50, 0.17, 0.47, 0.71))
    shown = values[:n]
    low, middle, high = np.quantile(shown, [0.25, 0.5, 0.75])
    ax.axvspan(low, high, color=COLOURS[5], alpha=0.35, linewidth=0, label="middle half")
    ax.axvline(middle, color=COLOURS[0], linewidth=2, label="median")
    ax.scatter(shown, np.arange(1, n + 1), s=16, color=COLOURS[1], zorder=3, label="one conformer")
    ax.set(ylim=(0, len(values) + 1), xlim=limits)
    ax.set_xlabel(_with_units(quantity, units))
    ax.set_ylabel("conformer, in the order made")
    _legend(ax, 3)
    return ax


def _ink(ground: Sequence[float]) -> str:
    """Black or white, whichever has the higher contrast to this ground (red, green, blue from 0 to 1).

    Both have the same at a relative luminance of 0.18 (WCAG 2.2), there 4.6 : 1, so that either can be read.
    """
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in ground[:3])
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179 else "black"


def grid(table: pd.DataFrame, *, xlabel: str = "", ylabel: str = "", title: str = "", ax: Axes | None = None) -> Axes:
    """Show a table of counts as shaded squares, each with its number: answers against truths, say.

    Parameters
    ----------
    table : DataFrame
        Whole numbers of at least 0. Index: lines from the top; columns: from the left.
    xlabel, ylabel, title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When the table is empty or holds a negative number.
    """
    values = table.to_numpy(dtype=float)
    if not values.size or (values < 0).any():
        raise ValueError("the table must hold counts of at least 0")
    ax = _axes(ax, 2.2 + 0.75 * values.shape[1], 1.4 + 0.5 * values.shape[0])
    top = values.max() or 1.0
    image = ax.imshow(values, cmap="Blues", vmin=0, vmax=1.25 * top, aspect="auto")
    for line, column in np.ndindex(values.shape):
        ink = _ink(image.to_rgba(values[line, column]))
        ax.text(column, line, f"{values[line, column]:g}", ha="center", va="center", color=ink)
    ax.set_xticks(range(values.shape[1]), [_wrap(name, 9) for name in table.columns], fontsize=9)
    ax.set_yticks(range(values.shape[0]), [str(name) for name in table.index], fontsize=9)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    _title(ax, title)
    return ax
