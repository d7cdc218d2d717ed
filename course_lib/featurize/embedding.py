"""Three-dimensional structures of a molecule by six protocols, the same every time.

A protocol is an embedding, ETKDGv3 or plain distance geometry (DG), followed by nothing, UFF or MMFF94. Each protocol
embeds with seeds of its own: the three ETKDG protocols do not share starting structures, as in the lecture, where each
was generated separately.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from course_lib.molecules import MoleculeError, canonical, parse

PROTOCOLS = ("etkdg", "etkdg_uff", "etkdg_mmff94", "dg", "dg_uff", "dg_mmff94")
"""Names of the six protocols: embedding, then force field."""

_CHUNK = 5  # attempts that share a seed and a call
_EMBED_ITERATIONS = 20  # tries of one attempt
_FORCE_FIELD_ITERATIONS = 1000


@dataclass(frozen=True)
class ConformerSet:
    """Conformers of one molecule by one protocol.

    Attributes
    ----------
    smiles : str
        Canonical SMILES.
    protocol : str
    mol : rdkit.Chem.Mol
        With explicit hydrogens; conformer ids 0, 1, ...
    energies : ndarray of shape (n_conformers,) or None
        Force-field energy in kcal/mol; None without a force field.
    converged : ndarray of bool of shape (n_conformers,) or None
        Whether the force field reached a minimum; None without a force field.
    asked : int
    reason : str
        Why there are fewer conformers than asked for; empty when there are not.
    failures : dict of str to int
        How often each check of the embedding refused a structure, RDKit's names; such a structure is tried again, so
        refusals alone are no failure.
    """

    smiles: str
    protocol: str
    mol: Chem.Mol = field(repr=False)
    energies: np.ndarray | None = field(repr=False)
    converged: np.ndarray | None = field(repr=False)
    asked: int
    reason: str = ""
    failures: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.mol.GetNumConformers()

    @property
    def coordinates(self) -> np.ndarray:
        """Positions of the atoms in angstrom, shape (n_conformers, n_atoms, 3)."""
        positions = [conformer.GetPositions() for conformer in self.mol.GetConformers()]
        return np.array(positions).reshape(len(positions), self.mol.GetNumAtoms(), 3)


def conformers(smiles: str, n: int, protocol: str = "etkdg_mmff94", random_state: int = 0) -> ConformerSet:
    """Generate conformers of one molecule.

    Parameters
    ----------
    smiles : str
        Without open ends ``*``.
    n : int
        Conformers wanted, at least 1.
    protocol : {"etkdg", "etkdg_uff", "etkdg_mmff94", "dg", "dg_uff", "dg_mmff94"}
    random_state : int

    Returns
    -------
    ConformerSet
        Holds fewer than `n` conformers, and says why, when the molecule is hard to embed or the force field has no
        parameters for it.

    Raises
    ------
    MoleculeError
        When the SMILES cannot be read or has an open end.
    ValueError
        When the protocol is unknown or `n` is below 1.

    Notes
    -----
    Seeds come from the canonical SMILES, the protocol and `random_state`, so the way the molecule is written does not
    matter, and the first `n` of a larger set are this set. Attempts go in chunks of five, each with its own seed and 20
    tries for each attempt; a chunk without any success ends the search. This limit is the same on every machine, while
    RDKit's ``timeout`` depends on the clock and throws finished conformers away.

    Sources: Riniker and Landrum, J. Chem. Inf. Model. 2015, 55:2562 (ETKDG); Wang et al., ibid. 2020, 60:2044 (version
    3); Tosco et al., J. Cheminf. 2014, 6:37 (MMFF94 in RDKit); Rappe et al., JACS 1992, 114:10024 (UFF).
    """
    if n < 1:
        raise ValueError(f"at least one conformer must be asked for, not {n}")
    check_protocols((protocol,))
    smiles = closed(smiles)
    mol = Chem.AddHs(parse(smiles))
    embedding, _, force_field = protocol.partition("_")
    with rdBase.BlockLogs():
        reason = _missing_parameters(mol, force_field)
        if reason:
            return ConformerSet(smiles, protocol, mol, *_relax(mol, force_field), n, reason)
        try:
            failures = _embed(mol, n, embedding, f"{smiles}|{protocol}|{random_state}")
            energies, converged = _relax(mol, force_field)
        except (RuntimeError, ValueError) as error:
            mol.RemoveAllConformers()
            reason = f"RDKit stopped: {str(error).strip().splitlines()[0]}"
            return ConformerSet(smiles, protocol, mol, *_relax(mol, force_field), n, reason)
    reason = ""
    if mol.GetNumConformers() < n:
        why = ", ".join(f"{name} {count}" for name, count in sorted(failures.items(), key=lambda item: -item[1]))
        label = "ETKDG" if embedding == "etkdg" else "distance geometry"
        reason = f"{label} gave up after {_CHUNK} attempts in a row without a structure ({why or 'no check named'})"
    return ConformerSet(smiles, protocol, mol, energies, converged, n, reason, failures)


def closed(smiles: str, row: int | None = None) -> str:
    """Canonical SMILES of a molecule fit for three dimensions.

    Raises
    ------
    MoleculeError
        When it cannot be read or has an open end.
    """
    text = canonical(smiles, row)
    if "*" in text:
        reason = "an open end '*' has no place in space: cap it first, with molecules.h_capped or molecules.oligomer"
        raise MoleculeError(smiles, reason, row, "a closed molecule")
    return text


def check_protocols(protocols: tuple[str, ...]) -> None:
    """Refuse unknown or repeated protocols with a ValueError."""
    unknown = [name for name in protocols if name not in PROTOCOLS]
    if unknown:
        raise ValueError(f"unknown protocol {unknown[0]!r}; choose from {', '.join(PROTOCOLS)}")
    if not protocols or len(set(protocols)) != len(protocols):
        raise ValueError(f"protocols must be one or more different names, got {list(protocols)}")


def _missing_parameters(mol: Chem.Mol, force_field: str) -> str:
    """Say that a force field cannot treat a molecule; empty when it can."""
    known = {
        "": lambda _: True,
        "uff": rdForceFieldHelpers.UFFHasAllMoleculeParams,
        "mmff94": rdForceFieldHelpers.MMFFHasAllMoleculeParams,
    }[force_field]
    return "" if known(mol) else f"{force_field.upper()} has no parameters for this molecule"


def _embed(mol: Chem.Mol, n: int, embedding: str, name: str) -> dict[str, int]:
    """Add up to `n` conformers to `mol`, numbered from 0, and count what the checks refused."""
    parameters = rdDistGeom.ETKDGv3() if embedding == "etkdg" else rdDistGeom.EmbedParameters()
    parameters.maxIterations = _EMBED_ITERATIONS
    parameters.clearConfs = False
    parameters.trackFailures = True
    parameters.numThreads = 1
    refused: Counter[str] = Counter()
    mol.RemoveAllConformers()
    chunk = 0
    while mol.GetNumConformers() < n:
        parameters.randomSeed = seed_of(f"{name}|{chunk}")
        wanted = min(_CHUNK, n - mol.GetNumConformers())
        made = _attempt(mol, wanted, parameters)
        if len(made) < wanted < _CHUNK:  # the whole chunk is needed after all; its first attempts come out the same
            for number in made:
                mol.RemoveConformer(number)
            made = _attempt(mol, _CHUNK, parameters)
        for cause, count in enumerate(parameters.GetFailureCounts()):
            if count:
                named = rdDistGeom.EmbedFailureCauses.values.get(cause)  # some versions name fewer than they count
                refused[named.name.lower() if named is not None else f"cause {cause}"] += count
        if not made:
            break
        chunk += 1
    for position, conformer in enumerate(list(mol.GetConformers())):
        if position >= n:
            mol.RemoveConformer(conformer.GetId())
        else:
            conformer.SetId(position)
    return dict(refused)


def _attempt(mol: Chem.Mol, n: int, parameters: rdDistGeom.EmbedParameters) -> list[int]:
    return [number for number in rdDistGeom.EmbedMultipleConfs(mol, n, parameters) if number >= 0]


def seed_of(name: str) -> int:
    """Positive 28-bit number from a text; RDKit multiplies it by the number of the attempt and needs 31 bits."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % (2**28 - 1) + 1


def _relax(mol: Chem.Mol, force_field: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Minimise all conformers in place; energies in kcal/mol and whether each converged."""
    if not force_field:
        return None, None
    minimise = {
        "uff": rdForceFieldHelpers.UFFOptimizeMoleculeConfs,
        "mmff94": rdForceFieldHelpers.MMFFOptimizeMoleculeConfs,
    }[force_field]
    if not mol.GetNumConformers():
        return np.empty(0), np.empty(0, dtype=bool)
    result = minimise(mol, numThreads=1, maxIters=_FORCE_FIELD_ITERATIONS)
    return np.array([energy for _, energy in result]), np.array([status == 0 for status, _ in result])
