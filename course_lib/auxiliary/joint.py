"""One graph network for several data sets: a trunk that all share, and a head for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from torch import nn
from torch.nn import functional

from course_lib.auxiliary.tasks import Task, read_task, read_tasks
from course_lib.evaluate import log_loss, rmse
from course_lib.featurize import graphs
from course_lib.featurize.graphs import ATOM_FEATURES, BOND_FEATURES
from course_lib.models.gnn import GIN, Batch, batch, in_chunks, pool
from course_lib.models.network import one_thread, seeded

__all__ = ["GAT", "JointNetwork", "deal", "task_loss"]

CHECK_EVERY = 25  # steps between two looks at the validation molecules
SLOPE = 0.2  # of the leaky ReLU in the attention


class GAT(nn.Module):
    """Graph attention network: an atom weighs what its neighbours send, the weights of all neighbours adding up to 1.

    Everything else is as in :class:`~course_lib.models.gnn.GIN`: parameters, layer norm, and both sum and mean over
    the atoms.

    References
    ----------
    Brody, Alon and Yahav, ICLR 2022, equation 7 (GATv2), with one head and bond features added inside.
    """

    def __init__(self, hidden: int = 64, n_layers: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = 2 * hidden
        self.encoder = nn.Linear(len(ATOM_FEATURES), hidden)
        self.bonds = nn.ModuleList(nn.Linear(len(BOND_FEATURES), hidden) for _ in range(n_layers))
        self.senders = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(n_layers))
        self.receivers = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(n_layers))
        self.scores = nn.ModuleList(nn.Linear(hidden, 1, bias=False) for _ in range(n_layers))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout))
            for _ in range(n_layers)
        )

    def weights(self, number: int, h: torch.Tensor, molecules: Batch) -> torch.Tensor:
        """Attention of a layer, shape (n_bonds,); it adds up to 1 over the bonds that lead to an atom."""
        sent = self.senders[number](h).index_select(0, molecules.source)
        got = self.receivers[number](h).index_select(0, molecules.target)
        score = self.scores[number](functional.leaky_relu(sent + got + self.bonds[number](molecules.bonds), SLOPE))[
            :, 0
        ]
        top = score.new_zeros(len(h)).scatter_reduce(0, molecules.target, score.detach(), "amax", include_self=False)
        power = torch.exp(score - top.index_select(0, molecules.target))
        total = power.new_zeros(len(h)).index_add(0, molecules.target, power)
        return power / total.index_select(0, molecules.target)

    def forward(self, molecules: Batch) -> torch.Tensor:
        """Features of the molecules, shape (n_molecules, 2 * hidden)."""
        h = self.encoder(molecules.atoms)
        for number, layer in enumerate(self.layers):
            weight = self.weights(number, h, molecules)[:, None]
            message = weight * self.senders[number](h).index_select(0, molecules.source)
            h = h + layer(torch.zeros_like(h).index_add(0, molecules.target, message))
        return pool(h, molecules)


TRUNKS = {"gin": GIN, "gat": GAT}


def task_loss(output: torch.Tensor, y: torch.Tensor, binary: bool) -> torch.Tensor:
    """Mean cross-entropy of a binary set, mean squared error of standardised labels of any other."""
    return functional.binary_cross_entropy_with_logits(output, y) if binary else functional.mse_loss(output, y)


def deal(n_rows: int, size: int, random_state: int) -> Iterator[np.ndarray]:
    """Deal rows into batches of one size without end, each row once before any comes again.

    A set smaller than a batch is dealt whole.
    """
    rng, left = np.random.default_rng(random_state), np.empty(0, dtype=int)
    size = min(size, n_rows)
    while True:
        if len(left) < size:  # what is left over comes first, so that none is skipped
            fresh = rng.permutation(n_rows)
            left = np.concatenate([left, fresh[~np.isin(fresh, left)], fresh[np.isin(fresh, left)]])
        yield left[:size]
        left = left[size:]


class JointNetwork:
    """A trunk shared by a target and its auxiliaries, with one linear head a data set.

    Every step takes one batch of the same size from each set, whatever their sizes, and follows the mean of their
    losses. So a target takes as many optimiser steps alone as with auxiliaries, and sees the same batches from the same
    start. Numeric labels are standardised over the training molecules.

    Parameters
    ----------
    network : "gin" or "gat"
        Kind of trunk.
    hidden, n_layers, dropout
        Of the trunk.
    learning_rate : float
        Of Adam.
    batch_size : int
        Molecules of each set in a step.
    n_steps : int
    random_state : int

    Attributes
    ----------
    history_ : DataFrame
        ``step``, ``training`` (mean loss of the target's batches since the row before) and ``validation``.
    best_step_ : int
        The step whose weights were kept: lowest validation loss, or the last without validation molecules.
    removed_ : dict of str to int
        Rows taken out of each auxiliary because their molecule is held out of the target.
    """

    def __init__(
        self,
        network: str = "gin",
        *,
        hidden: int = 64,
        n_layers: int = 3,
        dropout: float = 0.1,
        learning_rate: float = 2e-3,
        batch_size: int = 32,
        n_steps: int = 600,
        random_state: int = 0,
    ) -> None:
        if network not in TRUNKS:
            raise ValueError(f"network is {network!r}: choose one of {list(TRUNKS)}")
        self.network = network
        self.hidden = hidden
        self.n_layers = n_layers
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_steps = n_steps
        self.random_state = random_state

    def fit(
        self,
        target: Any,
        auxiliaries: Mapping[str, Any] | None = None,
        *,
        validation: Any = None,
        held_out: Iterable[str] = (),
    ) -> JointNetwork:
        """Train.

        Parameters
        ----------
        target : Dataset or mapping with ``smiles`` and ``y``
            Training molecules.
        auxiliaries : mapping name -> Dataset or mapping with ``smiles`` and ``y``, optional
        validation : Dataset or mapping with ``smiles`` and ``y``, optional
            Molecules of the target that choose the step. They are taken out of every auxiliary.
        held_out : iterable of str
            SMILES of the target's test molecules, taken out of every auxiliary as well.

        Returns
        -------
        self

        Raises
        ------
        LeakError, MoleculeError, ValueError
            See :func:`~course_lib.auxiliary.read_tasks`.
        """
        watched = None if validation is None else read_task("validation", validation)
        held_out = [*held_out, *([] if watched is None else watched.smiles)]
        task, others = read_tasks(target, auxiliaries or {}, held_out)
        self.removed_ = {name: other.n_removed for name, other in others.items()}
        self.mean_, self.scale_ = task.scale()
        self.binary_ = task.binary
        tasks = [task, *(others[name] for name in sorted(others))]
        with one_thread(), seeded(self.random_state):
            self._train(tasks, watched)
        return self

    def _train(self, tasks: list[Task], watched: Task | None) -> None:
        self.trunk_ = TRUNKS[self.network](self.hidden, self.n_layers, self.dropout)
        heads = nn.ModuleList(nn.Linear(self.trunk_.width, 1) for _ in tasks)  # the target's is drawn first
        self.head_ = heads[0]
        molecules = [graphs(task.smiles) for task in tasks]
        labels = [torch.as_tensor(task.labels(), dtype=torch.float32) for task in tasks]
        dealers = [deal(len(task), self.batch_size, self.random_state) for task in tasks]
        optimiser = torch.optim.Adam([*self.trunk_.parameters(), *heads.parameters()], lr=self.learning_rate)
        best, state, seen, history = np.inf, None, [], []
        self.best_step_ = self.n_steps
        for step in range(1, self.n_steps + 1):
            rows = [next(dealer) for dealer in dealers]
            taken = [part[row] for part, chosen in zip(molecules, rows, strict=True) for row in chosen]
            parts = self.trunk_(batch(taken)).split([len(chosen) for chosen in rows])  # one pass for all sets
            losses = [
                task_loss(head(part)[:, 0], y[chosen], task.binary)
                for head, part, y, chosen, task in zip(heads, parts, labels, rows, tasks, strict=True)
            ]
            optimiser.zero_grad()
            torch.stack(losses).mean().backward()
            optimiser.step()
            seen.append(float(losses[0].detach()))
            if step % CHECK_EVERY and step != self.n_steps:
                continue
            now = np.nan if watched is None else self.error(watched.smiles, watched.y)
            history.append({"step": step, "training": float(np.mean(seen)), "validation": now})
            seen = []
            if now < best:
                best, self.best_step_ = now, step
                state = [{k: v.clone() for k, v in net.state_dict().items()} for net in (self.trunk_, self.head_)]
        if state is not None:
            self.trunk_.load_state_dict(state[0])
            self.head_.load_state_dict(state[1])
        self.trunk_.eval()
        self.history_ = pd.DataFrame(history)

    def predict(self, smiles: Iterable[str]) -> np.ndarray:
        """Predict the target: a value in its unit, or the probability of class 1. Shape (n,)."""
        molecules, training = graphs(smiles), self.trunk_.training
        self.trunk_.eval()
        output = in_chunks(lambda part: self.head_(self.trunk_(part))[:, 0], molecules)
        self.trunk_.train(training)
        return expit(output) if self.binary_ else output * self.scale_ + self.mean_

    def error(self, smiles: Iterable[str], y: Iterable[float]) -> float:
        """Root mean squared error in the target's unit, or of classes the log loss in nats."""
        found = self.predict(smiles)
        return log_loss(y, np.clip(found, 1e-7, 1 - 1e-7)) if self.binary_ else rmse(y, found)
