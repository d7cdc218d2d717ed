"""How long a fit takes at 500 molecules: each model of the course, scikit-learn's Gaussian process and chemprop.

All on the same 500 training and 200 test molecules of the heat of sublimation, one thread. Every timing is a process of
its own that imports and computes descriptors first (they are not part of the timing; graph models and chemprop build
their graphs within it), fits once on 50 molecules to warm up, and then measures fit and predict. Contestants take
turns and the best of three counts. chemprop stands in an environment of its own, because it needs an older RDKit: its
message-passing network as it comes, 50 epochs.

    python benchmarks/models.py             the table in results/bench_models.csv
    python benchmarks/models.py --trial     60 training molecules, once: does it run? writes nothing

Rows with ``n_train`` 900 time the Gaussian processes alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

from measuring import RESULTS, answer, environment, keep, measured_apart

TABLE = RESULTS / "bench_models.csv"
REQUIREMENTS = Path(__file__).with_name("requirements-chemprop.txt")
DESCRIPTORS = ("GPRegressor", "NGBoostRegressor", "BNNRegressor", "SNGPRegressor", "DeepEnsembleRegressor")
GRAPHS = ("GNNRegressor", "GNNGPRegressor")
RIVALS = ("scikit-learn GP", "chemprop")


def ours(name: str, smiles: list[str], y: list[float], n_train: int) -> tuple[float, float, list[float]]:
    import numpy as np
    import torch

    from course_lib import models
    from course_lib.featurize import mordred2d
    from course_lib.models import baselines

    torch.set_num_threads(1)
    target = np.array(y)
    X = np.array(smiles) if name in GRAPHS else mordred2d(smiles).to_numpy()

    def make():
        return baselines.gp_matern() if name == "scikit-learn GP" else getattr(models, name)()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make().fit(X[:50], target[:50])
        start = time.perf_counter()
        model = make().fit(X[:n_train], target[:n_train])
        middle = time.perf_counter()
        mean, _ = model.predict(X[n_train:], return_std=True)
        end = time.perf_counter()
    return middle - start, end - middle, mean.tolist()


def chemprop(name: str, smiles: list[str], y: list[float], n_train: int) -> tuple[float, float, list[float]]:
    import logging

    import numpy as np
    import torch
    from chemprop import data, models, nn
    from lightning import pytorch as pl

    torch.set_num_threads(1)
    for logger in ("lightning.pytorch", "lightning"):
        logging.getLogger(logger).setLevel(logging.ERROR)

    def fit(n: int, epochs: int):
        points = [data.MoleculeDatapoint.from_smi(s, [v]) for s, v in zip(smiles[:n], y[:n], strict=True)]
        train = data.MoleculeDataset(points)
        scaler = train.normalize_targets()
        network = models.MPNN(
            nn.BondMessagePassing(),
            nn.MeanAggregation(),
            nn.RegressionFFN(output_transform=nn.UnscaleTransform.from_standard_scaler(scaler)),
        )
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        trainer.fit(network, data.build_dataloader(train, num_workers=0, seed=0))
        return trainer, network

    pl.seed_everything(0, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(50, 2)
        start = time.perf_counter()
        trainer, network = fit(n_train, 50)
        middle = time.perf_counter()
        test = data.MoleculeDataset([data.MoleculeDatapoint.from_smi(s) for s in smiles[n_train:]])
        mean = trainer.predict(network, data.build_dataloader(test, num_workers=0, shuffle=False))
        end = time.perf_counter()
    return middle - start, end - middle, np.concatenate([np.asarray(part) for part in mean]).ravel().tolist()


def measure(job: dict) -> dict:
    function = chemprop if job["contestant"] == "chemprop" else ours
    fit, predict, mean = function(job["contestant"], job["smiles"], job["y"], job["n_train"])
    truth = job["y"][job["n_train"] :]
    centre = sum(truth) / len(truth)
    r2 = 1 - sum((t - p) ** 2 for t, p in zip(truth, mean, strict=True)) / sum((t - centre) ** 2 for t in truth)
    package = {"chemprop": "chemprop", "scikit-learn GP": "scikit-learn"}.get(job["contestant"], "torch")
    return {"fit": fit, "predict": predict, "r2": r2, "version": f"{package} {version(package)}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="60 training molecules, once; writes nothing")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        answer(measure)
        return

    import numpy as np
    import pandas as pd
    from tqdm import tqdm

    from course_lib.datasets import load
    from course_lib.featurize import mordred2d

    data = load("sublimation")
    order = np.random.default_rng(0).permutation(np.unique(data.groups, return_index=True)[1])
    mordred2d(data.smiles[order], n_jobs=2)  # into the cache
    pythons = {"chemprop": environment("chemprop", REQUIREMENTS)}
    everyone = (*DESCRIPTORS, *GRAPHS, *RIVALS)
    sizes = {60: everyone} if options.trial else {500: everyone, 900: ("GPRegressor", "scikit-learn GP")}
    jobs = [(n, who) for n, names in sizes.items() for _ in range(1 if options.trial else 3) for who in names]
    results: dict[tuple, list[dict]] = {}
    for n, who in tqdm(jobs, desc="timings", disable=os.environ.get("COURSE_PROGRESS") == "0"):
        chosen = order[: n + min(200, len(order) - n)]
        job = {"contestant": who, "n_train": n, "smiles": data.smiles[chosen].tolist(), "y": data.y[chosen].tolist()}
        results.setdefault((n, who), []).append(measured_apart(job, python=pythons.get(who, sys.executable)))

    lines = []
    for (n, who), runs in results.items():
        best = min(runs, key=lambda r: r["fit"] + r["predict"])
        lines.append(
            {
                "n_train": n,
                "model": who,
                "fit_seconds": round(best["fit"], 2),
                "predict_seconds": round(best["predict"], 3),
                "fit_seconds_all": " ".join(f"{r['fit']:.2f}" for r in runs),
                "r2": round(best["r2"], 3),
                "version": best["version"],
            }
        )
    table = pd.DataFrame(lines)
    reference = table[table["model"] == "scikit-learn GP"].set_index("n_train")["fit_seconds"]
    table["times_scikit_learn_gp"] = (table["fit_seconds"] / table["n_train"].map(reference)).round(2)
    print(table.to_string(index=False))
    if not options.trial:
        keep(table, TABLE)


if __name__ == "__main__":
    main()
