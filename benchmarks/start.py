"""What a learner waits for: set-up, import, and each lesson from its first cell to its last.

Set-up is a fresh virtual environment with requirements.txt, downloads included, and its size on disk. Import is
`import course_lib` in a new process, best of five. Lessons are executed in FAST mode as the build does it, with a warm
cache; their memory is the kernel's largest, with its child processes.

    python benchmarks/start.py             the table in results/bench_start.csv, about a quarter of an hour
    python benchmarks/start.py --trial     import and lesson 00: does it run? writes nothing
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import PIP, RESULTS, ROOT, keep

TABLE = RESULTS / "bench_start.csv"
sys.path.insert(0, str(ROOT / "tools"))


def set_up() -> tuple[float, float]:
    """Seconds and megabytes of a fresh environment."""
    with tempfile.TemporaryDirectory() as name:
        python = Path(name) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "venv", name], check=True)
        subprocess.run([python, *PIP, "--no-cache-dir", "-r", ROOT / "requirements.txt"], check=True)
        seconds = time.perf_counter() - start
        files = (path for path in Path(name).rglob("*") if path.is_file() and not path.is_symlink())
        return seconds, sum(path.stat().st_size for path in files) / 1e6


def import_package() -> float:
    """Seconds of the import alone, best of five processes."""
    code = "import time; t = time.perf_counter(); import course_lib; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True) for _ in range(5)]
    return min(float(run.stdout) for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="import and lesson 00; writes nothing")
    options = parser.parse_args()

    import pandas as pd

    from build_notebooks import derive, execute, warm_fonts
    from lessons import notebook_of, sources

    rows = [{"what": "import course_lib", "seconds": import_package()}]
    if not options.trial:
        seconds, size = set_up()
        rows.append({"what": "set-up (megabytes on disk)", "seconds": seconds, "megabytes": size})
    warm_fonts()
    for source in sources("00") if options.trial else sources():
        seconds, peak = execute(derive(source), notebook_of(source).parent)
        rows.append({"what": f"lesson {source.stem}", "seconds": seconds, "megabytes": peak})
        print(f"{source.stem}: {seconds:.1f} s, {peak:.0f} MB", flush=True)
    table = pd.DataFrame(rows).round({"seconds": 3, "megabytes": 0})
    print(table.to_string(index=False, na_rep=""))
    if not options.trial:
        keep(table, TABLE)


if __name__ == "__main__":
    main()
