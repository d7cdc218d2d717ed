"""The Makefile: set-up once, clear errors, exit codes, and nothing newer than GNU Make 3.81."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

import environment
from environment_rules import ROOT, pins, read


def test_makefile_keeps_to_gnu_make_381():
    newer = r"\.ONESHELL|\.SHELLFLAGS|&:|\$\(file |!=|::=|\bundefine\b|\$\(let |\$\(intcmp "
    assert re.findall(newer, read("Makefile")) == []


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", read("Makefile"), flags=re.MULTILINE))


def test_every_target_is_phony_and_explained():
    text = read("Makefile")
    explained = set(re.findall(r"^([a-z-]+):.*  ## \S", text, flags=re.MULTILINE))
    assert explained == makefile_targets() == set(re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)[1].split())


def test_every_script_that_the_makefile_runs_is_there():
    scripts = set(re.findall(r"\$\(RUN\) ((?:tools|benchmarks)/\w+\.py)", read("Makefile")))
    assert len(scripts) >= 5
    assert [script for script in sorted(scripts) if not (ROOT / script).is_file()] == []


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile and the pins, and a python that writes down what it is asked to install."""
    (tmp_path / "tools").mkdir()
    for name in ("Makefile", "requirements.txt", "pyproject.toml", "tools/environment.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    fake = tmp_path / "python"
    fake.write_text(
        f"""#!/bin/sh
case "$1 $2" in
  "-m venv") echo "venv $*" >> log; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  "-m pip") echo "pip $*" >> log ;;
  "tools/environment.py jupyter") echo "jupyter" >> log ;;
  *) exec {sys.executable} "$@" ;;
esac
"""
    )
    fake.chmod(0o755)
    return tmp_path


def make(checkout, *arguments):
    """Run make in the checkout; returns the finished process and what was asked of python since the last call."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PYTHON", "TORCH_INDEX", "ARGS"))}
    done = subprocess.run(
        ["make", *arguments], cwd=checkout, env=clean, capture_output=True, text=True, check=False, timeout=60
    )
    log = checkout / "log"
    asked = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return done, asked


needs_make = pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="needs make")


@needs_make
def test_setup_is_done_once_and_again_when_the_pins_change(checkout):
    done, asked = make(checkout, "setup", "PYTHON=./python")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in asked] == ["venv", "pip", "pip", "pip", "jupyter"]
    assert any("-r requirements.txt" in line for line in asked)

    os.utime(checkout / "requirements.txt")  # newer, but the same
    _, asked = make(checkout, "setup", "PYTHON=./python")
    assert asked == []
    _, asked = make(checkout, "setup")  # finds the interpreter in .venv
    assert asked == []

    with (checkout / "requirements.txt").open("a") as file:
        file.write("six==1.16.0\n")
    os.utime(checkout / "requirements.txt", (0, 0))  # older, but not the same
    _, asked = make(checkout, "setup", "PYTHON=./python")
    assert any("-r requirements.txt" in line for line in asked)
    assert not any(line.startswith("venv") for line in asked), "the environment is kept"
    assert len(list((checkout / ".venv").glob(".ready-*"))) == 1


@needs_make
def test_a_set_up_that_failed_is_not_remembered(checkout):
    fake = checkout / "python"
    working = fake.read_text()
    fake.write_text(working.replace('"-m pip") ', '"-m pip") exit 5; '))
    done, _ = make(checkout, "setup", "PYTHON=./python")
    assert done.returncode != 0
    assert list((checkout / ".venv").glob(".ready-*")) == []
    fake.write_text(working)
    shutil.copy(fake, checkout / ".venv" / "bin" / "python")
    done, asked = make(checkout, "setup", "PYTHON=./python")
    assert done.returncode == 0
    assert any("-r requirements.txt" in line for line in asked)


@needs_make
def test_torch_comes_from_another_index_when_asked(checkout):
    _, asked = make(checkout, "setup", "PYTHON=./python", "TORCH_INDEX=https://example.org/cpu")
    pin = pins(read("requirements.txt"))["torch"]
    torch = [line for line in asked if "https://example.org/cpu" in line]
    assert torch == [
        f"pip -m pip --disable-pip-version-check install --no-deps --index-url https://example.org/cpu {pin}"
    ]
    assert asked.index(torch[0]) < next(i for i, line in enumerate(asked) if "-r requirements.txt" in line)


@needs_make
@pytest.mark.parametrize("python", ["old", "missing"])
def test_an_old_python_gives_one_clear_error(checkout, python):
    old = checkout / "old"
    old.write_text("#!/bin/sh\nexit 1\n")  # what the version check of an old interpreter comes to
    old.chmod(0o755)
    done, asked = make(checkout, "setup", f"PYTHON=./{python}")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert f"./{python}" in done.stderr
    assert asked == []


@needs_make
def test_make_test_ends_with_the_exit_code_of_its_tests(checkout):
    make(checkout, "setup", "PYTHON=./python")
    python = checkout / ".venv" / "bin" / "python"
    text = python.read_text()
    for tool, code in (("ruff", 1), ("pytest", 5)):
        python.write_text(
            text.replace(
                '"-m pip")', f'"-m {tool}") exit {code} ;;\n  "-m ruff"|"-m pytest") echo "$2" >> log ;;\n  "-m pip")'
            )
        )
        done, _ = make(checkout, "test", "PYTHON=./python")
        assert done.returncode != 0, tool
    python.write_text(text.replace('"-m pip")', '"-m ruff"|"-m pytest") echo "$*" >> log ;;\n  "-m pip")'))
    done, asked = make(checkout, "test", "PYTHON=./python")
    assert done.returncode == 0
    assert asked == ["-m ruff check .", "-m pytest -n 2 --nbval-lax tests notebooks"]


def test_hash_follows_the_content_and_not_the_line_ends(checkout):
    first = environment.pins_hash(checkout)
    text = (checkout / "requirements.txt").read_bytes()
    (checkout / "requirements.txt").write_bytes(text.replace(b"\n", b"\r\n"))
    assert environment.pins_hash(checkout) == first
    (checkout / "requirements.txt").write_bytes(text + b"six==1.16.0\n")
    assert environment.pins_hash(checkout) != first
