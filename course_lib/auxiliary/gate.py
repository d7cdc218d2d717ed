"""MolGroup's gate: how much of the target's network an auxiliary goes through, and the step that learns it.

Throughout, alpha is the share of the target's parameters, so a high alpha means much sharing (as in the paper; the
authors' released code computes 1 - alpha).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from course_lib.auxiliary.joint import task_loss
from course_lib.models.gnn import GIN, Batch, pool

__all__ = ["Drawn", "Gate", "Network", "Set2Set", "auxiliary_losses", "lookahead", "meta_gradient", "mixed"]

DIM = 16  # of the task embeddings and of the projected keys
READS = 3  # of a Set2Set
N_KEYS = 166


class Network(nn.Module):
    """What each data set owns: a GIN and a linear head."""

    def __init__(self, hidden: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        self.gin = GIN(hidden, n_layers, dropout)
        self.head = nn.Linear(self.gin.width, 1)


class Drawn(NamedTuple):
    """One batch of a data set: the graphs, labels of shape (n,), MACCS keys of shape (n, 166), and what labels are."""

    molecules: Batch
    y: torch.Tensor
    keys: torch.Tensor
    binary: bool


def mixed(shared: GIN, own: GIN, alpha: torch.Tensor | float, molecules: Batch) -> torch.Tensor:
    """Features of molecules by a mixture of two networks, at the encoder and at every layer.

    ``h = alpha * f_shared + (1 - alpha) * f_own``, both from the mixture below.

    Parameters
    ----------
    shared : GIN
        The target's network.
    own : GIN
        The auxiliary's network, of equal shape.
    alpha : Tensor of shape () or float
        1 is the target's network alone, 0 the auxiliary's own.
    molecules : Batch

    Returns
    -------
    Tensor of shape (n_molecules, 2 * hidden)

    References
    ----------
    Huang, Hu and Ying, NeurIPS 2023, section 4. Published with batch norm; a layer norm, as here, keeps no statistics
    that a pass of the auxiliary through the target's network could disturb.
    """
    h = alpha * shared.encoder(molecules.atoms) + (1 - alpha) * own.encoder(molecules.atoms)
    for number in range(len(shared.layers)):
        h = alpha * shared.step(number, h, molecules) + (1 - alpha) * own.step(number, h, molecules)
    return pool(h, molecules)


class Set2Set(nn.Module):
    """One vector of a set of vectors, whatever their order: an LSTM that reads the set by attention, three times.

    References
    ----------
    Vinyals, Bengio and Kudlur, ICLR 2016, equations 3 to 7.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTMCell(2 * dim, dim)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Read rows of shape (n, dim); return a vector of shape (2 * dim,)."""
        query = rows.new_zeros(1, 2 * rows.shape[1])
        state = (rows.new_zeros(1, rows.shape[1]), rows.new_zeros(1, rows.shape[1]))
        for _ in range(READS):
            state = self.lstm(query, state)
            weight = torch.softmax(rows @ state[0][0], dim=0)
            query = torch.cat([state[0], (weight @ rows)[None]], dim=1)
        return query[0]


class Gate(nn.Module):
    """Alpha of each auxiliary, from a term for its task and one for its structures.

    ``alpha_m = sigmoid(((1 - a) cos(e_T, e_m) + a cos(s_T, s_m) - c_m) / tau)``: e are learned vectors of 16 numbers,
    one a data set; s is read from the MACCS keys of a batch, projected to 16 numbers, by a :class:`Set2Set`. c_m is 0
    as published; centred, it is what the two terms give at the start, so that every auxiliary starts at 0.5.

    All auxiliaries start with one and the same vector, so that what tells them apart is what is learned.

    Parameters
    ----------
    n_auxiliaries : int
    a : float
        Weight of the structure term.
    tau : float
        Temperature.
    """

    def __init__(self, n_auxiliaries: int, a: float = 0.1, tau: float = 0.1) -> None:
        super().__init__()
        self.a, self.tau = a, tau
        self.target = nn.Parameter(torch.randn(DIM))
        self.tasks = nn.Parameter(torch.randn(1, DIM).repeat(n_auxiliaries, 1))
        self.project = nn.Linear(N_KEYS, DIM)
        self.read = Set2Set(DIM)
        self.register_buffer("centre", torch.zeros(n_auxiliaries))

    def terms(self, target_keys: torch.Tensor, keys: Sequence[torch.Tensor]) -> torch.Tensor:
        """Weighted sum of the two cosines, shape (n_auxiliaries,)."""
        ours = self.read(self.project(target_keys))
        theirs = torch.stack([self.read(self.project(part)) for part in keys])
        task = functional.cosine_similarity(self.target[None], self.tasks, dim=1)
        return (1 - self.a) * task + self.a * functional.cosine_similarity(ours[None], theirs, dim=1)

    def start_at_half(self, target_keys: torch.Tensor, keys: Sequence[torch.Tensor]) -> None:
        """Centre: with these keys, of whole data sets, and the parameters of now, alpha is 0.5 from here on."""
        with torch.no_grad():
            self.centre.copy_(self.terms(target_keys, keys))

    def forward(self, target_keys: torch.Tensor, keys: Sequence[torch.Tensor]) -> torch.Tensor:
        """Alpha of each auxiliary, shape (n_auxiliaries,), from the keys of one batch of each data set."""
        return torch.sigmoid((self.terms(target_keys, keys) - self.centre) / self.tau)


def auxiliary_losses(
    shared: GIN, owners: Sequence[Network], alphas: torch.Tensor, batches: Sequence[Drawn]
) -> list[torch.Tensor]:
    """Loss of each auxiliary, through its mixture and its own head."""
    return [
        task_loss(owner.head(mixed(shared, owner.gin, alpha, drawn.molecules))[:, 0], drawn.y, drawn.binary)
        for owner, alpha, drawn in zip(owners, alphas, batches, strict=True)
    ]


def lookahead(shared: GIN, loss: torch.Tensor, rate: float) -> dict[str, torch.Tensor]:
    """Parameters of the target's network after one plain gradient step on a loss; they keep the loss's graph."""
    names, parameters = zip(*shared.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    return {name: p - rate * g for name, p, g in zip(names, parameters, gradients, strict=True)}


def meta_gradient(
    target: Network, losses: Sequence[torch.Tensor], gate_parameters: Sequence[torch.Tensor], drawn: Drawn, rate: float
) -> list[torch.Tensor]:
    """Gradient, by the gate, of the target's loss after the auxiliaries have moved its network by one step.

    Parameters
    ----------
    target : Network
    losses : list of Tensor
        Of the auxiliaries, through the gate.
    gate_parameters : list of Tensor
    drawn : Drawn
        Target batch on which the moved network is judged: an independent one, or the published choice, the batch that
        the target also learns from in this step.
    rate : float
        Of the lookahead step.

    Returns
    -------
    list of Tensor
        One a gate parameter; 0 where it plays no part.
    """
    moved = lookahead(target.gin, torch.stack(list(losses)).mean(), rate)
    output = target.head(functional_call(target.gin, moved, (drawn.molecules,)))[:, 0]
    loss = task_loss(output, drawn.y, drawn.binary)
    found = torch.autograd.grad(loss, gate_parameters, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(gate_parameters, found, strict=True)]
