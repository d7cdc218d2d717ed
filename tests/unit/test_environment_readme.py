"""README.md and CITATION.cff say what is so: derived tables, links, commands, licences."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace

import pandas as pd
import pytest
import yaml

import readme
from course_lib.teaching.claims import RESULT_COLUMNS, load_claims
from environment_rules import ROOT, read

README = read("README.md")


def test_derived_parts_are_up_to_date():
    assert readme.render(README) == README, "run make readme"


def test_a_changed_table_is_noticed():
    changed = README.replace("| 00 ", "| 99 ").replace("| [00 ", "| [99 ")
    assert changed != README
    assert readme.render(changed) == readme.render(README) != changed


def test_missing_markers_are_an_error():
    with pytest.raises(ValueError, match="'claims'"):
        readme.render(README.replace("<!-- claims: end -->", ""))


def test_a_claim_decided_region_by_region_is_not_called_undone(tmp_path, monkeypatch):
    rule = load_claims()["D4"]
    decided = {**dict.fromkeys(RESULT_COLUMNS, 1), "claim": "D4", "endpoint": rule.endpoint}
    rows = [{**decided, "verdict": verdict, "region": verdict} for verdict in ("holds", "undecided")]
    pd.DataFrame(rows).to_csv(tmp_path / "panel_claims.csv", index=False)
    monkeypatch.setenv("COURSE_RESULTS", str(tmp_path))
    line = next(line for line in readme.render(README).splitlines() if "**D4**" in line)
    assert line.endswith("| region by region, in lesson 09 | holds in 1; undecided in 1 |")


def foreign_links(text: str) -> list[str]:
    """Links to a repository, Binder or Codespaces under another address than pyproject.toml gives."""
    own, version = readme.slug(), readme.version()
    patterns = {
        r"https://github\.com/([^/\s)]+/[^/\s)]+)": own,
        r"https://mybinder\.org/v2/gh/([^?\s)]+)": f"{own}/v{version}",
        r"https://codespaces\.new/([^?\s)]+)": own,
    }
    elsewhere = {"codespaces/badge.svg", "CalebBell/chemicals"}
    return [
        found
        for pattern, wanted in patterns.items()
        for found in re.findall(pattern, text)
        if found not in {wanted, *elsewhere}
    ]


def test_links_use_the_repository_of_pyproject():
    assert readme.slug() in README
    assert foreign_links(README) == []
    assert foreign_links(README.replace(readme.slug(), "someone/else")) != []
    assert foreign_links("https://mybinder.org/v2/gh/" + readme.slug() + "/main?urlpath=lab") != [], (
        "a tag, not a branch"
    )


def test_badges_open_the_lesson_of_their_row():
    ready = replace(readme.PLANNED[0], stem="00_start_here", claims="A1")
    table = readme.course_map([ready, readme.PLANNED[4]], "own/er", "1.2.3")
    first, second = table.splitlines()[2:4]
    assert "(https://mybinder.org/v2/gh/own/er/v1.2.3?urlpath=lab/tree/notebooks/00_start_here.ipynb)" in first
    assert "(https://codespaces.new/own/er?quickstart=1)" in first
    assert "in preparation" in second
    assert "mybinder" not in second
    assert "Ready: 1 of 2 lessons, 15 minutes." in table


def test_every_lesson_stands_in_the_map_once():
    rows = re.findall(r"^\| \[?(\d\d) ", README, flags=re.MULTILINE)
    assert rows == [lesson.number for lesson in readme.PLANNED]
    written = {path.name[:2] for path in ROOT.glob("notebooks/[0-9][0-9]_*.ipynb")}
    assert {lesson.number for lesson in readme.lessons() if lesson.stem} == written


def test_paths_and_commands_exist():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    links += re.findall(r"python (tools/\w+\.py)", README)
    assert len(links) >= 5
    assert [link for link in links if not (ROOT / link).exists()] == []
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), flags=re.MULTILINE))
    commands = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.MULTILINE))
    assert {"lab", "test"} <= commands <= targets


def test_version_licence_and_address_are_the_same_everywhere():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == readme.version()
    assert citation["repository-code"] == project["urls"]["Repository"] == f"https://github.com/{readme.slug()}"
    assert set(citation["license"]) == set(project["license"].split(" AND "))
    assert read("LICENSE").startswith("BSD 3-Clause License")
    assert "SPDX-License-Identifier: CC-BY-4.0" in read("LICENSE-text")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
