"""Figures of uncertainty: each draws into the Axes it is given (or a new one) and returns it, as in `course_lib.plots`.

Where a calibrated model would lie is drawn in grey behind every calibration, since points alone cannot be judged.
Curves differ in their dashes and points in their marks, for readers without colour. For score against training size
see `course_lib.plots.learning_curve`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from course_lib.plots import _GREY, COLOURS, MARKERS, _axes, _legend, _style, _title, _with_units, _wrap

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = [
    "calibration_curve",
    "confidence_demo",
    "coverage_by_distance",
    "error_by_distance",
    "function_with_band",
    "performance_against_calibration",
    "predicted_observed",
    "reliability_diagram",
    "scores_beside_perfect",
    "variance_parts",
]

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
_BAND = {"color": "#999999", "alpha": 0.25, "linewidth": 0, "zorder": 0}


def _lists(**given: ArrayLike) -> list[np.ndarray]:
    """Return the arrays as numbers, once they are lists of one length and not empty."""
    arrays = {name: np.asarray(values, dtype=float) for name, values in given.items()}
    shapes = {values.shape for values in arrays.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 1 or next(iter(shapes)) == (0,):
        stated = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
        raise ValueError(f"{stated}: give lists of one length, not empty")
    return list(arrays.values())


def calibration_curve(
    y: ArrayLike,
    predictions: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    kind: str = "interval",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Observed against stated share of the molecules, with the band in which a calibrated model's curve lies.

    Parameters
    ----------
    y : array-like of shape (n,)
        Measured values.
    predictions : mapping name -> (y_mean, y_std)
        Of each model, all of shape (n,).
    kind : {"interval", "quantile"}
        Of :func:`course_lib.evaluate.calibration_curve`.
    title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
        The band holds 95 % of a calibrated model's points at each level (binomial); its whole curve leaves the band
        somewhere more often than that. The legend gives the miscalibration area.
    """
    from scipy.stats import binom

    from course_lib import evaluate

    if not predictions:
        raise ValueError("predictions is empty: give at least one, {'name': (y_mean, y_std)}")
    ax = _axes(ax, 4.8, 4.7 + 0.15 * len(predictions))
    for number, (name, (mean, std)) in enumerate(predictions.items()):
        expected, observed = evaluate.calibration_curve(y, mean, std, kind=kind)
        area = evaluate.miscalibration_area(y, mean, std, kind=kind)
        ax.plot(
            np.r_[0, expected, 1],
            np.r_[0, observed, 1],
            color=COLOURS[number % len(COLOURS)],
            linestyle=DASHES[number % len(DASHES)],
            linewidth=1.8,
            label=_wrap(f"{name} (area {area:.3f})", 40),
        )
    n, grid = len(np.asarray(y)), np.linspace(0.005, 0.995, 199)
    low, high = binom.interval(0.95, n, grid)
    ax.fill_between(grid, low / n, high / n, label=f"calibrated model, n = {n}", **_BAND)
    ax.axline((0, 0), slope=1, color=_GREY, linewidth=1, zorder=1)
    if kind == "interval":
        ax.text(0.04, 0.95, "too careful", fontsize=9, color=_GREY, va="top")
        ax.text(0.96, 0.05, "overconfident", fontsize=9, color=_GREY, ha="right")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    what = "within the central interval" if kind == "interval" else "below the quantile"
    ax.set_xlabel(f"stated share {what}")
    ax.set_ylabel("observed share of molecules")
    _title(ax, title, 50, _legend(ax, 1))
    return ax


def _observed(y, p, bins, n_bins):
    from course_lib import evaluate

    return evaluate.reliability(y, p, bins, n_bins)[1]


