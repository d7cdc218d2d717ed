"""Everything that benchmarks/ measured, as one table: what a learner waits for, and each comparison as a ratio.

    python benchmarks/table.py     reads results/bench_*.csv, measures nothing; make bench ends with it

Ratios are times as multiples of the row that is named; below 1 is faster. A part without a file is said to be absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).resolve().parent.parent / "results"


@dataclass(frozen=True)
class Part:
    """What is shown of one results file; with ``than``, ``seconds`` as a multiple of that row's in each group."""

    title: str
    file: str
    labels: tuple[str, ...]
    values: tuple[str, ...]
    seconds: str = ""
    than: str = ""
    run: str = ""


PARTS = (
    Part("start", "bench_start.csv", ("what",), ("seconds", "megabytes"), run="start.py"),
    Part(
        "augmentation, times ours with 2 workers",
        "bench_augmentation.csv",
        ("descriptors", "contestant", "workers"),
        ("times_ours_2_workers",),
        run="augmentation.py",
    ),
    Part(
        "one fit, times scikit-learn's Gaussian process",
        "bench_models.csv",
        ("n_train", "model"),
        ("times_scikit_learn_gp",),
        run="models.py",
    ),
    Part(
        "campaign, times the course's",
        "bench_campaign.csv",
        ("contestant",),
        ("ratio",),
        seconds="seconds",
        than="course",
        run="campaign.py",
    ),
    Part(
        "auxiliary sets, times structure similarity",
        "bench_planted_groups.csv",
        ("truth", "method"),
        ("ratio", "share_right"),
        seconds="seconds",
        than="structure",
        run="planted_groups.py",
    ),
    Part(
        "report on a table, 2 processes",
        "bench_report_time.csv",
        ("molecules", "quick"),
        ("seconds", "peak_mb_of_the_largest_process"),
        run="report.py time",
    ),
    Part(
        "scale, parts of 500 molecules",
        "bench_scale.csv",
        ("features", "molecules", "basis"),
        ("cpu_seconds", "peak_mb", "parquet_mb", "cache_mb"),
        run="scale.py",
    ),
    Part(
        "classroom",
        "bench_classroom.csv",
        ("learners", "basis"),
        ("first_result_seconds_worst", "memory_each_mb", "memory_total_mb", "failures"),
        run="classroom.py",
    ),
)


def lines(part: Part, results: Path = RESULTS) -> list[dict]:
    """One line a measure: part, what, measure, value, date."""
    path = results / part.file
    if not path.exists():
        what = f"not measured yet: python benchmarks/{part.run}"
        return [{"part": part.title, "what": what, "measure": "", "value": None, "date": ""}]
    table = pd.read_csv(path)
    if part.than:
        groups, name = list(part.labels[:-1]), part.labels[-1]
        reference = table[table[name] == part.than].set_index(groups or name)[part.seconds]
        own = table.set_index(groups).index.map(reference) if groups else reference.item()
        table["ratio"] = table[part.seconds] / own
    table["what"] = table[list(part.labels)].astype(str).agg(", ".join, axis=1)
    date = ["date"] if "date" in table else []
    tidy = table.melt(id_vars=["what", *date], value_vars=list(part.values), var_name="measure", ignore_index=False)
    return tidy.sort_index(kind="stable").dropna(subset="value").assign(part=part.title).to_dict("records")


def everything(results: Path = RESULTS) -> pd.DataFrame:
    rows = [line for part in PARTS for line in lines(part, results)]
    return pd.DataFrame(rows, columns=["part", "what", "measure", "value", "date"])


def main() -> None:
    show = {"value": lambda value: "" if pd.isna(value) else f"{value:.4g}"}
    print(everything().fillna({"date": ""}).to_string(index=False, formatters=show))


if __name__ == "__main__":
    main()
