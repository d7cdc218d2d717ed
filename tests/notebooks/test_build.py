"""The builder: what it derives, cleans, refuses, and that a second build changes nothing."""

import os

import nbformat
import pytest

import build_notebooks
from build_notebooks import BuildError, build, derive, differences, execute, notebook_of
from student import LEFT_OUT, student_copy

SOURCE = """\
# %% [markdown]
# # 99 A tiny lesson
#
# It shows that a build is stable.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from course_lib.settings import progress
from course_lib.teaching import interactive

# %% tags=["predict"]
my_prediction = ...

# %% tags=["exercise"]
def answer(x): ...


# %% tags=["solution"]
# Solution 99.1
print("solved")

# %% tags=["nbval-check-output"]
def draw(n=3):
    ax = plt.subplots(figsize=(2, 2))[1]
    ax.plot(np.arange(n))
    return ax


ax = draw()
print(sum(progress(range(4), "adding")), os.environ["OMP_NUM_THREADS"], os.environ["COURSE_MODE"])

# %% [markdown]
# **Figure:** a *line* that
# rises.

# %% tags=["widget"]
interactive(draw, n=(2, 5))

# %% tags=["hide-input"]
# plumbing
np.linspace(0, 1, 3)

# %% [markdown] tags=["instructor"]
# ## Instructor notes
"""


def write(folder, text, name="99_tiny"):
    source = folder / "src" / f"{name}.py"
    source.parent.mkdir(exist_ok=True)
    source.write_text(text, encoding="utf-8")
    return source


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder, source and the results of two builds in a row, with a hostile environment."""
    folder = tmp_path_factory.mktemp("notebooks")
    source = write(folder, SOURCE)
    patch = pytest.MonkeyPatch()
    patch.setenv("OMP_NUM_THREADS", "7")
    patch.setenv("COURSE_MODE", "full")
    patch.setenv("MPLBACKEND", "agg")
    import rdkit.RDConfig  # noqa: F401  (it sets RDBASE on its first import, which is not the doing of the build)

    before = dict(os.environ)
    first = build(source, draft=True)
    content = notebook_of(source).read_bytes()
    second = build(source, draft=True)
    assert dict(os.environ) == before
    patch.undo()
    return source, first, content, second


def code(notebook, text):
    return next(cell for cell in notebook.cells if text in cell.source)


def test_a_second_build_changes_no_byte(built):
    source, first, content, second = built
    assert (first[0], second[0]) == ("written", "unchanged")
    assert notebook_of(source).read_bytes() == content
    assert content.endswith(b"}\n")
    assert b"\r" not in content


def test_time_and_memory_are_measured(built):
    _, (_, seconds, megabytes), _, _ = built
    assert 0.5 < seconds < 300
    assert 50 < megabytes < 2000


def test_what_was_built(built):
    notebook = nbformat.read(notebook_of(built[0]), as_version=4)
    picture = code(notebook, "ax = draw()")
    assert picture.outputs[0].text == "6 1 fast\n"
    image = next(output for output in picture.outputs if "image/png" in output.get("data", {}))
    assert image.metadata["image/png"]["alt"] == "a line that rises."
    widget = code(notebook, "interactive(draw")
    assert widget.outputs == []
    assert widget.execution_count
    assert widget.metadata.tags == ["widget", "nbval-ignore-output"]
    assert code(notebook, "# Solution").metadata.jupyter == {"source_hidden": True}
    assert code(notebook, "# plumbing").metadata.jupyter == {"source_hidden": True}
    assert "jupyter" not in code(notebook, "def answer").metadata
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}
    assert "widgets" not in notebook.metadata
    assert not any("it/s" in str(cell.get("outputs", "")) for cell in notebook.cells)


def test_ids_come_from_position_and_text(tmp_path):
    one, two = derive(write(tmp_path, SOURCE)), derive(write(tmp_path, SOURCE.replace("solved", "changed"), "99_other"))
    changed = [a.source for a, b in zip(one.cells, two.cells, strict=True) if a.id != b.id]
    assert changed == ['# Solution 99.1\nprint("solved")']
    assert len({cell.id for cell in one.cells}) == len(one.cells)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda nb: nb.cells[3].update(source="pass"), "source differs"),
        (lambda nb: nb.cells.pop(), "the source has"),
        (lambda nb: nb.cells[3].metadata.update(tags=["predict"]), "metadata differs"),
        (lambda nb: nb.cells[4].metadata.pop("jupyter"), "metadata differs"),
        (lambda nb: nb.cells[0].update(id="x"), "id differs"),
        (lambda nb: nb.metadata.pop("kernelspec"), "notebook's metadata"),
    ],
)
def test_a_notebook_out_of_step_is_noticed(built, tmp_path, edit, says):
    source, _, content, _ = built
    assert differences(source, notebook_of(source)) == []
    notebook = nbformat.reads(content.decode(), as_version=4)
    edit(notebook)
    other = tmp_path / "99_tiny.ipynb"
    nbformat.write(notebook, other)
    assert says in "\n".join(differences(source, other))


def test_a_missing_notebook_is_noticed(tmp_path):
    source = write(tmp_path, SOURCE)
    assert "does not exist" in differences(source, notebook_of(source))[0]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("import sys\nprint('oh', file=sys.stderr)", "writes to stderr"),
        ("import warnings\nwarnings.warn('soon')", "writes to stderr"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_noise_and_errors_stop_the_build(tmp_path, cell, says):
    source = write(tmp_path, f"# %% [markdown]\n# # 99 x\n\n# %%\n{cell}\n")
    with pytest.raises(BuildError, match=says):
        build(source, draft=True)
    assert not notebook_of(source).exists()


def test_a_broken_rule_stops_the_build_unless_it_is_a_draft(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(build_notebooks, "execute", lambda *args, **kwargs: (0.0, 0.0))
    source = write(tmp_path, SOURCE)
    with pytest.raises(BuildError, match="99_tiny: there is neither|99_tiny: "):
        build(source)
    assert not notebook_of(source).exists()
    build(source, draft=True)
    assert "draft: 99_tiny" in capsys.readouterr().out
    assert notebook_of(source).exists()


def test_an_error_at_the_end_of_a_slider_stops_the_build(tmp_path):
    cell = "from course_lib.teaching import interactive\n\n\ndef plot(n=3):\n    1 / n\n\n\ninteractive(plot, n=(0, 5))"
    source = write(tmp_path, f'# %% [markdown]\n# # 99 x\n\n# %% tags=["widget"]\n{cell}\n')
    with pytest.raises(BuildError, match="ZeroDivisionError"):
        build(source, draft=True)


def test_a_cell_that_hangs_is_stopped(tmp_path):
    source = write(tmp_path, "# %%\nimport time\n\ntime.sleep(60)\n")
    with pytest.raises(BuildError, match="timed out"):
        execute(derive(source), tmp_path, timeout=3)


def test_class_copies_hold_no_solution_and_no_output(tmp_path):
    copy = student_copy(write(tmp_path, SOURCE))
    tags = {tag for cell in copy.cells for tag in cell.metadata.get("tags", [])}
    assert not tags & LEFT_OUT
    assert "exercise" in tags
    assert not any(cell.get("outputs") for cell in copy.cells)
    assert "solved" not in str(copy)
    nbformat.validate(copy)
