"""Each rule of tools/hygiene.py finds the trap that it guards against, set in an otherwise clean notebook."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

import hygiene
from lessons import NOTEBOOKS, HeaderError, parse_header


@pytest.fixture(scope="module")
def clean():
    return nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4)


@pytest.fixture
def notebook(clean):
    return copy.deepcopy(clean)


def tagged(notebook, tag):
    return next(cell for cell in notebook.cells if tag in cell.metadata.get("tags", []))


def containing(notebook, text):
    return next(cell for cell in notebook.cells if text in cell.source)


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(**data):
    return new_output("display_data", data={key.replace("__", "/"): value for key, value in data.items()})


def found(notebook, rule):
    return "\n".join(getattr(hygiene, rule)(notebook))


def test_the_clean_notebook_is_clean(clean):
    assert hygiene.faults(clean) == []


# ---------------------------------------------------------------------------- traps of nbval and of cells


def no_counts(nb):
    tagged(nb, "nbval-check-output").execution_count = None


def all_cleared(nb):
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = None, []


def out_of_order(nb):
    cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    cells[1].execution_count, cells[2].execution_count = 3, 2


def empty_cell(nb):
    nb.cells.append(new_code_cell("", execution_count=99))


def capital_tag(nb):
    tagged(nb, "nbval-check-output").metadata.tags = ["NBVAL_CHECK_OUTPUT"]


def misspelt_tag(nb):
    tagged(nb, "nbval-check-output").metadata.tags = ["nbval-check-outputs"]


def raises_exception(nb):
    tagged(nb, "predict").metadata.tags.append("raises-exception")


def code_tag_on_markdown(nb):
    nb.cells[0].metadata.tags = ["solution"]


def comment_marker(nb):
    containing(nb, "table = ledger()").source += "\n# NBVAL_IGNORE_OUTPUT"


def checked_and_ignored(nb):
    tagged(nb, "nbval-check-output").metadata.tags.append("nbval-ignore-output")


def stderr(nb):
    tagged(nb, "nbval-check-output").outputs.append(stream("DeprecationWarning: soon\n", "stderr"))


def stored_error(nb):
    tagged(nb, "predict").outputs = [new_output("error", ename="ValueError", evalue="", traceback=[])]


def checked_svg(nb):
    tagged(nb, "nbval-check-output").outputs.append(shown(image__svg_xml="<svg/>"))
    output = tagged(nb, "nbval-check-output").outputs[-1]
    output.data = {"image/svg+xml": "<svg/>"}


def checked_html(nb):
    tagged(nb, "nbval-check-output").outputs.append(shown(text__html="<table/>", text__plain="a table"))


def checked_widget(nb):
    output = shown(text__plain="IntSlider()")
    output.data["application/vnd.jupyter.widget-view+json"] = {"model_id": "1"}
    tagged(nb, "nbval-check-output").outputs.append(output)


def checked_without_text(nb):
    cell = containing(nb, "ax = score_histogram")
    cell.outputs = [output for output in cell.outputs if output.output_type != "stream"]


def line_magic(nb):
    containing(nb, "import numpy").source += "\n%matplotlib_inline_x"


def cell_magic(nb):
    tagged(nb, "predict").source = "%%tiem\nmy_prediction = ..."


def shell_line(nb):
    containing(nb, "import numpy").source += "\n!pip install x"


def help_line(nb):
    containing(nb, "import numpy").source += "\nnp.mean?"


def semicolon(nb):
    containing(nb, "ax = score_histogram").source += ";  # quiet"


def path_in_output(nb):
    tagged(nb, "nbval-check-output").outputs.append(stream("read /home/ada/course/data/x.csv\n"))


def windows_path(nb):
    tagged(nb, "nbval-check-output").outputs.append(stream(r"read C:\Users\ada\x.csv"))


def library_path(nb):
    tagged(nb, "nbval-check-output").outputs.append(stream("lib/python3.11/site-packages/x.py:3: hint\n"))


def object_address(nb):
    tagged(nb, "nbval-check-output").outputs.append(stream("<rdkit.Chem.rdchem.Mol object at 0x7f12ab34cd50>\n"))


def bare_axes(nb):
    tagged(nb, "predict").outputs = [new_output("execute_result", data={"text/plain": "<Axes: title='x'>"})]


def widget_output(nb):
    tagged(nb, "widget").outputs = [stream("x\n")]


def widget_not_ignored(nb):
    tagged(nb, "widget").metadata.tags.remove("nbval-ignore-output")


def widget_without_tag(nb):
    tagged(nb, "widget").metadata.tags = ["nbval-ignore-output"]


def widget_without_static_picture(nb):
    containing(nb, "ax = score_histogram").metadata.tags = []


def widget_state(nb):
    nb.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {}}


def progress_bar(nb):
    containing(nb, "import numpy").outputs = [stream("50%|####     | 5/10 [00:01<00:01,  4.9it/s]")]


# ------------------------------------------------------------------------------------ traps of the lesson


def second_h1(nb):
    nb.cells[3].source = "# Another title\n\n" + nb.cells[3].source


def skipped_level(nb):
    containing(nb, "## 2 Is everything").source = "#### 2 Is everything there"


def section_missing(nb):
    containing(nb, "## Take-away").source = "Nothing to remember."


def sections_swapped(nb):
    a, b = containing(nb, "## Take-away"), containing(nb, "## References")
    a.source, b.source = b.source, a.source


def box_missing(nb):
    containing(nb, "In this lesson").source = "> Welcome."


def label_missing(nb):
    cell = containing(nb, "In this lesson")
    cell.source = cell.source.replace("**Prerequisites:**", "**Needs:**")


def minutes_in_words(nb):
    cell = containing(nb, "In this lesson")
    cell.source = cell.source.replace("**Teaching:** 9 min", "**Teaching:** ten minutes")


def timings_do_not_add_up(nb):
    cell = containing(nb, "In this lesson")
    cell.source = cell.source.replace("**Teaching:** 9 min", "**Teaching:** 30 min")


def one_objective(nb):
    cell = containing(nb, "In this lesson")
    cell.source = cell.source.replace(";", ",")


def no_instructor_notes(nb):
    tagged(nb, "instructor").metadata.tags = []


def unfolded_instructor_notes(nb):
    cell = tagged(nb, "instructor")
    cell.source = cell.source.replace("<details>", "").replace("</details>", "")


def foreign_claim(nb):
    cell = containing(nb, "In this lesson")
    cell.source = cell.source.replace("**Claims:** none", "**Claims:** A2")


def lesson_01_without_claims(nb):
    nb.cells[0].source = nb.cells[0].source.replace("# 00", "# 01")


def no_dots(nb):
    tagged(nb, "exercise").source = "mean_absolute_error = 20"


def check_missing(nb):
    nb.cells.remove(containing(nb, 'check("0.1", mean_absolute_error)'))


def solution_missing(nb):
    nb.cells.remove(containing(nb, "# Solution 0.2"))


def solution_without_comment(nb):
    cell = containing(nb, "# Solution 0.2")
    cell.source = cell.source.split("\n", 1)[1]


def solution_wrong(nb):
    containing(nb, "# Solution 0.2").outputs = [stream("Exercise 0.2: not yet. The wrong way round.\n")]


def solution_open(nb):
    containing(nb, "# Solution 0.2").metadata.pop("jupyter")


def stub_answered(nb):
    containing(nb, 'check("0.2", middle_90)').outputs = [stream("Exercise 0.2: correct. Yes.\n")]


def exercise_dropped(nb):
    start = nb.cells.index(containing(nb, "molecules_for_half_the_spread = ..."))
    del nb.cells[start : start + 3]


def stray_solution(nb):
    nb.cells.append(new_code_cell("# Solution", metadata={"tags": ["solution"]}))


def wrong_quiz(nb):
    tagged(nb, "quiz").source = 'quiz("01")'


def busy_quiz(nb):
    tagged(nb, "quiz").source += '\nprint("x")'


def no_widget(nb):
    nb.cells.remove(tagged(nb, "widget"))


def nothing_to_predict(nb):
    tagged(nb, "predict").metadata.tags = []


def prediction_given_away(nb):
    tagged(nb, "predict").source = "my_prediction = 46.5"


def figure_without_words(nb):
    cell = containing(nb, "**Figure:**")
    cell.source = cell.source.replace("**Figure:**", "")


def figure_far_away(nb):
    cell = containing(nb, "**Figure:**")
    cell.source = cell.source.replace("**Figure:**", "")
    containing(nb, "## Take-away").source += "\n\n**Figure:** a histogram."


def picture_without_text(nb):
    for output in containing(nb, "ax = score_histogram").outputs:
        output.metadata = {}


def image_without_text(nb):
    nb.cells[3].source += "\n\n![](parrot.png)"


def html_image_without_text(nb):
    nb.cells[3].source += '\n\n<img src="parrot.png">'


def long_code(nb):
    tagged(nb, "nbval-check-output").source += "\n#" + 96 * "x"


def long_output(nb):
    tagged(nb, "nbval-check-output").outputs.append(stream(97 * "x" + "\n"))


def huge(nb):
    nb.cells.append(new_markdown_cell("x" * hygiene.LARGEST_NOTEBOOK))


def no_kernelspec(nb):
    del nb.metadata["kernelspec"]


def full_language_info(nb):
    nb.metadata.language_info = {"name": "python", "version": "3.11.4"}


def timing_metadata(nb):
    nb.cells[2].metadata.execution = {"iopub.execute_input": "2026-01-01"}


TRAPS = [
    (no_counts, "executed_in_order", "execution count None"),
    (all_cleared, "executed_in_order", "execution count None"),
    (out_of_order, "executed_in_order", "must be 2"),
    (empty_cell, "executed_in_order", "empty"),
    (capital_tag, "known_tags", "unknown tag 'NBVAL_CHECK_OUTPUT'"),
    (misspelt_tag, "known_tags", "unknown tag 'nbval-check-outputs'"),
    (raises_exception, "known_tags", "unknown tag 'raises-exception'"),
    (code_tag_on_markdown, "known_tags", "unknown tag 'solution'"),
    (comment_marker, "known_tags", "marker in a comment"),
    (checked_and_ignored, "known_tags", "both checked and ignored"),
    (stderr, "no_errors", "stderr"),
    (stored_error, "no_errors", "stored error ValueError"),
    (checked_svg, "comparable_checks", "image/svg+xml"),
    (checked_html, "comparable_checks", "text/html"),
    (checked_widget, "comparable_checks", "widget-view"),
    (checked_without_text, "comparable_checks", "prints nothing"),
    (line_magic, "no_magics", "%matplotlib_inline_x"),
    (cell_magic, "no_magics", "%%tiem"),
    (shell_line, "no_magics", "!pip"),
    (help_line, "no_magics", "np.mean?"),
    (semicolon, "no_trailing_semicolon", "ends in ';'"),
    (path_in_output, "no_paths_or_addresses", "/home/ada"),
    (windows_path, "no_paths_or_addresses", "path"),
    (library_path, "no_paths_or_addresses", "site-packages"),
    (object_address, "no_paths_or_addresses", "object address"),
    (bare_axes, "no_paths_or_addresses", "<Axes"),
    (widget_output, "widgets_cleared", "output of a widget"),
    (widget_not_ignored, "widgets_cleared", "needs nbval-ignore-output"),
    (widget_without_tag, "widgets_cleared", "without the tag"),
    (widget_without_static_picture, "widgets_cleared", "static picture"),
    (widget_state, "widgets_cleared", "widget state"),
    (progress_bar, "no_progress_bars", "progress bar"),
    (second_h1, "headings", "one H1"),
    (skipped_level, "headings", "level 4 under level 2"),
    (section_missing, "headings", "in order"),
    (sections_swapped, "headings", "in order"),
    (box_missing, "header_box", "no box"),
    (label_missing, "header_box", "Prerequisites"),
    (minutes_in_words, "header_box", "must read like '40 min'"),
    (timings_do_not_add_up, "header_box", "add up to 15 min"),
    (one_objective, "header_box", "two objectives"),
    (no_instructor_notes, "header_box", "instructor"),
    (unfolded_instructor_notes, "header_box", "folded"),
    (foreign_claim, "claims_tested", "claims.toml gives this lesson []"),
    (foreign_claim, "claims_tested", "no checked cell shows claim A2"),
    (lesson_01_without_claims, "claims_tested", "['A1', 'A6']"),
    (no_dots, "exercises_complete", "without '...'"),
    (check_missing, "exercises_complete", "followed by its check and its solution"),
    (solution_missing, "exercises_complete", "followed by its check and its solution"),
    (solution_without_comment, "exercises_complete", "must begin with the comment"),
    (solution_wrong, "exercises_complete", "does not pass its own check"),
    (solution_open, "exercises_complete", "not folded"),
    (stub_answered, "exercises_complete", "must print 'not attempted yet'"),
    (exercise_dropped, "exercises_complete", "2 exercises; this lesson needs 3"),
    (exercise_dropped, "exercises_complete", "registered"),
    (stray_solution, "exercises_complete", "4 solutions for 3"),
    (wrong_quiz, "parts_present", 'quiz("00")'),
    (busy_quiz, "parts_present", "nothing else"),
    (no_widget, "parts_present", "no widget"),
    (nothing_to_predict, "parts_present", "neither a prediction"),
    (prediction_given_away, "parts_present", "my_prediction = ..."),
    (figure_without_words, "figures_described", "0 lines"),
    (figure_far_away, "figures_described", "next to it"),
    (picture_without_text, "figures_described", "without alternative text"),
    (image_without_text, "figures_described", "image without alternative text"),
    (html_image_without_text, "figures_described", "image without alternative text"),
    (long_code, "lines_fit_the_page", "code of 97 characters"),
    (long_output, "lines_fit_the_page", "output of 97 characters"),
    (huge, "not_too_large", "bytes"),
    (no_kernelspec, "plain_metadata", "kernelspec"),
    (full_language_info, "plain_metadata", "name only"),
    (timing_metadata, "plain_metadata", "volatile"),
]


@pytest.mark.parametrize(("trap", "rule", "says"), TRAPS, ids=lambda value: getattr(value, "__name__", None) or "-")
def test_the_trap_is_found(notebook, trap, rule, says):
    assert says not in found(notebook, rule)
    trap(notebook)
    assert says in found(notebook, rule)


def test_every_rule_has_a_trap():
    assert {rule for _, rule, _ in TRAPS} == {rule.__name__ for rule in hygiene.RULES}


def test_figures_belong_to_the_drawing_cell_next_to_them(notebook):
    """Two pictures with one Markdown cell between them: order decides which line is whose."""
    picture = copy.deepcopy(containing(notebook, "ax = score_histogram"))
    after = containing(notebook, "**Figure:**")
    position = notebook.cells.index(after)
    notebook.cells[position + 1 : position + 1] = [
        picture,
        new_markdown_cell("**Figure:** the same\nonce more.\n\nText."),
    ]
    texts, problems = hygiene.figure_texts(notebook)
    assert problems == []
    assert list(texts) == [position - 1, position + 1]
    assert texts[position + 1] == "the same once more."


def test_header_values(notebook):
    header = parse_header([cell.source for cell in notebook.cells if cell.cell_type == "markdown"])
    assert (header.number, header.title, header.claims) == ("00", "Start here", ())
    assert header.minutes == header.teaching + header.exercises == 15
    assert len(header.objectives) == 4
    assert header.aim.endswith("doing a small one.")
    box = "> **In this lesson**\n" + "\n".join(
        f"> - **{label}:** {value}"
        for label, value in {
            "Objectives": "one;\n>   two", "Prerequisites": "x", "Teaching": "40 min", "Exercises": "20 min",
            "Claims": "A1, A6", "Recap": "x", "Run time": "x",
        }.items()
    )  # fmt: skip
    title = "# 01 Why small data fails\n\nYou will see it."
    header = parse_header([title, box])
    assert header.claims == ("A1", "A6")
    assert header.objectives == ("one", "two")
    for broken, says in (
        ([box], "first cell"),
        ([title, box.replace("A1, A6", "A1 and A6")], "Claims"),
        ([title, box + "\n> - **Colour:** red"], "unknown label"),
    ):
        with pytest.raises(HeaderError, match=says):
            parse_header(broken)
