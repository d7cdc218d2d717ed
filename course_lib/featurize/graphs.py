"""Molecular graphs: a row of features for each atom and for each bond, and who is bound to whom."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import HybridizationType

from course_lib.featurize.fingerprints import texts
from course_lib.molecules import MoleculeError, parse

__all__ = ["ATOM_FEATURES", "BOND_FEATURES", "Graph", "graphs"]

_ELEMENTS = ("*", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I")
_DEGREES, _HYDROGENS = range(5), range(4)  # the last stands for its number and more
_HYBRIDS = (HybridizationType.SP, HybridizationType.SP2, HybridizationType.SP3)
_BONDS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC)

ATOM_FEATURES = (
    *(f"element {symbol}" for symbol in (*_ELEMENTS, "other")),
    *(f"degree {n}" for n in _DEGREES),
    *(f"{n} H" for n in _HYDROGENS),
    "charge",
    "aromatic",
    "in a ring",
    "sp",
    "sp2",
    "sp3",
    "other hybrid",
)
"""Names of the columns of :attr:`Graph.atoms`. A ``*`` (open end of a polymer) is an element of its own."""

BOND_FEATURES = ("single", "double", "triple", "aromatic", "other bond", "conjugated", "in a ring")
"""Names of the columns of :attr:`Graph.bonds`."""


class Graph(NamedTuple):
    """One molecule without its hydrogens. Every bond stands twice, once in each direction.

    Attributes
    ----------
    atoms : ndarray of int8, shape (n_atoms, len(ATOM_FEATURES))
        0 or 1, but for the formal charge.
    bonds : ndarray of int8, shape (2 * n_bonds, len(BOND_FEATURES))
        0 or 1.
    edges : ndarray of int32, shape (2, 2 * n_bonds)
        Atom that each bond leads from, and atom that it leads to.
    """

    atoms: np.ndarray
    bonds: np.ndarray
    edges: np.ndarray


def graphs(smiles: Iterable[str]) -> list[Graph]:
    """Turn molecules into graphs; what was built before comes from memory, so that cross-validation builds it once.

    Parameters
    ----------
    smiles : iterable of str of length n_molecules

    Returns
    -------
    list of Graph of length n_molecules
        Their arrays are shared and read-only.

    Raises
    ------
    MoleculeError
        Names the row.
    """
    found = []
    for row, text in enumerate(texts(smiles)):
        if not isinstance(text, str):
            parse(text, row)  # says why not
        try:
            found.append(_graph(str(text)))
        except MoleculeError as error:
            raise MoleculeError(error.smiles, error.reason, row) from None
    return found


@lru_cache(maxsize=20_000)
def _graph(smiles: str) -> Graph:
    mol = parse(smiles)
    atoms = np.array([_atom(atom) for atom in mol.GetAtoms()], dtype=np.int8)
    bonds = np.array([_bond(bond) for bond in mol.GetBonds()], dtype=np.int8).reshape(-1, len(BOND_FEATURES))
    ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]
    there = np.array(ends, dtype=np.int32).reshape(-1, 2).T
    graph = Graph(atoms, np.concatenate([bonds, bonds]), np.concatenate([there, there[::-1]], axis=1))
    for array in graph:
        array.flags.writeable = False
    return graph


def _one_of(value: object, choices: Iterable) -> list[bool]:
    """One True among the choices and, last, "none of them"."""
    hits = [value == choice for choice in choices]
    return [*hits, not any(hits)]


def _atom(atom: Chem.Atom) -> list[int]:
    return [
        *_one_of(atom.GetSymbol(), _ELEMENTS),
        *(min(atom.GetDegree(), _DEGREES[-1]) == n for n in _DEGREES),
        *(min(atom.GetTotalNumHs(), _HYDROGENS[-1]) == n for n in _HYDROGENS),
        atom.GetFormalCharge(),
        atom.GetIsAromatic(),
        atom.IsInRing(),
        *_one_of(atom.GetHybridization(), _HYBRIDS),
    ]


def _bond(bond: Chem.Bond) -> list[bool]:
    return [*_one_of(bond.GetBondType(), _BONDS), bond.GetIsConjugated(), bond.IsInRing()]
