"""Whether the report keeps its word, and how long it takes.

    python benchmarks/report.py verdicts    20 draws of pure noise and 20 of a strong signal: what is recommended
    python benchmarks/report.py coverage    20 splits of 5 embedded sets: share of held-out molecules in their interval
    python benchmarks/report.py time        50, 300 and 2 000 molecules: seconds and memory of the whole command
    ... --molecules 2000                    this size alone, in place of its lines in the table
    ... --trial                             two draws, splits or one size; writes nothing

Each writes results/bench_report_<part>.csv. Coverage: 100 molecules for training at random, 200 for the test (what is
left where the set is smaller), CV+ intervals of 90 % by the Gaussian process on descriptors and by PLS. The standard
error of the mean over 20 splits is stated; splits of one set overlap, so it is a lower bound.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETS = ("sublimation", "permittivity", "octane", "logp", "critical_temperature")


def _signal(smiles, rng):
    """Heavy atoms and oxygens, with noise of a fifth of their spread."""
    import numpy as np
    from rdkit import Chem

    mols = [Chem.MolFromSmiles(text) for text in smiles]
    y = np.array([m.GetNumHeavyAtoms() + 3.0 * sum(a.GetSymbol() == "O" for a in m.GetAtoms()) for m in mols])
    return y + rng.normal(scale=0.2 * y.std(), size=len(y))


def verdicts(trial: bool) -> list[dict]:
    """Verdict of a quick report on 60 molecules of the sublimation set, for each draw."""
    import numpy as np
    import pandas as pd
    from tqdm import tqdm

    from course_lib import datasets
    from course_lib.datasets import read_table
    from course_lib.report import study

    pool, lines = datasets.load("sublimation"), []
    draws = {
        "noise, normal": lambda smiles, rng: rng.normal(size=len(smiles)),
        "noise, log-normal": lambda smiles, rng: rng.lognormal(size=len(smiles)),
        "signal": _signal,
    }
    folder = tempfile.TemporaryDirectory()
    for seed in tqdm(range(2 if trial else 20), desc="draws"):
        for kind, draw in draws.items():
            rng = np.random.default_rng([seed, len(kind)])
            smiles = pool.smiles[rng.choice(len(pool), 60, replace=False)]
            path = Path(folder.name) / "draw.csv"
            pd.DataFrame({"smiles": smiles, "y": draw(smiles, rng)}).to_csv(path, index=False)
            found = study(*read_table(path, target="y"), quick=True, random_state=seed)
            p = (found.numbers.get("scrambling") or {}).get("p")
            lines.append({"draw": seed, "values": kind, "verdict": found.verdict, "model": found.recommended, "p": p})
    return lines


def coverage(trial: bool) -> list[dict]:
    """Coverage of CV+ intervals by set, model and split."""
    import numpy as np
    from tqdm import tqdm

    from course_lib import datasets
    from course_lib.report import CVPlus
    from course_lib.report.models import candidates, features
    from course_lib.splits import GroupKFold, GroupShuffleSplit

    lines = []
    for name in SETS:
        data = datasets.load(name)
        X = features("mordred", list(data.smiles))
        for model in ("PLS on descriptors", "Gaussian process on descriptors"):
            splitter = GroupShuffleSplit(2 if trial else 20, train_size=100, test_size=140, random_state=0)
            for number, (train, test) in enumerate(
                tqdm(splitter.split(X, groups=data.groups), desc=f"{name}, {model}")
            ):
                fold = np.empty(len(train), dtype=int)
                inner = GroupKFold(10, shuffle=True, random_state=number)
                for k, (_, out) in enumerate(inner.split(train, groups=data.groups[train])):
                    fold[out] = k
                fitted = CVPlus(candidates(False)[model][0], 0.9).fit(X[train], data.y[train], fold)
                low, high = fitted.interval(X[test])
                inside = float(np.mean((low <= data.y[test]) & (data.y[test] <= high)))
                line = {"set": name, "model": model, "split": number, "n_train": len(train), "n_test": len(test)}
                lines.append(line | {"coverage": inside, "mean_width": float(np.mean(high - low))})
    return lines


def times(trial: bool, sizes: tuple[int, ...] = (50, 300, 2000)) -> list[dict]:
    """Seconds and peak memory of the whole command with two processes, caches cold."""
    import numpy as np
    import pandas as pd

    from course_lib import datasets

    lines = []
    every = [datasets.load(name) for name in ("sublimation", "permittivity", "critical_temperature")]
    pool = pd.DataFrame({"smiles": np.concatenate([d.smiles for d in every])}).drop_duplicates()
    for n in sizes[:1] if trial else sizes:
        for quick in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                rng = np.random.default_rng(0)
                part = pool.sample(min(n, len(pool)), random_state=0)
                part.assign(y=_signal(part["smiles"], rng)).to_csv(f"{folder}/t.csv", index=False)
                command = [
                    "-m",
                    "course_lib",
                    "report",
                    f"{folder}/t.csv",
                    "--target",
                    "y",
                    "--out",
                    f"{folder}/r.html",
                ]
                code = (
                    "import resource, subprocess, sys, os;"
                    "os.environ['COURSE_CACHE'] = sys.argv[1];"
                    "code = subprocess.run([sys.executable, *sys.argv[2:]], stdout=subprocess.DEVNULL).returncode;"
                    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
                )
                start = time.perf_counter()
                options = ["--jobs", "2"] + ["--quick"] * quick
                done = subprocess.run(
                    [sys.executable, "-c", code, f"{folder}/cache", *command, *options],
                    capture_output=True, text=True, check=True, cwd=ROOT,
                )  # fmt: skip
                status, kilobytes = map(int, done.stdout.split())
                assert status == 0, done.stderr
                seconds = round(time.perf_counter() - start, 1)
                line = {"molecules": len(part), "quick": quick, "seconds": seconds}
                lines.append(line | {"peak_mb_of_the_largest_process": round(kilobytes / 1024)})
                print(lines[-1])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("verdicts", "coverage", "time"))
    parser.add_argument("--trial", action="store_true", help="the least that runs; writes nothing")
    parser.add_argument("--molecules", type=int, help="of the times: one size")
    options = parser.parse_args()

    import pandas as pd

    path = ROOT / "results" / f"bench_report_{options.part}.csv"
    if options.part == "time" and options.molecules:
        table = pd.DataFrame(times(options.trial, (options.molecules,)))
        if path.exists():
            before = pd.read_csv(path)
            table = pd.concat([before[before["molecules"] != options.molecules], table]).sort_values("molecules")
    else:
        table = pd.DataFrame({"verdicts": verdicts, "coverage": coverage, "time": times}[options.part](options.trial))
    if options.part == "verdicts":
        print(table.groupby("values")["verdict"].value_counts().to_string())
    elif options.part == "coverage":
        spread = table.groupby(["set", "model"])["coverage"].agg(["mean", "sem"]).round(3)
        print(spread.to_string())
    if not options.trial:
        table.to_csv(path, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
