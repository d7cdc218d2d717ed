"""Rules that hold between requirements.txt, pyproject.toml and environment.yml, each returning faults in words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
CONDA_NAMES = {"matplotlib-base": "matplotlib", "pytorch": "torch", "pytorch_geometric": "torch-geometric"}
CUDA = re.compile(r"^(nvidia-|cuda-|triton|pytorch-triton)")


def read(name: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def pins(text: str) -> dict[str, Requirement]:
    """Pinned requirements by canonical name."""
    lines = [line.split(" #")[0].strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): r for r in found}


def imported_directly(text: str) -> set[str]:
    """Names in the groups of requirements.txt that are headed "Imported directly"."""
    names, direct = set(), False
    for line in text.splitlines():
        if line.startswith("# ---"):
            direct = "Imported directly" in line
        elif direct and line.strip() and not line.startswith("#"):
            names.add(canonicalize_name(Requirement(line.split(" #")[0]).name))
    return names


def ranges(pyproject: str) -> dict[str, SpecifierSet]:
    """Version ranges of pyproject.toml, of the package and of its ``dev`` extra together."""
    project = tomllib.loads(pyproject)["project"]
    found = [Requirement(r) for r in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]
    return {canonicalize_name(r.name): r.specifier for r in found}


def conda_ranges(environment: str) -> dict[str, SpecifierSet]:
    """Version ranges of environment.yml under their names on the package index, Python and pip left out."""
    found = {}
    for entry in yaml.safe_load(environment)["dependencies"]:
        if not isinstance(entry, str) or re.match(r"(python|pip)\b(?!-)", entry):
            continue
        bracket = re.fullmatch(r"([a-z0-9_.-]+)\[version='([^']*)',build='[^']*'\]", entry)
        plain = re.fullmatch(r"([a-z0-9_.-]+?)\s*([<>=!~][^ ]*)?", entry)
        name, version = (bracket or plain).groups()
        found[canonicalize_name(CONDA_NAMES.get(name, name))] = SpecifierSet(re.sub(r"^=(?!=)", "==", version or ""))
    return found


def requirements_faults(requirements: str) -> list[str]:
    """Find what is wrong with requirements.txt by itself."""
    faults = []
    lines = [line.split(" #")[0].strip() for line in requirements.splitlines()]
    names = []
    for line in filter(None, (line for line in lines if not line.startswith("#"))):
        if line.startswith("-") or "://" in line or " @ " in line:
            faults.append(f"requirements.txt: {line!r} is an option or an address")
            continue
        requirement = Requirement(line)
        names.append(canonicalize_name(requirement.name))
        if not re.fullmatch(r"==[^*,]+", str(requirement.specifier)):
            faults.append(f"requirements.txt: {requirement.name} is not pinned to one version")
        if CUDA.match(requirement.name):
            faults.append(f"requirements.txt: {requirement.name} belongs to CUDA")
        if "+" in str(requirement.specifier):
            faults.append(f"requirements.txt: {requirement.name} is pinned to a local build")
    faults += [
        f"requirements.txt: {name} stands there twice" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    return faults


def environment_faults(environment: str) -> list[str]:
    """Find what is wrong with environment.yml by itself."""
    faults = []
    if not re.search(r"^ *- python=3\.\d+$", environment, flags=re.MULTILINE):
        faults.append("environment.yml: Binder's builder reads Python's version only as 'python=3.12'")
    content = yaml.safe_load(environment)
    if content["channels"] != ["conda-forge"]:
        faults.append("environment.yml: channels are not conda-forge alone")
    for entry in content["dependencies"]:
        if not isinstance(entry, str):
            faults.append(f"environment.yml: a pip section {entry}: the package is installed by postBuild")
        elif re.match(r"[a-z0-9_.-]+ *={1,2} *\d", entry) and not entry.startswith("python="):
            faults.append(f"environment.yml: {entry} is an exact pin, which conda-forge may not have")
    if "pytorch[version='>=2.6,<3',build='cpu*']" not in content["dependencies"]:
        faults.append("environment.yml: pytorch is not the CPU build in the range that was agreed")
    return faults


def disagreements(requirements: str, pyproject: str, environment: str) -> list[str]:
    """Find where package sets or versions of the three files disagree, and faults of single files."""
    faults = requirements_faults(requirements) + environment_faults(environment)
    pinned, wanted, conda = pins_or_empty(requirements), ranges(pyproject), conda_ranges(environment)
    direct = imported_directly(requirements) if pinned else set()
    for name in sorted(set(wanted) - direct):
        faults.append(f"{name}: in pyproject.toml, not among the directly imported of requirements.txt")
    for name in sorted(direct - set(wanted)):
        faults.append(f"{name}: directly imported in requirements.txt, not in pyproject.toml")
    for name in sorted(set(wanted) ^ set(conda)):
        where = "pyproject.toml" if name in wanted else "environment.yml"
        faults.append(f"{name}: only in {where}")
    for name in sorted(set(wanted) & set(conda)):
        if wanted[name] != conda[name]:
            faults.append(f"{name}: {wanted[name]} in pyproject.toml, {conda[name]} in environment.yml")
    for name in sorted(set(wanted) & set(pinned)):
        version = Version(str(pinned[name].specifier).removeprefix("=="))
        if version not in wanted[name]:
            faults.append(f"{name}: pinned to {version}, outside {wanted[name]} of pyproject.toml")
    python = re.search(r"^ *- python=(3\.\d+)$", environment, flags=re.MULTILINE)
    if python and f"{python[1]}.0" not in SpecifierSet(tomllib.loads(pyproject)["project"]["requires-python"]):
        faults.append(f"python: {python[1]} of environment.yml is outside requires-python of pyproject.toml")
    return faults


def pins_or_empty(requirements: str) -> dict[str, Requirement]:
    """Pins that can be compared; lines that `requirements_faults` reports are left out."""
    kept = []
    for line in requirements.splitlines():
        bare = line.split(" #")[0].strip()
        if bare.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[^*,]+", bare):
            kept.append(line)
    return pins("\n".join(kept))
