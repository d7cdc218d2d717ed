"""The rules that every built notebook keeps; each is a function that returns the faults it found.

Most of them guard against a way in which a notebook test can pass without testing anything (nbval skips cells without
execution counts, ignores unknown tags, cannot compare pictures) or fail without need (SVG and HTML, object addresses).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from nbformat import NotebookNode

from lessons import HeaderError, parse_header

CODE_TAGS = {
    "predict", "exercise", "solution", "leak-lab", "quiz", "widget", "hide-input",
    "nbval-check-output", "nbval-ignore-output",
}  # fmt: skip
MARKDOWN_TAGS = {"instructor"}
CLOSING_SECTIONS = ("Quiz", "What we claimed and what we measured", "Take-away", "References", "Instructor notes")
FEWER_EXERCISES = {"06": 2, "08": 2, "09": 2}
"""Lessons with fewer exercises than `EXERCISES`."""
EXERCISES = 3
LARGEST_NOTEBOOK = 3_000_000
"""Bytes of source and outputs."""
LONGEST_LINE = 96
"""Characters that JupyterLab shows beside its file browser when a window is 1 200 pixels wide (122 at 1 400)."""

PATH = re.compile(
    r"(?<![\w.:/-])/(?:home|root|tmp|usr|opt|var|mnt|srv|work|private|workspaces?|content|github|Users|Volumes)/\S+"
    r"|\b[A-Za-z]:\\\\?\w+|site-packages|ipykernel_\d+"
)
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{5,}\b|<[\w.]+ object at|<Axes[:( ]|<matplotlib\.|\[<")


def faults(notebook: NotebookNode, name: str = "") -> list[str]:
    """Return the faults of all rules, each with the lesson's name in front."""
    return [f"{name}: {fault}".removeprefix(": ") for rule in RULES for fault in rule(notebook)]


def _code(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode, list[str]]]:
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            yield position, cell, list(cell.metadata.get("tags", []))


