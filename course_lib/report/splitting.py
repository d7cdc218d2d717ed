"""Which split is like the use that the model is meant for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course_lib.splits import (
    RepeatedClusterKFold,
    RepeatedGroupKFold,
    RepeatedScaffoldKFold,
    assert_no_leak,
    scaffold,
)

__all__ = ["Split", "choose_split", "distances"]

WORDS = {
    "molecule": "at random by molecule",
    "scaffold": "by scaffold (no ring system on both sides)",
    "cluster": "by cluster (no group of similar molecules on both sides)",
}


def distances(bits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Tanimoto distances, 1 - shared bits / bits in either, shape (n, m) for bits of shape (n, p) and (m, p)."""
    from course_lib.featurize.fingerprints import tanimoto

    return 1 - tanimoto(bits, others)


@dataclass
class Split:
    """One way to split a set of molecules.

    Attributes
    ----------
    kind : {"molecule", "scaffold", "cluster"}
    why : str
    nearest : dict of str to float
        Median distance of a test molecule to its nearest training molecule, for each kind that is possible here, and
        under "candidates" that of the candidates to the table.
    """

    smiles: np.ndarray
    bits: np.ndarray
    groups: np.ndarray
    kind: str = "molecule"
    why: str = ""
    nearest: dict | None = None

    def splitter(self, n_splits: int, n_repeats: int = 1, random_state: int = 0, kind: str | None = None):
        """Scikit-learn splitter of this kind."""
        kind, options = kind or self.kind, {"n_repeats": n_repeats, "random_state": random_state}
        if kind == "scaffold":
            return RepeatedScaffoldKFold(self.smiles, n_splits, **options)
        if kind == "cluster":
            n_clusters = min(max(3 * n_splits, len(self.smiles) // 10), 50)
            return RepeatedClusterKFold(self.bits, n_splits=n_splits, n_clusters=n_clusters, **options)
        return RepeatedGroupKFold(n_splits, **options)

    def splits(self, n_splits: int, n_repeats: int = 1, random_state: int = 0, kind: str | None = None) -> list:
        """Training and test positions of each split."""
        splitter = self.splitter(n_splits, n_repeats, random_state, kind)
        found = list(splitter.split(np.zeros((len(self.smiles), 1)), None, self.groups))
        for train, test in found:
            assert_no_leak(self.groups[train], self.groups[test])
        return found

    def folds(self, rows: np.ndarray, n_splits: int, random_state: int = 0) -> np.ndarray:
        """Fold of each of these rows, in a split of the same kind; at random where that kind is not possible."""
        part = Split(self.smiles[rows], self.bits[rows], self.groups[rows], self.kind)
        n_splits = min(n_splits, len(np.unique(part.groups)))
        try:
            found = part.splits(n_splits, random_state=random_state)
        except ValueError:
            found = part.splits(n_splits, random_state=random_state, kind="molecule")
        fold = np.empty(len(rows), dtype=int)
        for number, (_, test) in enumerate(found):
            fold[test] = number
        return fold


def choose_split(smiles, bits, groups, new_bits=None, random_state: int = 0) -> Split:
    """Choose between molecules, scaffolds and clusters.

    With candidates: the kind whose test molecules are about as far from their training molecules as the candidates are
    from the table, since that is what the model will be asked. Without: by scaffold where most molecules have rings
    and no ring system is too frequent, else by cluster, as new molecules seldom resemble the old ones as much as these
    resemble each other. Below 40 molecules always at random: larger units leave too few folds.

    Parameters
    ----------
    smiles : ndarray of str, shape (n,)
    bits : ndarray of bool, shape (n, p)
        Fingerprints.
    groups : ndarray of shape (n,)
        Rows that must stay together.
    new_bits : ndarray of bool, shape (m, p), optional
        Of the candidates.

    Returns
    -------
    Split
    """
    split = Split(np.asarray(smiles), np.asarray(bits), np.asarray(groups))
    n, n_groups = len(split.smiles), len(np.unique(groups))
    scaffolds = np.array([scaffold(text) for text in split.smiles], dtype=str)
    names, sizes = np.unique(scaffolds, return_counts=True)
    acyclic = float(np.mean(scaffolds == ""))
    possible = ["molecule"]
    if n >= 40 and acyclic <= 0.3 and len(names) >= 15 and sizes.max() <= n / 3:
        possible.append("scaffold")
    if n >= 40 and n_groups >= 30:
        possible.append("cluster")
    between = distances(split.bits, split.bits)
    split.nearest = {}
    for kind in possible:
        nearest = np.empty(n)
        for train, test in split.splits(5, random_state=random_state, kind=kind):
            nearest[test] = between[np.ix_(test, train)].min(axis=1)
        split.nearest[kind] = float(np.median(nearest))
    if len(possible) == 1:
        split.why = f"{n} molecules are too few to leave whole scaffolds or clusters out"
    elif new_bits is not None:
        split.nearest["candidates"] = aim = float(np.median(distances(new_bits, split.bits).min(axis=1)))
        split.kind = min(possible, key=lambda kind: abs(split.nearest[kind] - aim))
        split.why = (
            f"the candidates lie {aim:.2f} from their nearest measured molecule (median Tanimoto distance); of the "
            f"possible splits this one comes nearest with {split.nearest[split.kind]:.2f}"
        )
    else:
        split.kind = possible[1]
        split.why = "new molecules will mostly differ from the measured ones more than these differ among themselves"
        if split.kind == "cluster":
            split.why += (
                f"; not by scaffold: {acyclic:.0%} of the molecules have no ring, and the largest scaffold holds "
                f"{sizes.max()} of {n}"
            )
    return split
