"""Draw docs/overview.png, the README's picture, from the full run's tables."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from course_lib.evaluate import nadeau_bengio
from course_lib.plots import COLOURS, MARKERS
from course_lib.results import full_run

PATH = Path(__file__).resolve().parents[1] / "docs" / "overview.png"
SETS = {  # unit in the label: each set is shown relative to its own test error
    "homopolymer_tg": "glass transition\n(our table)",
    "tg_vinyl": "glass transition\n(the lecture's)",
    "sublimation": "heat of\nsublimation",
    "permittivity": "relative\npermittivity",
    "octane": "octane\nnumber",
}
ARMS = {
    "(a) rows copied": "each row copied 96 times",
    "(b) limits divided": "LightGBM's row limits divided by 96",
    "GP 2D": "a Gaussian process, no augmentation",
}


def promised_and_measured(ax: plt.Axes) -> None:
    """Left panel: what two cross-validations promise, in units of the error on new molecules."""
    table = full_run("tg_cv").assign(share=lambda t: t["cv_mae"] / t["test_mae"])
    places = np.arange(len(SETS))
    for number, (by, label) in enumerate({"row": "folds of rows", "molecule": "folds of molecules"}.items()):
        share = table[table["folds_by"] == by].groupby("set")["share"].mean()
        at, height = places + 0.38 * (number - 0.5), share.reindex(list(SETS)).to_numpy()
        ax.bar(at, height, 0.36, color=COLOURS[1 - number], label=label)
        for x, value in zip(at, height, strict=True):
            ax.text(x, value + 0.02, f"{value:.2f}", ha="center", fontsize=8, color=COLOURS[1 - number])
    ax.axhline(1, color="#444444", linestyle="--", linewidth=1)
    ax.set_xticks(places, SETS.values(), fontsize=8)
    ax.set_ylabel("error promised / error on new molecules (MAE ratio)")
    ax.set_title("What cross-validation on augmented rows promises", fontsize=10)
    ax.set_ylim(0, 1.45)
    ax.legend(fontsize=8, loc="upper left", frameon=False)


def gain(ax: plt.Axes) -> None:
    """Right panel: relative error of conformer rows against three rivals, interval by Nadeau and Bengio."""
    table = full_run("tg_fixed")
    wide = table.pivot_table(index=["set", "split", "n_train", "n_test"], columns="arm", values="mae").reset_index()
    for number, (arm, label) in enumerate(ARMS.items()):
        for place, name in enumerate(SETS):
            part = wide[wide["set"] == name]
            value = 100 * (part[arm] - part["conformers"]) / part[arm]
            interval = nadeau_bengio(value, part["n_train"].mean(), part["n_test"].mean())
            at = place + 0.22 * (number - 1)
            ax.plot([at, at], [interval.low, interval.high], color=COLOURS[number], linewidth=1.5)
            ax.plot(at, interval.estimate, MARKERS[number], color=COLOURS[number], label=label if not place else None)
    ax.axhline(0, color="#444444", linestyle="--", linewidth=1)
    ax.set_xticks(range(len(SETS)), SETS.values(), fontsize=8)
    ax.set_ylabel("lower error by conformer rows than by the rival (%)")
    ax.set_title("Does conformer augmentation help at 70 molecules?", fontsize=10)
    ax.legend(fontsize=8, loc="best", frameon=False)


def main() -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained")
    promised_and_measured(left)
    gain(right)
    PATH.parent.mkdir(exist_ok=True)
    figure.savefig(PATH, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
