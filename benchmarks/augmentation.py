"""How long conformer augmentation takes: ours, the loop a user would write, and scikit-fingerprints, side by side.

The same 60 polymers x 20 conformers by ETKDGv3 and MMFF94, then the same descriptors on both sides of each comparison:
Mordred's 3D set against Mordred's, RDKit's against RDKit's. Every timing is a process of its own that imports, warms up
(workers included) on other molecules, and then measures once without any cache; contestants take turns, and the best
of three counts. scikit-fingerprints stands in an environment of its own, which the script makes once, because it needs
an older RDKit; the loop runs there too, so that the two versions can be told apart.

    python benchmarks/augmentation.py               the table in results/bench_augmentation.csv, about half an hour
    python benchmarks/augmentation.py --trial       6 polymers x 4 conformers, once: does it run? writes nothing

"ours" is `course_lib.featurize.augment`; "loop" is RDKit and a descriptor calculator, one conformer after another, as
in the tutorials of both (two workers: the same loop over molecules by joblib); "scikit-fingerprints" makes the
conformers with its ConformerGenerator and then runs the loop's descriptors on all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measuring import RESULTS, answer, environment, keep, measured_apart

TABLE = RESULTS / "bench_augmentation.csv"
REQUIREMENTS = Path(__file__).with_name("requirements-scikit-fingerprints.txt")
WARM_UP = ["CCCO", "CCCN", "CCCC", "CCCF"]
KINDS = ("mordred", "rdkit")
# name, environment, workers
CONTESTANTS = [
    ("ours", "ours", 1),
    ("ours", "ours", 2),
    ("loop", "ours", 1),
    ("loop", "ours", 2),
    ("scikit-fingerprints", "theirs", 1),
    ("scikit-fingerprints", "theirs", 2),
    ("loop, older RDKit", "theirs", 1),
]


# what is timed; nothing below this line up to the next needs course_lib, except `ours`


def ours(smiles: list[str], n: int, kind: str, workers: int) -> int:
    from course_lib.featurize import augment

    with tempfile.TemporaryDirectory() as folder:
        os.environ["COURSE_CACHE"] = folder
        return len(augment(smiles, n, protocols=("etkdg_mmff94",), descriptors=kind, n_jobs=workers))


def loop(smiles: list[str], n: int, kind: str, workers: int) -> int:
    from joblib import Parallel, delayed

    tables = Parallel(n_jobs=workers)(delayed(loop_molecule)(text, n, kind) for text in smiles)
    return sum(len(table) for table in tables)


def loop_molecule(text: str, n: int, kind: str) -> list[list[float]]:
    from rdkit import Chem
    from rdkit.Chem import AllChem

    mol = Chem.AddHs(Chem.MolFromSmiles(text))
    parameters = AllChem.ETKDGv3()
    parameters.randomSeed = 0
    AllChem.EmbedMultipleConfs(mol, n, parameters)
    AllChem.MMFFOptimizeMoleculeConfs(mol)
    return describe(mol, kind)


def scikit_fingerprints(smiles: list[str], n: int, kind: str, workers: int) -> int:
    from joblib import Parallel, delayed
    from rdkit import Chem
    from skfp.preprocessing import ConformerGenerator

    generator = ConformerGenerator(
        num_conformers=n, optimize_force_field="MMFF94", multiple_confs_select="first", n_jobs=workers
    )
    mols = generator.transform([Chem.MolFromSmiles(text) for text in smiles])
    tables = Parallel(n_jobs=workers)(delayed(describe)(mol, kind) for mol in mols)
    return sum(len(table) for table in tables)


def describe(mol: object, kind: str) -> list[list[float]]:
    """Descriptors of all conformers, one after another."""
    return [(mordred_row if kind == "mordred" else rdkit_row)(mol, c.GetId()) for c in mol.GetConformers()]


def mordred_row(mol: object, conformer: int) -> list[float]:
    global _calculator
    if _calculator is None:
        from mordred import Calculator, descriptors

        _calculator = Calculator([d for d in Calculator(descriptors).descriptors if d.require_3D])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [float("nan") if hasattr(v, "error") else float(v) for v in _calculator(mol, id=conformer)]


_calculator = None


def rdkit_row(mol: object, conformer: int) -> list[float]:
    from rdkit.Chem import rdMolDescriptors as rd

    row = []
    for block in (rd.CalcMORSE, rd.CalcRDF, rd.CalcWHIM, rd.CalcAUTOCORR3D):
        row += block(mol, confId=conformer)
    shapes = ("PMI1", "PMI2", "PMI3", "NPR1", "NPR2", "RadiusOfGyration", "InertialShapeFactor")
    for shape in (*shapes, "Eccentricity", "Asphericity", "SpherocityIndex", "PBF"):
        row.append(getattr(rd, f"Calc{shape}")(mol, confId=conformer))
    return row


# one measurement, in a process of its own


def measure(job: dict) -> dict:
    function = {"ours": ours, "scikit-fingerprints": scikit_fingerprints}.get(job["contestant"], loop)
    arguments = (job["kind"], job["workers"])
    function(WARM_UP, 2, *arguments)
    start = time.perf_counter()
    rows = function(job["smiles"], job["n"], *arguments)
    seconds = time.perf_counter() - start
    result = {"seconds": seconds, "rows": rows, "rdkit": version("rdkit"), "mordred": version("mordredcommunity")}
    if job["contestant"] == "ours" and job["workers"] == 1:
        from course_lib.featurize import conformers

        start = time.perf_counter()
        for text in job["smiles"]:
            conformers(text, job["n"], "etkdg_mmff94")
        result["embedding_seconds"] = time.perf_counter() - start
    try:
        result["scikit_fingerprints"] = version("scikit-fingerprints")
    except PackageNotFoundError:
        result["scikit_fingerprints"] = ""
    return result


# the whole comparison


def polymers(n_molecules: int, n_conformers: int) -> list[str]:
    """Distinct H-capped repeat units, evenly through the table, that give all their conformers."""
    from course_lib.datasets import load
    from course_lib.featurize import conformers

    smiles = list(dict.fromkeys(load("homopolymer_tg").smiles))
    chosen = []
    step = max(len(smiles) // n_molecules, 1)
    for text in [*smiles[::step], *(s for i, s in enumerate(smiles) if i % step)]:
        if len(conformers(text, n_conformers)) == n_conformers:
            chosen.append(text)
        if len(chosen) == n_molecules:
            return chosen
    raise SystemExit(f"only {len(chosen)} polymers give {n_conformers} conformers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="6 polymers x 4 conformers, once; writes nothing")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        answer(measure)
        return

    import pandas as pd
    from tqdm import tqdm

    n_molecules, n_conformers, repeats = (6, 4, 1) if options.trial else (60, 20, 3)
    smiles = polymers(n_molecules, n_conformers)
    pythons = {"ours": Path(sys.executable), "theirs": environment("scikit-fingerprints", REQUIREMENTS)}
    jobs = [(kind, *who, turn) for kind in KINDS for turn in range(repeats) for who in CONTESTANTS]
    results: dict[tuple, list[dict]] = {}
    for kind, contestant, place, workers, _ in tqdm(
        jobs, desc="timings", disable=os.environ.get("COURSE_PROGRESS") == "0"
    ):
        job = {"contestant": contestant, "smiles": smiles, "n": n_conformers, "kind": kind, "workers": workers}
        results.setdefault((kind, contestant, workers), []).append(measured_apart(job, python=pythons[place]))

    lines = []
    for (kind, contestant, workers), runs in results.items():
        rows = {r["rows"] for r in runs}
        if rows != {n_molecules * n_conformers}:
            raise SystemExit(f"{contestant} gave {sorted(rows)} rows instead of {n_molecules * n_conformers}")
        best = min(runs, key=lambda r: r["seconds"])
        share = [r["embedding_seconds"] / r["seconds"] for r in runs if "embedding_seconds" in r]
        lines.append(
            {
                "descriptors": kind,
                "contestant": contestant,
                "workers": workers,
                "seconds_best": round(best["seconds"], 2),
                "seconds_all": " ".join(f"{r['seconds']:.2f}" for r in runs),
                "rows": best["rows"],
                "rows_per_second": round(best["rows"] / best["seconds"], 1),
                "embedding_and_force_field_share": round(sorted(share)[len(share) // 2], 3) if share else None,
                "rdkit": best["rdkit"],
                "mordredcommunity": best["mordred"],
                "scikit_fingerprints": best["scikit_fingerprints"],
            }
        )
    table = pd.DataFrame(lines)
    for kind in KINDS:
        here = table["descriptors"] == kind
        ours_two = table.loc[here & (table["contestant"] == "ours") & (table["workers"] == 2), "seconds_best"].item()
        table.loc[here, "times_ours_2_workers"] = (table.loc[here, "seconds_best"] / ours_two).round(2)
    table["molecules"], table["conformers"] = n_molecules, n_conformers
    shown = ["descriptors", "contestant", "workers", "seconds_best", "rows_per_second", "times_ours_2_workers"]
    print(table[[*shown, "embedding_and_force_field_share", "rdkit"]].to_string(index=False, na_rep=""))
    if not options.trial:
        keep(table, TABLE)


if __name__ == "__main__":
    main()
