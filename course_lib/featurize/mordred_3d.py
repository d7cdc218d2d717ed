"""Mordred's 213 three-dimensional descriptors, many conformers at a time.

Mordred's calculator starts anew for every conformer: it adds hydrogens, computes charges, builds the point mesh of the
surface and asks each of 213 descriptor objects in turn. All but the coordinates is the same for every conformer of a
molecule. Here that part is set up once (`Mordred3D`) and the rest is array arithmetic. The definitions, the atomic
tables and the treatment of undefined values are Mordred's; the unit tests compare every column with its calculator.

Sources: Moriwaki et al., J. Cheminf. 2018, 10:4 (Mordred); Stanton and Jurs, Anal. Chem. 1990, 62:2323 (charged partial
surface areas); Schuur et al., J. Chem. Inf. Comput. Sci. 1996, 36:334 (MoRSE); Firth et al., J. Chem. Inf. Model. 2012,
52:2516 (PBF).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdPartialCharges

_SOLVENT_RADIUS = 1.4  # angstrom: water
_MESH_LEVEL = 5
_MORSE_WEIGHTS = (None, "m", "v", "se", "p")
_MORSE_S = np.arange(32.0)  # 1/angstrom; column Mor01 is s = 0

_PER_VERSION = ("PNSA", "PPSA", "DPSA", "FNSA", "FPSA", "WNSA", "WPSA")
COLUMNS: tuple[str, ...] = (
    *(f"{name}{version}" for name in _PER_VERSION for version in range(1, 6)),
    *("RNCS", "RPCS", "TASA", "TPSA", "RASA", "RPSA"),
    *("GeomDiameter", "GeomRadius", "GeomShapeIndex", "GeomPetitjeanIndex"),
    *("GRAV", "GRAVH", "GRAVp", "GRAVHp"),
    *(f"Mor{s:02d}{weight or ''}" for weight in _MORSE_WEIGHTS for s in range(1, 33)),
    *("MOMI-X", "MOMI-Y", "MOMI-Z"),
    "PBF",
)
"""Names of the 213 descriptors, in Mordred's order."""


