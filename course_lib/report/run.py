"""One call from a file to a page, a table of predictions, all numbers and a stored model."""

from __future__ import annotations

import json
import math
import platform
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from course_lib import __version__
from course_lib.datasets import Audit, Dataset, TableError, read_molecules, read_table
from course_lib.report.findings import Study, study
from course_lib.report.models import FEATURES, features
from course_lib.report.page import page
from course_lib.report.saving import keep, save, spreadsheet_safe

__all__ = ["Report", "report"]

LARGEST = 5_000  # molecules


@dataclass
class Report:
    """A study of one file, and where its parts were written.

    Attributes
    ----------
    data : Dataset
        The molecules and values that were read.
    audit : Audit
        What became of each row of the file, and why.
    study : Study
        What was found. Its ``verdict`` is the answer in two words.
    files : dict of str to Path
        "html", "csv", "json" and, when a model is recommended, "model".
    """

    data: Dataset
    audit: Audit
    study: Study
    files: dict[str, Path]

    def __str__(self) -> str:
        name = self.study.recommended
        said = f"recommended: {name}" if name else f"{self.study.verdict}. {' '.join(self.study.reasons)}"
        return f"{self.data.name}: {said}\n" + "\n".join(f"  {kind}: {path}" for kind, path in self.files.items())


def report(
    path: str | Path,
    target: str | None = None,
    *,
    smiles: str | None = None,
    group: str | None = None,
    candidates: str | Path | None = None,
    out: str | Path = "report.html",
    level: float = 0.9,
    k: int = 5,
    maximise: bool = True,
    quick: bool = False,
    n_jobs: int = 1,
    random_state: int = 0,
) -> Report:
    """Make a report from a table of SMILES and a measured value.

    Parameters
    ----------
    path : str or Path
        As `course_lib.datasets.read_table` takes it; `target`, `smiles` and `group` are columns.
    candidates : str or Path, optional
        Molecules to predict and to choose from; needs no values.
    out : str or Path
        The page. Beside it, with its name: ``.csv`` (predictions, and each row that was left out or merged),
        ``.json`` (every number), ``.skops`` (the model; where none is recommended, one of an earlier run is removed).
        None of them may be a file that is read.
    level, k, maximise, quick, n_jobs, random_state
        Of `course_lib.report.study`.

    Returns
    -------
    Report

    Raises
    ------
    TableError
        When a table cannot be read or holds more than 5 000 molecules, and when the page cannot be written or would
        be written over a table.
    """
    if not 0.5 <= level < 1:
        raise ValueError(f"level is {level!r}: give a share from 0.5 to below 1, such as 0.9")
    out = Path(out)
    if not out.parent.is_dir():
        raise TableError(f"the folder {str(out.parent)!r} for the report is not there: make it first")
    files = {"html": out, "csv": out.with_suffix(".csv"), "json": out.with_suffix(".json")}
    files["model"] = out.with_suffix(".skops")
    keep([part for part in (path, candidates) if part is not None], files.values())
    data, audit = read_table(path, smiles, target, group)
    new, new_audit = (None, None) if candidates is None else read_molecules(candidates)
    for part in (data, new):
        if part is not None and len(part) > LARGEST:
            raise TableError(
                f"{part.name} holds {len(part):,} molecules; a report takes up to {LARGEST:,}: draw a sample"
            )
    options = {"level": level, "k": k, "maximise": maximise, "quick": quick, "random_state": random_state}
    found = study(data, audit, new, n_jobs=n_jobs, **options)
    found.numbers["provenance"] = _provenance(data, new, options)
    found.numbers |= {"verdict": found.verdict, "reasons": found.reasons, "recommended": found.recommended}
    found.numbers["candidates_read"] = None
    if found.table is None:
        tables = [audit.rows.assign(set="not modelled")]
    else:
        tables = [found.table.assign(set="measured"), _not_used(audit, "")]
    if found.predictions is not None:
        tables.append(found.predictions.assign(set="candidate"))
    if new_audit is not None:
        lost = _not_used(new_audit, "candidate ")
        tables.append(lost)
        found.numbers["candidates_read"] = new_audit.counts | {"not_used": lost[["row", "reason"]].to_dict("records")}
    tables = [table for table in tables if len(table)]
    model = files["model"] if found.model is not None else files.pop("model")
    try:
        spreadsheet_safe(pd.concat(tables, ignore_index=True)).to_csv(files["csv"], index=False)
        files["json"].write_text(json.dumps(_plain(found.numbers), indent=1, ensure_ascii=False), encoding="utf-8")
        out.write_text(page(data, audit, found), encoding="utf-8")
        if found.model is not None:
            save(model, found, features("bits", list(data.smiles)))
        else:
            model.unlink(missing_ok=True)  # of an earlier run: beside this page it would pass for its model
    except OSError as error:
        raise TableError(f"the report cannot be written ({error.strerror or error}): choose another place") from error
    return Report(data, audit, found, files)


def _not_used(audit: Audit, of: str) -> pd.DataFrame:
    """Rows of a file that are left out or merged: row, fate, reason, the text of their cells, and set."""
    rows = audit.rows[audit.rows["fate"] != "used"]
    return rows[["row", "fate", "reason", "cells"]].assign(set=of + rows["fate"])


def _provenance(data: Dataset, new: Dataset | None, options: dict) -> dict:
    packages = ("numpy", "scikit-learn", "rdkit", "lightgbm", "mordredcommunity")
    return {
        "date": date.today().isoformat(),
        "file": data.name,
        "card": data.card,
        "candidates": None if new is None else new.name,
        "options": options,
        "features": FEATURES,
        "versions": {"course_lib": __version__, "python": platform.python_version()}
        | {name: version(name) for name in packages},
    }


def _plain(value: Any) -> Any:
    """Turn numpy's numbers into Python's, and what is not finite into null, as JSON has no word for it."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
