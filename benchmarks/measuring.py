"""What the benchmarks share: a timing is a process of its own, and a table says where and when it was measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def measured_apart(job: dict, *, python: Path | str = sys.executable, folders: Iterable[str] = ()) -> dict:
    """Run the calling script with ``--measure`` in a new process with one thread; its answer (see `answer`).

    Parameters
    ----------
    job : dict
        What JSON can carry; its first value names it when it fails.
    python : path
        Interpreter; that of another environment must need nothing but what it has.
    folders : iterable of str
        Folders that are put on the path behind the checkout.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join([str(ROOT), *folders])
    environment = {**os.environ, **threads, "COURSE_PROGRESS": "0", "PYTHONPATH": path}
    command = [str(python), sys.argv[0], "--measure"]
    done = subprocess.run(command, input=json.dumps(job), env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{next(iter(job.values()))} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def answer(measure: Callable[[dict], dict]) -> None:
    """Measure the job on standard input, and print what was found as the last line."""
    print(json.dumps(measure(json.load(sys.stdin))))


def environment(name: str, requirements: Path) -> Path:
    """Python of an environment with other packages than the course's, made once and again when they change."""
    from course_lib.settings import cache_dir

    folder, wanted = cache_dir() / f"bench-{name}", requirements.read_text()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making the environment of {name} (once, a few minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([python, *PIP, "-r", requirements], check=True)
        stamp.write_text(wanted)
    return python


def dated(table: pd.DataFrame) -> pd.DataFrame:
    """Add the machine's cores, the Python and the day."""
    here: dict[str, Any] = {"cores": os.cpu_count(), "python": platform.python_version()}
    return table.assign(**here, date=date.today().isoformat())


def keep(table: pd.DataFrame, path: Path, **options: Any) -> None:
    """Write a table, dated, and say where."""
    dated(table).to_csv(path, index=False, lineterminator="\n", **options)
    print(f"\nwritten to {path.relative_to(ROOT)}")
