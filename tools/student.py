"""Write copies of the notebooks for a class: without solutions, outputs and instructor notes, in student/.

python tools/student.py            all lessons
python tools/student.py 01 03      only these
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nbformat import NotebookNode

from build_notebooks import derive, serialise
from lessons import ROOT, notebook_of, sources

LEFT_OUT = {"solution", "instructor"}


def student_copy(source: Path) -> NotebookNode:
    """Return the notebook of a source without solutions, outputs and instructor notes."""
    notebook = derive(source)
    notebook.cells = [cell for cell in notebook.cells if not LEFT_OUT & set(cell.metadata.get("tags", []))]
    return notebook


def main(arguments: list[str] | None = None, folder: Path = ROOT / "student") -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", metavar="NN", help="lessons to copy (default: all)")
    options = parser.parse_args(arguments)
    try:
        chosen = sources(*options.lessons)
    except FileNotFoundError as error:
        parser.error(str(error))
    folder.mkdir(exist_ok=True)
    for source in chosen:
        target = folder / notebook_of(source).name
        target.write_text(serialise(student_copy(source)), encoding="utf-8", newline="\n")
        print(f"{folder.name}/{target.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
