"""Where the lessons are, and what their header boxes say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SOURCES = NOTEBOOKS / "src"
LABELS = ("Objectives", "Prerequisites", "Teaching", "Exercises", "Claims", "Recap", "Run time")


class HeaderError(ValueError):
    """A lesson's header box is missing or malformed."""


@dataclass(frozen=True)
class Header:
    """What a lesson's title and box say.

    Attributes
    ----------
    number, title, aim : str
        "01", "Why small data fails", and the sentence under the title.
    objectives : tuple of str
    prerequisites : str
    teaching, exercises : int
        Minutes.
    claims : tuple of str
        Ids of the claims under test; empty for none.
    recap, run_time : str
    """

    number: str
    title: str
    aim: str
    objectives: tuple[str, ...]
    prerequisites: str
    teaching: int
    exercises: int
    claims: tuple[str, ...]
    recap: str
    run_time: str

    @property
    def minutes(self) -> int:
        """Teaching and exercises together."""
        return self.teaching + self.exercises


def sources(*numbers: str) -> list[Path]:
    """Return source files of the lessons, in order; all of them when no number is given.

    Raises
    ------
    FileNotFoundError
        When a number fits no source file.
    """
    found = sorted(SOURCES.glob("[0-9][0-9]_*.py"))
    if not numbers:
        return found
    chosen = []
    for number in numbers:
        fits = [path for path in found if path.stem.startswith(number)]
        if not fits:
            raise FileNotFoundError(f"no lesson {number!r}; there are {', '.join(p.stem for p in found)}")
        chosen += fits
    return chosen


def notebook_of(source: Path) -> Path:
    """Path of the notebook that is built from a source."""
    return source.parent.parent / f"{source.stem}.ipynb"


def read_header(path: Path) -> Header:
    """Read the header of a lesson from its source or its notebook.

    Raises
    ------
    HeaderError
        Names the label that is missing or malformed.
    """
    if path.suffix == ".ipynb":
        import nbformat

        notebook = nbformat.read(path, as_version=4)
    else:
        import jupytext

        notebook = jupytext.read(path, fmt="py:percent")
    return parse_header([cell.source for cell in notebook.cells if cell.cell_type == "markdown"])


def parse_header(markdown: list[str]) -> Header:
    """Read the header from the texts of a lesson's Markdown cells; see `read_header`."""
    first = markdown[0] if markdown else ""
    title = re.match(r"# (\d\d) (.+)\n\s*\n((?:.+\n?)+)", first)
    if not title:
        raise HeaderError("the first cell must be '# NN Title' and one sentence with the aim")
    box = next((text for text in markdown if text.lstrip().startswith("> **In this lesson**")), None)
    if box is None:
        raise HeaderError("there is no box '> **In this lesson**'")
    values: dict[str, str] = {}
    label = None
    for line in box.splitlines()[1:]:
        text = line.lstrip().removeprefix(">").strip()
        entry = re.match(r"- \*\*([^*:]+):\*\*\s*(.*)", text)
        if entry:
            label = entry[1]
            values[label] = entry[2]
        elif text and label:
            values[label] += f" {text}"
    for wanted in LABELS:
        if not values.get(wanted, "").strip():
            raise HeaderError(f"the box has no '- **{wanted}:** ...'")
    unknown = set(values) - set(LABELS)
    if unknown:
        raise HeaderError(f"unknown label in the box: {', '.join(sorted(unknown))}")
    minutes = {}
    for name in ("Teaching", "Exercises"):
        number = re.fullmatch(r"(\d+) min", values[name].strip())
        if not number:
            raise HeaderError(f"'{name}' must read like '40 min', not {values[name]!r}")
        minutes[name] = int(number[1])
    claims = () if values["Claims"].strip().lower() == "none" else tuple(re.split(r",\s*", values["Claims"].strip()))
    if not all(re.fullmatch(r"[A-D]\d", claim) for claim in claims):
        raise HeaderError(f"'Claims' must be 'none' or like 'A1, A6', not {values['Claims']!r}")
    return Header(
        number=title[1],
        title=title[2].strip(),
        aim=" ".join(title[3].split()),
        objectives=tuple(part.strip() for part in values["Objectives"].split(";") if part.strip()),
        prerequisites=values["Prerequisites"],
        teaching=minutes["Teaching"],
        exercises=minutes["Exercises"],
        claims=claims,
        recap=values["Recap"],
        run_time=values["Run time"],
    )
