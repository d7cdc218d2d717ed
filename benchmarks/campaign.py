"""How long a campaign takes: 50 fits of a Gaussian process on Delaney, by the course and in BoTorch's own classes.

All loops measure the same start of 25 molecules and then 49 batches of five, chosen by log expected improvement (the
five best at once), on the same descriptors: Mordred's, cleaned and scaled on all molecules, as BoTorch takes numbers
without gaps. BoTorch's loop is what its tutorials write: SingleTaskGP with its default priors, fit_gpytorch_mll,
LogExpectedImprovement. Its default model has a length scale for each descriptor and the course's process one for all,
so a third loop is BoTorch's with one length scale. Each timing is a process of its own, one thread, imports and
descriptors not counted; they take turns and the best of three counts. ``hits`` is the share of the lowest tenth that
was found, the start left out.

    python benchmarks/campaign.py             the table in results/bench_campaign.csv
    python benchmarks/campaign.py --trial     6 fits, once: does it run? writes nothing
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from functools import partial
from importlib.metadata import version

from measuring import RESULTS, answer, keep, measured_apart

TABLE = RESULTS / "bench_campaign.csv"
START, BATCH = 25, 5
CONTESTANTS = ("course", "BoTorch", "BoTorch, one length scale")


def ours(X, y, fits: int) -> list[int]:
    from course_lib.acquire import campaign
    from course_lib.models import GPRegressor

    options = {"n_init": START, "budget": BATCH * (fits - 1), "batch_size": BATCH, "batch": "top", "random_state": 0}
    # the test molecules make it fit once more at the end, so that both loops fit as often
    found = campaign(GPRegressor(), X, y, **options, maximise=False, test=(X[:50], y[:50]))
    return found.history["molecule"].tolist()


def botorchs(X, y, fits: int, *, one_scale: bool = False) -> list[int]:
    import numpy as np
    import torch
    from botorch.acquisition.analytic import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.kernels import RBFKernel
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.priors import LogNormalPrior

    table, target = torch.tensor(X), -torch.tensor(y)[:, None]
    seed = np.random.SeedSequence(0).spawn(3)[0]  # the start that the course's campaign has
    measured = np.random.default_rng(seed).permutation(len(y))[:START].tolist()
    for number in range(fits):
        # BoTorch's own prior (Hvarfner et al. 2024), on one length scale
        prior = LogNormalPrior(math.sqrt(2) + math.log(X.shape[1]) / 2, math.sqrt(3))
        kernel = RBFKernel(lengthscale_prior=prior) if one_scale else None
        model = SingleTaskGP(table[measured], target[measured], covar_module=kernel)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        if number == fits - 1:
            break
        free = np.setdiff1d(np.arange(len(y)), measured)
        with torch.no_grad():
            score = LogExpectedImprovement(model, best_f=target[measured].max())(table[free][:, None])
        measured += free[score.argsort(descending=True)[:BATCH].numpy()].tolist()
    return measured


def measure(job: dict) -> dict:
    import numpy as np
    import torch

    from course_lib.datasets import load
    from course_lib.featurize import Descriptors, mordred2d

    torch.set_num_threads(1)
    data = load("delaney")
    X = Descriptors().fit_transform(mordred2d(data.smiles).to_numpy())
    loop = {
        "course": ours,
        "BoTorch": botorchs,
        "BoTorch, one length scale": partial(botorchs, one_scale=True),
    }[job["contestant"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loop(X, data.y, 2)  # warm up
        start = time.perf_counter()
        measured = loop(X, data.y, job["fits"])
        seconds = time.perf_counter() - start
    hit = data.y <= np.quantile(data.y, 0.1)
    package = "gpytorch" if job["contestant"] == "course" else "botorch"
    found = hit[measured[START:]].sum() / hit.sum()
    return {"seconds": seconds, "hits": float(found), "version": f"{package} {version(package)}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="6 fits, once; writes nothing")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        answer(measure)
        return

    import pandas as pd

    fits, rounds = (6, 1) if options.trial else (50, 3)
    found = {contestant: [] for contestant in CONTESTANTS}
    for _ in range(rounds):
        for contestant in CONTESTANTS:
            found[contestant].append(measured_apart({"contestant": contestant, "fits": fits}))
            print(f"{contestant:26} {found[contestant][-1]['seconds']:.1f} s", flush=True)
    rows = []
    for contestant, runs in found.items():
        best = min(runs, key=lambda one: one["seconds"])
        rows.append({"contestant": contestant, "fits": fits, **best})
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    if not options.trial:
        keep(table, TABLE, float_format="%.4g")


if __name__ == "__main__":
    main()
