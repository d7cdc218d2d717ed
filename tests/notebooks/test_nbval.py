"""What nbval notices and what it does not: the reason for the rules in tools/hygiene.py.

All variants of one small notebook are run by one pytest process, with the options of pyproject.toml.
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from fnmatch import fnmatch

import nbformat
import pytest

import hygiene
from build_notebooks import build, notebook_of
from course_lib.teaching import ledger
from lessons import ROOT

SOURCE = """\
# %% [markdown]
# # 99 A tiny lesson

# %% tags=["nbval-check-output"]
total = 1 + 1
print(f"total {total}")

# %%
sum([total, 1])
"""


def changed_number(nb):
    nb.cells[1].outputs[0].text = "total 3\n"


def changed_unchecked_number(nb):
    nb.cells[2].outputs[0].data["text/plain"] = "4"


def changed_code(nb):
    nb.cells[1].source = nb.cells[1].source.replace("1 + 1", "1 + 2")


def counts_dropped(nb):
    nb.cells[1].execution_count = None


def cleared(nb):
    changed_number(nb)
    for cell in nb.cells[1:]:
        cell.outputs, cell.execution_count = [], None


def capital_tag(nb):
    changed_number(nb)
    nb.cells[1].metadata.tags = ["NBVAL_CHECK_OUTPUT"]


def unknown_magic(nb):
    nb.cells[2].source = "%no_such_magic\n1 / 0"


def semicolon(nb):
    nb.cells[2].source += ";"
    nb.cells[2].outputs = []
    nb.cells[2].metadata.tags = ["nbval-check-output"]


def error(nb):
    nb.cells[2].source = "1 / 0"


def object_in_html(nb):
    nb.cells[2].source = "from IPython.display import HTML\nHTML(f'<b>{id(object())}</b>')"
    nb.cells[2].outputs[0].data = {"text/html": "<b>1</b>", "text/plain": "<IPython.core.display.HTML object>"}
    nb.cells[2].metadata.tags = ["nbval-check-output"]


NOTICED = [changed_number, changed_code, counts_dropped, error, semicolon, object_in_html]
NOT_NOTICED = {
    changed_unchecked_number: None,  # allowed: prose may not cite such a cell
    cleared: hygiene.executed_in_order,
    capital_tag: hygiene.known_tags,
    unknown_magic: hygiene.no_magics,
}


def passed(folder):
    """Name of each notebook of a folder -> whether `python -m pytest --nbval-lax` passes it."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    command += [f"--config-file={ROOT / 'pyproject.toml'}", f"--junitxml={report}", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ}, check=False)
    assert report.is_file(), done.stdout + done.stderr
    results = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = (case.get("file") or case.get("classname")).replace("/", ".").removesuffix(".ipynb").split(".")[-1]
        failed = case.find("failure") is not None or case.find("error") is not None
        results[name] = results.get(name, True) and not failed
    return results


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Name of each variant -> whether `python -m pytest --nbval-lax` passes it."""
    folder = tmp_path_factory.mktemp("variants")
    (folder / "src").mkdir()
    source = folder / "src" / "99_tiny.py"
    source.write_text(SOURCE, encoding="utf-8")
    build(source, draft=True)
    original = nbformat.read(notebook_of(source), as_version=4)
    for edit in [*NOTICED, *NOT_NOTICED]:
        notebook = nbformat.from_dict(original.copy())
        notebook.cells = [nbformat.from_dict(cell) for cell in nbformat.reads(nbformat.writes(original), 4).cells]
        edit(notebook)
        nbformat.write(notebook, folder / f"{edit.__name__}.ipynb")
    return passed(folder)


def test_the_untouched_notebook_passes(outcomes):
    assert outcomes["99_tiny"]


@pytest.mark.parametrize("edit", NOTICED, ids=lambda edit: edit.__name__)
def test_nbval_fails(outcomes, edit):
    assert not outcomes[edit.__name__]


@pytest.mark.parametrize("edit", NOT_NOTICED, ids=lambda edit: edit.__name__)
def test_nbval_passes_but_a_rule_finds_it(outcomes, edit):
    assert outcomes[edit.__name__]
    rule = NOT_NOTICED[edit]
    if rule is not None:
        notebook = nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_markdown_cell("# 99"),
                nbformat.v4.new_code_cell(
                    "print(2)",
                    execution_count=1,
                    metadata={"tags": ["nbval-check-output"]},
                    outputs=[nbformat.v4.new_output("stream", name="stdout", text="2\n")],
                ),
                nbformat.v4.new_code_cell(
                    "3", execution_count=2, outputs=[nbformat.v4.new_output("execute_result", data={"text/plain": "3"})]
                ),
            ]
        )
        assert rule(notebook) == []
        edit(notebook)
        assert rule(notebook) != []


def test_a_changed_figure_of_a_claim_is_noticed_in_a_lesson(tmp_path):
    """Lesson 00 prints the ledger: its last digit of the first estimate is changed in a copy, and nothing else."""
    (source,) = ROOT.glob("notebooks/00_*.ipynb")
    notebook = nbformat.read(source, as_version=4)
    table = ledger()
    row = table[table["estimate"].notna()].iloc[0]
    old = f"{row['estimate']:.3f}"
    new = old[:-1] + str((int(old[-1]) + 1) % 10)
    line = re.compile(rf"^({row.name}\s.*?){re.escape(old)}", flags=re.MULTILINE)
    cells = [c for c in notebook.cells if "nbval-check-output" in c.metadata.get("tags", [])]
    outputs = [output for cell in cells for output in cell.outputs if line.search(output.get("text", ""))]
    (output,) = outputs
    nbformat.write(notebook, tmp_path / "untouched.ipynb")
    output.text = line.sub(rf"\g<1>{new}", output.text)
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    assert passed(tmp_path) == {"untouched": True, "changed": False}


@pytest.mark.slow
def test_checked_outputs_do_not_depend_on_the_number_of_threads():
    """The lessons were built with one thread; with two, every checked output is the same."""
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider", "notebooks"]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **threads}, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_copies_that_jupyterlab_keeps_are_not_executed(pytestconfig):
    patterns = pytestconfig.getini("norecursedirs")
    assert any(fnmatch(".ipynb_checkpoints", pattern) for pattern in patterns)
