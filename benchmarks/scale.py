"""Features of 1 000, 10 000 and 100 000 molecules: time, memory and disk.

The molecules are distinct and come from the embedded sets, in a random order; smaller sizes are the first of larger
ones. Every measurement is a process of its own, one thread, that writes parts of 500 molecules with
`course_lib.featurize.to_parquet` into an empty folder, with an empty cache. Memory is the largest resident size of that
process: it is flat when more parts do not raise it. What is not measured is extrapolated from the largest measured
size, in proportion to the number of molecules (memory: as measured), and marked so.

    python benchmarks/scale.py             the table in results/bench_scale.csv, about five minutes
    python benchmarks/scale.py --long      Mordred's descriptors of 10 000 molecules too, about half an hour
    python benchmarks/scale.py --trial     20 and 40 molecules: does it run? writes nothing
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from measuring import PIP, RESULTS, ROOT, answer, keep, measured_apart

TABLE = RESULTS / "bench_scale.csv"
REQUIREMENTS = ROOT / "requirements-dask.txt"
WANTED = (1_000, 10_000, 100_000)


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def measure(job: dict) -> dict:
    from course_lib import featurize

    function = getattr(featurize, job["features"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["COURSE_CACHE"] = str(folder / "first")
        featurize.to_parquet(function, job["smiles"][:2], folder / "warm")  # imports and tables of columns
        os.environ["COURSE_CACHE"] = str(folder / "cache")
        wall, cpu = time.perf_counter(), time.process_time()
        featurize.to_parquet(function, job["smiles"], folder / "table", chunk_size=job["chunk"])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss
        return {
            "seconds": wall,
            "cpu_seconds": cpu,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
            "parquet_mb": megabytes(folder / "table"),
            "cache_mb": megabytes(folder / "cache"),
        }


def folder_of_pyarrow() -> list[str]:
    """Folders to add to the path: one with pyarrow when it is not installed, made once."""
    from course_lib.settings import cache_dir

    if find_spec("pyarrow"):
        return []
    (pin,) = (line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("pyarrow=="))
    folder = cache_dir() / f"bench-scale-{pin}"
    if not folder.exists():
        subprocess.run([sys.executable, *PIP, "--target", folder, pin], check=True)
    return [str(folder)]


def molecules() -> list[str]:
    """Distinct molecules of the embedded sets, as canonical SMILES, in random order."""
    import numpy as np

    from course_lib.datasets import available, load
    from course_lib.molecules import canonical

    sets = available()
    names = sets.loc[sets["kind"] == "embedded", "name"]
    distinct = sorted({canonical(text) for name in names for text in load(name).smiles})
    return [distinct[i] for i in np.random.default_rng(0).permutation(len(distinct))]


def extrapolated(rows: list[dict]) -> list[dict]:
    """Add the wanted sizes that were not measured, from the largest measured size of the same features."""
    found = list(rows)
    for features in dict.fromkeys(row["features"] for row in rows):
        own = [row for row in rows if row["features"] == features]
        last = max(own, key=lambda row: row["molecules"])
        for n in WANTED:
            if n not in [row["molecules"] for row in own]:
                times = n / last["molecules"]
                scaled = {key: last[key] * times for key in ("seconds", "cpu_seconds", "parquet_mb", "cache_mb")}
                basis = f"extrapolated: {times:g} x {last['molecules']} molecules"
                found.append({**last, **scaled, "molecules": n, "basis": basis})
    return sorted(found, key=lambda row: (row["features"], row["molecules"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="20 and 40 molecules; writes nothing")
    parser.add_argument("--long", action="store_true", help="Mordred's descriptors of 10 000 molecules too")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        answer(measure)
        return

    import pandas as pd
    from tqdm import tqdm

    smiles, extra = molecules(), folder_of_pyarrow()
    sizes = {"morgan": (1_000, 10_000), "maccs": (1_000, 10_000), "mordred2d": (500, 1_000)}
    if options.long:
        sizes["mordred2d"] += (10_000,)
    if options.trial:
        sizes = dict.fromkeys(sizes, (20, 40))
    chunk = 10 if options.trial else 500
    jobs = [(features, n) for features, each in sizes.items() for n in each]
    rows = []
    for features, n in tqdm(jobs, desc="sizes", disable=os.environ.get("COURSE_PROGRESS") == "0"):
        job = {"features": features, "smiles": smiles[:n], "chunk": chunk}
        found = measured_apart(job, folders=extra)
        rows.append({"features": features, "molecules": n, "basis": "measured", **found})
    table = pd.DataFrame(extrapolated(rows)).round({"seconds": 2, "cpu_seconds": 2, "peak_mb": 0})
    table = table.round({"parquet_mb": 2, "cache_mb": 2})
    table["distinct_molecules_to_draw_from"], table["rdkit"] = len(smiles), version("rdkit")
    print(table.drop(columns="rdkit").to_string(index=False))
    if not options.trial:
        keep(table, TABLE)


if __name__ == "__main__":
    main()
