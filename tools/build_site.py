"""Build the course's web site in build/site from the notebooks' stored outputs. Executes no notebook, needs no network.

    python tools/build_site.py            write the pages, run Sphinx (any warning is an error), check the result
    python tools/build_site.py --pages    write what Sphinx reads, to build/site_source, and stop

A page of site/ is copied; where it says <!-- insert: NAME -->, the function NAME of site_pages.py gives the text.
To look at the site: python -m http.server --directory build/site 8000
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

import readme
import site_check
import site_pages
from lessons import NOTEBOOKS, ROOT

SITE = ROOT / "site"


def insert(text: str) -> str:
    """Replace each <!-- insert: name --> by what the function of that name gives."""
    return re.sub(r"<!-- insert: (\w+) -->", lambda match: getattr(site_pages, match[1])(), text)


def write_pages(source: Path) -> None:
    """Write what Sphinx reads: hand-written pages with their derived parts, lessons, data cards, API pages."""
    shutil.rmtree(source, ignore_errors=True)
    for folder in ("notebooks", "api", "docs"):
        (source / folder).mkdir(parents=True)
    for page in sorted(SITE.glob("*.md")):
        (source / page.name).write_text(insert(page.read_text(encoding="utf-8")), encoding="utf-8")
    (source / "data.md").write_text(site_pages.data_cards(), encoding="utf-8")
    shutil.copy(ROOT / "docs" / "overview.png", source / "docs")
    stems = {lesson.number: lesson.stem for lesson in readme.lessons()}
    for number, notebook in site_pages.notebooks().items():
        nbformat.write(site_pages.page_of(notebook), source / "notebooks" / f"{stems[number]}.ipynb")
    for name in site_pages.modules():
        (source / "api" / f"{name}.rst").write_text(site_pages.api_page(name), encoding="utf-8")


def run_sphinx(source: Path, target: Path) -> int:
    """Run Sphinx with this interpreter and return its exit code; any warning makes it fail."""
    shutil.rmtree(target, ignore_errors=True)
    options = ["-q", "-W", "--keep-going", "-b", "html", "-c", SITE, "-d", source.parent / "site_doctrees"]
    code = subprocess.run([sys.executable, "-m", "sphinx", *options, source, target], check=False).returncode
    for page in target.glob("_sources/notebooks/*.ipynb"):  # the download button gives the notebook as it is
        shutil.copy(NOTEBOOKS / page.name, page)
    return code


def main(arguments: list[str] | None = None, build: Path = ROOT / "build") -> int:
    """Build the site and return 0 when there is nothing to complain about."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", action="store_true", help="stop before Sphinx")
    options = parser.parse_args(arguments)
    source, target = build / "site_source", build / "site"
    write_pages(source)
    if options.pages:
        return 0
    code = run_sphinx(source, target)
    if not (target / "searchindex.js").is_file():  # Sphinx stopped on the way
        return code
    found = site_check.faults(target, machine=(str(ROOT), str(build), sys.prefix, f"{Path.home()}/"))
    print(
        "\n".join(found) or f"{len(list(target.rglob('*.html')))} pages in {target}: python -m http.server -d {target}"
    )
    return int(bool(code or found))


if __name__ == "__main__":
    sys.exit(main())
