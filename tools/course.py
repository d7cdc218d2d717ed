"""Execute every lesson without a browser, write HTML, and print the table of claims.

    python tools/course.py             all lessons, in FAST mode
    python tools/course.py 01 03       only these

The notebooks in notebooks/ stay as they are; the HTML goes to _html/.
"""

from __future__ import annotations

import argparse
import sys
from html import escape
from pathlib import Path

from nbconvert import HTMLExporter
from nbformat import NotebookNode
from tqdm import tqdm

from build_notebooks import BuildError, clean, derive, execute, warm_fonts
from lessons import NOTEBOOKS, ROOT, notebook_of, sources

NO_TEXT = 'alt="No description has been provided for this image"'
"""What nbconvert writes where it knows no alternative text."""


def to_html(notebook: NotebookNode, title: str) -> str:
    """Return an executed notebook as a page; links between lessons lead to their pages, pictures have their texts."""
    page, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": title}})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                text = output.metadata.get("image/png", {}).get("alt", "")
                page = page.replace(NO_TEXT, f'alt="{escape(text)}"', 1)
    for other in sources():
        page = page.replace(f'href="{notebook_of(other).name}', f'href="{other.stem}.html')
    return page


def main(arguments: list[str] | None = None, folder: Path = ROOT / "_html") -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", metavar="NN", help="lessons to run (default: all)")
    options = parser.parse_args(arguments)
    try:
        chosen = sources(*options.lessons)
    except FileNotFoundError as error:
        parser.error(str(error))
    folder.mkdir(exist_ok=True)
    warm_fonts()
    notebooks = [(source, derive(source)) for source in chosen]
    cells = sum(cell.cell_type == "code" for _, notebook in notebooks for cell in notebook.cells)
    report, failed = [], False
    with tqdm(total=cells, unit="cell") as bar:
        for source, notebook in notebooks:
            bar.set_description(source.stem)
            try:
                seconds, megabytes = execute(notebook, NOTEBOOKS, after_cell=bar.update)
                clean(notebook)
            except BuildError as error:
                failed = True
                report.append(f"{source.stem}: FAILED\n{error}")
                continue
            page = folder / f"{source.stem}.html"
            page.write_text(to_html(notebook, source.stem), encoding="utf-8")
            report.append(f"{source.stem}: {seconds:.0f} s, peak {megabytes:.0f} MB, {folder.name}/{page.name}")
    print("\n".join(report))
    print("\nClaims\n")
    print(claims_table())
    print(f"\nThe pages are in {folder}")
    return int(failed)


def claims_table() -> str:
    """Return the ledger as text for a terminal."""
    from course_lib.teaching import ledger

    table = ledger()
    columns = ["lesson", "margin", "estimate", "low", "high", "n_units", "verdict"]
    return table[columns].to_string(na_rep="-", float_format=lambda value: f"{value:.3g}")


if __name__ == "__main__":
    sys.exit(main())
