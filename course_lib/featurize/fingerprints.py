"""Fingerprints: which fragments a molecule holds, as zeros and ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from course_lib.molecules import parse

_MACCS_KEYS = 166


def morgan(smiles: Iterable[str], radius: int = 3, n_bits: int = 2048) -> pd.DataFrame:
    """Morgan fingerprints, the kind also called ECFP (radius 3: ECFP6).

    Parameters
    ----------
    smiles : iterable of str of length n_molecules
    radius : int
        Bonds from the centre of a fragment to its edge.
    n_bits : int
        Fragments are folded into this many columns, so that two may share one.

    Returns
    -------
    pandas.DataFrame of uint8, shape (n_molecules, n_bits)
        Columns ``morgan_0`` ...

    Raises
    ------
    MoleculeError
        When a SMILES cannot be read; names the row.

    Notes
    -----
    Rogers and Hahn, J. Chem. Inf. Model. 2010, 50:742.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=n_bits)
    rows = [generator.GetFingerprintAsNumPy(parse(text, row)) for row, text in enumerate(texts(smiles))]
    return _table(rows, [f"morgan_{bit}" for bit in range(n_bits)])


def maccs(smiles: Iterable[str]) -> pd.DataFrame:
    """Compute the 166 public MACCS keys: fixed questions about a structure, such as "is there a ring of four atoms?".

    Parameters
    ----------
    smiles : iterable of str of length n_molecules

    Returns
    -------
    pandas.DataFrame of uint8, shape (n_molecules, 166)
        Columns ``maccs_1`` to ``maccs_166``, numbered as the keys are. Key 1 (isotopes) is never set by RDKit.

    Raises
    ------
    MoleculeError
        When a SMILES cannot be read; names the row.

    Notes
    -----
    Durant et al., J. Chem. Inf. Comput. Sci. 2002, 42:1273.
    """
    rows = []
    for row, text in enumerate(texts(smiles)):
        bits = np.zeros(_MACCS_KEYS + 1, dtype=np.uint8)
        bits[list(rdMolDescriptors.GetMACCSKeysFingerprint(parse(text, row)).GetOnBits())] = 1
        rows.append(bits[1:])
    return _table(rows, [f"maccs_{key}" for key in range(1, _MACCS_KEYS + 1)])


def texts(smiles: Iterable[str]) -> list[str]:
    """Return the SMILES as a list; a single text is refused with a TypeError instead of being read letter by letter."""
    if isinstance(smiles, str):
        raise TypeError("expected a list of SMILES, got one text: write [smiles]")
    return list(smiles)


def tanimoto(bits: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Similarity of every two fingerprints: bits that both have / bits that either has, 1 for two empty ones.

    Parameters
    ----------
    bits, others : array-like of shape (n, p) and (m, p)
        0 and 1 only.

    Returns
    -------
    ndarray of shape (n, m)
    """
    a, b = np.asarray(bits, dtype=float), np.asarray(others, dtype=float)
    common = a @ b.T
    either = a.sum(axis=1)[:, None] + b.sum(axis=1) - common
    return np.where(either > 0, common / np.maximum(either, 1), 1.0)


def _table(rows: list[np.ndarray], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(np.array(rows, dtype=np.uint8).reshape(len(rows), len(columns)), columns=columns)
