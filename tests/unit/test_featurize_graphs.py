"""Molecular graphs: hand-checked atoms and bonds, odd molecules, errors that name the row, one build per molecule."""

import subprocess
import sys

import numpy as np
import pytest

from course_lib.featurize import graphs
from course_lib.featurize.graphs import ATOM_FEATURES, BOND_FEATURES, _graph
from course_lib.featurize.variants import enumerate_smiles
from course_lib.molecules import MoleculeError


def said(row, names):
    """Names of the features that are set."""
    return {name for name, value in zip(names, row, strict=True) if value}


def test_ethanol_by_hand():
    (graph,) = graphs(["CCO"])
    assert graph.atoms.shape == (3, len(ATOM_FEATURES))
    assert graph.bonds.shape == (4, len(BOND_FEATURES))
    assert [said(row, ATOM_FEATURES) for row in graph.atoms] == [
        {"element C", "degree 1", "3 H", "sp3"},
        {"element C", "degree 2", "2 H", "sp3"},
        {"element O", "degree 1", "1 H", "sp3"},
    ]
    assert [said(row, BOND_FEATURES) for row in graph.bonds] == [{"single"}] * 4
    assert sorted(map(tuple, graph.edges.T.tolist())) == [(0, 1), (1, 0), (1, 2), (2, 1)]


def test_benzene_by_hand():
    (graph,) = graphs(["c1ccccc1"])
    assert {frozenset(said(row, ATOM_FEATURES)) for row in graph.atoms} == {
        frozenset({"element C", "degree 2", "1 H", "aromatic", "in a ring", "sp2"})
    }
    assert {frozenset(said(row, BOND_FEATURES)) for row in graph.bonds} == {
        frozenset({"aromatic", "conjugated", "in a ring"})
    }
    assert graph.bonds.shape[0] == 12
    ring = {tuple(sorted((i, (i + 1) % 6))) for i in range(6)}
    assert {tuple(sorted(pair)) for pair in graph.edges.T.tolist()} == ring


def test_charge_other_elements_and_kinds_of_bonds():
    ion, triple, metal, dative = graphs(["CC(=O)[O-]", "C#N", "C[Se]C", "[NH3]->[Cu]"])
    assert ion.atoms[:, ATOM_FEATURES.index("charge")].tolist() == [0, 0, 0, -1]
    assert "conjugated" in said(ion.bonds[1], BOND_FEATURES)
    assert said(triple.bonds[0], BOND_FEATURES) == {"triple"}
    assert "sp" in said(triple.atoms[0], ATOM_FEATURES)
    assert "element other" in said(metal.atoms[1], ATOM_FEATURES)
    assert "other bond" in said(dative.bonds[0], BOND_FEATURES)
    elements = [i for i, name in enumerate(ATOM_FEATURES) if name.startswith("element")]
    assert all((graph.atoms[:, elements].sum(axis=1) == 1).all() for graph in (ion, triple, metal, dative))


def test_each_group_of_features_has_one_hit_an_atom():
    graph = graphs(["C[S](=O)(=O)N1CCC[C@H]1C(F)(F)c1ccc([N+](=O)[O-])cc1.FS(F)(F)(F)(F)F"])[0]
    for group in (
        [name for name in ATOM_FEATURES if name.startswith("degree")],
        [name for name in ATOM_FEATURES if name.endswith(" H")],
        ["sp", "sp2", "sp3", "other hybrid"],
    ):
        assert (graph.atoms[:, [ATOM_FEATURES.index(name) for name in group]].sum(axis=1) == 1).all()


def test_polymer_single_atom_and_fragments():
    polymer, methane, salt = graphs(["*CC(*)c1ccccc1", "C", "[Na+].[Cl-]"])
    ends = polymer.atoms[:, ATOM_FEATURES.index("element *")]
    assert ends.tolist() == [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert methane.atoms.shape[0] == 1
    for lone in (methane, salt):
        assert lone.bonds.shape == (0, len(BOND_FEATURES))
        assert lone.edges.shape == (2, 0)
    assert salt.atoms[:, ATOM_FEATURES.index("charge")].tolist() == [1, -1]


def test_another_spelling_gives_the_same_graph_up_to_order():
    smiles = "CC(C)Cc1ccc([C@@H](C)C(=O)[O-])cc1"
    plain = graphs([smiles])[0]
    for other in graphs(enumerate_smiles([smiles], 5, random_state=0)["smiles"]):
        for array, also in ((plain.atoms, other.atoms), (plain.bonds, other.bonds)):
            assert sorted(map(tuple, array.tolist())) == sorted(map(tuple, also.tolist()))
        ends = [
            sorted((*g.atoms[a], *bond, *g.atoms[b]) for (a, b), bond in zip(g.edges.T, g.bonds, strict=True))
            for g in (plain, other)
        ]
        assert ends[0] == ends[1]


def test_errors_name_the_row_also_the_second_time():
    for _ in range(2):
        with pytest.raises(MoleculeError, match=r"row 1: 'C1CC' is not a molecule \(unclosed ring\)"):
            graphs(["CCO", "C1CC", "CC"])
    with pytest.raises(MoleculeError, match="row 0: nan is not a molecule"):
        graphs([np.nan])
    with pytest.raises(MoleculeError, match=r"row 2: \['C'\] is not a molecule"):
        graphs(["C", "C", ["C"]])
    with pytest.raises(TypeError, match=r"write \[smiles\]"):
        graphs("CCO")
    assert graphs([]) == []


def test_a_molecule_is_built_once_and_cannot_be_changed():
    _graph.cache_clear()
    first = graphs(["CCN", "CCO", "CCN"])
    assert first[0] is first[2]
    assert _graph.cache_info().misses == 2
    graphs(np.array(["CCO", "CCN"], dtype=object))
    assert _graph.cache_info().misses == 2
    with pytest.raises(ValueError, match="read-only"):
        first[0].atoms[0, 0] = 1


def test_graphs_come_without_torch():
    code = "import sys; from course_lib.featurize import graphs; graphs(['CCO']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