def _markdown(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    return [(position, cell) for position, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"]


def _texts(cell: NotebookNode) -> Iterator[str]:
    """Text of a cell's outputs, by the kinds that a reader sees."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield data


def executed_in_order(notebook: NotebookNode) -> list[str]:
    """Require that each code cell has been run once, top to bottom: nbval compares nothing where a count is missing."""
    found = []
    for expected, (position, cell, _) in enumerate(_code(notebook), start=1):
        if not cell.source.strip():
            found.append(f"cell {position}: empty")
        if cell.execution_count != expected:
            found.append(f"cell {position}: execution count {cell.execution_count}, must be {expected}")
    return found


def known_tags(notebook: NotebookNode) -> list[str]:
    """Allow only tags of the closed list: a misspelt or capital-letter tag makes a test that cannot fail."""
    found = []
    for position, cell in enumerate(notebook.cells):
        allowed = CODE_TAGS if cell.cell_type == "code" else MARKDOWN_TAGS
        tags = cell.metadata.get("tags", [])
        found += [f"cell {position}: unknown tag {tag!r}" for tag in tags if tag not in allowed]
        if {"nbval-check-output", "nbval-ignore-output"} <= set(tags):
            found.append(f"cell {position}: output is to be both checked and ignored")
        if cell.cell_type == "code" and re.search(r"#\s*(NBVAL_|PYTEST_VALIDATE)", cell.source):
            found.append(f"cell {position}: an nbval marker in a comment; use a tag")
    return found


def no_errors(notebook: NotebookNode) -> list[str]:
    """Forbid stored errors and stderr: tracebacks carry paths, warnings mean something is to be put right."""
    found = []
    for position, cell, _ in _code(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {position}: stored error {output.ename}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"cell {position}: output on stderr")
    return found


def comparable_checks(notebook: NotebookNode) -> list[str]:
    """Require that a checked cell prints what nbval can compare, and nothing (SVG, HTML) that varies."""
    found = []
    for position, cell, tags in _code(notebook):
        if "nbval-check-output" not in tags:
            continue
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        bad = sorted(kinds & {"text/html", "image/svg+xml", "application/javascript", "text/latex"})
        bad += sorted(kind for kind in kinds if "widget" in kind)
        if bad:
            found.append(f"cell {position}: checked output holds {', '.join(bad)}; print text instead")
        words = [text for text in _texts(cell) if text.strip() and not text.startswith("<Figure size")]
        if not words:
            found.append(f"cell {position}: tagged nbval-check-output but prints nothing that could be compared")
    return found


def no_magics(notebook: NotebookNode) -> list[str]:
    """Forbid magics and shell lines: nbval passes a cell that an unknown magic kept from running."""
    return [
        f"cell {position}: magic or shell line {line.strip()!r}"
        for position, cell, _ in _code(notebook)
        for line in cell.source.splitlines()
        if re.match(r"\s*(%{1,2}[A-Za-z]|![A-Za-z])", line) or re.search(r"\w\?{1,2}\s*$", line.split("#")[0])
    ]


def no_trailing_semicolon(notebook: NotebookNode) -> list[str]:
    """Forbid a trailing semicolon: nbval sees the output that it hides, and reports a mismatch."""
    return [
        f"cell {position}: ends in ';' (assign the value instead)"
        for position, cell, _ in _code(notebook)
        if re.sub(r"#[^'\"]*$", "", cell.source.rstrip().rsplit("\n", 1)[-1]).rstrip().endswith(";")
    ]


def no_paths_or_addresses(notebook: NotebookNode) -> list[str]:
    """Forbid the machine's paths and object addresses in outputs."""
    found = []
    for position, cell, _ in _code(notebook):
        for text in _texts(cell):
            for what, pattern in (("path", PATH), ("object address or bare Axes", ADDRESS)):
                match = pattern.search(text)
                if match:
                    found.append(f"cell {position}: {what} in the output: {match.group(0)[:60]!r}")
    return found


def widgets_cleared(notebook: NotebookNode) -> list[str]:
    """Require that widget cells hold no output, are ignored by nbval, and follow a checked static picture."""
    found = []
    if "widgets" in notebook.metadata:
        found.append("the notebook stores widget state")
    cells = list(_code(notebook))
    for index, (position, cell, tags) in enumerate(cells):
        uses = re.search(r"\binteract(ive|ive_output|_manual)?\(", cell.source)
        views = any("widget" in kind for output in cell.outputs for kind in output.get("data", {}))
        if (uses or views) and "widget" not in tags:
            found.append(f"cell {position}: shows a widget without the tag 'widget'")
        if "widget" in tags:
            if cell.outputs:
                found.append(f"cell {position}: output of a widget is stored")
            if "nbval-ignore-output" not in tags:
                found.append(f"cell {position}: a widget cell needs nbval-ignore-output")
            if index == 0 or "nbval-check-output" not in cells[index - 1][2]:
                found.append(f"cell {position}: the cell before a widget must be a checked static picture")
    return found


def no_progress_bars(notebook: NotebookNode) -> list[str]:
    """Forbid stored progress bars."""
    return [
        f"cell {position}: a progress bar in the output"
        for position, cell, _ in _code(notebook)
        if any("it/s]" in text or "s/it]" in text or "\r" in text for text in _texts(cell))
    ]


def headings(notebook: NotebookNode) -> list[str]:
    """Require one H1, in the first cell; levels without a gap; the closing sections once each and in order."""
    found, levels, titles = [], [], []
    for position, cell in _markdown(notebook):
        text = re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
        for match in re.finditer(r"^(#{1,6}) +(.+?)\s*$", text, flags=re.MULTILINE):
            levels.append((position, len(match[1])))
            titles.append((len(match[1]), match[2]))
    if [position for position, level in levels if level == 1] != [0]:
        found.append("there must be one H1, in the first cell")
    for (_, above), (position, level) in pairwise(levels):
        if level > above + 1:
            found.append(f"cell {position}: heading of level {level} under level {above}")
    closing = [title for level, title in titles if level == 2 and title in CLOSING_SECTIONS]
    if closing != list(CLOSING_SECTIONS):
        found.append(
            f"sections at the end must be, in order: {', '.join(CLOSING_SECTIONS)}; found: {', '.join(closing)}"
        )
    return found


def header_box(notebook: NotebookNode) -> list[str]:
    """Require the box (objectives, prerequisites, minutes, claims) and instructor timings that add up to it."""
    try:
        header = parse_header([cell.source for _, cell in _markdown(notebook)])
    except HeaderError as error:
        return [str(error)]
    found = []
    if len(header.objectives) < 2:
        found.append("the box must name at least two objectives, separated by semicolons")
    notes = [cell.source for _, cell in _markdown(notebook) if "instructor" in cell.metadata.get("tags", [])]
    if len(notes) != 1 or "<details>" not in notes[0] or "</details>" not in notes[0]:
        found.append("there must be one cell tagged 'instructor', folded in <details>")
    else:
        rows = re.findall(r"^\|[^|\n]+\|\s*(\d+)\s*\|", notes[0], flags=re.MULTILINE)
        if sum(map(int, rows)) != header.minutes:
            found.append(f"the instructor's timings add up to {sum(map(int, rows))} min, the box says {header.minutes}")
    return found


def claims_tested(notebook: NotebookNode) -> list[str]:
    """Require that the box names this lesson's claims and a checked cell shows each with the full run's figure."""
    from course_lib.teaching.claims import load_claims

    try:
        header = parse_header([cell.source for _, cell in _markdown(notebook)])
    except HeaderError:
        return []  # reported by header_box
    mine = {rule.id for rule in load_claims().values() if rule.lesson == header.number}
    found = []
    if mine != set(header.claims):
        found.append(f"the box names the claims {sorted(header.claims)}, claims.toml gives this lesson {sorted(mine)}")
    shown = {
        match
        for _, cell, tags in _code(notebook)
        if "nbval-check-output" in tags
        for text in _texts(cell)
        for match in re.findall(r"^([A-D]\d) full run", text, flags=re.MULTILINE)
    }
    return found + [f"no checked cell shows claim {claim}" for claim in sorted(set(header.claims) - shown)]


def exercises_complete(notebook: NotebookNode) -> list[str]:
    """Require stub, check and solution in this order; the stub is not attempted, the solution passes the check."""
    found, cells, ids = [], list(_code(notebook)), []
    for index, (position, cell, tags) in enumerate(cells):
        if "exercise" not in tags:
            continue
        if "..." not in cell.source:
            found.append(f"cell {position}: an exercise without '...' to replace")
        following = cells[index + 1 : index + 3]
        if len(following) < 2 or "solution" not in following[1][2]:
            found.append(f"cell {position}: an exercise must be followed by its check and its solution")
            continue
        (_, check, check_tags), (_, solution, _) = following
        asked = re.search(r"check\(\s*[\"'](\d+\.\d+)[\"']", check.source)
        if not asked or "exercise" in check_tags:
            found.append(f'cell {position}: the cell after an exercise must call check("...", ...)')
            continue
        id = asked[1]
        ids.append(id)
        if f"Exercise {id}: not attempted yet" not in "".join(_texts(check)):
            found.append(f"exercise {id}: the check of the stub must print 'not attempted yet'")
        if not solution.source.startswith(f"# Solution {id}"):
            found.append(f"exercise {id}: the solution must begin with the comment '# Solution {id}'")
        if f"Exercise {id}: correct" not in "".join(_texts(solution)):
            found.append(f"exercise {id}: the solution does not pass its own check")
        if not solution.metadata.get("jupyter", {}).get("source_hidden"):
            found.append(f"exercise {id}: the solution is not folded")
    solutions = sum("solution" in tags for _, _, tags in cells)
    if solutions != len(ids):
        found.append(f"{solutions} solutions for {len(ids)} complete exercises")
    number = notebook.cells[0].source[2:4] if notebook.cells else ""
    if len(ids) < FEWER_EXERCISES.get(number, EXERCISES):
        found.append(f"{len(ids)} exercises; this lesson needs {FEWER_EXERCISES.get(number, EXERCISES)}")
    if len(set(ids)) != len(ids):
        found.append("an exercise number stands twice")
    if number.isdigit():
        from course_lib.teaching.exercises import all_exercises

        registered = {e.id for e in all_exercises() if int(e.id.split(".")[0]) == int(number)}
        if registered != set(ids):
            found.append(f"exercises in the notebook {sorted(ids)}, registered {sorted(registered)}")
    return found


def parts_present(notebook: NotebookNode) -> list[str]:
    """Require a quiz cell that does nothing else, a widget, and a prediction or a leak to spot."""
    found, all_tags = [], [tag for _, _, tags in _code(notebook) for tag in tags]
    number = notebook.cells[0].source[2:4] if notebook.cells else ""
    quizzes = [cell.source.strip() for _, cell, tags in _code(notebook) if "quiz" in tags]
    if quizzes != [f'quiz("{number}")']:
        found.append(f'there must be one cell tagged quiz that holds quiz("{number}") and nothing else')
    if "widget" not in all_tags:
        found.append("there is no widget")
    if not {"predict", "leak-lab"} & set(all_tags):
        found.append("there is neither a prediction nor a leak to spot")
    for position, cell, tags in _code(notebook):
        if "predict" in tags and not re.search(r"^\w+ = \.\.\.", cell.source, flags=re.MULTILINE):
            found.append(f"cell {position}: a prediction must read 'my_prediction = ...'")
    return found


def figure_texts(notebook: NotebookNode) -> tuple[dict[int, str], list[str]]:
    """Match each cell that draws with the line '**Figure:** ...' in the Markdown cell before or after it.

    Returns
    -------
    texts : dict
        Position of the drawing cell to what its picture shows.
    problems : list of str
    """
    draws = [
        position
        for position, cell, _ in _code(notebook)
        if any("image/png" in output.get("data", {}) for output in cell.outputs)
    ]
    lines = [
        (position, " ".join(match[1].split()))
        for position, cell in _markdown(notebook)
        for match in re.finditer(r"\*\*Figure:\*\*\s*(.+?)(?:\n\s*\n|\Z)", cell.source, flags=re.DOTALL)
    ]
    texts, problems = {}, []
    if len(draws) != len(lines):
        problems.append(f"{len(draws)} cells draw, {len(lines)} lines '**Figure:** ...' say what a picture shows")
    for drawing, (position, text) in zip(draws, lines, strict=False):
        texts[drawing] = text.replace("*", "").replace("`", "").replace("$", "")
        if abs(position - drawing) != 1:
            problems.append(f"cell {drawing}: its '**Figure:**' line must stand in the Markdown cell next to it")
    return texts, problems


def figures_described(notebook: NotebookNode) -> list[str]:
    """Require that pictures are described in words, and that the description is their alternative text."""
    texts, found = figure_texts(notebook)
    for position in texts:
        for output in notebook.cells[position].outputs:
            if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
                found.append(f"cell {position}: a picture without alternative text")
    for position, cell in _markdown(notebook):
        if re.search(r"!\[\s*\]\(", cell.source):
            found.append(f"cell {position}: an image without alternative text")
        for tag in re.findall(r"<img\b[^>]*>", cell.source):
            if not re.search(r"\balt=[\"'][^\"']+", tag):
                found.append(f"cell {position}: an image without alternative text")
    return found


def lines_fit_the_page(notebook: NotebookNode) -> list[str]:
    """Forbid lines of code that JupyterLab would cut off, and printed lines that it would break in mid-word."""
    found = []
    for position, cell, _ in _code(notebook):
        printed = [output.text for output in cell.outputs if output.output_type == "stream"]
        for what, text in [("code", cell.source), *(("output", text) for text in printed)]:
            for line in text.splitlines():
                if len(line) > LONGEST_LINE:
                    found.append(f"cell {position}: {what} of {len(line)} characters in a line: {line.strip()[:40]!r}")
    return found


def not_too_large(notebook: NotebookNode) -> list[str]:
    """Forbid files that open slowly."""
    size = len(str(notebook))
    return [f"the notebook has {size} bytes; at most {LARGEST_NOTEBOOK}"] if size > LARGEST_NOTEBOOK else []


def plain_metadata(notebook: NotebookNode) -> list[str]:
    """Require a kernelspec (else JupyterLab asks) and forbid volatile metadata."""
    found = []
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("no kernelspec 'python3': JupyterLab would ask for a kernel")
    if dict(notebook.metadata.get("language_info", {})) != {"name": "python"}:
        found.append("language_info must hold the name only")
    for position, cell in enumerate(notebook.cells):
        extra = set(cell.metadata) - {"tags", "jupyter"}
        if extra:
            found.append(f"cell {position}: volatile metadata {', '.join(sorted(extra))}")
    return found


RULES: tuple[Callable[[NotebookNode], list[str]], ...] = (
    executed_in_order,
    known_tags,
    no_errors,
    comparable_checks,
    no_magics,
    no_trailing_semicolon,
    no_paths_or_addresses,
    widgets_cleared,
    no_progress_bars,
    headings,
    header_box,
    claims_tested,
    exercises_complete,
    parts_present,
    figures_described,
    lines_fit_the_page,
    not_too_large,
    plain_metadata,
)
