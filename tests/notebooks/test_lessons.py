"""The lessons in notebooks/: in step with their sources, clean, complete, and linked."""

import re

import nbformat
import pytest

import course
import hygiene
import student
from build_notebooks import build, differences
from course_lib.teaching import glossary, load_claims, quiz
from course_lib.teaching.exercises import all_exercises
from lessons import NOTEBOOKS, notebook_of, read_header, sources

SOURCES = sources()
by_lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


@by_lesson
def test_cells_are_those_of_the_source(source):
    assert differences(source, notebook_of(source)) == []


@by_lesson
def test_no_rule_is_broken(source):
    assert hygiene.faults(nbformat.read(notebook_of(source), as_version=4)) == []


@by_lesson
def test_the_file_name_the_title_and_the_quiz_belong_together(source):
    header = read_header(source)
    assert source.stem.startswith(header.number)
    assert header == read_header(notebook_of(source))
    assert quiz(header.number).title == header.title


@by_lesson
def test_links_lead_somewhere(source):
    notebook = nbformat.read(notebook_of(source), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for link in re.findall(r"\]\(([^)#\s]+)", cell.source):
            if not link.startswith(("http://", "https://", "mailto:")):
                assert (NOTEBOOKS / link).exists(), link


@by_lesson
def test_the_class_copy_gives_nothing_away(source):
    copy = student.student_copy(source)
    assert not any(student.LEFT_OUT & set(cell.metadata.get("tags", [])) for cell in copy.cells)
    assert "# Solution" not in str(copy)


def test_every_notebook_has_a_source_and_lesson_00_links_to_all():
    notebooks = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    assert notebooks == [source.stem for source in SOURCES]
    start = SOURCES[0].read_text(encoding="utf-8")
    for name in notebooks[1:]:
        assert f"({name}.ipynb)" in start, f"lesson 00 does not link to {name}"


def test_claims_glossary_and_exercises_name_lessons_of_the_course():
    planned = {f"{number:02d}" for number in range(11)}
    assert {rule.lesson for rule in load_claims().values()} <= planned
    assert set(glossary().frame["lesson"]) <= planned
    written = {int(source.stem[:2]) for source in SOURCES}
    assert {int(exercise.id.split(".")[0]) for exercise in all_exercises()} <= written


def test_make_student_writes_class_copies(tmp_path, capsys):
    assert student.main(["00"], folder=tmp_path) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["00_start_here.ipynb"]
    assert "00_start_here.ipynb" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        student.main(["77"], folder=tmp_path)


def test_pages_have_picture_texts_and_links_between_them():
    page = course.to_html(nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4), "00")
    assert course.NO_TEXT not in page
    assert 'alt="Histogram of the mean absolute errors' in page
    assert page.count("<details") == page.count("</details>") > 15
    for source in SOURCES[1:]:
        assert f'href="{source.stem}.html' in page
    assert f'href="{SOURCES[0].stem}.ipynb' not in page


def test_the_table_of_claims_has_a_line_for_each():
    lines = course.claims_table().splitlines()
    assert len(lines) == 2 + len(load_claims())


@pytest.mark.slow
@by_lesson
def test_a_full_rebuild_changes_no_byte(source):
    before = notebook_of(source).read_bytes()
    state, _, _ = build(source)
    assert (state, notebook_of(source).read_bytes() == before) == ("unchanged", True)
