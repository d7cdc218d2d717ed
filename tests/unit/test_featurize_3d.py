"""Conformers and 3D descriptors: the same numbers as the reference, every time, and failures that say why."""

import warnings

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolDescriptors

from course_lib.featurize import PROTOCOLS, conformers, descriptors3d
from course_lib.featurize.mordred_3d import COLUMNS, Mordred3D, accessible_surface
from course_lib.molecules import MoleculeError

PARACYCLOPHANE = "C1Cc2ccc(c(Cl)c2)CCc2ccc1c(Cl)c2"  # dichloro[2.2]paracyclophane: ETKDG finds no structure
DIVERSE = [
    "CCCCCCOC(=O)C=C",
    "CCc1ccccc1",
    "FC(F)(F)C(Cl)Br",
    "CI",
    "CSSC",
    "OS(=O)(=O)c1ccccc1",
    "C[Si](C)(C)O[Si](C)(C)C",
    "CP(=O)(O)O",
    "C[N+](=O)[O-]",
    "C[NH3+].[Cl-]",
    "CB(O)O",
    "[2H]C([2H])O",
    "O=C=O",
    "C#C",
    "O",
    "[H][H]",
    "[He]",
    "C[Se]C",
    "C[Sn](C)(C)C",
]


@pytest.fixture(scope="module")
def calculator():
    from mordred import Calculator, descriptors

    return Calculator([d for d in Calculator(descriptors).descriptors if d.require_3D])


def reference(calculator, mol):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        results = [calculator(mol, id=conformer.GetId()) for conformer in mol.GetConformers()]
    return np.array([[np.nan if hasattr(value, "error") else float(value) for value in row] for row in results])


def embedded(smiles, n=2):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 7
    assert len(rdDistGeom.EmbedMultipleConfs(mol, n, parameters)) == n
    return mol


def test_columns_are_mordreds(calculator):
    assert tuple(str(descriptor) for descriptor in calculator.descriptors) == COLUMNS
    assert len(COLUMNS) == 213


@pytest.mark.parametrize("smiles", DIVERSE)
def test_every_column_equals_mordreds_calculator(calculator, smiles):
    mol = embedded(smiles)
    expected = reference(calculator, mol)
    got = descriptors3d(mol, "mordred").to_numpy()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_undefined_values_occur_in_the_comparison(calculator):
    """Otherwise the comparison of NaN patterns above would say nothing."""
    assert np.isnan(reference(calculator, embedded("C[Se]C"))).any()


def test_atoms_on_top_of_each_other_are_undefined_as_in_mordred(calculator):
    mol = embedded("CC", 1)
    positions = mol.GetConformer().GetPositions()
    positions[3] = positions[2]  # two hydrogens
    mol.GetConformer().SetPositions(positions)
    expected = reference(calculator, mol)
    got = descriptors3d(mol).to_numpy()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    assert np.isnan(got).any()
    # the surfaces of two spheres that are one depend on rounding, in Mordred too
    np.testing.assert_allclose(got[:, 41:], expected[:, 41:], rtol=1e-9, atol=1e-9)


def test_conformers_do_not_touch_each_other():
    """The rows of a molecule, to the last bit, whether computed alone or together."""
    together = conformers("CCCCOC(=O)C=C", 6, "etkdg")
    compute = Mordred3D(together.mol)
    rows = compute(together.coordinates)
    for i in range(6):
        np.testing.assert_array_equal(compute(together.coordinates[i : i + 1])[0], rows[i])
    for kind in ("mordred", "rdkit"):
        table = descriptors3d(together, kind)
        for i in (0, 5):
            alone = Chem.Mol(together.mol, confId=i)
            np.testing.assert_array_equal(descriptors3d(alone, kind).to_numpy()[0], table.to_numpy()[i])


