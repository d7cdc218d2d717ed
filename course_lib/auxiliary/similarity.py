"""How alike two data sets are: by the structures they hold, and by what their tasks ask of a network.

Both compare distributions by the Kullback-Leibler divergence, which is not symmetric. In each table, row ``a`` and
column ``b`` hold ``-KL(a || b)``: 0 for a set with itself, below for any other. The transposed table is the other
order of the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from course_lib.auxiliary.tasks import Task, key_table, read_task
from course_lib.featurize import graphs
from course_lib.models.gnn import GIN, batch
from course_lib.models.network import seeded

__all__ = ["fisher_diagonal", "kl", "structure_similarity", "task_similarity"]

PSEUDO_COUNT = 0.5  # added to the molecules with, and to those without a key
MIXED = 0.01  # share of an even distribution in a task's, so that a filter at rest leaves the divergence finite


def kl(p: np.ndarray, q: np.ndarray) -> float:
    """Kullback-Leibler divergence KL(p || q) of two discrete distributions of shape (n,), in nats."""
    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / q[there])))


def _table(distributions: Mapping[str, np.ndarray]) -> pd.DataFrame:
    names = list(distributions)
    values = [[-kl(distributions[a], distributions[b]) for b in names] for a in names]
    return pd.DataFrame(values, index=pd.Index(names, name="set"), columns=names)


def _keys(task: Task) -> np.ndarray:
    """How the set MACCS keys of a data set divide among the 166 keys."""
    on = key_table(task).astype(float)
    frequency = (on.sum(axis=0) + PSEUDO_COUNT) / (len(on) + 2 * PSEUDO_COUNT)
    return frequency / frequency.sum()


def structure_similarity(sets: Mapping[str, Any]) -> pd.DataFrame:
    """Compare data sets by the frequencies of their MACCS keys.

    A key's frequency is the share of molecules that have it, with half a molecule added that has it and half a one
    that has not, so that a key that one set lacks leaves the divergence finite. The frequencies, divided by their sum,
    are the distribution that is compared.

    Parameters
    ----------
    sets : mapping name -> Dataset or mapping with ``smiles`` and ``y``

    Returns
    -------
    DataFrame of shape (n_sets, n_sets)
        ``-KL(row || column)`` in nats. Not symmetric.

    References
    ----------
    Huang, Hu and Ying, NeurIPS 2023, section 3. The order of the arguments is not published, nor is the smoothing.
    """
    return _table({name: _keys(read_task(name, data)) for name, data in sets.items()})


def fisher_diagonal(
    network: nn.Module, inputs: Iterable, weight: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Diagonal of the Fisher information of a network with one output f, averaged over the inputs.

    For the label's likelihood given f, the expectation over labels has a closed form: (df / dtheta)^2 times a weight,
    p (1 - p) with p = sigmoid(f) for two classes, and 1 / variance for a normal label.

    Parameters
    ----------
    network : torch.nn.Module
        Called with one input at a time.
    inputs : iterable
    weight : callable
        Weight, given the output.

    Returns
    -------
    dict of str to Tensor
        One entry a parameter that needs a gradient, of its shape.
    """
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    total = [torch.zeros_like(parameter) for _, parameter in named]
    count = 0
    for item in inputs:
        output = network(item).squeeze()
        gradients = torch.autograd.grad(output, [parameter for _, parameter in named], allow_unused=True)
        factor = weight(output.detach())
        for sum_, gradient in zip(total, gradients, strict=True):
            if gradient is not None:
                sum_ += factor * gradient**2
        count += 1
    if not count:
        raise ValueError("the Fisher information needs at least 1 input")
    return {name: sum_ / count for (name, _), sum_ in zip(named, total, strict=True)}


class _Probe(nn.Module):
    """A frozen graph network with a head that is fitted in closed form; the head is no parameter."""

    def __init__(self, gin: GIN, features: np.ndarray, task: Task) -> None:
        super().__init__()
        self.gin = gin
        mean, spread = features.mean(axis=0), features.std(axis=0)
        spread = np.where(spread > 1e-8, spread, 1.0)
        model = LogisticRegression(C=1.0, max_iter=1000) if task.binary else Ridge(alpha=1.0)
        model.fit((features - mean) / spread, task.labels())
        slope = np.ravel(model.coef_) / spread
        self.slope = torch.as_tensor(slope, dtype=torch.float32)
        self.offset = float(np.ravel(model.intercept_)[0] - mean @ slope)

    def forward(self, molecules):
        return self.gin(molecules) @ self.slope + self.offset


def _task_vector(task: Task, n_molecules: int, hidden: int, n_layers: int, random_state: int) -> np.ndarray:
    """Task2Vec: how the Fisher information divides among the filters of the probe."""
    # the same draw for every set, so that sets with the same molecules are compared on the same molecules
    rows = np.random.default_rng(random_state).permutation(len(task))[:n_molecules]
    task = task.subset(np.sort(rows))
    molecules = graphs(task.smiles)
    with seeded(random_state):
        gin = GIN(hidden, n_layers).eval()
    with torch.no_grad():
        features = gin(batch(molecules)).double().numpy()
    probe = _Probe(gin, features, task)
    # a normal label's variance is one factor for all parameters, and drops out of the shares
    weight = (lambda f: torch.sigmoid(f) * torch.sigmoid(-f)) if task.binary else torch.ones_like
    fisher = fisher_diagonal(probe, (batch([molecule]) for molecule in molecules), weight)
    filters = np.concatenate([value.mean(dim=1).double().numpy() for value in fisher.values() if value.ndim == 2])
    return (1 - MIXED) * filters / filters.sum() + MIXED / len(filters)


def task_similarity(
    sets: Mapping[str, Any], *, n_molecules: int = 200, hidden: int = 64, n_layers: int = 3, random_state: int = 0
) -> pd.DataFrame:
    """Compare data sets by Task2Vec: which filters of a probe matter to their labels.

    The probe is one graph network for all sets, with the random weights it starts with, frozen; its head is fitted to
    each set (ridge or logistic regression). The Fisher information of each weight is averaged over the weights of a
    filter (an output of a linear layer). The averages, divided by their sum and mixed with 1 % of an even distribution,
    are compared. A label and its negative are the same task.

    Parameters
    ----------
    sets : mapping name -> Dataset or mapping with ``smiles`` and ``y``
    n_molecules : int
        So many molecules of a set, drawn at random, are read at most.
    hidden : int
        Features of an atom in the probe.
    n_layers : int
        Layers of the probe.
    random_state : int
        Seed of the probe and of the draw.

    Returns
    -------
    DataFrame of shape (n_sets, n_sets)
        ``-KL(row || column)`` in nats. Not symmetric.

    References
    ----------
    Achille et al., Task2Vec, ICCV 2019; compared by KL as in Huang, Hu and Ying, NeurIPS 2023. Neither the probe
    network nor the order of the arguments is published.
    """
    vectors = {
        name: _task_vector(read_task(name, data), n_molecules, hidden, n_layers, random_state)
        for name, data in sets.items()
    }
    return _table(vectors)
