"""An estimate without training: the direction in which a data set pulls an untrained network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from course_lib.auxiliary.joint import task_loss
from course_lib.auxiliary.tasks import Task, read_tasks
from course_lib.featurize import graphs
from course_lib.models.gnn import GIN, batch
from course_lib.models.network import seeded

__all__ = ["principal_gradient_distance"]


def _direction(task: Task, n_molecules: int, hidden: int, n_layers: int, seed: int) -> torch.Tensor:
    """Gradient of the loss by the trunk's parameters at a random start, scaled to length 1; shape (n_parameters,)."""
    rows = np.random.default_rng(seed).permutation(len(task))[:n_molecules]
    with seeded(seed):  # every set meets the same network
        network = nn.ModuleDict({"trunk": GIN(hidden, n_layers), "head": nn.Linear(2 * hidden, 1)}).eval()
    output = network["head"](network["trunk"](batch(graphs(task.smiles[rows]))))[:, 0]
    y = torch.as_tensor(task.labels()[rows], dtype=torch.float32)
    loss = task_loss(output, y, task.binary)
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(network["trunk"].parameters()))])
    return gradient / gradient.norm().clamp_min(1e-12)


def principal_gradient_distance(
    target: Any,
    auxiliaries: Mapping[str, Any],
    *,
    n_restarts: int = 10,
    n_molecules: int = 200,
    hidden: int = 64,
    n_layers: int = 3,
    random_state: int = 0,
) -> pd.Series:
    """Distance between the directions in which the target and each auxiliary would move an untrained graph network.

    At each of several random starts, which all sets share, the gradient of a set's loss by the parameters of the trunk
    is taken and scaled to length 1; the distance between target and auxiliary is averaged over the starts. Published is
    the distance between averages over the starts; with a head of random sign the part of the gradient that depends on
    the labels averages out, so the distance is taken first here.

    A negated copy of the target is far away by this measure, though in joint training its head absorbs the sign.

    Parameters
    ----------
    target, auxiliaries
        As in :func:`~course_lib.auxiliary.ridge_transfer`.
    n_restarts : int
    n_molecules : int
        So many molecules of a set, drawn at random, are read at most.
    hidden : int
        Features of an atom in the graph network.
    n_layers : int
        Layers of the graph network.
    random_state : int

    Returns
    -------
    Series of float, one entry an auxiliary
        0 (same direction) to 2 (opposite).

    References
    ----------
    Yao et al., Communications Chemistry 2024, 7:85 (principal-gradient-based measurement).
    """
    target, others = read_tasks(target, auxiliaries)
    total = dict.fromkeys(others, 0.0)
    for seed in np.random.default_rng(random_state).integers(2**31, size=n_restarts).tolist():
        ours = _direction(target, n_molecules, hidden, n_layers, seed)
        for name, task in others.items():
            total[name] += float((ours - _direction(task, n_molecules, hidden, n_layers, seed)).norm()) / n_restarts
    return pd.Series(total, name="principal gradient", dtype=float)
