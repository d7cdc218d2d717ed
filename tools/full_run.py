"""What the full runs share: tasks whose rows are written as soon as they end, so that an interrupted run goes on."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import joblib
import pandas as pd

from course_lib import settings
from course_lib.evaluate import nadeau_bengio
from course_lib.teaching.claims import decide_family
from environment import one_code_path

COMMIT = "COURSE_RUN_COMMIT"
RESULTS = Path(__file__).resolve().parents[1] / "results"


def commit() -> str:
    """Return the short name of the commit that runs, with a + when files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", "../course_lib", "."], capture_output=True, text=True, check=False
    )
    return (head.strip() or "unknown") + ("+" if changed.stdout.strip() else "")


@dataclass(frozen=True)
class Stage:
    """The work of a stage, a generator of rows, and the keys that it is called with, one tuple a task."""

    work: Callable[..., Iterator[dict]]
    tasks: tuple[tuple, ...]


def one_task(stage: str, keys: Sequence[str], work: Callable[..., Iterator[dict]], task: tuple) -> tuple:
    """Run one task and put its keys in front of each of its rows."""
    return stage, [{**dict(zip(keys, task, strict=True)), **row} for row in work(*task)]


@dataclass(frozen=True)
class FullRun:
    """Stages of one full run, each with a table ``results/<prefix>_<stage>.csv`` whose first columns are ``keys``."""

    prefix: str
    keys: tuple[str, ...]
    stages: Mapping[str, Stage]

    def path(self, stage: str) -> Path:
        """Return the file of a table."""
        return RESULTS / f"{self.prefix}_{stage}.csv"

    def read(self, stage: str) -> pd.DataFrame:
        """Read what is done of a stage, its keys as the tasks have them; an empty table with them when nothing is."""
        path = self.path(stage)
        if not path.exists():
            return pd.DataFrame(columns=list(self.keys))
        # a key that is a text may look like a number: a task "0.0" would not know itself again
        first = self.stages[stage].tasks[0]
        texts = [key for key, value in zip(self.keys, first, strict=True) if isinstance(value, str)]
        return pd.read_csv(path, dtype=dict.fromkeys(texts, str))

    def write(self, name: str, table: pd.DataFrame) -> None:
        """Write a table whole to a side file and rename it, so that a stop in between loses nothing."""
        RESULTS.mkdir(exist_ok=True)
        side = self.path(name).with_suffix(".part")
        table.to_csv(side, index=False, float_format="%.6g", lineterminator="\n")
        side.replace(self.path(name))

    def done(self, stage: str) -> set[tuple]:
        """Return the keys of the tasks that are done."""
        return set(self.read(stage)[list(self.keys)].itertuples(index=False, name=None))

    def complete(self, stage: str) -> bool:
        """Say whether every task of a stage is done."""
        return self.done(stage) >= set(self.stages[stage].tasks)

    def run(self, stages: Iterable[str], jobs: int, wanted: Callable[[tuple], bool] = lambda task: True) -> None:
        """Run what is not done yet, ``jobs`` tasks at a time, and show the progress."""
        tables = {stage: self.read(stage) for stage in stages}
        done = {stage: self.done(stage) for stage in tables}
        todo = [
            (stage, self.keys, self.stages[stage].work, task)
            for stage in tables
            for task in self.stages[stage].tasks
            if wanted(task) and task not in done[stage]
        ]
        # worker processes take both over: the same digits on every processor, and the commit that the run began with
        os.environ.update(one_code_path(), **{COMMIT: commit()})
        work = (joblib.delayed(one_task)(*task) for task in todo)
        results = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(work)
        for stage, rows in settings.progress(results, "full run", total=len(todo)):
            tables[stage] = pd.concat([tables[stage], pd.DataFrame(rows)], ignore_index=True)
            self.write(stage, tables[stage].sort_values(list(self.keys), kind="stable"))

    def decide(
        self, found: Mapping[str, pd.DataFrame], claims: Sequence[str], packages: Sequence[str], n_fewest: int = 2
    ) -> None:
        """Write <prefix>_claim_parts.csv (per unit) and <prefix>_claims.csv (verdicts) from the primary endpoints.

        Parameters
        ----------
        found : mapping claim -> DataFrame
            One row a unit, the endpoint in ``estimate``.
        claims : sequence of str
            All claims of the family; those without a table are not decided.
        packages : sequence of str
            Distributions whose versions stand beside the verdicts.
        n_fewest : int
            Fewest units that a decision takes.
        """
        found = {claim: table for claim, table in found.items() if len(table) >= n_fewest}
        if not found:
            return
        parts = pd.concat([table.assign(claim=claim) for claim, table in found.items()], ignore_index=True)
        front = ["claim", *(column for column in ("set", "model") if column in parts), "estimate"]
        self.write("claim_parts", parts[front + [column for column in parts if column not in front]])
        measured = {claim: found[claim]["estimate"].to_numpy() if claim in found else None for claim in claims}
        versions = " ".join(f"{package} {version(package)}" for package in packages)
        verdicts = decide_family(measured, date=datetime.date.today().isoformat(), versions=versions)
        self.write("claims", verdicts)
        print(verdicts.drop(columns="versions").to_string(index=False))

    def log_test_use(self, **facts: str) -> None:
        """Note the use of a published test part in <prefix>_test_log.csv, with date and commit; a repeat once.

        A commit with a + was run with files that differ from it.
        """
        began = os.environ.get(COMMIT) or commit()
        line = pd.DataFrame([{"date": datetime.date.today().isoformat(), "commit": began, **facts}])
        path = self.path("test_log")
        path.parent.mkdir(exist_ok=True)
        # as text: the name of a commit may be all digits
        before = pd.read_csv(path, dtype=str) if path.exists() else line.iloc[:0]
        if not (before == line.iloc[0]).all(axis=1).any():
            line.to_csv(path, mode="a", header=before.empty, index=False, lineterminator="\n")

    def about(self, packages: Sequence[str], **facts: object) -> None:
        """Write <prefix>_run.json: date, versions, settings, and which stages are complete."""
        table = {
            "date": datetime.date.today().isoformat(),
            "python": sys.version.split()[0],
            "versions": {package: version(package) for package in packages},
            **facts,
            "stages_complete": {stage: self.complete(stage) for stage in self.stages},
        }
        (RESULTS / f"{self.prefix}_run.json").write_text(json.dumps(table, indent=1) + "\n")


def per_set(table: pd.DataFrame, value: pd.Series) -> pd.DataFrame:
    """Mean over splits with its Nadeau-Bengio interval, one row a set; the table has n_train and n_test."""
    out = []
    for name, part in table.assign(value=value).groupby("set", sort=False):
        interval = nadeau_bengio(part["value"], part["n_train"].mean(), part["n_test"].mean())
        figures = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
        out.append({"set": name, **figures, "n_splits": len(part)})
    return pd.DataFrame(out)