def reliability_diagram(
    y: ArrayLike,
    p: ArrayLike,
    *,
    bins: str = "fixed",
    n_bins: int = 10,
    title: str = "",
    random_state: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Share of ones against mean probability, bin by bin, with the range of a calibrated model and the counts.

    Parameters
    ----------
    y, p : array-like of shape (n,)
        Outcomes in {0, 1} and predicted probabilities of 1.
    bins, n_bins
        Of :func:`course_lib.evaluate.reliability`.
    title : str
    random_state : int
        Of the 1 000 simulated test sets behind the grey bars, each of which holds 95 % of them in its bin.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
        The numbers at the foot are molecules in a bin.
    """
    from course_lib import evaluate

    predicted, observed, count = evaluate.reliability(y, p, bins, n_bins)
    simulated = evaluate.perfect_reference(_observed, p=p, random_state=random_state, bins=bins, n_bins=n_bins)
    low, high = np.quantile(simulated, [0.025, 0.975], axis=0)
    ax = _axes(ax, 4.8, 5.2)
    ax.axline((0, 0), slope=1, color=_GREY, linewidth=1, zorder=1)
    ax.vlines(predicted, low, high, color="#BBBBBB", linewidth=9, zorder=0, label="calibrated model")
    error = evaluate.ece(y, p, bins, n_bins)
    label = f"this model (calibration error {error:.3f})"
    ax.plot(predicted, observed, marker="o", markersize=6, color=COLOURS[0], linewidth=1.4, label=label)
    if bins == "fixed":
        for mean, number in zip(predicted, count, strict=True):
            centre = (max(np.ceil(mean * n_bins - 1e-9), 1) - 0.5) / n_bins
            ax.text(centre, -0.1, f"{number}", fontsize=8, ha="center", va="center")
        foot = "numbers: molecules in each bin"
    else:
        foot = f"{count.min()} to {count.max()} molecules in each bin"
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.16 if bins == "fixed" else -0.03, 1.03), aspect="equal")
    ax.set_xlabel(f"mean predicted probability\n{foot}")
    ax.set_ylabel("observed share of class 1")
    _title(ax, title, 50, _legend(ax, 1))
    return ax


def predicted_observed(
    y: ArrayLike,
    y_mean: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    level: float | None = None,
    quantity: str = "value",
    units: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Predictions with their intervals against measured values; those whose interval misses are marked.

    Parameters
    ----------
    y, y_mean, low, high : array-like of shape (n,)
        Measured values, predictions, and the ends of their intervals.
    level : float, optional
        Stated coverage, for the legend.
    quantity, units, title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    y, y_mean, low, high = _lists(y=y, y_mean=y_mean, low=low, high=high)
    ax = _axes(ax, 5.0, 5.4)
    inside = (low <= y) & (y <= high)
    for number, (chosen, name) in enumerate([(inside, "in the interval"), (~inside, "outside")]):
        if not chosen.any():
            continue
        style = _style(number)
        text = f"{name}: {chosen.sum()} of {len(y)}"
        if level is not None and number == 0:
            text += f" (stated {level:.0%})"
        ax.vlines(y[chosen], low[chosen], high[chosen], color=style["color"], alpha=0.45, linewidth=1, zorder=1)
        ax.scatter(y[chosen], y_mean[chosen], s=24, linewidths=0, zorder=3, label=text, **style)
    ax.axline((y[0], y[0]), slope=1, color=_GREY, linewidth=1, zorder=2)
    ax.margins(0.03)  # no limits are set: axes that share them must hold the intervals of both
    ax.set_xlabel(_with_units(f"measured {quantity}", units))
    ax.set_ylabel(_with_units(f"predicted {quantity}", units))
    _title(ax, title, 50, _legend(ax, 1))
    return ax


def performance_against_calibration(
    table: pd.DataFrame,
    *,
    x: str = "r2",
    y: str = "ama",
    colour: str = "model",
    mark: str | None = None,
    perfect: tuple[float, float] | None = None,
    xlabel: str = "R2 (right is better)",
    ylabel: str = "miscalibration area (down is better)",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Skill on x and calibration error on y, one point a model; the best stand at the lower right.

    Parameters
    ----------
    table : DataFrame
        One row a point.
    x, y : str
        Its columns with the two scores.
    colour, mark : str
        Its columns that give a point its colour and number, and its mark (the model and the features, say).
    perfect : (float, float), optional
        Range of the calibration error of a calibrated model at this n, such as the 2.5 and 97.5 % quantiles of
        :func:`course_lib.evaluate.perfect_reference`: a grey band.
    xlabel, ylabel, title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When a column is missing or the table is empty.
    """
    from matplotlib.lines import Line2D

    missing = [name for name in (x, y, colour, *([mark] if mark else [])) if name not in table.columns]
    if missing or table.empty:
        raise ValueError(f"the table has no {f'column {missing[0]!r}' if missing else 'row'}")
    ax = _axes(ax, 7.4, 4.6)
    names = list(dict.fromkeys(table[colour]))
    marks = {name: MARKERS[k % len(MARKERS)] for k, name in enumerate(dict.fromkeys(table[mark]) if mark else [])}
    handles = []
    if perfect is not None:
        handles.append(ax.axhspan(*perfect, label="calibrated model", **_BAND))
    for row in table.to_dict("records"):
        number = names.index(row[colour])
        shade = COLOURS[number % len(COLOURS)]
        ax.scatter(row[x], row[y], s=150, color=shade, marker=marks[row[mark]] if mark else "o", zorder=3)
        look = {"fontsize": 8, "weight": "bold", "ha": "center", "va": "center_baseline", "zorder": 4}
        ax.text(row[x], row[y], f"{number + 1}", color="white" if number in (0, 1, 2, 6) else "black", **look)
    line = {"linestyle": "", "markersize": 8}
    handles += [
        Line2D([], [], color=COLOURS[k % len(COLOURS)], marker="o", label=f"{k + 1}  {_wrap(name, 30)}", **line)
        for k, name in enumerate(names)
    ]
    handles += [Line2D([], [], color=_GREY, marker=mark, label=_wrap(name, 30), **line) for name, mark in marks.items()]
    ax.margins(x=0.08, y=0.1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.3)
    _legend(ax, handles=handles)
    _title(ax, title)
    return ax


def coverage_by_distance(
    distance: ArrayLike,
    inside: ArrayLike | Mapping[str, ArrayLike],
    *,
    level: float,
    n_bins: int = 5,
    xlabel: str = "distance to the nearest training molecule",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Share of the molecules inside their interval, for the near and the far.

    Parameters
    ----------
    distance : array-like of shape (n,)
        Of each test molecule to the training set.
    inside : array-like of bool of shape (n,), or mapping name -> such an array
        Whether a molecule lies in its interval, for each method.
    level : float
        Stated coverage: dashed, with the 95 % range of a method that holds it in each bin (binomial).
    n_bins : int
        Bins of equal count, by rising distance.
    xlabel, title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    from scipy.stats import binom

    methods = inside if isinstance(inside, Mapping) else {"": inside}
    (distance,) = _lists(distance=distance)
    if not 1 <= n_bins <= len(distance):
        raise ValueError(f"n_bins is {n_bins} for {len(distance)} molecules: give 1 to {len(distance)}")
    parts = np.array_split(np.argsort(distance, kind="stable"), n_bins)
    ax = _axes(ax, 6.0, 4.2)
    edges = np.array([[distance[part].min(), distance[part].max()] for part in parts])
    centres = np.array([np.median(distance[part]) for part in parts])
    for (left, right), part in zip(edges, parts, strict=True):
        low, high = np.array(binom.interval(0.95, len(part), level)) / len(part)
        ax.fill_between([left, right], low, high, label="_" if part is not parts[0] else "holds its level", **_BAND)
    ax.axhline(level, color=_GREY, linestyle="--", linewidth=1, zorder=1)
    for number, (name, hit) in enumerate(methods.items()):
        _, hit = _lists(distance=distance, inside=hit)
        share = [hit[part].mean() for part in parts]
        dashes = DASHES[number % len(DASHES)]
        text = f"{name} (all: {hit.mean():.2f})".strip()
        ax.plot(centres, share, markersize=6, linewidth=1.4, linestyle=dashes, label=_wrap(text, 40), **_style(number))
    ax.set_ylim(top=1.02)  # room for the marks at 1, where the ticks end
    bottom = ax.get_ylim()[0]
    ax.set_yticks([tick for tick in ax.get_yticks() if bottom <= tick < 1 + 1e-9])
    ax.set_xlabel(xlabel)
    ax.set_ylabel(f"coverage (stated: {level:.2f})")
    ax.grid(axis="y", alpha=0.3)
    _title(ax, title, above=_legend(ax, 2))
    return ax


def error_by_distance(
    distance: ArrayLike,
    error: ArrayLike,
    std: ArrayLike,
    *,
    limit: float | None = None,
    n_bins: int = 5,
    units: str = "",
    xlabel: str = "distance to the nearest training molecule",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Errors against the distance to the training set, beside what the model promised.

    Parameters
    ----------
    distance, error, std : array-like of shape (n,)
        Of each test molecule: distance, absolute error, and predicted standard deviation.
    limit : float, optional
        Of the applicability domain: a dotted line.
    n_bins : int
        Groups of equal count by rising distance; lines join the root mean squares of their errors and of their ``std``.
    units, xlabel, title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    distance, error, std = _lists(distance=distance, error=error, std=std)
    if not 1 <= n_bins <= len(distance):
        raise ValueError(f"n_bins is {n_bins} for {len(distance)} molecules: give 1 to {len(distance)}")
    ax = _axes(ax, 7.0, 4.4)
    ax.scatter(distance, error, s=10, alpha=0.6, linewidths=0, color=COLOURS[5], label="absolute error of a molecule")
    parts = np.array_split(np.argsort(distance, kind="stable"), n_bins)
    centres = [np.median(distance[part]) for part in parts]
    for number, (values, name) in enumerate([(error, "error, root mean square"), (std, "promised, root mean square")]):
        line = [np.sqrt(np.mean(values[part] ** 2)) for part in parts]
        ax.plot(centres, line, linestyle=DASHES[number], linewidth=1.6, label=name, **_style(number))
    if limit is not None:
        ax.axvline(limit, color="black", linestyle=":", linewidth=1.4, label="limit of the domain")
    ax.set_ylim(bottom=0)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(_with_units("absolute error", units))
    _title(ax, title, above=_legend(ax, 2))
    return ax


def scores_beside_perfect(
    scores: Mapping[str, Mapping[str, float]],
    perfect: Mapping[str, Mapping[str, ArrayLike]],
    *,
    axes: Sequence[Axes] | None = None,
) -> np.ndarray:
    """Scores of several models, each on top of what the model would score if its own distributions were true.

    Parameters
    ----------
    scores : mapping model -> (mapping score -> value)
        The same scores for each model, in the same order; their names, with units, label the panels.
    perfect : mapping model -> (mapping score -> array-like of shape (n_sim,))
        From :func:`course_lib.evaluate.perfect_reference`: grey from the 5 % to the 95 % quantile.
    axes : matplotlib Axes, optional
        One a score.

    Returns
    -------
    ndarray of Axes of shape (n_scores,)
    """
    import matplotlib.pyplot as plt

    names, models = list(next(iter(scores.values()))), list(scores)
    if axes is None:
        rows = -(-len(names) // 2)
        size = (8.4, rows * (1.2 + 0.4 * len(models)))
        axes = plt.subplots(rows, 2, figsize=size, layout="constrained", squeeze=False)[1].ravel()
        for spare in axes[len(names) :]:
            spare.axis("off")
    for panel, (ax, name) in enumerate(zip(axes, names, strict=False)):
        for line, model in enumerate(models):
            low, middle, high = np.nanquantile(perfect[model][name], [0.05, 0.5, 0.95])
            ax.barh(line, high - low, left=low, height=0.5, **{**_BAND, "alpha": 0.45})
            ax.plot([middle] * 2, [line - 0.25, line + 0.25], color=_GREY, linewidth=1.5)
            ax.scatter(scores[model][name], line, s=50, linewidths=0, zorder=3, **_style(line))
        ax.set_yticks(range(len(models)), models if panel % 2 == 0 else [""] * len(models))
        ax.set_ylim(len(models) - 0.5, -0.5)
        ax.use_sticky_edges = False
        ax.margins(x=0.08)
        ax.grid(axis="x", alpha=0.3)
        _title(ax, name, 40)
    return np.asarray(axes[: len(names)])


def variance_parts(
    x: ArrayLike,
    epistemic: ArrayLike,
    aleatoric: ArrayLike,
    *,
    noise: float | None = None,
    xlabel: str = "x",
    units: str = "",
    log: bool = False,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Aleatoric and epistemic variance, one on the other, along an input or a number of molecules.

    Parameters
    ----------
    x : array-like of shape (n,)
    epistemic, aleatoric : array-like of shape (n,)
        The two standard deviations, as ``predict_parts`` gives them; NaN throughout for a part that the model lacks.
    noise : float, optional
        True standard deviation of the noise, to compare the aleatoric part with.
    xlabel, units, title : str
        The unit is that of the standard deviations.
    log : bool
        Logarithmic x axis, for numbers of molecules; marked at those that were run.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    x, epistemic, aleatoric = _lists(x=x, epistemic=epistemic, aleatoric=aleatoric)
    order = np.argsort(x, kind="stable")
    x, parts = x[order], {"aleatoric": aleatoric[order] ** 2, "epistemic": epistemic[order] ** 2}
    ax, floor = _axes(ax, 6.0, 4.0), np.zeros(len(x))
    for number, (name, part) in enumerate(parts.items()):
        if np.isnan(part).all():
            ax.fill_between([], [], label=f"{name}: the model has none", facecolor="none", edgecolor=_GREY)
            continue
        look = {"facecolor": COLOURS[(5, 4)[number]], "alpha": 0.75, "hatch": ("", "///")[number]}
        ax.fill_between(x, floor, floor + part, edgecolor="black", linewidth=0.8, label=name, **look)
        floor = floor + part
    if noise is not None:
        ax.axhline(noise**2, color="black", linestyle="--", linewidth=1.4, label="true noise")
    if log:
        ax.set_xscale("log")
        ax.set_xticks(x, minor=False)
        ax.set_xticks([], minor=True)
        ax.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    ax.set(xlim=(x[0], x[-1]), ylim=(0, None))
    ax.set_xlabel(xlabel)
    ax.set_ylabel(_with_units("variance", f"{units}²" if units else ""))
    _title(ax, title, above=_legend(ax, 3))
    return ax


def function_with_band(
    x: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    epistemic: ArrayLike | None = None,
    *,
    data: tuple[ArrayLike, ArrayLike] | None = None,
    truth: ArrayLike | None = None,
    xlabel: str = "x",
    ylabel: str = "y",
    units: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Show a predicted function of one variable, with two bands of two standard deviations.

    Parameters
    ----------
    x, mean, std : array-like of shape (n,)
        Rising inputs, predicted mean, and standard deviation of a new measurement: the outer band.
    epistemic : array-like of shape (n,), optional
        Standard deviation of the function alone: the inner band. Left out when NaN.
    data : (x, y), optional
        Training points, each of shape (m,).
    truth : array-like of shape (n,), optional
        The true function.
    xlabel, ylabel, units, title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    x, mean, std = _lists(x=x, mean=mean, std=std)
    ax = _axes(ax, 6.4, 4.2)
    bands = [(std, 5, "new measurement, ± 2 sd", "--")]
    if epistemic is not None and not np.isnan(np.asarray(epistemic, dtype=float)).all():
        bands.append((_lists(x=x, epistemic=epistemic)[1], 0, "function, ± 2 sd", ":"))
    for spread, colour, name, dashes in bands:
        shade, ends = COLOURS[colour], (mean - 2 * spread, mean + 2 * spread)
        ax.fill_between(x, *ends, color=shade, alpha=0.3, linewidth=0, label=name)
        for end in ends:
            ax.plot(x, end, color=shade, linestyle=dashes, linewidth=1)
    ax.plot(x, mean, color=COLOURS[0], linewidth=2, label="mean")
    if truth is not None:
        ax.plot(x, _lists(x=x, truth=truth)[1], color="black", linestyle="-.", linewidth=1.2, label="truth")
    if data is not None:
        ax.scatter(*_lists(x=data[0], y=data[1]), s=22, color=COLOURS[1], marker="o", zorder=3, label="training data")
    ax.set(xlim=(x[0], x[-1]))
    ax.set_xlabel(xlabel)
    ax.set_ylabel(_with_units(ylabel, units))
    _title(ax, title, above=_legend(ax, 3))
    return ax


def confidence_demo(
    y: ArrayLike,
    y_mean: ArrayLike,
    y_std: ArrayLike,
    scale: float = 1.0,
    *,
    level: float = 0.9,
    quantity: str = "value",
    units: str = "",
    axes: Sequence[Axes] | None = None,
) -> np.ndarray:
    """Show what a model's intervals and its calibration curve become when all its spreads are multiplied.

    Parameters
    ----------
    y, y_mean, y_std : array-like of shape (n,)
    scale : float
        Factor on every standard deviation: below 1 more confident, above 1 more careful.
    level : float
        Of the intervals.
    quantity, units : str
    axes : two matplotlib Axes, optional

    Returns
    -------
    ndarray of Axes of shape (2,)
        Left the intervals, on an axis that does not move with ``scale`` below 3; right the curve.

    Raises
    ------
    ValueError
        When the scale is not above 0.
    """
    import matplotlib.pyplot as plt
    from scipy.stats import norm

    if not scale > 0:
        raise ValueError(f"scale is {scale!r}: give a factor above 0")
    y, mean, std = _lists(y=y, y_mean=y_mean, y_std=y_std)
    if axes is None:
        axes = plt.subplots(1, 2, figsize=(9.6, 5.0))[1]
        axes[0].figure.subplots_adjust(0.08, 0.12, 0.98, 0.86, wspace=0.2)  # constrained layout is slow for a slider
    left, right = axes
    half = norm.ppf(0.5 + level / 2) * std
    title = f"widths times {scale:g}"
    predicted_observed(
        y, mean, mean - scale * half, mean + scale * half, level=level, quantity=quantity, units=units, ax=left,
        title=title,
    )  # fmt: skip
    widest = max(scale, 3.0) * half
    left.set_ylim(min(y.min(), (mean - widest).min()), max(y.max(), (mean + widest).max()))
    calibration_curve(y, {"model": (mean, scale * std)}, ax=right, title="calibration")
    return np.asarray(axes)