class Mordred3D:
    """Mordred's 3D descriptors of the conformers of one molecule.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule with explicit hydrogens. Its conformers do not matter here.
    """

    def __init__(self, mol: Chem.Mol) -> None:
        from mordred import _atomic_property as table

        mol = Chem.AddHs(mol)
        mol.RemoveAllConformers()
        numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
        self._n_atoms = len(numbers)
        self._upper = np.triu_indices(self._n_atoms, k=1)
        self._radius = np.array([table.vdw_radii[z] for z in numbers]) + _SOLVENT_RADIUS
        self._mass = np.array([atom.GetMass() for atom in mol.GetAtoms()])
        self._charge = _gasteiger(mol, table)

        # MoRSE: one product of properties, relative to carbon, for each pair of atoms
        self._pair_weight = np.empty((len(_MORSE_WEIGHTS), len(self._upper[0])))
        for line, name in zip(self._pair_weight, _MORSE_WEIGHTS, strict=True):
            if name is None:
                line[:] = 1.0
                continue
            value = table.getters[name]
            relative = np.array([value(atom) for atom in mol.GetAtoms()]) / value(Chem.Atom(6))
            # Mordred leaves the whole block undefined when one atom has no such property
            line[:] = np.nan if np.isnan(relative).any() else relative[self._upper[0]] * relative[self._upper[1]]

        # gravitational indices: products of masses, over all atoms or those that stay when hydrogens are removed
        first, second = self._upper
        bonded = Chem.GetAdjacencyMatrix(mol, force=True)[first, second]
        kept = _kept_without_hydrogens(mol)
        self._heavy = kept[first] & kept[second]
        self._gravity = self._mass[first] * self._mass[second] * np.array([np.ones_like(bonded), bonded])

    def __call__(self, coordinates: np.ndarray) -> np.ndarray:
        """Compute the descriptors.

        Parameters
        ----------
        coordinates : ndarray of shape (n_conformers, n_atoms, 3)
            In angstrom.

        Returns
        -------
        ndarray of shape (n_conformers, 213)
            Columns as in `COLUMNS`; NaN where Mordred gives no value. A conformer's numbers do not depend, to the last
            bit, on which others are computed with it.
        """
        coordinates = np.asarray(coordinates, dtype=float)
        if coordinates.ndim != 3 or coordinates.shape[1:] != (self._n_atoms, 3):
            raise ValueError(f"expected coordinates of shape (n, {self._n_atoms}, 3), got {coordinates.shape}")
        rows = np.empty((len(coordinates), len(COLUMNS)))
        with np.errstate(divide="ignore", invalid="ignore"):
            for row, xyz in zip(rows, coordinates, strict=True):
                square = xyz[:, np.newaxis] - xyz
                distance = np.sqrt(np.sum(square**2, axis=2))
                pairs = distance[self._upper]
                row[:41] = self._surface(xyz, distance)
                row[41:45] = _geometrical(distance)
                attraction = self._gravity / np.where(pairs == 0, np.nan, pairs) ** 2
                row[45:49:2] = np.sum(attraction[:, self._heavy], axis=1)
                row[46:49:2] = np.sum(attraction, axis=1)
                row[49:209] = self._morse(pairs)
                row[209:212] = self._moments(xyz)
                row[212] = plane_of_best_fit(xyz)
        return rows

    def _surface(self, xyz: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Compute the 41 charged partial surface areas."""
        charge = self._charge
        if charge is None:
            return np.full(41, np.nan)
        area = accessible_surface(xyz, distance, self._radius)
        total = np.sum(area)
        partial = []
        for sign in (charge < 0, charge > 0):
            covered, q = np.sum(area[sign]), np.sum(charge[sign])
            mean = q / np.sum(sign) if sign.any() else np.nan
            weighted = np.sum(charge[sign] * area[sign])
            partial.append(np.array([covered, q * covered, weighted, q * covered / self._n_atoms, mean * covered]))
        negative, positive = partial
        relative = []
        for sign in (charge < 0, charge > 0):
            if not sign.any():
                relative.append(0.0)
                continue
            largest = np.flatnonzero(sign)[np.argmax(np.abs(charge[sign]))]
            relative.append(area[largest] / (charge[largest] / np.sum(charge[sign])))
        polar = np.abs(charge) >= 0.2
        hydrophobic_area, polar_area = np.sum(area[~polar]), np.sum(area[polar])
        return np.concatenate(
            [
                *(negative, positive, positive - negative, negative / total, positive / total),
                *(negative * total / 1000.0, positive * total / 1000.0),
                relative,
                [hydrophobic_area, polar_area, hydrophobic_area / total, polar_area / total],
            ]
        )

    def _morse(self, pairs: np.ndarray) -> np.ndarray:
        """Sum over pairs of atoms the property product times sin(s r) / (s r)."""
        if self._n_atoms < 2:
            return np.full(160, np.nan)
        angle = _MORSE_S[:, np.newaxis] * pairs
        angle[0] = 1.0
        wave = np.sin(angle) / angle
        wave[0] = 1.0
        # einsum, not a matrix product: its sums are in one order whatever the number of threads
        return np.einsum("wp,sp->ws", self._pair_weight, wave).ravel()

    def _moments(self, xyz: np.ndarray) -> np.ndarray:
        """Principal moments of inertia, largest first."""
        mass = self._mass[:, np.newaxis]
        centred = xyz - np.sum(mass * xyz, axis=0) / np.sum(mass)
        inertia = -np.einsum("ni,nj->ij", mass * centred, centred)
        inertia[np.diag_indices(3)] += np.sum(mass * centred**2)
        return np.linalg.eigvalsh(inertia)[::-1]


def _gasteiger(mol: Chem.Mol, table: object) -> np.ndarray | None:
    """Gasteiger charges, shape (n_atoms,), in elementary charges; None where the method has no parameters."""
    with rdBase.BlockLogs():
        try:
            rdPartialCharges.ComputeGasteigerCharges(mol)
        except (ValueError, RuntimeError):
            return None
    charge = np.array([table.get_gasteiger_charge(atom) for atom in mol.GetAtoms()])
    return None if np.isnan(charge).any() else charge


def _kept_without_hydrogens(mol: Chem.Mol) -> np.ndarray:
    """Which atoms RDKit keeps when it removes hydrogens, shape (n_atoms,)."""
    copy = Chem.Mol(mol)
    for atom in copy.GetAtoms():
        atom.SetIntProp("_position", atom.GetIdx())
    with rdBase.BlockLogs():
        copy = Chem.RemoveHs(copy, updateExplicitCount=True)
    kept = np.zeros(mol.GetNumAtoms(), dtype=bool)
    kept[[atom.GetIntProp("_position") for atom in copy.GetAtoms()]] = True
    return kept


def _geometrical(distance: np.ndarray) -> tuple[float, float, float, float]:
    """Diameter, radius, shape index and Petitjean index from the distance matrix; NaN for a single atom."""
    eccentricity = distance.max(axis=0)
    radius, diameter = eccentricity.min(), eccentricity.max()
    return diameter, radius, (diameter - radius) / radius, (diameter - radius) / diameter


@cache
def _mesh() -> tuple[np.ndarray, np.ndarray]:
    """Directions of Mordred's sphere mesh, shape (3, n), and how often each stands in it, shape (n,).

    Mordred halves each edge once for either face, so that most points stand in the mesh twice.
    """
    from mordred.surface_area._mesh import SphereMesh

    directions, multiplicity = np.unique(SphereMesh(_MESH_LEVEL).vertices, axis=0, return_counts=True)
    return np.ascontiguousarray(directions.T), multiplicity


def plane_of_best_fit(xyz: np.ndarray) -> float:
    """Mean distance of the atoms from the plane that fits them best, in angstrom; 0 for fewer than four atoms.

    The same number as RDKit's ``CalcPBF`` on a fresh molecule. That function keeps the axes of the first conformer it
    meets with the molecule and uses them for the others too, so it is not called here.

    Parameters
    ----------
    xyz : ndarray of shape (n_atoms, 3)

    Returns
    -------
    float
    """
    if len(xyz) < 4:
        return 0.0
    centred = xyz - xyz.mean(axis=0)
    _, axes = np.linalg.eigh(np.einsum("ni,nj->ij", centred, centred))
    return float(np.mean(np.abs(np.einsum("ni,i->n", centred, axes[:, 0]))))


def accessible_surface(xyz: np.ndarray, distance: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Solvent-accessible surface of each atom on Mordred's mesh.

    Parameters
    ----------
    xyz : ndarray of shape (n_atoms, 3)
        Coordinates in angstrom.
    distance : ndarray of shape (n_atoms, n_atoms)
        Their distances in angstrom.
    radius : ndarray of shape (n_atoms,)
        Van der Waals plus solvent radius in angstrom.

    Returns
    -------
    ndarray of shape (n_atoms,)
        Areas in square angstrom.

    Notes
    -----
    A mesh point u of atom i (radius r_i) lies inside neighbour j (radius r_j, at distance d) when the product of u with
    the vector from j to i is at most (r_j^2 - r_i^2 - d^2) / (2 r_i): one small matrix product instead of squared
    distances. The neighbours that hide most come first, and only the points that they leave are tested again.
    """
    directions, multiplicity = _mesh()
    threshold = (radius**2 - radius[:, np.newaxis] ** 2 - distance**2) / (2.0 * radius[:, np.newaxis])
    touching = distance <= radius[:, np.newaxis] + radius
    np.fill_diagonal(touching, False)
    reaching = touching & (threshold >= -distance * (1 + 1e-9))
    hidden_share = np.where(reaching, threshold / np.maximum(distance, 1e-300), -np.inf)
    order = np.argsort(-hidden_share, axis=1, kind="stable")
    count = np.sum(hidden_share > -np.inf, axis=1)
    visible = np.empty(len(radius))
    for atom, neighbours in enumerate(order):
        points, weights = directions, multiplicity
        neighbours = neighbours[: count[atom]]
        for chosen in (neighbours[:4], neighbours[4:12], neighbours[12:]):
            if not len(chosen) or not len(weights):
                break
            outside = (xyz[atom] - xyz[chosen]) @ points > threshold[atom, chosen, np.newaxis]
            free = np.flatnonzero(np.logical_and.reduce(outside, axis=0))
            points, weights = points[:, free], weights[free]
        visible[atom] = np.sum(weights)
    return 4.0 * np.pi * radius**2 * visible / np.sum(multiplicity)
