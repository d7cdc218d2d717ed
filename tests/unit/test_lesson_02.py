"""Lesson 02: its figures, and the facts that its text rests on."""

from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem

from course_lib import plots
from course_lib.featurize import conformers
from course_lib.molecules import MoleculeError, h_capped

HEXYL = h_capped("*CC(*)(C)C(=O)OCCCCCC")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def hexyl():
    return conformers(HEXYL, 6, "etkdg")


def random_turn(rng):
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else q[:, [1, 0, 2]]


def test_superposing_undoes_turns_and_shifts_but_no_mirror():
    rng = np.random.default_rng(0)
    shape = rng.normal(size=(7, 3))
    copies = np.array([shape, *(shape @ random_turn(rng) + rng.normal(size=3) for _ in range(3)), shape * [1, 1, -1]])
    placed = plots._superposed(copies, np.arange(7))
    for copy in placed[1:4]:
        np.testing.assert_allclose(copy, placed[0], atol=1e-9)
    assert np.abs(placed[4] - placed[0]).max() > 0.1
    before, after = (np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (shape, placed[0]))
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_superposing_by_a_part_lays_that_part_on_itself():
    rng = np.random.default_rng(1)
    part, rest = rng.normal(size=(4, 3)), rng.normal(size=(2, 3, 3))
    shapes = np.array([np.vstack([part @ random_turn(rng), other]) for other in rest])
    placed = plots._superposed(shapes, np.arange(4))
    np.testing.assert_allclose(placed[1, :4], placed[0, :4], atol=1e-9)


def test_cloud_draws_the_first_n_and_marks_the_oxygens(hexyl):
    ax = plots.conformer_cloud(hexyl, n=4, core="CC(=O)OC", title="four")
    assert ax.get_title() == "four"
    assert len(ax.collections[0]._segments3d) == 4 * 11  # 11 bonds between heavy atoms
    assert [len(marks.get_offsets()) for marks in ax.collections[1:]] == [4, 4]  # two oxygen atoms


def test_cloud_says_what_it_cannot_draw(hexyl):
    with pytest.raises(ValueError, match="no part 'c1ccccc1'"):
        plots.conformer_cloud(hexyl, core="c1ccccc1")
    with pytest.raises(ValueError, match="gave up"):
        plots.conformer_cloud(replace(hexyl, mol=Chem.AddHs(Chem.MolFromSmiles(HEXYL)), reason="ETKDG gave up"))


def test_explorer_shows_the_first_n_values(hexyl):
    ax = plots.conformer_explorer(hexyl, np.arange(6.0), 5, quantity="size", units="angstrom", limits=(0, 9))
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 0], np.arange(5.0))
    assert ax.lines[0].get_xdata()[0] == 2.0  # the median of 0 to 4
    assert ax.get_xlim() == (0, 9)
    for wrong in (0, 7):
        with pytest.raises(ValueError, match="cannot show"):
            plots.conformer_explorer(hexyl, np.arange(6.0), wrong, quantity="size")


def test_molecules_are_drawn_over_their_labels():
    ax = plots.molecules(["C=CCl", "*CC(*)Cl"], ["monomer", "repeat unit"])
    assert [text.get_text() for text in ax.texts] == ["monomer", "repeat unit"]
    assert all(image.get_array().min() < 0.5 for image in ax.images)  # not an empty sheet
    two = plots.molecules(["C", "CC", "CCC"], ["a", "b", "c\nd"], columns=2)
    assert [image.get_extent()[0] for image in two.images] == [0, 300, 0]
    two.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in two.texts]
    above = two.transData.transform((0, two.images[2].get_extent()[3]))[1]
    assert min(box.y0 for box in boxes[:2]) > above  # a label ends above the next line of pictures
    assert boxes[2].y0 > -1
    with pytest.raises(ValueError, match="at least 1"):
        plots.molecules(["C"], ["a"], columns=0)
    with pytest.raises(ValueError, match="one label for each"):
        plots.molecules(["C"], [])
    with pytest.raises(MoleculeError, match="row 1"):
        plots.molecules(["C", "C1CC"], ["a", "b"])


def test_grid_writes_each_number():
    table = pd.DataFrame([[3, 0], [1, 20]], index=["a", "b"], columns=["x", "y"])
    ax = plots.grid(table)
    assert [text.get_text() for text in ax.texts] == ["3", "0", "1", "20"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert [text.get_color() for text in ax.texts] == ["black", "black", "black", "white"]
    with pytest.raises(ValueError, match="at least 0"):
        plots.grid(-table)


def test_small_units_have_few_shapes():
    """What section 2 of the lesson shows: after MMFF94 all starts of a small, stiff unit end in the same few places."""
    different = {
        unit: len(np.unique(conformers(h_capped(unit), 12, "etkdg_mmff94").energies.round(2)))
        for unit in ("*CC(*)Cl", "*CC(*)(C)C(=O)OCCCCCC")
    }
    assert different["*CC(*)Cl"] == 1
    assert different["*CC(*)(C)C(=O)OCCCCCC"] >= 8


@pytest.mark.parametrize("pull", [0.0, 3.0])
def test_uff_reports_success_on_open_ends_whose_bonds_it_does_not_hold(pull):
    """The trap of section 3, in RDKit itself: if it goes away, the lesson must say so."""
    with rdBase.BlockLogs():
        mol = Chem.AddHs(Chem.MolFromSmiles("*CC(*)c1ccccc1"))
        assert AllChem.EmbedMolecule(mol, randomSeed=1) == 0
        assert AllChem.MMFFOptimizeMolecule(mol) == -1
        assert not AllChem.UFFHasAllMoleculeParams(mol)
        shape = mol.GetConformer()
        star, carbon = shape.GetPositions()[:2]
        shape.SetAtomPosition(0, star + pull * (star - carbon) / np.linalg.norm(star - carbon))
        assert AllChem.UFFOptimizeMolecule(mol, maxIters=2000) == 0
    star, carbon, other = shape.GetPositions()[:3]
    assert not 1.0 < np.linalg.norm(star - carbon) < 2.5
    assert 1.4 < np.linalg.norm(carbon - other) < 1.65
