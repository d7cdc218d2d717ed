"""The environment files agree with each other and with what is imported and installed."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import environment
from environment_rules import ROOT, disagreements, imported_directly, pins, ranges, read

REQUIREMENTS, PYPROJECT, ENVIRONMENT = read("requirements.txt"), read("pyproject.toml"), read("environment.yml")
# Run as programs or plug-ins, not imported by name.
PROGRAMS = {"jupyterlab", "ipykernel", "nbval", "pytest-xdist", "ruff"}


# --- the three files agree ---
def test_package_sets_and_versions_agree():
    assert disagreements(REQUIREMENTS, PYPROJECT, ENVIRONMENT) == []


PLANTS = {
    "a pin outside the range": ("requirements", "numpy==2.4.6", "numpy==1.26.4", "numpy: pinned to 1.26.4"),
    "no pin": ("requirements", "pandas==2.3.3", "pandas>=2.2", "pandas is not pinned"),
    "a package gone from the pins": (
        "requirements",
        r"pooch==[\d.]+ +# .*\n",
        "",
        "pooch: in pyproject.toml, not among",
    ),
    "a package that only the pins name": (
        "requirements",
        r"(?=tqdm==)",
        "plotly==6.3.0\n",
        "plotly: directly imported",
    ),
    "a pin given twice": ("requirements", r"\Z", "tqdm==4.70.1\n", "tqdm stands there twice"),
    "a CUDA package": ("requirements", r"\Z", "nvidia-cublas-cu12==12.8.4.1\n", "nvidia-cublas-cu12 belongs to CUDA"),
    "a local build": ("requirements", "torch==2.13.0", "torch==2.13.0+cpu", "torch is pinned to a local build"),
    "an index": ("requirements", r"\Z", "--index-url https://example.org/simple\n", "is an option or an address"),
    "another range": ("pyproject", '"scipy>=1.13,<2"', '"scipy>=1.14,<2"', "scipy: <2,>=1.14 in pyproject.toml"),
    "a package that conda lacks": ("environment", r"  - pooch.*\n", "", "pooch: only in pyproject.toml"),
    "a package that only conda has": ("environment", r"\Z", "  - plotly>=6.1\n", "plotly: only in environment.yml"),
    "Python as a range": ("environment", "python=3.12", "python>=3.12", "Binder's builder"),
    "Python too old": ("environment", "python=3.12", "python=3.10", "python: 3.10"),
    "an exact pin for conda": (
        "environment",
        "chemicals>=1.5.0,<2",
        "chemicals=1.5.2",
        "chemicals=1.5.2 is an exact pin",
    ),
    "torch with CUDA": ("environment", ",build='cpu\\*'", ",build='*'", "pytorch is not the CPU build"),
    "the package by pip": ("environment", r"\Z", "  - pip:\n    - -e .\n", "a pip section"),
    "another channel": ("environment", "- conda-forge", "- defaults", "channels are not"),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_disagreement_is_found(plant):
    name, old, new, message = PLANTS[plant]
    files = {"requirements": REQUIREMENTS, "pyproject": PYPROJECT, "environment": ENVIRONMENT}
    changed = re.sub(old, lambda _: new, files[name], count=1)
    assert changed != files[name], "the plant did not take"
    files[name] = changed
    faults = disagreements(**files)
    assert any(message in fault for fault in faults), faults


def test_ranges_admit_the_older_versions_of_conda_forge():
    older = pins(read("tests/slow/conda_forge.txt"))
    allowed = ranges(PYPROJECT)
    refused = [str(r) for name, r in older.items() if str(r.specifier).removeprefix("==") not in allowed[name]]
    assert older
    assert refused == []


# --- what is imported is declared ---
@cache
def third_party_imports() -> dict[str, set[str]]:
    """Distributions that our own code imports, with the files that do so."""
    distributions = metadata.packages_distributions()
    own = {"course_lib"} | {path.stem for path in [*ROOT.glob("tools/*.py"), *ROOT.glob("tests/**/*.py")]}
    found: dict[str, set[str]] = {}
    for folder in ("course_lib", "tools", "tests", "notebooks/src"):
        for path in ROOT.joinpath(folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    modules = [node.module]
                else:
                    continue
                for module in {name.split(".")[0] for name in modules} - own - sys.stdlib_module_names - {"__future__"}:
                    for name in distributions.get(module, [module]):
                        found.setdefault(canonicalize_name(name), set()).add(str(path.relative_to(ROOT)))
    return found


def test_everything_imported_is_declared_and_everything_declared_is_used():
    declared, found = set(ranges(PYPROJECT)), third_party_imports()
    # packaging comes with pytest and is used by these tests alone; lesson 08 takes tabpfn only where its weights are
    undeclared = {name: files for name, files in found.items() if name not in declared | {"packaging", "tabpfn"}}
    assert undeclared == {}
    assert declared - set(found) - PROGRAMS == set()


def test_the_package_itself_imports_nothing_that_only_tests_need():
    project = tomllib.loads(PYPROJECT)["project"]
    needed = {canonicalize_name(Requirement(r).name) for r in project["dependencies"]}
    inside = {name for name, files in third_party_imports().items() if any(f.startswith("course_lib") for f in files)}
    assert inside <= needed


# --- the pins are the closure of what is imported ---
@cache
def needs(name: str) -> tuple[Requirement, ...]:
    """What an installed package requires; nothing for one that is not installed."""
    try:
        return tuple(map(Requirement, metadata.requires(name) or []))
    except metadata.PackageNotFoundError:
        return ()


@cache
def closure() -> dict[str, set[tuple[str, str]]]:
    """Everything that the directly imported packages need on some platform and some Python, by installed metadata."""
    found: dict[str, set[tuple[str, str]]] = {}
    systems = {"linux": ("posix", "Linux"), "darwin": ("posix", "Darwin"), "win32": ("nt", "Windows")}
    for python in ("3.11", "3.12", "3.13"):
        for platform, (os_name, system) in systems.items():
            markers = default_environment() | {
                "python_version": python,
                "python_full_version": f"{python}.5",
                "sys_platform": platform,
                "os_name": os_name,
                "platform_system": system,
            }
            todo, seen = [(name, "") for name in imported_directly(REQUIREMENTS)], set()
            while todo:
                name, extra = todo.pop()
                name = canonicalize_name(name)
                if (name, extra) in seen:
                    continue
                seen.add((name, extra))
                found.setdefault(name, set()).add((python, platform))
                for need in needs(name):
                    if need.marker is None or need.marker.evaluate(markers | {"extra": extra}):
                        todo += [(need.name, ""), *((need.name, wanted) for wanted in need.extras)]
    # torch from the package index brings CUDA, which is not pinned
    return {name: where for name, where in found.items() if not re.match(r"nvidia-|cuda-|triton", name)}


def installed_as_pinned() -> bool:
    """Whether the directly imported packages are installed in the pinned versions (by conda they may not be)."""
    for name in imported_directly(REQUIREMENTS):
        try:
            if metadata.version(name).split("+")[0] != str(pins(REQUIREMENTS)[name].specifier).removeprefix("=="):
                return False
        except metadata.PackageNotFoundError:
            return False
    return True


needs_pins = pytest.mark.skipif(not installed_as_pinned(), reason="other versions than the pinned ones are installed")


@needs_pins
def test_pins_are_what_the_packages_need_no_more_and_no_less():
    pinned = set(pins(REQUIREMENTS))
    assert pinned - set(closure()) == set(), "pinned and needed by nothing"
    assert set(closure()) - pinned == set(), "needed and not pinned"


@needs_pins
def test_markers_install_each_pin_where_it_is_needed():
    wrong = {}
    for name, where in closure().items():
        marker = pins(REQUIREMENTS)[name].marker
        for python, platform in {(p, s) for p in ("3.11", "3.12", "3.13") for s in ("linux", "darwin", "win32")}:
            values = {
                "python_version": python,
                "sys_platform": platform,
                "os_name": "nt" if platform == "win32" else "posix",
            }
            wanted = marker is None or marker.evaluate(default_environment() | values)
            if ((python, platform) in where) and not wanted:
                wrong.setdefault(name, []).append((python, platform))
    assert wrong == {}


@needs_pins
def test_every_pin_runs_on_the_oldest_python_that_we_promise():
    oldest = tomllib.loads(PYPROJECT)["project"]["requires-python"].removeprefix(">=") + ".0"
    refused = {}
    for name in pins(REQUIREMENTS):
        try:
            wanted = metadata.metadata(name)["Requires-Python"]
        except metadata.PackageNotFoundError:  # for another platform
            continue
        if wanted and oldest not in SpecifierSet(wanted):
            refused[name] = wanted
    assert refused == {}


# --- Binder, Codespaces, GitHub, CI ---
def test_binder_reads_the_same_environment():
    link = ROOT / "binder" / "environment.yml"
    if os.name != "nt":  # a checkout on Windows may hold the link as text
        assert link.is_symlink()
        assert link.resolve() == ROOT / "environment.yml"


@pytest.mark.skipif(os.name == "nt", reason="needs bash")
@pytest.mark.parametrize("script", ["binder/postBuild", "binder/start", ".ci/run"])
def test_scripts_are_executable_and_parse(script):
    assert os.access(ROOT / script, os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0


def test_postbuild_stops_at_the_first_error_and_installs_nothing_else():
    lines = [line for line in read("binder/postBuild").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -e"
    installs = [line for line in lines if "install" in line]
    assert installs == ["python -m pip install --no-deps -e ."]


@pytest.mark.skipif(os.name == "nt", reason="needs bash")
def test_start_caps_the_threads_and_hands_over():
    code = (
        "import os, sys; print(os.environ['OMP_NUM_THREADS'], os.environ['OMP_WAIT_POLICY'], sys.argv[1:]); sys.exit(7)"
    )
    done = subprocess.run(
        [ROOT / "binder" / "start", sys.executable, "-c", code, "two words"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "1 passive ['two words']"
    assert done.returncode == 7
    for name in ("MKL_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1"):
        assert f"export {name}\n" in read("binder/start")


def test_codespace_is_set_up_by_make():
    container = json.loads(read(".devcontainer/devcontainer.json"))
    python = container["image"].rsplit(":", 1)[1]
    assert f"{python}.0" in SpecifierSet(tomllib.loads(PYPROJECT)["project"]["requires-python"])
    assert f"({python}" in REQUIREMENTS.splitlines()[0].replace("Python ", ""), "the tested Python"
    command = container["postCreateCommand"]
    assert command.split()[:2] == ["make", "setup"]
    index = re.search(r"TORCH_INDEX=(\S+)", command)[1]
    assert f"make setup TORCH_INDEX={index}`" in read("README.md")
    assert container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"].endswith(
        "/.venv/bin/python"
    )


def test_workflow_runs_what_the_readme_says():
    workflow = yaml.safe_load(read(".github/workflows/test.yml"))
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert {"make test", "make test-slow"} <= set(commands)
    readme = read("README.md")
    for command in commands:
        assert command.startswith("make ") or command in readme, command
    conda = next(
        step["with"] for step in workflow["jobs"]["conda"]["steps"] if "environment-file" in step.get("with", {})
    )
    assert conda["environment-file"] == "environment.yml"
    assert conda["activate-environment"] == yaml.safe_load(ENVIRONMENT)["name"]
    assert f"conda activate {yaml.safe_load(ENVIRONMENT)['name']}" in readme


@pytest.mark.skipif(os.name == "nt", reason="needs bash")
@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("mirror", [True, False])
def test_ci_runs_the_readmes_command_with_the_mirror_and_its_exit_code(tmp_path, code, mirror):
    repo, shared, fake = tmp_path / "repo", tmp_path / "shared" / "data", tmp_path / "bin"
    (repo / ".ci").mkdir(parents=True)
    fake.mkdir()
    if mirror:
        shared.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", repo / ".ci" / "run")
    for name, does in {
        "make": f'echo "make $* in $PWD mirror ${{COURSE_DATA_MIRROR:-none}}"; exit {code}',
        "ldconfig": "echo libgomp.so.1 libXrender.so.1 libXext.so.6 libexpat.so.1",
        "apt-get": "echo apt-get must not run; exit 9",
    }.items():
        (fake / name).write_text(f"#!/bin/sh\n{does}\n")
        (fake / name).chmod(0o755)
    clean = {k: v for k, v in os.environ.items() if k != "COURSE_DATA_MIRROR"} | {
        "PATH": f"{fake}:{os.environ['PATH']}"
    }
    done = subprocess.run(["bash", ".ci/run"], cwd=repo, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stdout.strip() == f"make test in {repo} mirror {shared if mirror else 'none'}"


# --- small things ---
@pytest.mark.parametrize(
    ("simd", "disabled"),
    [
        ({"baseline": ["X86_V2"], "found": ["X86_V3"], "not found": ["X86_V4", "AVX512_ICL"]}, "X86_V4 AVX512_ICL"),
        ({"baseline": ["X86_V2"], "found": ["X86_V3", "X86_V4", "AVX512_ICL"]}, "X86_V4 AVX512_ICL"),
        (
            {"baseline": ["SSE", "SSE3"], "found": ["AVX2", "AVX512F"], "not found": ["AVX512_SKX"]},
            "AVX512F AVX512_SKX",
        ),
        ({"baseline": ["X86_V2"], "not found": ["X86_V3", "X86_V4"]}, None),
        ({"baseline": ["NEON", "ASIMD"], "found": ["ASIMDHP"]}, None),
        ({}, None),
    ],
)
def test_processors_with_avx2_or_more_calculate_alike(monkeypatch, simd, disabled):
    monkeypatch.setattr("numpy.show_config", lambda mode: {"SIMD Extensions": simd})
    found = environment.one_code_path()
    assert found.get("NPY_DISABLE_CPU_FEATURES") == disabled
    assert ("OPENBLAS_CORETYPE" in found) == ("ATEN_CPU_CAPABILITY" in found) == (disabled is not None)


def test_the_tests_themselves_follow_that_path():
    import numpy as np

    fixed = environment.one_code_path()
    assert {name: os.environ.get(name) for name in fixed} == fixed
    if "PYTEST_XDIST_WORKER" in os.environ:  # a process that began with these variables
        found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
        assert not [name for name in found if name == "X86_V4" or name.startswith("AVX512")]


def test_jupyter_settings_are_added_to_what_is_there(tmp_path):
    overrides = tmp_path / "share/jupyter/lab/settings/overrides.json"
    kernel = tmp_path / "share/jupyter/kernels/python3/kernel.json"
    overrides.parent.mkdir(parents=True)
    kernel.parent.mkdir(parents=True)
    overrides.write_text('{"some-plugin": {"key": 1}}')
    kernel.write_text('{"argv": ["python"], "env": {"KEPT": "1"}}')
    assert environment.configure_jupyter(tmp_path) == [overrides, kernel]
    settings = json.loads(overrides.read_text())
    assert settings["some-plugin"] == {"key": 1}
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    fixed = {"KEPT": "1", "OMP_WAIT_POLICY": "passive", **environment.one_code_path()}
    assert json.loads(kernel.read_text())["env"] == fixed
    before = overrides.read_text(), kernel.read_text()
    environment.configure_jupyter(tmp_path)
    assert (overrides.read_text(), kernel.read_text()) == before


def test_setting_names_are_those_that_jupyterlab_knows():
    folder = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas"
    schemas = list(folder.glob("@jupyterlab/apputils-extension/notification.json"))
    if not schemas:
        pytest.skip("JupyterLab's schemas are not under sys.prefix")
    known = json.loads(schemas[0].read_text())["properties"]
    assert set(environment.LAB_OVERRIDES["@jupyterlab/apputils-extension:notification"]) <= set(known)


def test_import_is_fast_and_loads_nothing_heavy():
    heavy = ("torch", "rdkit", "pandas", "numpy", "sklearn", "lightgbm", "matplotlib", "mordred", "joblib")
    code = (
        "import sys, time; start = time.perf_counter(); import course_lib; seconds = time.perf_counter() - start; "
        f"print(seconds, *[name for name in {heavy!r} if name in sys.modules])"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    seconds, *loaded = min((run.stdout.split() for run in runs), key=lambda words: float(words[0]))
    assert loaded == []
    assert float(seconds) < 0.5