def test_rdkit_reuses_the_axes_of_another_conformer():
    """The trap that plane_of_best_fit avoids; when this fails RDKit has mended it and CalcPBF could be used."""
    mol = embedded("CCCOC(=O)C=C", 2)
    fresh = Chem.Mol(mol, confId=1)
    own = descriptors3d(mol)["PBF"]
    assert own[1] == pytest.approx(rdMolDescriptors.CalcPBF(fresh), abs=1e-12)
    assert rdMolDescriptors.CalcPBF(mol, 0) == pytest.approx(own[0], abs=1e-12)
    assert rdMolDescriptors.CalcPBF(mol, 1) != pytest.approx(own[1], abs=1e-3)


def test_surface_of_spheres_by_hand():
    """A lone atom shows all of its sphere; of two that overlap each loses a cap of height r - d / 2."""
    radius = np.array([3.0, 3.0])
    far = np.array([[0.0, 0, 0], [50, 0, 0]])
    distance = np.array([[0.0, 50], [50, 0]])
    np.testing.assert_allclose(accessible_surface(far, distance, radius), 36 * np.pi)
    near = np.array([[0.0, 0, 0], [1.7, 0.9, -0.4]])
    d = np.linalg.norm(near[1])
    cap = 2 * np.pi * 3.0 * (3.0 - d / 2)
    got = accessible_surface(near, np.array([[0.0, d], [d, 0.0]]), radius)
    np.testing.assert_allclose(got, 36 * np.pi - cap, rtol=0.01)


def test_water_by_hand():
    """Moments of inertia and gravitation of a molecule small enough for paper."""
    mol = Chem.AddHs(Chem.MolFromSmiles("O"))
    angle, bond = np.deg2rad(104.5), 0.9572
    xyz = bond * np.array(
        [[0.0, 0, 0], [np.sin(angle / 2), np.cos(angle / 2), 0], [-np.sin(angle / 2), np.cos(angle / 2), 0]]
    )
    row = dict(zip(COLUMNS, Mordred3D(mol)(xyz[np.newaxis])[0], strict=True))
    oxygen, hydrogen = 15.999, 1.008
    between = 2 * bond * np.sin(angle / 2)
    assert row["GeomDiameter"] == pytest.approx(between)
    assert row["GRAVH"] == pytest.approx(2 * oxygen * hydrogen / bond**2 + hydrogen**2 / between**2)
    assert row["GRAVHp"] == pytest.approx(2 * oxygen * hydrogen / bond**2)
    assert row["GRAV"] == 0
    assert row["MOMI-X"] == pytest.approx(row["MOMI-Y"] + row["MOMI-Z"])  # a flat body
    assert row["Mor01"] == 3  # pairs of atoms
    assert row["PBF"] == pytest.approx(0)


def test_rdkit_set_has_documented_columns():
    table = descriptors3d(conformers("CCO", 2), "rdkit")
    assert table.shape == (2, 639)
    assert list(table.columns[[0, 224, 434, 548, 628]]) == ["MORSE_1", "RDF_1", "WHIM_1", "AUTOCORR3D_1", "PMI1"]
    assert table.columns.is_unique
    assert table.notna().all(axis=None)


