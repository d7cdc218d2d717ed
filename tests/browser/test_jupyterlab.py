"""The lessons as a learner meets them: JupyterLab in headless Chromium. Run by ``make test-browser``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """Copy what a learner changes by working, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("course")
    for folder in ("notebooks", "data"):
        shutil.copytree(ROOT / folder, copy / folder)
    return copy


@pytest.fixture(scope="module")
def address(course) -> Iterator[str]:
    """Start JupyterLab on a free port, with a token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--ServerApp.port={port}", "--IdentityProvider.token=learner", f"--ServerApp.root_dir={course}"]
    options += ["--no-browser", "--expose-app-in-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    log = (course / "jupyterlab.log").open("w")
    server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], cwd=course, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/api?token=learner", timeout=5)
                break
            except OSError:
                assert server.poll() is None, (course / "jupyterlab.log").read_text()[-2000:]
                time.sleep(1)
        yield url
    finally:
        server.terminate()
        server.wait(30)
        log.close()


class Lesson:
    """An open lesson. Cells are named by their place; what the learner types and clicks goes through the page."""

    def __init__(self, page, address: str, name: str) -> None:
        self.page = page
        page.goto(f"{address}/lab/tree/notebooks/{name}?token=learner&reset")
        page.wait_for_function(
            f"window.jupyterapp?.shell.currentWidget?.context?.path.endsWith('{name}')"
            " && window.jupyterapp.shell.currentWidget.content.widgets.length > 5",
            timeout=120_000,
        )
        self._js("() => panel.context.sessionContext.ready")

    def _js(self, function: str, argument: object = None) -> object:
        code = (
            f"(argument) => {{ const panel = window.jupyterapp.shell.currentWidget; return ({function})(argument); }}"
        )
        return self.page.evaluate(code, argument)

    def place(self, text: str) -> int:
        """Return the place of the one code cell whose source begins with a text."""
        sources = self._js(
            "() => panel.content.widgets.map(c => c.model.type === 'code' ? c.model.toJSON().source : '')"
        )
        found = [i for i, source in enumerate(sources) if "".join(source).startswith(text)]
        assert len(found) == 1, f"{len(found)} cells begin with {text!r}"
        return found[0]

    def run_all(self) -> None:
        self._js("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def run(self, place: int) -> str:
        """Run one cell and return the text that it prints."""
        self.show(place)
        self._js("() => window.jupyterapp.commands.execute('notebook:run-cell')")
        return "".join("".join(o.get("text", "")) for o in self.outputs(place))

    def write(self, place: int, source: str) -> None:
        self._js(
            "([place, source]) => panel.content.widgets[place].model.sharedModel.setSource(source)", [place, source]
        )

    def outputs(self, place: int | None = None) -> list[dict]:
        """Return the outputs of a cell, or of all cells."""
        cells = "panel.content.widgets" if place is None else f"[panel.content.widgets[{place}]]"
        return self._js(f"() => {cells}.flatMap(c => c.model.type === 'code' ? c.model.outputs.toJSON() : [])")

    def show(self, place: int):
        """Scroll to a cell and return it."""
        self._js("(place) => { panel.content.activeCellIndex = place; }", place)
        self._js("(place) => panel.content.scrollToItem(place, 'center')", place)
        cell = self.page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{place}']")
        cell.wait_for(state="visible", timeout=30_000)
        return cell


@pytest.fixture
def lesson(browser, address):
    """Open lessons by number; the page is closed afterwards, its kernel shut down."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})

    def start(number: str) -> Lesson:
        (notebook,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        return Lesson(context.new_page(), address, notebook.name)

    yield start
    for page in context.pages:
        page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    context.close()


def test_lesson_01_runs_and_its_widget_draws_anew(lesson):
    page = lesson("01")
    page.run_all()
    kinds = [output["output_type"] for output in page.outputs()]
    assert len(kinds) > 30
    assert "error" not in kinds
    assert not [o for o in page.outputs() if o.get("name") == "stderr" and "".join(o["text"]).strip()]

    cell = page.show(page.place("interactive(parity_at"))
    picture = cell.locator(".jp-OutputArea img").first
    before = picture.get_attribute("src")
    cell.locator(".noUi-handle").first.focus()
    page.page.keyboard.press("ArrowRight")
    deadline = time.monotonic() + 20
    while cell.locator(".jp-OutputArea img").first.get_attribute("src") == before:
        assert time.monotonic() < deadline, "the slider moved and the picture stayed"
        page.page.wait_for_timeout(200)


def test_an_exercise_diagnoses_a_wrong_answer_and_its_solution_unfolds(lesson):
    page = lesson("01")
    page.run(page.place("import matplotlib"))
    answer, check = page.place("smallest_table = ..."), page.place('check("1.1", smallest_table)')
    page.run(answer)
    assert "not attempted" in page.run(check)
    page.write(answer, "smallest_table = 40")
    page.run(answer)
    said = page.run(check)
    assert "tree itself" in said
    assert "correct" not in said
    page.write(answer, "smallest_table = 63")
    page.run(answer)
    assert "correct" in page.run(check)

    solution = page.show(page.place("# Solution 1.1"))
    assert not solution.locator(".jp-InputArea-editor").is_visible()
    solution.locator(".jp-InputPlaceholder").click()
    solution.locator(".jp-InputArea-editor").wait_for(state="visible", timeout=10_000)


def test_lesson_10_takes_a_learners_file(lesson, tmp_path):
    page = lesson("10")
    page.run(page.place("import tempfile"))
    page.run(page.place("my_file = ..."))
    cell = page.show(page.place("upload(my_report)"))
    page.run(page.place("upload(my_report)"))
    names = tmp_path / "names.csv"
    names.write_text("compound,value\nbenzene,1.5\ntoluene,2\nphenol,7\n")
    with page.page.expect_file_chooser() as chooser:
        cell.locator("button.widget-upload, .jupyter-button").first.click()
    chooser.value.set_files(names)
    cell.get_by_text("is a name, not a SMILES").wait_for(timeout=30_000)
