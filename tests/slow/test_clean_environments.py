"""The course in environments made for the purpose, from a clone of the repository. Minutes; packages are downloaded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from environment_rules import ROOT, imported_directly, pins, read

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="needs bash"),
]
LAB = {"jupyterlab", "ruff"}


def run(command: list[object], cwd: Path, env: dict[str, str], timeout: int = 1500) -> subprocess.CompletedProcess:
    """Run a command and return it finished, its output as text."""
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=timeout
    )


def clone(to: Path) -> Path:
    """Clone the committed state of the repository."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, to], check=True)
    return to


def clean_environment(folder: Path, requirements: list[str]) -> dict[str, str]:
    """Make a virtual environment and return the variables that activate it, with a cache of its own."""
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / "bin"
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COURSE_", "VIRTUAL_ENV", "MAKE", "PYTEST"))
    }
    env = kept | {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(folder / "venv"),
        "COURSE_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
    }
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    done = run(["python", "-m", "pip", "install", "--quiet", "-r", folder / "requirements.txt"], folder, env)
    assert done.returncode == 0, done.stderr
    return env


def pinned(names: set[str]) -> list[str]:
    """Lines of requirements.txt for ``names``; what they pull in follows from them."""
    return [str(requirement) for name, requirement in pins(read("requirements.txt")).items() if name in names]


def test_postbuild_in_a_clean_environment(tmp_path):
    """The image Binder builds, with pip in conda's place: packages first, then binder/postBuild in the checkout."""
    direct = imported_directly(read("requirements.txt"))
    env = clean_environment(tmp_path, pinned(direct - LAB))
    checkout = clone(tmp_path / "checkout")

    done = run(["binder/postBuild"], checkout, env)
    assert done.returncode == 0, done.stdout + done.stderr
    code = "import course_lib, sys; print(course_lib.__file__); print(sys.prefix)"
    where = run([checkout / "binder" / "start", "python", "-c", code], tmp_path, env)
    assert where.stdout.split() == [str(checkout / "course_lib" / "__init__.py"), str(tmp_path / "venv")]
    assert (tmp_path / "venv/share/jupyter/lab/settings/overrides.json").is_file()
    assert "OMP_WAIT_POLICY" in (tmp_path / "venv/share/jupyter/kernels/python3/kernel.json").read_text()

    # the sets that need no network were loaded, and what postBuild printed is what they hold
    code = "from course_lib import datasets as d; t = d.available(); print(*t.loc[t['kind'] != 'fetched', 'name'])"
    names = run(["python", "-c", code], tmp_path, env).stdout.split()
    assert "homopolymer_tg" in names
    for name in names:
        count = [line.split()[1] for line in done.stdout.splitlines() if line.split()[:1] == [name]]
        assert len(count) == 1, name
        assert int(count[0]) > 50, name

    again = run(["binder/postBuild"], checkout, env)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("broken", ["pip", "tools/environment.py"])
def test_postbuild_fails_when_a_step_fails(tmp_path, broken):
    checkout = clone(tmp_path / "checkout")
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "python").write_text(f'#!/bin/sh\ncase "$*" in *{broken}*) exit 4 ;; esac\n')
    (fake / "python").chmod(0o755)
    env = os.environ | {"PATH": f"{fake}:{os.environ['PATH']}"}
    assert run(["binder/postBuild"], checkout, env).returncode == 4


def test_unit_tests_pass_with_the_older_versions_of_conda_forge(tmp_path):
    """Where conda-forge lags behind the pins, the code must run with what it has."""
    older = pins(read("tests/slow/conda_forge.txt"))
    direct = imported_directly(read("requirements.txt"))
    requirements = pinned(direct - LAB - set(older)) + [str(requirement) for requirement in older.values()]
    env = clean_environment(tmp_path, requirements)
    checkout = clone(tmp_path / "checkout")
    installed = run(["python", "-m", "pip", "install", "--quiet", "--no-deps", "-e", "."], checkout, env)
    assert installed.returncode == 0, installed.stderr

    code = "from importlib.metadata import version; import sys; print(*[f'{n}=={version(n)}' for n in sys.argv[1:]])"
    assert set(run(["python", "-c", code, *older], tmp_path, env).stdout.split()) == {str(r) for r in older.values()}
    done = run(["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit"], checkout, env)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout.splitlines()[-1]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_lab_on_a_fresh_checkout_prints_an_address(tmp_path):
    """Both commands of the README start from a clone: set-up, then JupyterLab at notebook 00."""
    checkout = clone(tmp_path / "checkout")
    env = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "MAKE", "PYTEST", "JUPYTER"))
    }
    root = "--allow-root" if os.geteuid() == 0 else ""
    command = ["make", "lab", f"PYTHON={sys.executable}", f"ARGS=--no-browser --port=0 {root}"]
    log = tmp_path / "log"
    with log.open("w") as output:
        lab = subprocess.Popen(command, cwd=checkout, env=env, stdout=output, stderr=output, start_new_session=True)
    try:
        address = wait_for_address(log, lab, seconds=1200)
    finally:
        stop(lab)
    assert "/lab/tree/notebooks/00_start_here.ipynb?token=" in address
    assert len(list((checkout / ".venv").glob(".ready-*"))) == 1


def wait_for_address(log: Path, process: subprocess.Popen, seconds: int) -> str:
    """Return the line of the log that holds the address with its token."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        found = [line for line in log.read_text().splitlines() if "token=" in line]
        if found:
            return found[0]
        time.sleep(1)
    raise AssertionError(log.read_text()[-3000:])


def stop(process: subprocess.Popen) -> None:
    """End the process and what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=60)


def test_numerai_files_are_read_where_pyarrow_is_installed(tmp_path):
    """No pin: it is large, and nothing else needs it. It goes to a folder of its own, beside the tested packages."""
    extra = tmp_path / "extra"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", extra, "pyarrow"]
    done = run(install, tmp_path, dict(os.environ))
    assert done.returncode == 0, done.stderr
    tests = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "tests/unit/test_panel.py"]
    done = run(tests, ROOT, {**os.environ, "PYTHONPATH": str(extra)})
    assert done.returncode == 0, done.stdout
    assert "SKIPPED" not in done.stdout


def test_a_dask_cluster_gives_the_same_numbers(tmp_path):
    """What requirements-dask.txt adds goes to a folder of its own, beside the tested packages."""
    extra = tmp_path / "extra"
    constraints = ["-c", ROOT / "requirements.txt", "-r", ROOT / "requirements-dask.txt"]
    done = run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", extra, *constraints], tmp_path, os.environ
    )
    assert done.returncode == 0, done.stderr
    tests = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "tests/unit/test_dask.py"]
    done = run(tests, ROOT, {**os.environ, "PYTHONPATH": str(extra)})
    assert done.returncode == 0, done.stdout
    assert "SKIPPED" not in done.stdout
