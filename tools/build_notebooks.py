"""Build the notebooks: read notebooks/src/NN_name.py, execute, clean, and write notebooks/NN_name.ipynb.

    python tools/build_notebooks.py            all lessons
    python tools/build_notebooks.py 01 03      only these
    python tools/build_notebooks.py --check    compare the notebooks' cells with their sources; execute nothing

The result depends on the source, the package versions and the results files only: a second run on the same machine
changes no byte. The build fails when a cell writes to stderr or stops with an error, and when a rule of hygiene.py
is broken (`--draft` reports those and writes the notebook all the same).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

import hygiene
from lessons import SOURCES, notebook_of, sources

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
SECONDS, MEGABYTES, MEGABYTES_WITH_TORCH = 60, 700, 1000
"""What a lesson may take in FAST mode with a warm cache; torch is used from lesson 04 on."""

ENVIRONMENT = {
    "COURSE_BUILD": "1",
    "COURSE_MODE": "fast",
    "COURSE_PROGRESS": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": os.devnull,
    "LANG": "C.UTF-8",
    "TZ": "UTC",
}


class BuildError(RuntimeError):
    """A notebook could not be built; the message says which cell and why."""


def derive(source: Path) -> NotebookNode:
    """Return the notebook of a source as the build starts from it: cells, ids, tags; no outputs."""
    notebook = jupytext.read(source, fmt="py:percent")
    cells = []
    for position, cell in enumerate(notebook.cells):
        tags = list(cell.metadata.get("tags", []))
        if "widget" in tags and "nbval-ignore-output" not in tags:
            tags.append("nbval-ignore-output")
        metadata: dict = {}
        if "solution" in tags or "hide-input" in tags:
            metadata["jupyter"] = {"source_hidden": True}
        if tags:
            metadata["tags"] = tags
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        cells.append(make(source=cell.source, metadata=metadata, id=f"{position:03d}-{digest}"))
    return nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": dict(KERNELSPEC), "language_info": {"name": "python"}}
    )


def execute(
    notebook: NotebookNode, folder: Path, *, timeout: int = 600, after_cell: Callable[[], None] | None = None
) -> tuple[float, float]:
    """Execute a notebook in place, in a fixed environment.

    Parameters
    ----------
    notebook : NotebookNode
    folder : Path
        Working folder of the kernel.
    timeout : int
        Seconds that a cell may take.
    after_cell : callable, optional
        Called after each code cell.

    Returns
    -------
    seconds, megabytes : float
        Wall time, and the largest resident memory of the kernel together with its child processes.

    Raises
    ------
    BuildError
        When a cell stops with an error or takes too long, or the kernel dies.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as profile:
        os.environ.update(ENVIRONMENT, IPYTHONDIR=profile)
        os.environ.pop("COURSE_RESULTS", None)
        try:
            client = NotebookClient(
                notebook,
                timeout=timeout,
                kernel_name=KERNELSPEC["name"],
                resources={"metadata": {"path": str(folder)}},
                record_timing=False,
                coalesce_streams=True,
                extra_arguments=["--IPKernelApp.log_level=40"],  # no warning about the kernel's local connection
            )
            if after_cell is not None:
                client.on_cell_executed = lambda **_: after_cell()
            watch = _MemoryWatch(client)
            start = time.perf_counter()
            try:
                client.execute()
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                raise BuildError(str(error)) from None
            finally:
                watch.stop()
            return time.perf_counter() - start, watch.megabytes
        finally:
            os.environ.clear()
            os.environ.update(before)


class _MemoryWatch(threading.Thread):
    """Samples the resident memory of a client's kernel and its children ten times a second."""

    def __init__(self, client: NotebookClient) -> None:
        super().__init__(daemon=True)
        self.client, self.megabytes, self._done = client, 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        kernel = None
        while not self._done.wait(0.1):
            try:
                if kernel is None:
                    kernel = psutil.Process(self.client.km.provisioner.pid)
                total = sum(p.memory_info().rss for p in [kernel, *kernel.children(recursive=True)])
                self.megabytes = max(self.megabytes, total / 2**20)
            except (AttributeError, TypeError, psutil.Error):
                continue  # not started yet, or a child just ended

    def stop(self) -> None:
        self._done.set()
        self.join()


