"""The parts of the web site that are derived from what the course already holds; tools/build_site.py writes them."""

from __future__ import annotations

import ast
import copy
import csv
import importlib
import inspect
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import ParamSpec, TypeVar

import nbformat
import pandas as pd
from nbformat import NotebookNode

import hygiene
import readme
from course_lib.teaching.checks import figures
from lessons import NOTEBOOKS, ROOT

START = 9 * 60
"""When a day begins, in minutes after midnight."""
PLAIN = str.maketrans({character: f"\\{character}" for character in "\\`*_$<>|[]{}"})


def plain(text: object) -> str:
    """Text in which Markdown finds nothing to interpret."""
    return str(text).translate(PLAIN)


def table(head: Iterable[str], rows: Iterable[Iterable[object]], align: str = "") -> str:
    """Return a Markdown table; ``align`` has a letter a column, l or r."""
    head = list(head)
    marks = {"l": "---", "r": "---:"}
    lines = [head, [marks[letter] for letter in align or "l" * len(head)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def address(path: str) -> str:
    """Address of a file of this version in the public repository."""
    return f"https://github.com/{readme.slug()}/blob/v{readme.version()}/{path}"


@cache
def notebooks() -> dict[str, NotebookNode]:
    """Notebooks of the lessons that are written, by number."""
    stems = {lesson.number: lesson.stem for lesson in readme.lessons() if lesson.stem}
    return {number: nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4) for number, stem in stems.items()}


def links() -> dict[str, str]:
    """Markdown link, or the title alone for a lesson to come, by lesson number."""
    return {
        row.number: f"[{row.number} {row.title}](notebooks/{row.stem}.ipynb)"
        if row.stem
        else f"{row.number} {row.title}"
        for row in readme.lessons()
    }


# --- lessons --------------------------------------------------------------------------------------------------------
def page_of(notebook: NotebookNode) -> NotebookNode:
    """Return a copy for the site: alternative texts for pictures, solutions and code of sliders folded."""
    page = copy.deepcopy(notebook)
    texts, _ = hygiene.figure_texts(page)
    for position, cell in enumerate(page.cells):
        tags = cell.metadata.get("tags", [])
        show = {}
        if position in texts:
            show["image"] = {"alt": texts[position]}
        if "solution" in tags:
            show |= {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"}
            cell.metadata["tags"] = [*tags, "hide-cell"]
        if "widget" in tags:
            prompt = "code of the controls, which work in Jupyter only"
            if "interactive(" in cell.source:
                prompt += "; the picture above shows where they start"
            show |= {"code_prompt_show": f"Show the {prompt}", "code_prompt_hide": f"Hide the {prompt}"}
            cell.metadata["tags"] = [*tags, "hide-input"]
        if show:
            cell.metadata["mystnb"] = show
    return page


def lessons() -> str:
    """Table of all lessons."""
    rows = [
        (
            links()[row.number],
            row.minutes,
            "core" if row.number in readme.CORE else "further",
            (row.claims or "none") if row.stem else "in preparation",
        )
        for row in readme.lessons()
    ]
    return table(("lesson", "minutes", "path", "claims"), rows, "lrll")


def picture() -> str:
    """Take the picture of README.md with its text and the sentence below it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.search(r"^!\[[^\]]+\]\(docs/overview\.png\)\n\n\*.+?\*\n", text, flags=re.MULTILINE | re.DOTALL)[0]


# --- instructors ----------------------------------------------------------------------------------------------------
def parts(notebook: NotebookNode) -> dict[str, int]:
    """Parts of a lesson and their minutes, from its instructor notes."""
    notes = "\n".join(cell.source for cell in notebook.cells if "instructor" in cell.metadata.get("tags", []))
    return {name: int(n) for name, n in re.findall(r"^\|\s*([^|\n]+?)\s*\|\s*(\d+)\s*\|", notes, flags=re.MULTILINE)}


def chosen(step: Mapping, minutes: Mapping[str, int]) -> dict[str, int]:
    """Parts of a lesson that a step of a timetable takes; all of them when it names none.

    Raises
    ------
    ValueError
        When a name fits no part, or more than one.
    """
    if "parts" not in step:
        return dict(minutes)
    found = {}
    for name in step["parts"]:
        fits = [part for part in minutes if re.match(rf"{re.escape(name)}(?![\d.]*\d)", part)]
        if len(fits) != 1:
            raise ValueError(
                f"site/timetables.toml: part {name!r} fits {len(fits)} parts of lesson {step['lesson']}: "
                f"{', '.join(minutes)}"
            )
        found[fits[0]] = minutes[fits[0]]
    return found


def day_rows(day: list[Mapping], limit: int, minutes: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str, int]]:
    """Rows of one day: what (a lesson's number, or a pause), which parts, minutes; what is left over at the end.

    A lesson to come keeps the time that is planned for it.

    Raises
    ------
    ValueError
        When the sum exceeds ``limit``.
    """
    planned = {lesson.number: lesson.minutes for lesson in readme.PLANNED}
    rows: list[tuple[str, str, int]] = []
    for step in day:
        if "pause" in step:
            rows.append((step["pause"], "", step["minutes"]))
        elif step["lesson"] in minutes:
            taken = chosen(step, minutes[step["lesson"]])
            rows.append((step["lesson"], "; ".join(taken) if "parts" in step else "", sum(taken.values())))
        else:
            rows.append((step["lesson"], "in preparation, until then own data", planned[step["lesson"]]))
    total = sum(row[2] for row in rows)
    if total > limit:
        raise ValueError(f"site/timetables.toml: {total} min are planned where there are {limit}")
    return rows + ([("questions, own data", "", limit - total)] if total < limit else [])


def plans() -> list[dict]:
    """Timetables as they stand in site/timetables.toml."""
    return tomllib.loads((ROOT / "site" / "timetables.toml").read_text(encoding="utf-8"))["timetable"]


def clock(minute: int) -> str:
    """Minutes after midnight as 09:05."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def timetables() -> str:
    """All timetables, with the minutes that the notebooks state."""
    minutes, titles = {number: parts(notebook) for number, notebook in notebooks().items()}, links()
    out = []
    for plan in plans():
        out += [f"### {plan['title']}", plan["about"]]
        for number, day in enumerate(plan["days"], start=1):
            if len(plan["days"]) > 1:
                out.append(f"**Day {number}**")
            now, lines = START, []
            for what, which, length in day_rows(day, plan["minutes"], minutes):
                shown = titles.get(what, what) + (f": {plain(which)}" if which else "")
                lines.append((clock(now), shown, length))
                now += length
            out.append(table(("from", "what", "minutes"), [*lines, (clock(now), "end", "")], "llr"))
    return "\n\n".join(out)


# --- claims ---------------------------------------------------------------------------------------------------------
def lectures() -> dict[str, str]:
    """Read the lecture that makes a claim, by the claim's letter, from the references of lesson 00."""
    references = next(c.source for c in notebooks()["00"].cells if c.source.startswith("## References"))
    found = {}
    for entry in re.split(r"^- ", references, flags=re.MULTILINE)[1:]:
        text, first, last = re.fullmatch(r"(.+?)\s*Claims ([A-D])\d to ([A-D])\d\.", " ".join(entry.split())).groups()
        found |= {letter: text for letter in "ABCD" if first <= letter <= last}
    return found


def today(cells: Iterable[NotebookNode]) -> dict[str, str]:
    """Today's illustration of each claim, by its id, as the stored outputs of a FAST run have it."""
    found = {}
    for cell in cells:
        for output in cell.get("outputs", []):
            for claim, text in re.findall(
                r"^([A-D]\d) today +(.+(?:\n {13}.+)*)", output.get("text", ""), flags=re.MULTILINE
            ):
                found[claim] = re.sub(r"^illustration, not a verdict: ", "", " ".join(text.split()))
    return found


def claims() -> str:
    """List all claims in a table, then each with its source, rule, figures and verdict."""
    from course_lib.teaching import claim, load_claims

    titles, sources, rules = links(), lectures(), load_claims()
    fast = today(cell for notebook in notebooks().values() for cell in notebook.cells)
    known = {id: claim(id) for id in rules}
    summary = [(f"[{id}](#claim-{id.lower()})", plain(known[id].text), known[id].verdict) for id in rules]
    out = [table(("claim", "what the lecture says", "verdict of the full run"), summary)]
    for id, rule in rules.items():
        if id.endswith("1"):
            out.append(f"## Claims {id[0]}")
        full = [
            (f"{row['region']}: " if isinstance(row.get("region"), str) else "")
            + "{} (95 % interval {} to {}, ".format(*figures(row["estimate"], row["low"], row["high"]))
            + f"{row['n_units']:.0f} x {rule.unit}, p = {row['p_holm']:.2g} after Holm, run of {row['date']}): "
            f"**{row['verdict']}**"
            for _, row in known[id].results.iterrows()
        ]
        facts = {
            "Source": sources[id[0]],
            "Tested in": titles[rule.lesson],
            "Measured": plain(rule.estimand),
            "Rule": f"holds when `{rule.endpoint}` lies {rule.direction} {rule.margin:g}. {plain(rule.rule)}",
            "Data": f"{', '.join(f'`{name}`' for name in rule.sets)}; {plain(rule.seeds)}",
            "FULL": "; ".join(full) or "no full run yet",
            "FAST": f"{plain(fast[id])} (an illustration in the lesson, no verdict)" if id in fast else "none",
            "Verdict": known[id].verdict,
        }
        out += [
            f"(claim-{id.lower()})=\n### {id}",
            f"**{plain(rule.text)}**",
            "\n".join(f"- **{name}:** {text}" for name, text in facts.items()),
        ]
    return "\n\n".join(out)


# --- reproduction ---------------------------------------------------------------------------------------------------
PANELS = (
    "The study's data may not be passed on, so ours are simulated panels: conclusions can be compared, figures need "
    "not agree. *Correlation* is the mean rank correlation over eras, and *sharpe* that mean by its spread over eras: "
    "of the averaged prediction, in the table *samples* of single posterior samples, with *sd* their spread over the "
    "samples. *auc* says how well the predictive spread tells eras with a negative score from others. *js* is the "
    "Jensen-Shannon divergence between distributions of scores, which cannot exceed 0.69."
)


SPLITS = (
    "Every cell on the published split, each use of its test part logged; intervals come from resampling the test "
    "molecules. *reaches*: the upper end of our interval is at least the published figure. *Gap* is the miscalibration "
    "area, for BACE the expected calibration error, by the study's own rule. *fine*: our gap is one that 19 of 20 "
    "perfect models would have (by the course's rule), or at most the published one. Ours learn on the study's "
    "training and validation molecules together, without those that share their connectivity with a test molecule."
)
CAMPAIGNS = (
    "Share of the hits found after 250 measurements, those of the start left out. *reaches*: ours is at least the "
    "published share less one standard error of it. *of the most*: as a part of the largest share that so many "
    "can find from our starts; where it is 1, the rest of the difference is the luck of the starts."
)


def reproduction(results: Path = ROOT / "results") -> str:
    """Put published figures beside those of the full runs, for each full run whose table is there."""
    out = []
    path = results / "dionysus_compared.csv"
    if path.is_file():
        rows = [
            (
                *(row.set, row.model, row.on, row.measure.upper()),
                between(row.published, row.published_low, row.published_high),
                between(row.here, row.low, row.high),
                yes(row.reaches),
                *(f"{row.published_gap:.3f}", f"{row.gap_their_rule:.3f}", yes(row.calibrated)),
            )
            for row in pd.read_csv(path).itertuples()
        ]
        head = ("set", "model", "feature", "measure", "published (95 % interval)", "here (95 % interval)", "reaches",
                "gap published", "gap here", "fine")  # fmt: skip
        out += ["## Accuracy and calibration (DIONYSUS)", SPLITS, table(head, rows, "llllrrlrrl")]
    path = results / "bo_compared.csv"
    if path.is_file():
        rows = [
            (
                *(row.set, row.model, row.on, f"{row.published:.3f}"),
                between(row.hits, row.low, row.high),
                *(f"{row.of_most:.3f}", row.n_starts, yes(row.reaches)),
            )
            for row in pd.read_csv(path, keep_default_na=False).itertuples()
        ]
        head = ("set", "model", "feature", "published", "here (95 % interval over starts)", "of the most", "starts",
                "reaches")  # fmt: skip
        out += ["## Bayesian optimisation (DIONYSUS)", CAMPAIGNS, table(head, rows, "lllrrrrl")]
    path = results / "panel_compared.csv"
    if path.is_file():
        compared = pd.read_csv(path, keep_default_na=False)
        rows = [
            (*(plain(row[key]) for key in ("table", "model", "prior", "measure")), row["published"], ours(row))
            for _, row in compared.iterrows()
        ]
        head = ("table", "model", "prior", "measure", "published", "here (95 % interval over panels)")
        out += ["## Era panels (habakan)", PANELS, table(head, rows, "llllrr")]
    return "\n\n".join(out) or "No full run with published figures beside it is in `results/` yet."


def between(value: float, low: float, high: float) -> str:
    """Write a figure with its interval."""
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def yes(found: bool) -> str:
    """Write a truth value."""
    return "yes" if found else "no"


def ours(row: Mapping) -> str:
    """Our figure with its interval, or nothing where there is none."""
    found = [row[name] for name in ("estimate", "low", "high")]
    return "{} ({} to {})".format(*figures(*map(float, found))) if "" not in found else ""


# --- glossary, data, API --------------------------------------------------------------------------------------------
def amount(value: float) -> str:
    """Write a number with three figures, from 100 on without decimals, and with a space at the thousands."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"


def scale(results: Path = ROOT / "results") -> str:
    """Return what features of many molecules cost, from results/bench_scale.csv."""
    path = results / "bench_scale.csv"
    if not path.exists():
        return "Not measured yet."
    rows = [
        (
            f"`{row.features}`",
            amount(row.molecules),
            re.sub(r"\d{4,}", lambda number: amount(int(number[0])), row.basis),
            amount(row.cpu_seconds),
            amount(row.peak_mb),
            amount(row.parquet_mb),
            amount(row.cache_mb),
        )
        for row in pd.read_csv(path).itertuples()
    ]
    head = ["features", "molecules", "basis", "CPU seconds", "memory, MB", "Parquet, MB", "cache, MB"]
    return table(head, rows, "lrlrrrr")


def glossary() -> str:
    """Glossary in English and Japanese, each term once, in alphabetical order."""
    path, titles = ROOT / "course_lib" / "teaching" / "glossary.csv", links()
    with path.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["term"].lower())
    entries = []
    for row in rows:
        entries.append(f"{row['term']}\n{row['japanese']}\n  {plain(row['definition'])}. *{titles[row['lesson']]}*\n")
    return "```{glossary}\n" + "\n".join(entries) + "```"


def data_cards() -> str:
    """Return the data cards, with links to files led to the repository."""
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    return re.sub(r"\]\((?!https?:|#)([^)]+)\)", lambda match: f"]({address('data/' + match[1])})", text)


def modules() -> list[str]:
    """Names of the package's public modules, in the order in which data flows."""
    import course_lib

    return [f"course_lib.{name}" for name in course_lib._SUBMODULES]


def public(module: ModuleType) -> list[str]:
    """Public names of a module: what it lists, or what it defines (variables for types are not for a reader)."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return [name for name in own if name[0] != "_" and not isinstance(getattr(module, name), TypeVar | ParamSpec)]


def constant_text(module: ModuleType, name: str) -> str:
    """Text that stands below a constant where it is assigned, in the module or one inside it; empty when none does."""
    value = getattr(module, name)
    for inner, loaded in list(sys.modules.items()):
        if inner.startswith(module.__name__) and vars(loaded).get(name) is value:
            body = ast.parse(inspect.getsource(loaded)).body
            for statement, following in pairwise(body):
                targets = getattr(statement, "targets", [getattr(statement, "target", None)])
                said = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
                if said and name in [getattr(target, "id", "") for target in targets]:
                    return " ".join(following.value.value.split())
    return ""


def api_page(name: str) -> str:
    """Page of one module, in reStructuredText: its text, then each public name."""
    module = importlib.import_module(name)
    out = [name, "=" * len(name), "", f".. automodule:: {name}", ""]
    for item in public(module):
        value = getattr(module, item)
        if inspect.isclass(value):
            out += [f".. autoclass:: {name}.{item}", "   :members:", ""]
        elif callable(value):
            out += [f".. autofunction:: {name}.{item}", ""]
        else:
            out += [f".. py:data:: {name}.{item}", "   :module:", "", f"   {constant_text(module, item)}", ""]
    return "\n".join(out)


def api() -> str:
    """Table of the modules, and the contents list that puts their pages in the same order."""
    rows = []
    for name in modules():
        about = inspect.getdoc(importlib.import_module(name)).splitlines()[0]
        rows.append((f"[{name}](api/{name}.rst)", about.replace("``", "`")))
    pages = "\n".join(f"api/{name}" for name in modules())
    return table(("module", "what it is for"), rows) + f"\n\n```{{toctree}}\n:hidden:\n\n{pages}\n```"
