"""The web site: what its generators write, what its checks find, and (slow) the built pages themselves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import build_site
import readme
import site_check
import site_pages
from environment_rules import ROOT, pins, read
from lessons import read_header
from test_environment_make import checkout, make, needs_make  # noqa: F401

NOTEBOOKS = site_pages.notebooks()
MINUTES = {number: site_pages.parts(notebook) for number, notebook in NOTEBOOKS.items()}
PLANS = {plan["title"]: plan for plan in site_pages.plans()}


# --- lessons ---
def test_every_picture_of_every_lesson_has_its_figure_sentence_as_text():
    for notebook in NOTEBOOKS.values():
        page = site_pages.page_of(notebook)
        drawn = [c for c in page.cells if any("image/png" in o.get("data", {}) for o in c.get("outputs", []))]
        texts = [cell.metadata["mystnb"]["image"]["alt"] for cell in drawn]
        said = " ".join(" ".join(c.source.split()) for c in page.cells if c.cell_type == "markdown")
        assert drawn
        assert all(len(text) > 20 for text in texts)
        assert said.count("**Figure:**") == len(texts)


def drawing_notebook():
    """A notebook with a picture, a slider and a solution."""
    picture = new_output("display_data", {"image/png": "aGVsbG8="})
    return new_notebook(
        cells=[
            new_code_cell("draw()", outputs=[picture]),
            new_markdown_cell("**Figure:** a *line* that rises.\n\nMore text."),
            new_code_cell("interactive(draw)", metadata={"tags": ["widget", "nbval-ignore-output"]}),
            new_code_cell("# Solution 1.1", metadata={"tags": ["solution"]}),
        ]
    )


def test_a_lesson_is_copied_with_texts_and_folds_and_left_as_it_was():
    notebook = drawing_notebook()
    before = nbformat.writes(notebook)
    picture, _, slider, solution = site_pages.page_of(notebook).cells
    assert picture.metadata["mystnb"]["image"]["alt"] == "a line that rises."
    assert "hide-input" in slider.metadata["tags"]
    assert "hide-cell" in solution.metadata["tags"]
    assert nbformat.writes(notebook) == before


def test_every_slider_has_its_picture_above_it():
    for number, notebook in NOTEBOOKS.items():
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for position, cell in enumerate(code):
            if "widget" in cell.metadata.get("tags", []) and "interactive(" in cell.source:
                above = code[position - 1].outputs
                assert any("image/png" in output.get("data", {}) for output in above), f"lesson {number}"


def test_the_table_of_lessons_links_to_the_written_ones():
    shown = site_pages.lessons()
    assert len(re.findall(r"^\| (?:\[)?\d\d ", shown, flags=re.MULTILINE)) == len(readme.PLANNED)
    assert set(re.findall(r"\(notebooks/(\w+)\.ipynb\)", shown)) == {p.stem for p in ROOT.glob("notebooks/*.ipynb")}


# --- timetables ---
@pytest.mark.parametrize("title", PLANS)
def test_the_minutes_of_a_day_are_its_length(title):
    plan = PLANS[title]
    for day in plan["days"]:
        rows = site_pages.day_rows(day, plan["minutes"], MINUTES)
        assert sum(minutes for *_, minutes in rows) == plan["minutes"]
        assert all(minutes > 0 for *_, minutes in rows)


def test_the_paths_are_those_of_the_course():
    def lessons_of(title):
        return [step["lesson"] for day in PLANS[title]["days"] for step in day if "lesson" in step]

    assert lessons_of("90 minutes") == ["00", "01", "03", "10"]
    assert lessons_of("One day") == list(readme.CORE)
    assert lessons_of("Two days") == [lesson.number for lesson in readme.PLANNED]
    assert {plan["minutes"] for title, plan in PLANS.items() if title == "90 minutes"} == {90}


def test_a_whole_lesson_takes_the_minutes_of_its_header():
    for number, minutes in MINUTES.items():
        (path,) = ROOT.glob(f"notebooks/{number}_*.ipynb")
        assert sum(minutes.values()) == read_header(path).minutes


def test_too_much_for_a_day_and_unknown_parts_are_errors():
    minutes = {"01": {"1: start": 20, "10: end": 30, "Exercise 1.1": 5, "Exercise 1.10": 5}}
    whole = {"lesson": "01"}
    assert site_pages.day_rows([whole], 60, minutes) == [("01", "", 60)]
    with pytest.raises(ValueError, match="60 min are planned where there are 59"):
        site_pages.day_rows([whole], 59, minutes)
    assert site_pages.chosen({"lesson": "01", "parts": ["1", "Exercise 1.1"]}, minutes["01"]) == {
        "1: start": 20,
        "Exercise 1.1": 5,
    }
    with pytest.raises(ValueError, match="part '2' fits 0 parts of lesson 01"):
        site_pages.chosen({"lesson": "01", "parts": ["2"]}, minutes["01"])
    with pytest.raises(ValueError, match="fits 2 parts"):
        site_pages.chosen({"lesson": "01", "parts": ["Ex"]}, minutes["01"])


def test_a_lesson_to_come_keeps_its_planned_time():
    (row, rest) = site_pages.day_rows([{"lesson": "06"}], 100, {})
    planned = next(lesson.minutes for lesson in readme.PLANNED if lesson.number == "06")
    assert row[::2] == ("06", planned)
    assert "in preparation" in row[1]
    assert rest[2] == 100 - planned


# --- ledger ---
def test_the_ledger_has_every_claim_with_source_rule_figures_and_verdict():
    from course_lib.teaching import ledger, load_claims

    text, rules, verdicts = site_pages.claims(), load_claims(), ledger()["verdict"]
    entries = dict(re.findall(r"^### ([A-D]\d)\n(.+?)(?=\n\(claim|\n## |\Z)", text, flags=re.MULTILINE | re.DOTALL))
    assert list(entries) == list(rules)
    assert len(entries) == 26
    for id, entry in entries.items():
        for label in ("Source", "Tested in", "Measured", "Rule", "Data", "FULL", "FAST", "Verdict"):
            assert re.search(rf"^- \*\*{label}:\*\* \S", entry, flags=re.MULTILINE), (id, label)
        assert f"- **Verdict:** {verdicts[id]}" in entry
        assert f"lies {rules[id].direction} {rules[id].margin:g}." in entry
        assert f"[{id}](#claim-{id.lower()})" in text


def test_the_ledger_shows_the_figures_of_the_full_run():
    from course_lib.teaching import ledger
    from course_lib.teaching.checks import figures

    decided = ledger().dropna(subset=["estimate"])
    text = site_pages.claims()
    assert len(decided)
    for row in decided.itertuples():
        assert "{} (95 % interval {} to {}, ".format(*figures(row.estimate, row.low, row.high)) in text


def test_todays_figures_are_read_over_the_break_of_a_line():
    printed = (
        "other\n"
        "A1 today     illustration, not a verdict: a1_relative = 0.741; leaves of 3 = 0.179;\n"
        "             ridge = 0.170\n"
        "A1 full run  0.525, 95 % interval 0.341 to 0.709: holds\n"
    )
    cell = new_code_cell("", outputs=[new_output("stream", text=printed)])
    assert site_pages.today([cell]) == {"A1": "a1_relative = 0.741; leaves of 3 = 0.179; ridge = 0.170"}
    assert site_pages.today([new_markdown_cell("A1 today     1")]) == {}


def test_every_claim_has_a_lecture():
    assert set(site_pages.lectures()) == set("ABCD")


# --- reproduction, glossary, data cards ---
def test_reproduction_waits_for_its_tables_and_then_compares(tmp_path):
    assert "No full run" in site_pages.reproduction(tmp_path)
    cell = {"set": "delaney", "model": "GP", "on": "mordred", "measure": "r2", "published": 0.9, "published_low": 0.8,
            "published_high": 0.95, "here": 0.1234, "low": 0.1, "high": 0.2, "reaches": False, "published_gap": 0.1,
            "gap_their_rule": 0.05, "calibrated": True}  # fmt: skip
    pd.DataFrame([cell]).to_csv(tmp_path / "dionysus_compared.csv", index=False)
    shares = {"set": "bace", "model": "random", "on": "none", "published": 0.2, "hits": 0.3, "low": 0.25, "high": 0.35}
    pd.DataFrame([shares | {"of_most": 0.32, "n_starts": 30, "reaches": True}]).to_csv(
        tmp_path / "bo_compared.csv", index=False
    )
    compared = {"table": "depth", "model": "m", "prior": "", "measure": "sharpe", "published": 0.5}
    pd.DataFrame(
        [compared | {"estimate": 0.4, "low": 0.3, "high": 0.5}, compared | {"estimate": None, "low": None}]
    ).to_csv(tmp_path / "panel_compared.csv", index=False)
    text = site_pages.reproduction(tmp_path)
    assert "| R2 | 0.900 (0.800 to 0.950) | 0.123 (0.100 to 0.200) | no | 0.100 | 0.050 | yes |" in text
    assert "| bace | random | none | 0.200 | 0.300 (0.250 to 0.350) | 0.320 | 30 | yes |" in text
    assert "| 0.5 | 0.400 (0.300 to 0.500) |" in text


def test_every_term_stands_in_the_glossary_once_in_both_languages():
    rows = pd.read_csv(ROOT / "course_lib" / "teaching" / "glossary.csv", dtype=str)
    text = site_pages.glossary()
    for row in rows.itertuples():
        assert text.count(f"\n{row.term}\n{row.japanese}\n  ") == 1, row.term
    names = [*rows["term"].str.lower(), *rows["japanese"]]
    assert len(set(names)) == len(names), "Sphinx refuses a term that stands twice"


def test_links_of_the_data_cards_lead_to_the_repository():
    cards = site_pages.data_cards()
    assert [link for link in re.findall(r"\]\(([^)]+)\)", cards) if "://" not in link and link[0] != "#"] == []
    assert f"https://github.com/{readme.slug()}/blob/v{readme.version()}/data/registry.toml" in cards


def test_an_api_page_names_all_that_is_public():
    import course_lib.acquire
    import course_lib.molecules

    page = site_pages.api_page("course_lib.acquire")
    named = re.findall(r"^\.\. (?:auto|py:)\w+:: course_lib\.acquire\.(\w+)$", page, flags=re.MULTILINE)
    assert named == course_lib.acquire.__all__
    assert ".. autoclass:: course_lib.acquire.Campaign\n   :members:" in page
    assert "parse" in site_pages.public(course_lib.molecules)
    assert "annotations" not in site_pages.public(course_lib.molecules)
    assert "course_lib.acquire" in site_pages.modules()


def test_constants_are_described_by_the_text_below_them():
    import course_lib.featurize

    assert site_pages.constant_text(course_lib.featurize, "PROTOCOLS").startswith("Names of the six protocols")


def test_hand_written_pages_insert_what_there_is():
    asked = {name for page in ROOT.glob("site/*.md") for name in re.findall(r"insert: (\w+)", page.read_text("utf-8"))}
    assert asked == {"picture", "lessons", "timetables", "claims", "reproduction", "glossary", "api", "scale"}
    assert all(callable(getattr(site_pages, name)) for name in asked)
    assert build_site.insert("a <!-- insert: picture --> b").startswith("a ![Left: ")
    with pytest.raises(AttributeError):
        build_site.insert("<!-- insert: nothing_of_that_name -->")


def test_text_is_not_taken_for_markdown():
    assert site_pages.plain("a_b |x| $2 *c* <d>") == r"a\_b \|x\| \$2 \*c\* \<d\>"


# --- the checks ---
GOOD = '<h1 id="top">One</h1><a href="sub/b.html#there">b</a><a href="https://x.org">x</a><img src="p.png" alt="p">'
FAULTS = {
    "a second title": ("<h1>Two</h1>", "2 H1, must be one"),
    "no text": ('<img src="p.png">', "picture without alternative text: p.png"),
    "an empty text": ('<img src="p.png" alt=" ">', "picture without alternative text: p.png"),
    "no page": ('<a href="c.html">c</a>', "link to c.html, which is not there"),
    "no place": ('<a href="sub/b.html#here">b</a>', "link to sub/b.html#here, a place that is not there"),
    "no place here": ('<a href="#bottom">b</a>', "link to #bottom, a place that is not there"),
    "outside": ('<a href="../b.txt">b</a>', "link to ../b.txt, which is not there"),
    "a script from elsewhere": ('<script src="https://x.org/a.js"></script>', "loads https://x.org/a.js"),
    "a style from elsewhere": ('<link rel="stylesheet" href="//x.org/a.css">', "loads //x.org/a.css"),
    "a folder of the machine": ("<p>/home/someone/course</p>", "names the folder /home/someone"),
}


@pytest.fixture
def pages(tmp_path):
    """A small site without a fault."""
    (tmp_path / "site" / "sub").mkdir(parents=True)
    (tmp_path / "b.txt").write_text("outside")
    (tmp_path / "site" / "a.html").write_text(GOOD)
    (tmp_path / "site" / "p.png").write_text("")
    (tmp_path / "site" / "sub" / "b.html").write_text('<h1>B</h1><p id="there">/home/someone-else</p>')
    return tmp_path / "site"


def test_a_good_site_has_no_fault(pages):
    assert site_check.faults(pages, ("/home/someone",)) == []


@pytest.mark.parametrize("plant", FAULTS)
def test_a_planted_fault_is_found(pages, plant):
    html, message = FAULTS[plant]
    (pages / "a.html").write_text(GOOD + html)
    (found,) = site_check.faults(pages, ("/home/someone",))
    assert found.startswith(f"a.html: {message}")


# --- pins and make ---
def test_pins_are_exact_and_none_is_pinned_elsewhere():
    site = pins(read("requirements-site.txt"))
    assert {"sphinx", "myst-nb", "sphinx-book-theme"} <= set(site)
    assert [str(r) for r in site.values() if not re.fullmatch(r"==[\d.]+", str(r.specifier))] == []
    assert set(site) & set(pins(read("requirements.txt"))) == set()


@needs_make
def test_make_site_installs_its_pins_once_and_again_when_they_change(checkout):  # noqa: F811
    shutil.copy(ROOT / "requirements-site.txt", checkout)
    (checkout / "tools" / "build_site.py").write_text("open('log', 'a').write('site\\n')\n")
    make(checkout, "setup", "PYTHON=./python")
    wanted = "pip -m pip --disable-pip-version-check install -c requirements.txt -r requirements-site.txt"
    done, asked = make(checkout, "site", "PYTHON=./python")
    assert done.returncode == 0, done.stderr
    assert asked == [wanted, "pip -m pip --disable-pip-version-check check", "site"]
    assert make(checkout, "site", "PYTHON=./python")[1] == ["site"]
    assert make(checkout, "setup", "PYTHON=./python")[1] == []
    with (checkout / "requirements-site.txt").open("a") as file:
        file.write("six==1.16.0\n")
    assert make(checkout, "site", "PYTHON=./python")[1][0] == wanted
    assert len(list((checkout / ".venv").glob("*-site-*"))) == 1
    with (checkout / "requirements.txt").open("a") as file:
        file.write("six==1.16.0\n")
    assert wanted in make(checkout, "site", "PYTHON=./python")[1], "a new environment needs the site's packages too"


# --- the pages themselves ---
@pytest.mark.slow
def test_the_site_is_built_without_warning_or_fault(tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    (site_packages,) = (tmp_path / "venv").glob("**/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages / "course.pth").write_text("\n".join([*here, str(ROOT)]))
    install = ["install", "--quiet", "-c", ROOT / "requirements.txt", "-r", ROOT / "requirements-site.txt"]
    subprocess.run([python, "-m", "pip", *install], check=True, timeout=900)
    code = (
        f"import sys, pathlib; sys.path.insert(0, {str(ROOT / 'tools')!r}); import build_site; "
        f"sys.exit(build_site.main([], pathlib.Path({str(tmp_path / 'build')!r})))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "build" / "site"
    assert "warning" not in done.stderr.lower()
    assert site_check.faults(site, (str(ROOT), str(tmp_path))) == []
    for path in ROOT.glob("notebooks/*.ipynb"):
        page = (site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert page.count("<details><summary>") > 10, "the quiz"
        assert f"/{readme.slug()}/v{readme.version()}?urlpath=lab/tree/notebooks/{path.name}" in page
        assert (
            f"colab.research.google.com/github/{readme.slug()}/blob/v{readme.version()}/notebooks/{path.name}" in page
        )
        assert (site / "_sources" / "notebooks" / path.name).read_bytes() == path.read_bytes()
    assert json.dumps("過学習")[1:-1] in (site / "searchindex.js").read_text(encoding="utf-8"), "found by the search"
    assert "<strong>noise_</strong>" in (site / "api" / "course_lib.models.html").read_text(encoding="utf-8")


# --- beyond one machine ---
def test_the_table_of_sizes_says_what_was_measured(tmp_path):
    assert site_pages.scale(tmp_path) == "Not measured yet."
    columns = "features,molecules,basis,seconds,cpu_seconds,peak_mb,parquet_mb,cache_mb\n"
    (tmp_path / "bench_scale.csv").write_text(
        columns
        + "morgan,1000,measured,2.0,1.5,300.4,2.19,0\n"
        + "morgan,100000,extrapolated: 100 x 1000 molecules,9,150,300.4,219,0\n"
    )
    rows = site_pages.scale(tmp_path).splitlines()[2:]
    assert rows[0] == "| `morgan` | 1 000 | measured | 1.5 | 300 | 2.19 | 0 |"
    assert rows[1] == "| `morgan` | 100 000 | extrapolated: 100 x 1 000 molecules | 150 | 300 | 219 | 0 |"
