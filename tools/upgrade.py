"""Renew the pins of requirements.txt within the ranges of pyproject.toml, torch excepted. `make upgrade` runs it.

    python tools/upgrade.py             write the file and say what changed
    python tools/upgrade.py --check     say what would change, write nothing

The order, groups and comments of the file stay. Packages that newer versions no longer pull in go, new ones join the
last group. Then `make test` decides: an upgrade counts when it passes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
KEPT = {"torch"}  # its builds differ from index to index; renewed by hand
LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?P<rest>.*)$")


def solve(kept: dict[str, str]) -> dict[str, str]:
    """Return the newest versions that fit together, by canonical name, as pip resolves them afresh."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder) / "kept.txt", Path(folder) / "report.json"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in kept.items()))
        options = ["--dry-run", "--ignore-installed", "--quiet", "-c", constraints]
        command = [sys.executable, "-m", "pip", "install", *options, "--report", report, f"{ROOT}[dev]"]
        subprocess.run([str(part) for part in command], check=True, cwd=ROOT)
        found = json.loads(report.read_text())["install"]
    versions = {canonicalize_name(item["metadata"]["name"]): item["metadata"]["version"] for item in found}
    versions.pop("course-lib", None)
    return versions | kept  # as pinned, without an index's "+cpu"


def renew(text: str, versions: dict[str, str]) -> tuple[str, list[str]]:
    """Return the text of requirements.txt with other versions, and what changed in words.

    Parameters
    ----------
    text : str
    versions : dict
        Canonical name to version. A pin with a marker that is not among them (for another system) stays.
    """
    lines, changes, pinned = [], [], set()
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None:
            lines.append(line)
            continue
        name, old, rest = canonicalize_name(match["name"]), match["version"], match["rest"]
        pinned.add(name)
        new = versions.get(name, old if ";" in rest else None)
        if new is None:
            changes.append(f"{name} {old} goes: nothing pulls it in")
            continue
        if new != old:
            changes.append(f"{name} {old} -> {new}")
            # a comment keeps its column as far as there is room
            gap = re.match(r"( +)#", rest)
            if gap:
                width = max(1, len(gap[1]) + len(old) - len(new))
                rest = " " * width + rest.lstrip()
        lines.append(f"{match['name']}=={new}{rest}")
    added = sorted(set(versions) - pinned)
    changes += [f"{name} {versions[name]} is new" for name in added]
    return "\n".join([*lines, *(f"{name}=={versions[name]}" for name in added)]) + "\n", changes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    path = ROOT / "requirements.txt"
    text = path.read_text(encoding="utf-8")
    pins = {canonicalize_name(m["name"]): m["version"] for m in map(LINE.match, text.splitlines()) if m}
    renewed, changes = renew(text, solve({name: pins[name] for name in KEPT}))
    print("\n".join(changes) or "every pin is the newest that fits")
    if changes and not options.check:
        path.write_text(renewed, encoding="utf-8")
        print("requirements.txt is renewed: now `make test`, and `make notebooks` where outputs changed")


if __name__ == "__main__":
    main()
