"""Descriptors of conformers: one row for each structure in space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors

from course_lib.featurize import mordred_3d
from course_lib.featurize.embedding import ConformerSet

KINDS = ("mordred", "rdkit")

_BLOCKS = {
    "MORSE": (rdMolDescriptors.CalcMORSE, 224),
    "RDF": (rdMolDescriptors.CalcRDF, 210),
    "WHIM": (rdMolDescriptors.CalcWHIM, 114),
    "AUTOCORR3D": (rdMolDescriptors.CalcAUTOCORR3D, 80),
}
_SHAPES = {
    "PMI1": rdMolDescriptors.CalcPMI1,
    "PMI2": rdMolDescriptors.CalcPMI2,
    "PMI3": rdMolDescriptors.CalcPMI3,
    "NPR1": rdMolDescriptors.CalcNPR1,
    "NPR2": rdMolDescriptors.CalcNPR2,
    "RadiusOfGyration": rdMolDescriptors.CalcRadiusOfGyration,
    "InertialShapeFactor": rdMolDescriptors.CalcInertialShapeFactor,
    "Eccentricity": rdMolDescriptors.CalcEccentricity,
    "Asphericity": rdMolDescriptors.CalcAsphericity,
    "SpherocityIndex": rdMolDescriptors.CalcSpherocityIndex,
}


def descriptors3d(structures: Chem.Mol | ConformerSet, kind: str = "mordred") -> pd.DataFrame:
    """Compute 3D descriptors, one row a conformer.

    Parameters
    ----------
    structures : rdkit.Chem.Mol or ConformerSet
        A molecule with explicit hydrogens and any number of conformers.
    kind : {"mordred", "rdkit"}
        ``"mordred"``: the 213 descriptors of Mordred's 3D set (surface charges, geometry, gravitation, MoRSE, moments
        of inertia, plane of best fit). ``"rdkit"``: RDKit's MORSE, RDF, WHIM and AUTOCORR3D (628) and eleven measures
        of shape. GETAWAY is left out: it takes milliseconds for most structures, but for some (terephthalic acid
        beside propanediol, by ``"dg"``) RDKit's function did not end within a minute, and it cannot be interrupted.

    Returns
    -------
    pandas.DataFrame of shape (n_conformers, 213 or 639)
        Index ``conformer`` from 0; NaN where a descriptor is undefined.

    Raises
    ------
    ValueError
        When `kind` is unknown or hydrogens are missing.
    """
    mol = structures.mol if isinstance(structures, ConformerSet) else structures
    if any(atom.GetTotalNumHs() for atom in mol.GetAtoms()):
        raise ValueError("3D descriptors need explicit hydrogens: use Chem.AddHs(mol) before embedding")
    values = compute(mol, kind)
    return pd.DataFrame(values, columns=list(columns(kind)), index=pd.RangeIndex(len(values), name="conformer"))


@cache
def columns(kind: str) -> tuple[str, ...]:
    """Names of the descriptors of one kind."""
    check_kind(kind)
    if kind == "mordred":
        return mordred_3d.COLUMNS
    names = [f"{block}_{i}" for block, (_, size) in _BLOCKS.items() for i in range(1, size + 1)]
    return (*names, *_SHAPES, "PBF")


def check_kind(kind: str) -> None:
    """Refuse an unknown kind with a ValueError."""
    if kind not in KINDS:
        raise ValueError(f"unknown 3D descriptors {kind!r}; choose from {', '.join(KINDS)}")


def compute(mol: Chem.Mol, kind: str) -> np.ndarray:
    """Values of `descriptors3d` as an array of shape (n_conformers, n_columns)."""
    check_kind(kind)
    if kind == "mordred":
        positions = [conformer.GetPositions() for conformer in mol.GetConformers()]
        return mordred_3d.Mordred3D(mol)(np.array(positions).reshape(len(positions), mol.GetNumAtoms(), 3))
    rows = []
    with rdBase.BlockLogs():
        for conformer in mol.GetConformers():
            # RDKit keeps the axes of the first conformer it sees with the molecule and hands them out for the others
            mol.ClearComputedProps(includeRings=False)
            number = conformer.GetId()
            row = [value for block, _ in _BLOCKS.values() for value in _call(block, mol, number)]
            row += [_call(shape, mol, number) for shape in _SHAPES.values()]
            rows.append([*row, mordred_3d.plane_of_best_fit(conformer.GetPositions())])
    values = np.array(rows, dtype=float).reshape(len(rows), len(columns(kind)))
    values[~np.isfinite(values)] = np.nan
    return values


def _call(function: Callable, mol: Chem.Mol, number: int) -> float | Sequence[float]:
    return function(mol, confId=number)
