"""Splits: what must stay together does, scikit-learn takes the splitters, and a leak is named."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from course_lib.molecules import MoleculeError
from course_lib.splits import (
    ClusterKFold,
    GroupKFold,
    GroupShuffleSplit,
    LeakError,
    RepeatedClusterKFold,
    RepeatedGroupKFold,
    RepeatedScaffoldKFold,
    ScaffoldKFold,
    assert_no_leak,
    cluster_labels,
    molecule_of_rows,
    scaffold,
)

SMILES = [
    *["c1ccccc1" + "C" * n for n in range(8)],  # benzene
    *["C1CCCCC1" + "C" * n for n in range(6)],  # cyclohexane
    *["c1ccncc1" + "C" * n for n in range(5)],  # pyridine
    *["C1CCOC1" + "C" * n for n in range(4)],  # tetrahydrofuran
    *["c1ccoc1" + "C" * n for n in range(3)],  # furan
    *["C1CCNCC1" + "C" * n for n in range(3)],  # piperidine
    "CCO",
]


@pytest.fixture
def rows():
    """40 molecules with 1 to 6 rows each, three features."""
    rng = np.random.default_rng(0)
    molecule = np.repeat(np.arange(40), rng.integers(1, 7, 40))
    groups = np.array([f"MOL{m:02d}" for m in molecule], dtype=object)
    X = rng.normal(size=(len(groups), 3))
    return X, X[:, 0] + rng.normal(size=len(groups)), groups


def check_splits(splits, n_rows, groups=None, partition=None):
    """Every split divides the rows; with ``partition`` consecutive splits, each row is tested once."""
    splits = list(splits)
    for train, test in splits:
        assert min(len(train), len(test)) > 0
        assert sorted([*train, *test]) == list(range(n_rows))
        if groups is not None:
            assert not set(groups[train]) & set(groups[test])
    if partition:
        for start in range(0, len(splits), partition):
            tested = np.concatenate([test for _, test in splits[start : start + partition]])
            assert sorted(tested) == list(range(n_rows))
    return splits


def same(first, second):
    return all(np.array_equal(a, b) for s, t in zip(first, second, strict=True) for a, b in zip(s, t, strict=True))


def test_no_leak_is_silent():
    assert assert_no_leak(["A", "B"], ["C"]) is None
    assert assert_no_leak([], ["C"]) is None


def test_leak_names_a_molecule_and_counts():
    with pytest.raises(LeakError) as caught:
        assert_no_leak(["A", "XLYOFN", "B", "XLYOFN", "Q"], ["C", "XLYOFN", "Q"])
    message = str(caught.value)
    assert "2 molecules stand on both sides" in message
    assert "'XLYOFN'" in message
    assert "3 of 5 training rows, 2 of 3 test rows" in message
    assert "GroupKFold" in message
    assert caught.value.shared == ["XLYOFN", "Q"]
    assert isinstance(caught.value, ValueError)


def test_leak_of_integer_labels_prints_plain_numbers():
    with pytest.raises(LeakError, match=r"1 molecule stands .* for example 3 "):
        assert_no_leak(np.array([1, 2, 3]), np.array([3, 4]))


@pytest.mark.parametrize("shuffle", [False, True])
def test_group_k_fold(rows, shuffle):
    X, y, groups = rows
    cv = GroupKFold(5, shuffle=shuffle, random_state=1 if shuffle else None)
    splits = check_splits(cv.split(X, y, groups), len(X), groups, partition=5)
    assert cv.get_n_splits(X, y, groups) == len(splits) == 5
    assert same(splits, list(cv.split(X, y, groups)))


def test_k_fold_by_row_leaks_and_the_guard_sees_it(rows):
    X, _, groups = rows
    train, test = next(KFold(5, shuffle=True, random_state=0).split(X))
    with pytest.raises(LeakError, match="molecules stand on both sides"):
        assert_no_leak(groups[train], groups[test])


def test_guard_is_in_the_path_of_a_splitter(rows, monkeypatch):
    """A splitter whose parent deals rows, not molecules, cannot get a split past the guard."""
    X, y, groups = rows
    parent = GroupKFold.__mro__[1]
    monkeypatch.setattr(parent, "split", lambda self, X, y=None, groups=None: iter(KFold(self.n_splits).split(X)))
    with pytest.raises(LeakError):
        list(GroupKFold(7).split(X, y, groups))


@pytest.mark.parametrize("cv", [GroupKFold(3), RepeatedGroupKFold(3), GroupShuffleSplit(2, train_size=4)])
def test_missing_groups(rows, cv):
    X, y, groups = rows
    with pytest.raises(ValueError, match="groups is missing"):
        list(cv.split(X, y))
    gap = groups.copy()
    gap[[4, 9]] = None
    with pytest.raises(ValueError, match=r"row 4: the group label is missing \(2 such rows\)"):
        list(cv.split(X, y, gap))


def test_group_shuffle_split_counts_molecules(rows):
    X, y, groups = rows
    cv = GroupShuffleSplit(4, train_size=12, random_state=0)
    for train, test in check_splits(cv.split(X, y, groups), len(X), groups):
        assert len(set(groups[train])) == 12
        assert len(set(groups[test])) == 28
    for train, test in GroupShuffleSplit(2, train_size=10, test_size=5).split(X, y, groups):
        assert (len(set(groups[train])), len(set(groups[test]))) == (10, 5)


def test_repeated_group_k_fold(rows):
    X, y, groups = rows
    cv = RepeatedGroupKFold(4, n_repeats=3, random_state=7)
    splits = check_splits(cv.split(X, y, groups), len(X), groups, partition=4)
    assert len(splits) == cv.get_n_splits() == 12
    assert same(splits, list(cv.split(X, y, groups)))
    assert not same(splits[:4], splits[4:8])
    assert not same(splits, list(RepeatedGroupKFold(4, n_repeats=3, random_state=8).split(X, y, groups)))
    with pytest.raises(ValueError, match="n_repeats is 0: give a whole number"):
        RepeatedGroupKFold(4, n_repeats=0)


def test_scaffold():
    assert scaffold("Cc1ccccc1CCC2CCCCC2") == scaffold("C1CCCCC1CCc1ccccc1")
    assert scaffold("CCCCO") == ""
    assert scaffold("C[C@H]1CCCO1") == scaffold("C[C@@H]1CCCO1")
    with pytest.raises(MoleculeError, match="row 3"):
        scaffold("C1CC", row=3)


def test_scaffold_k_fold_keeps_scaffolds_whole():
    X = np.zeros((len(SMILES), 1))
    scaffolds = np.array([scaffold(s) for s in SMILES])
    cv = ScaffoldKFold(SMILES, 3)
    splits = check_splits(cv.split(X), len(SMILES), scaffolds, partition=3)
    assert max(len(test) for _, test in splits) <= 12
    repeated = RepeatedScaffoldKFold(SMILES, 3, n_repeats=4, random_state=0)
    splits = check_splits(repeated.split(X), len(SMILES), scaffolds, partition=3)
    assert repeated.get_n_splits() == len(splits) == 12
    assert len({tuple(sorted(tuple(t) for _, t in splits[k : k + 3])) for k in range(0, 12, 3)}) > 1
    assert "n_splits=3" in repr(repeated)
    assert len(repr(repeated)) < 100


def test_scaffold_k_fold_keeps_a_group_together_across_scaffolds():
    """Tautomers share an InChIKey but not a scaffold: they must not be parted."""
    groups = np.array([f"G{i}" for i in range(len(SMILES))], dtype=object)
    groups[[0, 8]] = "TAUTOMER"  # one benzene, one cyclohexane
    X = np.zeros((len(SMILES), 1))
    for train, test in ScaffoldKFold(SMILES, 3).split(X, groups=groups):
        assert {0, 8} <= set(train.tolist()) or {0, 8} <= set(test.tolist())
    with pytest.raises(ValueError, match="only 7"):
        list(ScaffoldKFold(SMILES, 8).split(X))
    with pytest.raises(ValueError, match="only 6"):
        list(ScaffoldKFold(SMILES, 7).split(X, groups=groups))


def test_scaffold_k_fold_warns_of_many_molecules_without_a_ring():
    smiles = ["CCO", "CCC", "CCN", "c1ccccc1", "C1CCCCC1"]
    with pytest.warns(UserWarning, match="60 % of the molecules have no ring"):
        list(ScaffoldKFold(smiles, 2).split(np.zeros((5, 1))))


def test_scaffold_k_fold_of_augmented_rows():
    index = pd.MultiIndex.from_product([range(len(SMILES)), range(3)], names=["row", "conformer"])
    X = pd.DataFrame({"a": np.arange(len(index))}, index=index)
    molecule = molecule_of_rows(X)
    check_splits(ScaffoldKFold(SMILES, 3).split(X, groups=molecule), len(X), molecule, partition=3)


def test_molecule_of_rows():
    index = pd.MultiIndex.from_tuples([(2, "a"), (0, "a"), (2, "b")], names=["row", "protocol"])
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=index)
    assert molecule_of_rows(frame).tolist() == [2, 0, 2]
    assert molecule_of_rows(np.zeros((4, 2)), 4).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="runs from 0 to 2, but there are 2 molecules"):
        molecule_of_rows(frame, 2)
    with pytest.raises(ValueError, match="4 rows of features for 3 molecules"):
        molecule_of_rows(np.zeros((4, 2)), 3)


@pytest.fixture
def blobs():
    """Four clouds of 15 molecules in five dimensions."""
    rng = np.random.default_rng(1)
    centres = 20 * np.eye(5)[:4]
    return np.repeat(centres, 15, axis=0) + rng.normal(size=(60, 5)), np.repeat(np.arange(4), 15)


def test_cluster_labels_find_planted_clusters(blobs):
    X, truth = blobs
    X = np.column_stack([X, np.full(60, 3.0)])  # a constant column and gaps do no harm
    X[3, 1] = np.nan
    labels = cluster_labels(X, n_clusters=4)
    assert len({(a, b) for a, b in zip(labels.tolist(), truth.tolist(), strict=True)}) == 4
    assert np.array_equal(labels, cluster_labels(X, n_clusters=4))


def test_cluster_labels_with_target_split_a_cloud_by_its_target(blobs):
    X, _ = blobs
    cloud = X[:15]
    y = np.where(np.arange(15) < 7, 0.0, 100.0)
    joint = cluster_labels(cloud, y, n_clusters=2, y_weight=10.0)
    assert len(set(joint[:7])) == len(set(joint[7:])) == 1
    assert joint[0] != joint[-1]
    with pytest.raises(ValueError, match="one finite value for each of the 15"):
        cluster_labels(cloud, y[:4], n_clusters=2)
    with pytest.raises(ValueError, match="no column of the features varies"):
        cluster_labels(np.ones((5, 2)))


def test_cluster_k_fold_leaves_planted_clusters_out(blobs):
    X, truth = blobs
    cv = ClusterKFold(X, n_splits=4, n_clusters=4)
    for _, test in check_splits(cv.split(X), 60, truth, partition=4):
        assert len(set(truth[test])) == 1
    repeated = RepeatedClusterKFold(X, n_splits=2, n_repeats=3, n_clusters=4)
    assert len(check_splits(repeated.split(X), 60, truth, partition=2)) == repeated.get_n_splits() == 6


def test_cluster_k_fold_keeps_groups_and_rows_together(blobs):
    X, _ = blobs
    index = pd.MultiIndex.from_product([range(60), range(2)], names=["row", "conformer"])
    rows = pd.DataFrame({"a": np.zeros(120)}, index=index)
    groups = np.array([f"M{i // 2}" for i in range(60)])[
        molecule_of_rows(rows)
    ]  # each molecule stands twice in the table
    check_splits(ClusterKFold(X, n_clusters=8).split(rows, groups=groups), 120, groups, partition=5)


def test_splitters_serve_scikit_learn(rows, blobs):
    X, y, groups = rows
    for cv, n in (
        (GroupKFold(4), 4),
        (RepeatedGroupKFold(4, n_repeats=2), 8),
        (GroupShuffleSplit(3, train_size=10), 3),
    ):
        assert cross_val_score(Ridge(), X, y, groups=groups, cv=cv).shape == (n,)
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=RepeatedGroupKFold(4, n_repeats=2))
    assert search.fit(X, y, groups=groups).best_params_["alpha"] in (0.1, 1.0)
    Z, _ = blobs
    target = Z[:, 0]
    assert cross_val_score(Ridge(), Z, target, cv=ClusterKFold(Z, n_splits=3)).shape == (3,)
    features = np.arange(float(len(SMILES)))[:, None]
    assert cross_val_score(Ridge(), features, features[:, 0], cv=ScaffoldKFold(SMILES, 3)).shape == (3,)
