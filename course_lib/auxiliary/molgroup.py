"""MolGroup: groups of auxiliary data sets, found by a gate that is learned while the networks are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from course_lib.auxiliary.gate import Drawn, Gate, Network, auxiliary_losses, meta_gradient
from course_lib.auxiliary.joint import deal, task_loss
from course_lib.auxiliary.tasks import Task, key_table, read_tasks
from course_lib.featurize import graphs
from course_lib.models.gnn import batch
from course_lib.models.network import one_thread, seeded

__all__ = ["MolGroup"]

CONTROL = "shuffled control"
N_CONTROLS = 3  # auxiliaries whose shuffled copies take part in a start
JUDGED = 0.25  # share of the target's molecules that judge and are not learned from
PUBLISHED_THRESHOLD = 0.6  # of alpha
LAST, FIRST = 0.1, 0.1  # shares of the steps: scored; taken before the gate starts to learn


class _Drawer:
    """Batches of one data set, or of some of its rows."""

    def __init__(self, task: Task, batch_size: int, random_state, rows: np.ndarray | None = None) -> None:
        self.rows = np.arange(len(task)) if rows is None else rows
        self.graphs = graphs(task.smiles)
        self.y = torch.as_tensor(task.labels(), dtype=torch.float32)
        self.keys = torch.from_numpy(key_table(task))
        self.binary = task.binary
        self.dealer = deal(len(self.rows), batch_size, random_state)

    def __next__(self) -> Drawn:
        rows = self.rows[next(self.dealer)]
        return Drawn(batch([self.graphs[row] for row in rows]), self.y[rows], self.keys[rows], self.binary)


class MolGroup:
    """Choose auxiliary data sets by a learned gate.

    The target runs through its own network. Each auxiliary has a network of its own and runs through a mixture of
    both, with the share alpha of the target's, at the encoder and at every layer. The gate gives alpha from two terms:
    how alike the learned vectors of the two data sets are (task), and how alike their MACCS keys are as it reads them
    (structures). In each step the auxiliaries' mean loss moves the target's network by one plain gradient step, on
    trial; the target's loss after this move tells the gate by its gradient whether to share more or less (the gate has
    an Adam of its own). Then everything but the gate takes an Adam step, from where it was, on the mean of all losses.

    What differs from the published method, each with a reason: the move is judged on a quarter of the target's
    molecules, drawn anew for each start, from which nothing is learned in it (published: the batch that the target
    learns from in this step); every gate starts at 0.5; scores are averaged over starts; and they are read against a
    control, the mean alpha of copies of up to three auxiliaries with shuffled labels, which teach nothing and have the
    structures of real ones. Adam takes steps of one size however small the gradient is, so noise alone lets alpha
    wander, and an alpha by itself has no scale. ``MolGroup(meta_batch="same", centred=False, control=False,
    n_seeds=1)`` is the published method, but for layer norm, equal starts of all auxiliaries, a gate that rests where
    the published networks share nothing for an epoch, and sizes: published are 10 epochs in batches of 128 at a rate
    of 0.001, which for hundreds of molecules are too few steps for the gate to leave its start.

    Parameters
    ----------
    k : int
        Auxiliaries selected at most.
    rounds : int
        After each, the auxiliaries below the threshold are dropped (or the lowest one, when none is below and more than
        k are left), and all networks start afresh. At most k are taken from the last round.
    n_seeds : int
        Starts in a round.
    n_steps : int
        Of each start. For the first tenth the gate rests; over the last tenth alpha is averaged.
    meta_batch : "independent" or "same"
    centred, control : bool
    threshold : float, optional
        Of alpha; with a control, of the difference to the control's alpha. By default 0.6, and 0 with a control.
    a : float
        Weight of the gate's structure term, 0 to 1; its task term has 1 - a.
    tau : float
        Temperature of the gate: alpha is the sigmoid of the weighted terms (centred when asked for) divided by it.
    learning_rate : float
        Of both Adams and of the step on trial.
    batch_size, hidden, n_layers, dropout
        As in :class:`~course_lib.auxiliary.JointNetwork`.
    random_state : int

    Attributes
    ----------
    affinity_ : Series of float, one entry an auxiliary
        Alpha (high = share), over the seeds, in the last round that the auxiliary was in.
    scores_ : Series of float
        What decides: alpha less that of the control in the same round; alpha itself without a control.
    rounds_ : Series of int
        Number of rounds that the auxiliary was in.
    ranking_ : list of str
        All auxiliaries, best first: those that stayed in for more rounds, and of these the higher scores.
    selected_ : list of str
        At most k, best first. Empty when none stands above the threshold.
    history_ : DataFrame
        round, seed, step, then alpha of each auxiliary in the round and of the control (mean of its copies).
    removed_ : dict of str to int
        Rows taken out of each auxiliary because their molecule is held out of the target.

    References
    ----------
    Huang, Hu and Ying, NeurIPS 2023 (arXiv 2307.04052).
    """

    def __init__(
        self,
        k: int = 5,
        *,
        rounds: int = 3,
        n_seeds: int = 3,
        n_steps: int = 200,
        meta_batch: str = "independent",
        centred: bool = True,
        control: bool = True,
        threshold: float | None = None,
        a: float = 0.1,
        tau: float = 0.1,
        learning_rate: float = 3e-3,
        batch_size: int = 64,
        hidden: int = 32,
        n_layers: int = 3,
        dropout: float = 0.0,
        random_state: int = 0,
    ) -> None:
        if meta_batch not in ("independent", "same"):
            raise ValueError(f"meta_batch is {meta_batch!r}: choose 'independent' or 'same'")
        for name, value in {"k": k, "rounds": rounds, "n_seeds": n_seeds, "n_steps": n_steps}.items():
            if value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more")
        self.k = k
        self.rounds = rounds
        self.n_seeds = n_seeds
        self.n_steps = n_steps
        self.meta_batch = meta_batch
        self.centred = centred
        self.control = control
        self.threshold = threshold
        self.a = a
        self.tau = tau
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.hidden = hidden
        self.n_layers = n_layers
        self.dropout = dropout
        self.random_state = random_state

    def fit(self, target: Any, auxiliaries: Mapping[str, Any], *, held_out: Iterable[str] = ()) -> MolGroup:
        """Choose.

        Parameters
        ----------
        target : Dataset or mapping with ``smiles`` and ``y``
            Training molecules of the target.
        auxiliaries : mapping name -> Dataset or mapping with ``smiles`` and ``y``
        held_out : iterable of str
            SMILES of the target's validation and test molecules: taken out of every auxiliary before anything else.

        Returns
        -------
        self

        Raises
        ------
        LeakError, MoleculeError, ValueError
            See :func:`~course_lib.auxiliary.read_tasks`.
        """
        task, others = read_tasks(target, auxiliaries, held_out)
        if CONTROL in others or not others:
            raise ValueError(f"give at least one auxiliary, and none by the name {CONTROL!r}")
        self.removed_ = {name: other.n_removed for name, other in others.items()}
        threshold = self.threshold
        if threshold is None:
            threshold = 0.0 if self.control else PUBLISHED_THRESHOLD
        seeds = np.random.default_rng(self.random_state).integers(2**31, size=(self.rounds, self.n_seeds)).tolist()
        alive, history = list(others), []
        affinity, scores, entered = (dict.fromkeys(others, 0) for _ in range(3))
        for number, starts in enumerate(seeds, start=1):
            tables = [self._alphas(task, {name: others[name] for name in alive}, seed) for seed in starts]
            n_last = max(1, round(LAST * self.n_steps))
            alpha = pd.concat([table.iloc[-n_last:] for table in tables]).mean()
            for seed, table in zip(starts, tables, strict=True):
                history.append(table.reset_index().assign(round=number, seed=seed))
            for name in alive:
                affinity[name], entered[name] = alpha[name], number
                scores[name] = alpha[name] - alpha[CONTROL] if self.control else alpha[name]
            alive.sort(key=lambda name: -scores[name])
            above = [name for name in alive if scores[name] >= threshold]
            alive = above[:-1] if len(above) == len(alive) > self.k else above
            if not alive:
                break
        front = ["round", "seed", "step"]
        table = pd.concat(history, ignore_index=True)
        self.history_ = table[[*front, *(column for column in table if column not in front)]]
        self.affinity_ = pd.Series(affinity, name="alpha", dtype=float)
        self.scores_ = pd.Series(scores, name="score", dtype=float)
        self.rounds_ = pd.Series(entered, name="rounds", dtype=int)
        self.selected_ = alive[: self.k]
        self.ranking_ = sorted(others, key=lambda name: (-entered[name], -scores[name], name))
        return self

    def _alphas(self, target: Task, others: dict[str, Task], seed: int) -> pd.DataFrame:
        """Train once; alpha of each auxiliary, and of the control, in each step."""
        names = sorted(others)  # so that the order in which they are given makes no difference
        tasks = [others[name] for name in names]
        if self.control:  # a copy meets the molecules of its original in every step
            copied = np.random.default_rng(seed).permutation(len(names))[:N_CONTROLS]
            tasks += [replace(tasks[i], y=np.random.default_rng(seed).permutation(tasks[i].y)) for i in copied]
        order = np.random.default_rng([seed, 1]).permutation(len(target))
        n_judging = round(JUDGED * len(target)) if self.meta_batch == "independent" else 0
        with one_thread(), seeded(seed):
            ours = Network(self.hidden, self.n_layers, self.dropout)
            first = Network(self.hidden, self.n_layers, self.dropout)
            owners = [deepcopy(first) for _ in tasks]  # what tells auxiliaries apart is what is learned
            gate = Gate(len(tasks), self.a, self.tau)
            drawers = [_Drawer(task, self.batch_size, [seed, 0]) for task in tasks]
            learning = _Drawer(target, self.batch_size, [seed, 0], np.sort(order[n_judging:]))
            judging = _Drawer(target, self.batch_size, [seed, 1], np.sort(order[:n_judging])) if n_judging else None
            if self.centred:
                gate.start_at_half(learning.keys, [drawer.keys for drawer in drawers])
            weights = [p for network in (ours, *owners) for p in network.parameters()]
            main = torch.optim.Adam(weights, lr=self.learning_rate)
            meta = torch.optim.Adam(gate.parameters(), lr=self.learning_rate)
            alphas = np.empty((self.n_steps, len(tasks)))
            for step in range(self.n_steps):
                drawn, own = [next(drawer) for drawer in drawers], next(learning)
                judge = next(judging) if judging else own
                alpha = gate(own.keys, [one.keys for one in drawn])
                alphas[step] = alpha.detach().numpy()
                losses = auxiliary_losses(ours.gin, owners, alpha, drawn)
                if step >= FIRST * self.n_steps:
                    parameters = list(gate.parameters())
                    gradients = meta_gradient(ours, losses, parameters, judge, self.learning_rate)
                    for parameter, gradient in zip(parameters, gradients, strict=True):
                        parameter.grad = gradient
                    meta.step()
                loss = task_loss(ours.head(ours.gin(own.molecules))[:, 0], own.y, own.binary)
                mean = torch.stack([loss, *losses]).mean()
                for parameter, gradient in zip(weights, torch.autograd.grad(mean, weights), strict=True):
                    parameter.grad = gradient
                main.step()
        steps = pd.RangeIndex(1, self.n_steps + 1, name="step")
        table = pd.DataFrame(alphas[:, : len(names)], index=steps, columns=names)
        return table.assign(**{CONTROL: alphas[:, len(names) :].mean(axis=1)}) if self.control else table