def clean(notebook: NotebookNode) -> None:
    """Drop what varies from run to run and give pictures their alternative text, in place.

    Raises
    ------
    BuildError
        When a cell wrote to stderr.
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = NotebookNode(name="python")
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                raise BuildError(f"cell {position} writes to stderr:\n{output.text}\n--- the cell:\n{cell.source}")
        for volatile in ("execution", "collapsed", "scrolled"):
            cell.metadata.pop(volatile, None)
        if "widget" in cell.metadata.get("tags", []):
            cell.outputs = []
    for position, text in hygiene.figure_texts(notebook)[0].items():
        for output in notebook.cells[position].outputs:
            if "image/png" in output.get("data", {}):
                output.metadata["image/png"] = {**output.metadata.get("image/png", {}), "alt": text}


def serialise(notebook: NotebookNode) -> str:
    """Text of a notebook file."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def differences(source: Path, built: Path) -> list[str]:
    """List where a notebook's cells are not what its source says; empty when in step."""
    if not built.is_file():
        return [f"{built.name} does not exist: run make notebooks"]
    wanted, found = derive(source), nbformat.read(built, as_version=4)
    problems = []
    if len(wanted.cells) != len(found.cells):
        problems.append(f"{built.name}: {len(found.cells)} cells, the source has {len(wanted.cells)}")
    for position, (want, have) in enumerate(zip(wanted.cells, found.cells, strict=False)):
        for key in ("cell_type", "source", "id", "metadata"):
            if want[key] != have.get(key):
                problems.append(f"{built.name}, cell {position}: {key} differs from the source")
    if found.metadata != wanted.metadata:
        problems.append(f"{built.name}: the notebook's metadata differ from what the build writes")
    return problems


def build(
    source: Path, *, draft: bool = False, after_cell: Callable[[], None] | None = None
) -> tuple[str, float, float]:
    """Build one notebook and write it when it differs from what is there.

    Returns
    -------
    state : {"written", "unchanged"}
    seconds, megabytes : float

    Raises
    ------
    BuildError
        On an error or stderr output of a cell, or, unless `draft`, on a broken rule.
    """
    notebook, target = derive(source), notebook_of(source)
    seconds, megabytes = execute(notebook, target.parent, after_cell=after_cell)
    clean(notebook)
    faults = hygiene.faults(notebook, source.stem)
    if faults and not draft:
        raise BuildError("\n".join(faults))
    for fault in faults:
        print(f"  draft: {fault}")
    text = serialise(notebook)
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return "unchanged", seconds, megabytes
    target.write_text(text, encoding="utf-8", newline="\n")
    return "written", seconds, megabytes


def warm_fonts() -> None:
    """Let matplotlib build its font list now, not inside a cell, where it would write to stderr."""
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True, capture_output=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", metavar="NN", help="lessons to build (default: all)")
    parser.add_argument("--check", action="store_true", help="compare cells with sources, execute nothing")
    parser.add_argument("--draft", action="store_true", help="write a notebook although it breaks a rule")
    options = parser.parse_args(arguments)
    try:
        chosen = sources(*options.lessons)
    except FileNotFoundError as error:
        parser.error(str(error))
    if options.check:
        problems = [problem for source in chosen for problem in differences(source, notebook_of(source))]
        print("\n".join(problems) or f"{len(chosen)} notebooks are in step with {SOURCES.name}/")
        return bool(problems)
    warm_fonts()
    failed = False
    for source in chosen:
        try:
            state, seconds, megabytes = build(source, draft=options.draft)
        except BuildError as error:
            failed = True
            print(f"{source.stem}: NOT BUILT\n{error}\n")
            continue
        allowed = MEGABYTES if source.stem < "04" else MEGABYTES_WITH_TORCH
        over = [
            text
            for text, exceeded in (
                (f"over {SECONDS} s", seconds > SECONDS),
                (f"over {allowed} MB", megabytes > allowed),
            )
            if exceeded
        ]
        print(f"{source.stem}: {state}, {seconds:.1f} s, peak {megabytes:.0f} MB {' and '.join(over)}".rstrip())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
