"""What must hold for every page of the built site; each fault is a sentence that names its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What the rules ask of a page: ids, links, pictures without text, number of H1, what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.without_text: list[str] = []
        self.loaded: list[str] = []
        self.headings = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one element has to say."""
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        self.headings += tag == "h1"
        if tag in ("a", "link") and "href" in values:
            self.links.append(values["href"])
        if tag in ("img", "script", "iframe") and "src" in values:
            self.links.append(values["src"])
            self.loaded.append(values["src"])
        if tag == "link" and "stylesheet" in values.get("rel", ""):
            self.loaded.append(values["href"])
        if tag == "img" and not values.get("alt", "").strip():
            self.without_text.append(values.get("src", "")[:80])


def faults(site: Path, machine: tuple[str, ...] = ()) -> list[str]:
    """Return what is wrong with the pages below a folder.

    Parameters
    ----------
    site : Path
    machine : tuple of str
        Folders of this machine, which no page may name.
    """
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    return [
        f"{path.relative_to(site)}: {fault}"
        for path, page in pages.items()
        if "_static" not in path.relative_to(site).parts
        for fault in [*_of_page(page), *_of_links(path, page, pages, site)]
    ] + list(_of_machine(site, machine))


def _of_page(page: Page) -> Iterator[str]:
    if page.headings != 1:
        yield f"{page.headings} H1, must be one"
    yield from (f"picture without alternative text: {source}" for source in page.without_text)
    yield from (f"loads {source}, which is not there offline" for source in page.loaded if urlsplit(source).netloc)


def _of_links(path: Path, page: Page, pages: dict[Path, Page], site: Path) -> Iterator[str]:
    for link in page.links:
        url = urlsplit(link)
        if url.scheme or url.netloc:
            continue
        target = (path.parent / unquote(url.path)).resolve() if url.path else path
        if target.is_dir():
            target /= "index.html"
        if not target.is_file() or not target.is_relative_to(site.resolve()):
            yield f"link to {link}, which is not there"
        elif url.fragment and target in pages and unquote(url.fragment) not in pages[target].ids:
            yield f"link to {link}, a place that is not there"


def _of_machine(site: Path, machine: tuple[str, ...]) -> Iterator[str]:
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".js", ".ipynb", ".md", ".rst", ".txt"):
            text = path.read_text(encoding="utf-8", errors="replace")
            for folder in machine:
                if re.search(re.escape(folder) + r"(?![\w-])", text):
                    yield f"{path.relative_to(site)}: names the folder {folder}"