def test_descriptors_refuse_what_they_cannot_treat():
    with pytest.raises(ValueError, match="unknown 3D descriptors 'getaway'"):
        descriptors3d(conformers("CCO", 1), "getaway")
    with pytest.raises(ValueError, match="explicit hydrogens"):
        descriptors3d(Chem.MolFromSmiles("CCO"))
    with pytest.raises(ValueError, match=r"shape \(n, 9, 3\)"):
        Mordred3D(Chem.MolFromSmiles("CCO"))(np.zeros((1, 3, 3)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_protocols(protocol):
    made = conformers("CCCO", 3, protocol)
    assert len(made) == 3
    assert made.reason == ""
    assert made.coordinates.shape == (3, 12, 3)
    distance = np.linalg.norm(made.coordinates[:, 0] - made.coordinates[:, 1], axis=1)
    assert ((distance > 1.3) & (distance < 1.8)).all()  # a carbon-carbon bond
    if protocol in ("etkdg", "dg"):
        assert made.energies is None
        assert made.converged is None
    else:
        assert made.energies.shape == (3,)
        assert made.converged.all()


def test_energies_are_those_of_the_coordinates():
    from rdkit.Chem import rdForceFieldHelpers

    made = conformers("CCCCO", 4, "etkdg_mmff94")
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(made.mol)
    again = [
        rdForceFieldHelpers.MMFFGetMoleculeForceField(made.mol, properties, confId=i).CalcEnergy() for i in range(4)
    ]
    np.testing.assert_allclose(made.energies, again, atol=1e-4)


def test_same_conformers_for_any_spelling_and_prefix():
    seven = conformers("CCCCOC(=O)C=C", 7, "etkdg_mmff94")
    three = conformers("C=CC(=O)OCCCC", 3, "etkdg_mmff94")
    np.testing.assert_array_equal(seven.coordinates[:3], three.coordinates)
    np.testing.assert_array_equal(seven.energies[:3], three.energies)


@pytest.mark.parametrize("smiles", ["C1CC2CC1C=C2", "C/C=C/C(=O)OC1CC2CCC1(C)C2(C)C", "OC1C2CC3CC(C2)CC1C3"])
def test_prefix_holds_when_attempts_fail(smiles, monkeypatch):
    """With one try for each attempt some attempts fail, so chunks are uneven."""
    from course_lib.featurize import embedding

    monkeypatch.setattr(embedding, "_EMBED_ITERATIONS", 1)
    most = conformers(smiles, 12, "dg")
    for n in (1, 2, 4, 7, 11):
        some = conformers(smiles, n, "dg")
        np.testing.assert_array_equal(some.coordinates, most.coordinates[:n])


def test_protocols_and_seeds_differ():
    a = conformers("CCCCO", 1, "etkdg").coordinates
    assert not np.allclose(a, conformers("CCCCO", 1, "etkdg", random_state=1).coordinates)
    assert not np.allclose(a, conformers("CCCCO", 1, "dg").coordinates)


def test_molecule_that_cannot_be_embedded_says_so_and_stops():
    made = conformers(PARACYCLOPHANE, 50, "etkdg_mmff94")
    assert len(made) == 0
    assert made.energies.shape == (0,)
    assert "ETKDG gave up after 5 attempts" in made.reason
    assert "etk_minimization" in made.reason
    assert made.failures["etk_minimization"] > 0
    assert descriptors3d(made).shape == (0, 213)
    assert descriptors3d(made, "rdkit").shape == (0, 639)
    assert len(conformers(PARACYCLOPHANE, 3, "dg")) == 3


def test_missing_force_field_parameters_are_named():
    made = conformers("CB(O)O", 4, "etkdg_mmff94")
    assert len(made) == 0
    assert made.reason == "MMFF94 has no parameters for this molecule"
    assert len(conformers("CB(O)O", 4, "etkdg_uff")) == 4


def test_an_exception_inside_rdkit_becomes_a_reason(monkeypatch):
    from course_lib.featurize import embedding

    def broken(*_):
        raise RuntimeError("Pre-condition Violation\n\tbounds matrix")

    monkeypatch.setattr(embedding, "_embed", broken)
    made = conformers("CCO", 2)
    assert len(made) == 0
    assert made.reason == "RDKit stopped: Pre-condition Violation"


def test_bad_input():
    with pytest.raises(MoleculeError, match=r"open end '\*'.*cap it first"):
        conformers("*CC*", 2)
    with pytest.raises(MoleculeError, match="unclosed ring"):
        conformers("C1CC", 2)
    with pytest.raises(ValueError, match="unknown protocol 'mmff'"):
        conformers("CCO", 2, "mmff")
    with pytest.raises(ValueError, match="at least one conformer"):
        conformers("CCO", 0)


def test_quiet(capfd):
    descriptors3d(conformers("C[Sn](C)(C)C", 1, "etkdg_uff"))
    descriptors3d(conformers("[He]", 1, "dg"))
    assert capfd.readouterr() == ("", "")
