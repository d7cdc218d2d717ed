"""Tell auxiliaries that help from those that do not, where the truth is planted.

Real molecules (of the sublimation and logP sets), made-up properties. The target has 200 molecules, each of four
auxiliaries 500 others: a noisy copy of the target's property, the same negated, the same with its labels shuffled, and
an unrelated property. A method is right for a seed when it scores both copies above both others; by chance that happens
in 1 of 6 seeds. Three truths:

linear    a weighted sum of Morgan bits
wave      a cosine of the number of heavy atoms, or of all atoms, with a period of six: not additive in fragments
pairs     three pairs of frequent fragments, each counting when a molecule has one of the two but not both, weighted

The first two were in view when the recommended method was made, the third was not: it was added after, and the method
was not changed.

The unrelated property is one of the same kind, less its part that goes with the target's. Labels carry normal noise:
0.3 of the property's standard deviation in the target, 0.5 in the auxiliaries.

    python benchmarks/planted_groups.py                              the quick methods, 20 seeds, into the table
    python benchmarks/planted_groups.py --methods "molgroup" --seeds 5
    python benchmarks/planted_groups.py --trial                      one seed of the quick methods; writes nothing

Rows in results/bench_planted_groups.csv are replaced method by method. Seconds are processor time of one selection on
one thread, reading the sets not counted: ``seconds_first`` with nothing in memory, ``seconds`` on average over the
seeds, which meet many molecules again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pandas as pd
import torch
from measuring import RESULTS, dated
from rdkit import Chem

from course_lib import auxiliary, datasets, featurize
from course_lib.auxiliary import recommendation, tasks

TABLE = RESULTS / "bench_planted_groups.csv"
N_TARGET, N_AUXILIARY = 200, 500
NOISE_TARGET, NOISE_AUXILIARY = 0.3, 0.5
PERIOD = 6.0
FREQUENT = 0.2  # a fragment is, when this share of the molecules has it, and as many do not
COPIES, OTHERS = ("copy", "negated"), ("shuffled", "unrelated")
ONE_ROUND = {"rounds": 1, "n_seeds": 1}
# name here -> (method of auxiliary.select, options)
METHODS: dict[str, tuple[str, dict]] = {
    "random": ("random", {}),
    "structure": ("structure", {}),
    "task": ("task", {"n_molecules": 100}),
    "structure and task": ("structure and task", {"n_molecules": 100}),
    "ridge transfer": ("ridge transfer", {}),
    "principal gradient": ("principal gradient", {}),
    "recommended": ("recommended", {}),
    "molgroup published": (
        "molgroup",
        {**ONE_ROUND, "meta_batch": "same", "centred": False, "control": False},
    ),
    "molgroup independent batch": ("molgroup", {**ONE_ROUND}),
    "molgroup": ("molgroup", {**ONE_ROUND, "n_seeds": 3}),
    "forward search": ("forward search", {"hidden": 32, "n_steps": 300}),
}
QUICK = list(METHODS)[:7]


def standard(values: np.ndarray) -> np.ndarray:
    """Scale to mean 0 and standard deviation 1."""
    return (values - values.mean()) / values.std()


def pool() -> np.ndarray:
    """SMILES of all molecules of both sets, each once."""
    seen: dict[str, str] = {}
    for name in ("sublimation", "logp"):
        data = datasets.load(name)
        for text, group in zip(data.smiles, data.groups, strict=True):
            seen.setdefault(group, text)
    return np.array(list(seen.values()), dtype=object)


def linear(smiles: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """Draw properties that are additive in fragments."""
    bits = featurize.morgan(smiles, radius=2).to_numpy(float)
    return lambda rng: standard(bits @ rng.normal(size=bits.shape[1]))


def wave(smiles: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """Draw properties that rise and fall with the number of atoms."""
    molecules = [Chem.MolFromSmiles(text) for text in smiles]
    counts = np.array([[m.GetNumHeavyAtoms(), Chem.AddHs(m).GetNumAtoms()] for m in molecules], dtype=float)

    def draw(rng: np.random.Generator) -> np.ndarray:
        count = counts[:, rng.integers(2)]
        return standard(np.cos(2 * np.pi * count / PERIOD + rng.uniform(0, 2 * np.pi)))

    return draw


def pairs(smiles: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """Draw properties that depend on having one of two fragments, but not both."""
    bits = featurize.morgan(smiles, radius=2).to_numpy(bool)
    share = bits.mean(axis=0)
    frequent = bits[:, (share > FREQUENT) & (share < 1 - FREQUENT)]

    def draw(rng: np.random.Generator) -> np.ndarray:
        chosen = frequent[:, rng.choice(frequent.shape[1], 6, replace=False)]
        return standard((chosen[:, :3] ^ chosen[:, 3:]) @ rng.normal(size=3))

    return draw


TRUTHS = {"linear": linear, "wave": wave, "pairs": pairs}


def plant(smiles: np.ndarray, draw: Callable[[np.random.Generator], np.ndarray], seed: int) -> tuple[dict, dict]:
    """Make the target and its four auxiliaries."""
    rng = np.random.default_rng(seed)
    truth, other = draw(rng), draw(rng)
    other = standard(other - np.mean(other * truth) * truth)
    order = rng.permutation(len(smiles))
    rows, rest = order[:N_TARGET], order[N_TARGET:]
    target = {"smiles": smiles[rows], "y": truth[rows] + NOISE_TARGET * rng.normal(size=N_TARGET)}
    auxiliaries = {}
    for name, values in {"copy": truth, "negated": -truth, "shuffled": truth, "unrelated": other}.items():
        taken = rng.choice(rest, N_AUXILIARY, replace=False)
        y = values[taken] + NOISE_AUXILIARY * rng.normal(size=N_AUXILIARY)
        auxiliaries[name] = {"smiles": smiles[taken], "y": rng.permutation(y) if name == "shuffled" else y}
    return target, auxiliaries


def right(scores: pd.Series) -> bool:
    """Say whether both copies stand above both others."""
    return bool(scores[list(COPIES)].min() > scores[list(OTHERS)].max())


def measure(smiles: np.ndarray, draw: Callable[[np.random.Generator], np.ndarray], method: str, n_seeds: int) -> dict:
    """Let a method choose for each seed: how often it was right, its seconds and its mean scores."""
    name, settings = METHODS[method]
    for remembered in (tasks._keys, recommendation._properties):
        remembered.cache_clear()
    runs = []
    for seed in range(n_seeds):
        target, auxiliaries = plant(smiles, draw, seed)
        runs.append(auxiliary.select(name, target, auxiliaries, k=2, random_state=seed, **settings))
    n_right = sum(right(run.scores) for run in runs)
    seconds = [run.seconds for run in runs]
    return {
        "n_seeds": n_seeds,
        "n_right": n_right,
        "share_right": n_right / n_seeds,
        "seconds_first": seconds[0],
        "seconds": np.mean(seconds),
        **pd.DataFrame([run.scores for run in runs]).mean(),
    }


def keep(row: dict) -> None:
    """Put a row into the table, in place of an earlier one of the same truth and method."""
    table = dated(pd.DataFrame([row]))
    if TABLE.exists():
        before = pd.read_csv(TABLE)
        same = (before["truth"] == row["truth"]) & (before["method"] == row["method"])
        table = pd.concat([before[~same], table], ignore_index=True)
    order = {name: number for number, name in enumerate([*TRUTHS, *METHODS])}
    table = table.sort_values(["truth", "method"], key=lambda column: column.map(order), kind="stable")
    table.to_csv(TABLE, index=False, float_format="%.4g", lineterminator="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=QUICK)
    parser.add_argument("--truths", nargs="+", choices=list(TRUTHS), default=list(TRUTHS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trial", action="store_true", help="one seed; writes nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    smiles = pool()
    for truth in options.truths:
        draw = TRUTHS[truth](smiles)
        for method in options.methods:
            found = measure(smiles, draw, method, 1 if options.trial else options.seeds)
            row = {"truth": truth, "method": method, **found}
            print(pd.DataFrame([row]).round(3).to_string(index=False, header=method == options.methods[0]), flush=True)
            if not options.trial:
                keep(row)


if __name__ == "__main__":
    main()
