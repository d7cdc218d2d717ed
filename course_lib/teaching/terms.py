"""The glossary: the lectures' terms in English and Japanese."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("term", "japanese", "definition", "lesson")
_CELL = "text-align:left; vertical-align:top; padding:0.3em 1.5em 0.3em 0"


@dataclass(frozen=True, eq=False)
class Glossary:
    """Terms with Japanese and a plain definition; displays itself in a notebook.

    Attributes
    ----------
    frame : DataFrame
        Columns term, japanese, definition, lesson (where the term is explained).
    """

    frame: pd.DataFrame

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='{_CELL}'>{name}</th>" for name in COLUMNS)
        rows = [
            "<tr>" + "".join(f"<td style='{_CELL}'>{escape(row[name])}</td>" for name in COLUMNS) + "</tr>"
            for row in self.frame.to_dict("records")
        ]
        return "\n".join(["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>", *rows, "</tbody>", "</table>"])

    def __repr__(self) -> str:
        return "\n".join(
            f"{row['term']} ({row['japanese']}), lesson {row['lesson']}: {row['definition']}"
            for row in self.frame.to_dict("records")
        )

    def __len__(self) -> int:
        return len(self.frame)


def glossary(term: str | None = None, lesson: str | None = None) -> Glossary:
    """Look up terms.

    Parameters
    ----------
    term : str, optional
        Part of an English or Japanese term (capitals do not matter).
    lesson : str, optional
        Two digits: only the terms that this lesson explains.

    Returns
    -------
    Glossary
        All terms when neither is given.

    Raises
    ------
    KeyError
        When nothing fits; the message suggests the nearest terms.
    """
    frame = _frame()
    if lesson is not None:
        frame = frame[frame["lesson"] == lesson]
        if frame.empty:
            known = ", ".join(sorted(set(_frame()["lesson"])))
            raise KeyError(f"no term is explained in lesson {lesson!r}; lessons: {known}")
    if term is not None:
        wanted = term.strip().lower()
        fits = frame["term"].str.lower().str.contains(wanted, regex=False) | frame["japanese"].str.contains(
            term.strip(), regex=False
        )
        if not fits.any():
            import difflib

            near = difflib.get_close_matches(wanted, [t.lower() for t in frame["term"]], n=3)
            raise KeyError(f"no term like {term!r}" + (f"; did you mean {', '.join(near)}" if near else ""))
        frame = frame[fits]
    return Glossary(frame.reset_index(drop=True))


@cache
def _frame() -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(Path(__file__).parent / "glossary.csv", dtype=str, keep_default_na=False)
    if tuple(frame.columns) != COLUMNS:
        raise ValueError(f"glossary.csv must have the columns {', '.join(COLUMNS)}")
    return frame
