"""A study as one HTML page: pictures inside, no script, every text from the table escaped."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from course_lib.datasets import KINDS, Audit, Dataset
from course_lib.report.findings import Study
from course_lib.report.models import FEATURES
from course_lib.report.splitting import WORDS

__all__ = ["page"]

METRICS = {"mae": "mean absolute error", "brier": "Brier score"}


def page(data: Dataset, audit: Audit, study: Study) -> str:
    """HTML text of the report; opens without a network and prints to about two pages."""
    jinja = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    jinja.filters["n"] = _short
    numbers = study.numbers
    lost = audit.rows[audit.rows["fate"] == "left out"]
    return jinja.get_template("page.html").render(
        data=data,
        audit=audit,
        study=study,
        numbers=numbers,
        kinds=KINDS,
        features=FEATURES,
        metric=METRICS[numbers["models"]["metric"]] if numbers["models"] else "",
        split_words=WORDS,
        left_out=lost.head(12).to_dict("records"),
        n_left_out=len(lost),
        figures=_figures(data, study),
        suggestions=[] if study.suggestions is None else _suggestions(study),
        predictions=[] if study.predictions is None else study.predictions.head(12).to_dict("records"),
        examples=_examples(data, study),
    )


def _short(value: object) -> str:
    """Three digits of a number; a dash for none."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "–"
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(value)
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e+" in text and abs(value) < 1e6 else text


# ------------------------------------------------------------------------------------------------------------ pictures
def _figures(data: Dataset, study: Study) -> list[tuple[str, str]]:
    """(picture as a data address, what it shows) for each figure that the study has numbers for."""
    if study.scores is None:
        return []
    from course_lib import plots, plots_uncertainty

    models = study.numbers["models"]
    metric, best, binary = models["metric"], models["best"], study.numbers["data"]["task"] == "two classes"
    units = "" if binary else data.units
    predicted = study.table["predicted"].to_numpy()
    drawn = [
        (
            lambda ax: _by_split(study.scores, METRICS[metric], units, ax),
            "Each dot is one split; the bar is the mean. Models share the splits, so compare them dot by dot.",
        )
    ]
    if binary:
        drawn.append(
            (
                lambda ax: plots_uncertainty.reliability_diagram(data.y, np.clip(predicted, 0, 1), n_bins=5, ax=ax),
                f"Stated probability and observed share, for left-out molecules ({best}).",
            )
        )
    else:
        drawn.append(
            (
                lambda ax: plots.parity(data.y, predicted, units=_no_mathtext(units), ax=ax),
                f"Left-out molecules: predicted against measured ({best}).",
            )
        )
    if study.curve is not None:
        drawn.append(
            (
                lambda ax: plots.learning_curve(study.curve, ylabel=METRICS[metric], units=_no_mathtext(units), ax=ax),
                "Error against the number of training molecules, with its interval.",
            )
        )
    if study.table is not None and "distance" in study.table and not binary:
        error = np.abs(data.y - predicted)
        half = (study.table["high"] - study.table["low"]).to_numpy() / 2 / 1.645
        drawn.append(
            (
                lambda ax: plots_uncertainty.error_by_distance(
                    study.table["distance"], error, half, limit=study.numbers["domain"]["limit"],
                    n_bins=min(5, len(error)), units=_no_mathtext(units), ax=ax,
                ),
                "Error against the distance to the nearest training molecule; the dotted line ends the domain.",
            )
        )  # fmt: skip
    return [(_picture(draw), text) for draw, text in drawn]


def _no_mathtext(text: str) -> str:
    return text.replace("$", r"\$")


def _by_split(scores: pd.DataFrame, label: str, units: str, ax) -> None:
    """One row of dots a model."""
    from course_lib.plots import COLOURS

    names = list(dict.fromkeys(scores["model"]))[::-1]
    for place, name in enumerate(names):
        values = scores.loc[scores["model"] == name, "value"].to_numpy()
        shift = np.linspace(-0.2, 0.2, len(values))
        ax.scatter(values, place + shift, s=10, alpha=0.6, linewidths=0, color=COLOURS[0])
        ax.plot([values.mean()] * 2, [place - 0.35, place + 0.35], color=COLOURS[1], linewidth=2)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_xlabel(f"{label} ({_no_mathtext(units)})" if units else label)
    ax.grid(axis="x", alpha=0.3)


def _picture(draw) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    FigureCanvasAgg(figure)  # no window, and no trace in the figures of a notebook
    draw(figure.add_subplot())
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _drawing(smiles: str) -> str:
    """Structural formula as SVG; RDKit writes it from the molecule, so no text of the table gets into it."""
    from course_lib.acquire import draw

    return draw(smiles, 150, 100).partition("?>")[2]


def _suggestions(study: Study) -> list[dict]:
    records = study.suggestions.drop(columns="drawing").to_dict("records")
    return [record | {"picture": _drawing(record["smiles"])} for record in records]


def _examples(data: Dataset, study: Study) -> list[dict]:
    """Return the molecules with the largest errors (of a regression): where to look first for a wrong value."""
    if study.table is None or study.numbers["data"]["task"] == "two classes":
        return []
    error = (study.table["predicted"] - data.y).abs()
    rows = study.table.assign(error=error).sort_values("error", ascending=False, kind="stable").head(5)
    return [record | {"picture": _drawing(record["smiles"])} for record in rows.to_dict("records")]
