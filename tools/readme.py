"""The parts of README.md that are derived: course map, table of claims, timings. The rest is written by hand.

    python tools/readme.py            write them
    python tools/readme.py --check    exit 1 when README.md is not what this would write

Titles, minutes and claims come from the lessons' header boxes, verdicts and timings from results/, the repository's
address and the version from pyproject.toml and the package.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from lessons import notebook_of, read_header, sources

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


@dataclass(frozen=True)
class Lesson:
    """A row of the course map; ``stem`` is None as long as the lesson is not written."""

    number: str
    title: str
    minutes: int
    claims: str = ""
    stem: str | None = None


# What is planned. A lesson that is written says its own title, minutes and claims.
PLANNED = (
    Lesson("00", "Start here", 15),
    Lesson("01", "Why small data fails", 60),
    Lesson("02", "Conformer augmentation", 75),
    Lesson("03", "Group k-fold and LightGBM", 75),
    Lesson("04", "Kinds of uncertainty", 75),
    Lesson("05", "Calibration", 90),
    Lesson("06", "MolGroup: which other data sets help?", 90),
    Lesson("07", "Bayesian optimisation", 60),
    Lesson("08", "Generalisation and data size", 60),
    Lesson("09", "Bayesian neural networks", 90),
    Lesson("10", "Your own data", 60),
)
CORE = ("00", "01", "03", "04", "05", "07", "10")


def slug() -> str:
    """Return owner/name of the repository, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return re.fullmatch(r"https://github\.com/([^/]+/[^/]+?)/?", project["urls"]["Repository"])[1]


def version() -> str:
    """Return the package's version, read without importing it."""
    text = (ROOT / "course_lib" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"', text, flags=re.MULTILINE)[1]


def lessons() -> list[Lesson]:
    """Return all lessons in order; those whose notebook is built with what their header box says."""
    written = {}
    for source in sources():
        notebook = notebook_of(source)
        if notebook.is_file():
            header = read_header(notebook)
            claims = ", ".join(header.claims)
            written[header.number] = Lesson(header.number, header.title, header.minutes, claims, notebook.stem)
    return [written.get(lesson.number, lesson) for lesson in PLANNED]


def course_map(rows: list[Lesson], slug: str, version: str) -> str:
    """Return the course map as a Markdown table."""
    lines = ["| lesson | minutes | path | claims | open |", "|---|---:|---|---|---|"]
    for row in rows:
        path = "core" if row.number in CORE else "further"
        if row.stem is None:
            lines.append(f"| {row.number} {row.title} | {row.minutes} | {path} | | in preparation |")
            continue
        notebook = f"notebooks/{row.stem}.ipynb"
        binder = f"https://mybinder.org/v2/gh/{slug}/v{version}?urlpath=lab/tree/{notebook}"
        spaces = f"https://codespaces.new/{slug}?quickstart=1"
        badges = (
            f"[![Binder](https://mybinder.org/badge_logo.svg)]({binder}) "
            f"[![Codespaces](https://github.com/codespaces/badge.svg)]({spaces})"
        )
        lines.append(
            f"| [{row.number} {row.title}]({notebook}) | {row.minutes} | {path} | {row.claims or 'none'} | {badges} |"
        )
    ready = [row for row in rows if row.stem]
    lines += ["", f"Ready: {len(ready)} of {len(rows)} lessons, {sum(row.minutes for row in ready)} minutes."]
    return "\n".join(lines)


def claims_table(rows: list[Lesson]) -> str:
    """Return the claims of the lessons that are ready, with the full runs' verdicts, as a Markdown table."""
    from course_lib.teaching import ledger, load_claims
    from course_lib.teaching.checks import figures
    from course_lib.teaching.claims import OPEN

    rules, table = load_claims(), ledger()
    ready = {row.number for row in rows if row.stem}
    shown = table[table["lesson"].isin(ready) | (table["verdict"] != OPEN)]
    if shown.empty:
        return "None of the claims has been decided yet."
    lines = ["| claim | holds if | measured (95 % interval) | verdict |", "|---|---|---|---|"]
    for row in shown.itertuples():
        measured = "no full run yet" if row.verdict == OPEN else f"region by region, in lesson {row.lesson}"
        if row.estimate == row.estimate:
            unit = rules[row.Index].unit
            estimate, low, high = figures(row.estimate, row.low, row.high)
            measured = f"{estimate} ({low} to {high}), {row.n_units:.0f} {unit}s"
        lines.append(f"| **{row.Index}** {row.text} | {row.margin} | {measured} | {row.verdict} |")
    left = len(table) - len(shown)
    if left:
        lines += ["", f"The other {left} claims belong to lessons in preparation; their rules stand there already."]
    return "\n".join(lines)


def speed(results: Path = ROOT / "results") -> str:
    """Return the timings of benchmarks/ as Markdown; ratios, since seconds belong to one machine."""
    import pandas as pd

    lines = []
    path = results / "bench_augmentation.csv"
    if path.is_file():
        table = pd.read_csv(path)
        first = table.iloc[0]
        lines += [
            f"**Conformer augmentation**, {first['molecules']} polymers x {first['conformers']} conformers, MMFF94, "
            "best of three, time as a multiple of ours with two workers:",
            "",
            "| descriptors | ours, 1 worker | ours, 2 | a plain loop, 1 | the loop, 2 | scikit-fingerprints, 2 |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for kind, name in (("mordred", "Mordred 3D"), ("rdkit", "RDKit 3D")):
            part = table[table["descriptors"] == kind].set_index(["contestant", "workers"])["times_ours_2_workers"]
            columns = [("ours", 1), ("ours", 2), ("loop", 1), ("loop", 2), ("scikit-fingerprints", 2)]
            lines.append(f"| {name} | " + " | ".join(f"{part[column]:.2f}" for column in columns) + " |")
    path = results / "bench_models.csv"
    if path.is_file():
        table = pd.read_csv(path)
        n = int(table["n_train"].min())
        part = table[table["n_train"] == n].set_index("model")
        rest = part["times_scikit_learn_gp"].drop("scikit-learn GP").sort_values()
        lines += [
            *([""] if lines else []),
            f"**Models**, one fit on {n} molecules and one thread, time as a multiple of scikit-learn's Gaussian "
            f"process ({part.loc['scikit-learn GP', 'fit_seconds']:.0f} s here):",
            "",
            ", ".join(f"{name.removesuffix('Regressor')} {value:.2f}" for name, value in rest.items()) + ".",
        ]
    return "\n".join(lines) if lines else "Not measured yet."


def render(text: str) -> str:
    """Return ``text`` with the derived blocks written anew.

    Raises
    ------
    ValueError
        When the markers of a block are missing.
    """
    rows = lessons()
    blocks = {"course map": course_map(rows, slug(), version()), "claims": claims_table(rows), "speed": speed()}
    for name, content in blocks.items():
        pattern = rf"(<!-- {name}: begin[^>]*-->\n).*?(<!-- {name}: end -->)"
        text, count = re.subn(pattern, lambda m, new=content: f"{m[1]}{new}\n{m[2]}", text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"README.md must hold the markers of the block {name!r} once, not {count} times")
    return text


def main(arguments: list[str] | None = None) -> int:
    """Write or check README.md."""
    parser = argparse.ArgumentParser(description="derived parts of README.md")
    parser.add_argument("--check", action="store_true", help="only say whether README.md is up to date")
    options = parser.parse_args(arguments)
    before = README.read_text(encoding="utf-8")
    after = render(before)
    if options.check:
        print("README.md is up to date" if after == before else "README.md is not up to date: run make readme")
        return int(after != before)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
