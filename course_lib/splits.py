"""Splits that keep what must be new together: molecules, scaffolds or clusters of molecules.

Every splitter follows scikit-learn's interface (``split(X, y, groups)``, ``get_n_splits``), so that ``cross_val_score``
and ``GridSearchCV`` take it as ``cv``. Every split that leaves this module has passed :func:`assert_no_leak`.

``groups`` is one label per row of ``X``: the identity of the row's molecule (``Dataset.groups``). A table of augmented
rows repeats its molecule's label.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.model_selection import GroupKFold as _GroupKFold
from sklearn.model_selection import GroupShuffleSplit as _GroupShuffleSplit
from sklearn.utils import check_random_state

from course_lib.arguments import whole

__all__ = [
    "ClusterKFold",
    "GroupKFold",
    "GroupShuffleSplit",
    "LeakError",
    "RepeatedClusterKFold",
    "RepeatedGroupKFold",
    "RepeatedScaffoldKFold",
    "ScaffoldKFold",
    "assert_no_leak",
    "cluster_labels",
    "molecule_of_rows",
    "scaffold",
]

Split = tuple[np.ndarray, np.ndarray]


class LeakError(ValueError):
    """A molecule stands on both sides of a split.

    Attributes
    ----------
    shared : list
        The group labels found on both sides, in order of first appearance in the training rows.
    """

    def __init__(self, message: str, shared: Sequence[Any] = ()):
        super().__init__(message)
        self.shared = list(shared)


def assert_no_leak(train_groups, test_groups) -> None:
    """Check that no group stands in both the training and the test rows.

    Parameters
    ----------
    train_groups : array-like of shape (n_train,)
        Group label (identity of the molecule) of each training row.
    test_groups : array-like of shape (n_test,)
        Group label of each test row.

    Raises
    ------
    LeakError
        Names one shared group, and says how many there are and how many rows they hold.
    """
    train = np.asarray(train_groups).ravel().tolist()
    test = np.asarray(test_groups).ravel().tolist()
    both = set(train) & set(test)
    if not both:
        return
    shared = [group for group in dict.fromkeys(train) if group in both]
    n_train = sum(group in both for group in train)
    n_test = sum(group in both for group in test)
    which = "1 molecule stands" if len(shared) == 1 else f"{len(shared)} molecules stand"
    raise LeakError(
        f"{which} on both sides of the split, for example {shared[0]!r} "
        f"({n_train} of {len(train)} training rows, {n_test} of {len(test)} test rows). "
        "Split by molecule: GroupKFold with groups = the molecule of each row.",
        shared,
    )


def _checked(splits: Iterator[Split], *labels) -> Iterator[Split]:
    """Pass each split through :func:`assert_no_leak` for each array of labels that is given."""
    labels = [np.asarray(label) for label in labels if label is not None]
    for train, test in splits:
        for label in labels:
            assert_no_leak(label[train], label[test])
        yield train, test


def _need_groups(groups) -> np.ndarray:
    if groups is None:
        raise ValueError("groups is missing: give the molecule of each row, groups=dataset.groups")
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ValueError(f"groups must be one label a row, got an array of shape {groups.shape}")
    if groups.dtype == object:
        missing = [i for i, group in enumerate(groups) if group is None or group != group]
    elif groups.dtype.kind == "f":
        missing = np.flatnonzero(np.isnan(groups)).tolist()
    else:
        missing = []
    if missing:
        raise ValueError(f"row {missing[0]}: the group label is missing ({len(missing)} such rows)")
    return groups.astype(str) if groups.dtype == object else groups


class GroupKFold(_GroupKFold):
    """k folds of whole groups: scikit-learn's ``GroupKFold``, each split checked by :func:`assert_no_leak`.

    Parameters
    ----------
    n_splits : int
        Number of folds.
    shuffle : bool
        False deals the largest groups first to the lightest fold (always the same folds); True deals the groups at
        random, the same number to each fold.
    random_state : int or None
        Seed of the shuffle; only with ``shuffle=True``.
    """

    def split(self, X, y=None, groups=None) -> Iterator[Split]:
        """Yield (train, test) row numbers; ``groups`` of shape (n_rows,) is required."""
        groups = _need_groups(groups)
        yield from _checked(super().split(X, y, groups), groups)


class GroupShuffleSplit(_GroupShuffleSplit):
    """Repeated random splits by group; ``train_size`` and ``test_size`` as integers count **groups** (molecules).

    Parameters
    ----------
    n_splits : int
        Number of splits.
    train_size, test_size : int, float or None
        Number (int) or share (float) of the groups. Only ``train_size`` given: all other groups are the test set.
        Neither: 20 % of the groups are the test set.
    random_state : int
        Seed.
    """

    def __init__(self, n_splits=5, *, train_size=None, test_size=None, random_state=0):
        super().__init__(n_splits=n_splits, train_size=train_size, test_size=test_size, random_state=random_state)

    def split(self, X, y=None, groups=None) -> Iterator[Split]:
        """Yield (train, test) row numbers; ``groups`` of shape (n_rows,) is required."""
        groups = _need_groups(groups)
        yield from _checked(super().split(X, y, groups), groups)


def _seeds(random_state, n: int) -> np.ndarray:
    return check_random_state(random_state).randint(2**31 - 1, size=n)


class RepeatedGroupKFold(_GroupKFold):
    """``n_repeats`` times a shuffled :class:`GroupKFold`: n_splits x n_repeats splits, repeat by repeat.

    Parameters
    ----------
    n_splits : int
        Folds in a repeat.
    n_repeats : int
        Number of repeats.
    random_state : int
        Seed of all the shuffles.
    """

    def __init__(self, n_splits=5, *, n_repeats=4, random_state=0):
        super().__init__(n_splits, shuffle=True, random_state=random_state)
        self.n_repeats = whole("n_repeats", n_repeats)

    def split(self, X, y=None, groups=None) -> Iterator[Split]:
        """Yield (train, test) row numbers; ``groups`` of shape (n_rows,) is required."""
        for seed in _seeds(self.random_state, self.n_repeats):
            yield from GroupKFold(self.n_splits, shuffle=True, random_state=int(seed)).split(X, y, groups)

    def get_n_splits(self, X=None, y=None, groups=None) -> int:
        """Return the number of splits in all: n_splits x n_repeats."""
        return self.n_splits * self.n_repeats


def molecule_of_rows(X, n_molecules: int | None = None) -> np.ndarray:
    """Return the number of the molecule that each row of ``X`` belongs to.

    A table of augmented rows carries it as the index level ``row``; any other table has one row a molecule.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_features)
        Features.
    n_molecules : int, optional
        Number of molecules; when given, the numbers are checked against it.

    Returns
    -------
    ndarray of int, shape (n_rows,)

    Raises
    ------
    ValueError
        When there is no ``row`` level and the number of rows is not ``n_molecules``, or when a number is out of range.
    """
    names = getattr(getattr(X, "index", None), "names", None) or []
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if "row" in names:
        rows = np.asarray(X.index.get_level_values("row"), dtype=int)
        if n_molecules is not None and len(rows) and (rows.min() < 0 or rows.max() >= n_molecules):
            raise ValueError(
                f"index level 'row' runs from {rows.min()} to {rows.max()}, but there are {n_molecules} molecules: "
                "it must count the molecules from 0"
            )
        return rows
    if n_molecules is not None and n_rows != n_molecules:
        raise ValueError(
            f"{n_rows} rows of features for {n_molecules} molecules, and no index level 'row' that says which row "
            "belongs to which molecule"
        )
    return np.arange(n_rows)


def scaffold(smiles: str, row: int | None = None) -> str:
    """Bemis-Murcko scaffold of a molecule: its rings and the chains that link them, as a flat canonical SMILES.

    Molecules without a ring have none and give ``""``; splitting by scaffold keeps them all together, which is of
    little use where they are many (use :class:`ClusterKFold` then).

    Parameters
    ----------
    smiles : str
        Molecule.
    row : int, optional
        Row number for the error message.

    Raises
    ------
    MoleculeError
        When the SMILES cannot be read.

    References
    ----------
    Bemis & Murcko, J. Med. Chem. 1996, 39, 2887-2893. RDKit's implementation, which keeps atoms double-bonded to the
    scaffold.
    """
    from rdkit import Chem
    from rdkit.Chem.Scaffolds import MurckoScaffold

    from course_lib.molecules import parse

    core = MurckoScaffold.GetScaffoldForMol(parse(smiles, row=row))
    return Chem.MolToSmiles(core, isomericSmiles=False)


def _join(first: np.ndarray, second: np.ndarray | None) -> np.ndarray:
    """Smallest units that contain whole labels of both kinds (connected components), numbered from 0."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    _, one = np.unique(first, return_inverse=True)
    if second is None:
        return one
    _, two = np.unique(second, return_inverse=True)
    n_one = one.max() + 1
    size = n_one + two.max() + 1
    graph = coo_matrix((np.ones(len(one)), (one, two + n_one)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    return component[one]


def _deal(units: np.ndarray, sizes: np.ndarray, n_splits: int, random_state) -> np.ndarray:
    """Deal units to folds: large ones first (by powers of two), in random order within, each to the lightest fold."""
    rng = check_random_state(random_state)
    order = rng.permutation(len(units))
    order = order[np.argsort(-np.floor(np.log2(sizes[order])), kind="stable")]
    load = np.zeros(n_splits)
    fold = np.empty(len(units), dtype=int)
    for unit in order:
        fold[unit] = np.argmin(load)
        load[fold[unit]] += sizes[unit]
    return fold


class _UnitKFold(BaseCrossValidator):
    """k folds of whole units (scaffolds, clusters) that also keep the groups whole; base of the two below."""

    # Asks scikit-learn's metadata routing for the groups, as its own group splitters do.
    __metadata_request__split: ClassVar = {"groups": True}
    _what = "unit"

    def _labels(self, X, groups, random_state) -> np.ndarray:
        raise NotImplementedError

    def _fold_splits(self, X, groups, random_state) -> Iterator[Split]:
        groups = None if groups is None else _need_groups(groups)
        labels = np.asarray(self._labels(X, groups, random_state))
        unit = _join(labels, groups)
        identity = np.arange(len(unit)) if groups is None else np.unique(groups, return_inverse=True)[1]
        n_units = unit.max() + 1
        if n_units < self.n_splits:
            raise ValueError(
                f"{self.n_splits} folds need at least as many {self._what}s, but there are only {n_units}: "
                "use fewer folds or another split"
            )
        members = np.unique(np.stack([unit, identity]), axis=1)[0]
        sizes = np.bincount(members, minlength=n_units)
        fold = _deal(np.arange(n_units), sizes, self.n_splits, random_state)[unit]
        splits = ((np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(self.n_splits))
        yield from _checked(splits, groups, unit)

    def split(self, X, y=None, groups=None) -> Iterator[Split]:
        """Yield (train, test) row numbers. ``groups`` is optional: rows of one group then always stay together."""
        for seed in _seeds(self.random_state, getattr(self, "n_repeats", 1)):
            yield from self._fold_splits(X, groups, int(seed))

    def get_n_splits(self, X=None, y=None, groups=None) -> int:
        """Return the number of splits in all."""
        return self.n_splits * getattr(self, "n_repeats", 1)

    def _iter_test_indices(self, X=None, y=None, groups=None):  # what the base class would build split() from
        yield from (test for _, test in self.split(X, y, groups))

    def __repr__(self) -> str:
        repeats = f", n_repeats={self.n_repeats}" if hasattr(self, "n_repeats") else ""
        return f"{type(self).__name__}(n_splits={self.n_splits}{repeats}, random_state={self.random_state})"


class ScaffoldKFold(_UnitKFold):
    """k folds in which no Bemis-Murcko scaffold stands on both sides.

    Whole scaffolds go to the lightest fold, large ones first and in random order among those of similar size. All
    molecules without a ring share one (empty) scaffold. Molecules that share a group (for instance tautomers with one
    InChIKey) stay together even when their scaffolds differ.

    Parameters
    ----------
    smiles : array-like of str, shape (n_rows,) or (n_molecules,)
        Molecule of each row of ``X``; one a molecule when ``X`` has an index level ``row``.
    n_splits : int
        Number of folds.
    random_state : int
        Seed of the order.

    Warns
    -----
    UserWarning
        When more than 30 % of the molecules have no ring: the folds are then uneven and test little.
    """

    _what = "scaffold"

    def __init__(self, smiles, n_splits=5, *, random_state=0):
        self.smiles = smiles
        self.n_splits = whole("n_splits", n_splits, 2)
        self.random_state = random_state

    def _labels(self, X, groups, random_state) -> np.ndarray:
        rows = molecule_of_rows(X, len(self.smiles))
        if getattr(self, "_scaffolds", None) is None:
            self._scaffolds = np.array([scaffold(s, row=i) for i, s in enumerate(self.smiles)], dtype=str)
            acyclic = np.mean(self._scaffolds == "")
            if acyclic > 0.3:
                warnings.warn(
                    f"{100 * acyclic:.0f} % of the molecules have no ring and share the empty scaffold: the folds will "
                    "be uneven. Consider ClusterKFold.",
                    stacklevel=4,
                )
        return self._scaffolds[rows]


class RepeatedScaffoldKFold(ScaffoldKFold):
    """``n_repeats`` times :class:`ScaffoldKFold`, each with another random order of the scaffolds."""

    def __init__(self, smiles, n_splits=5, *, n_repeats=4, random_state=0):
        super().__init__(smiles, n_splits, random_state=random_state)
        self.n_repeats = whole("n_repeats", n_repeats)


def cluster_labels(
    features, y=None, n_clusters: int | None = None, y_weight: float = 1.0, random_state=0
) -> np.ndarray:
    """Cluster molecules by structure, or by structure and target, with k-means.

    The algorithm: (1) undefined values take the column's median, constant columns go, columns are scaled to variance 1;
    (2) principal components, at most 10; (3) with ``y``, one more column, the target scaled so that its variance is
    ``y_weight`` times that of all components together; (4) k-means with 10 starts. Steps (3) and (4) together cluster
    structure and target jointly, in the spirit of the cluster splits of Tom et al. (Digital Discovery 2023, 2,
    759-774).

    Parameters
    ----------
    features : DataFrame or array-like of shape (n_molecules, n_features)
        Descriptors or fingerprint bits.
    y : array-like of shape (n_molecules,), optional
        Target, in any unit.
    n_clusters : int, optional
        Number of clusters; default one for every ten molecules, at least 5 and at most 50.
    y_weight : float
        Weight of the target against the structure.
    random_state : int
        Seed of k-means.

    Returns
    -------
    ndarray of int, shape (n_molecules,)
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    table = np.array(features, dtype=float)
    if table.ndim != 2:
        raise ValueError(f"features must be a table (n_molecules, n_features), got shape {table.shape}")
    table[~np.isfinite(table)] = np.nan
    table = table[:, np.isfinite(table).any(axis=0)]
    table = np.where(np.isnan(table), np.nanmedian(table, axis=0), table)
    spread = table.std(axis=0)
    table = (table - table.mean(axis=0))[:, spread > 1e-12] / spread[spread > 1e-12]
    if table.shape[1] == 0:
        raise ValueError("no column of the features varies: there is nothing to cluster by")
    n = len(table)
    n_clusters = min(max(5, n // 10), 50) if n_clusters is None else whole("n_clusters", n_clusters)
    if n_clusters > n:
        raise ValueError(f"{n_clusters} clusters need at least as many molecules, got {n}")
    with threadpool_limits(limits=1):
        space = PCA(min(10, *table.shape), svd_solver="full").fit_transform(table)
        if y is not None:
            target = np.asarray(y, dtype=float)
            if target.shape != (n,) or not np.isfinite(target).all():
                raise ValueError(f"y must hold one finite value for each of the {n} molecules")
            scale = np.sqrt(y_weight * space.var(axis=0).sum()) / (target.std() or 1.0)
            space = np.column_stack([space, (target - target.mean()) * scale])
        return KMeans(n_clusters, n_init=10, random_state=random_state).fit_predict(space)


class ClusterKFold(_UnitKFold):
    """k folds in which no cluster of similar molecules stands on both sides.

    Clusters come from :func:`cluster_labels` (its docstring states the algorithm); whole clusters then go to the
    lightest fold, large ones first. Rows of one group are averaged before clustering, so that a group lies in one
    cluster.

    Parameters
    ----------
    features : DataFrame or array-like of shape (n_rows, n_features) or (n_molecules, n_features)
        What "similar" means: descriptors or fingerprint bits; one row a molecule when ``X`` has an index level ``row``.
    y : array-like of the same length, optional
        With it, structure and target are clustered jointly, so that folds differ in the target's range as well.
    n_splits : int
        Number of folds. With ``n_splits=n_clusters`` each fold is one cluster (leave one cluster out).
    n_clusters, y_weight
        As in :func:`cluster_labels`.
    random_state : int
        Seed of k-means and of the order in which clusters are dealt.
    """

    _what = "cluster"

    def __init__(self, features, y=None, n_splits=5, *, n_clusters=None, y_weight=1.0, random_state=0):
        self.features = features
        self.y = y
        self.n_splits = whole("n_splits", n_splits, 2)
        self.n_clusters = n_clusters
        self.y_weight = y_weight
        self.random_state = random_state

    def _labels(self, X, groups, random_state) -> np.ndarray:
        table = np.asarray(self.features, dtype=float)
        rows = molecule_of_rows(X, len(table))
        target = None if self.y is None else np.asarray(self.y, dtype=float)
        if groups is None:
            return cluster_labels(table, target, self.n_clusters, self.y_weight, random_state)[rows]
        first_row = {}
        for row, group in zip(rows, groups, strict=True):
            first_row.setdefault(row, group)
        used = np.array(sorted(first_row))
        names, member = np.unique([first_row[row] for row in used], return_inverse=True)
        count = np.bincount(member)

        def mean(values):
            total = np.zeros((len(names), *values.shape[1:]))
            np.add.at(total, member, values[used])
            return total / count.reshape(-1, *[1] * (values.ndim - 1))

        label = cluster_labels(
            mean(table), None if target is None else mean(target), self.n_clusters, self.y_weight, random_state
        )
        by_group = dict(zip(names.tolist(), label, strict=True))
        return np.array([by_group[group] for group in groups.tolist()])


class RepeatedClusterKFold(ClusterKFold):
    """``n_repeats`` times :class:`ClusterKFold`, each with new starts of k-means and a new order of the clusters."""

    def __init__(self, features, y=None, n_splits=5, *, n_repeats=4, n_clusters=None, y_weight=1.0, random_state=0):
        super().__init__(features, y, n_splits, n_clusters=n_clusters, y_weight=y_weight, random_state=random_state)
        self.n_repeats = whole("n_repeats", n_repeats)
