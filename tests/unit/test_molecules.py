import pickle

import pytest

from course_lib.molecules import MoleculeError, canonical, formula, h_capped, identity, main_part, oligomer, parse


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("C1CC", "unclosed ring"),
        ("C%12CC", "unclosed ring"),
        ("CC(", "unclosed parenthesis"),
        ("C[N", "unclosed square bracket"),
        ("CXC", "unknown symbol 'X'"),
        ("C=", "ends in the middle of a bond"),
        ("F(C)C", "Explicit valence"),
        ("c1cccc1", "kekulize"),
        ("O= C1CCCO1", "a space inside"),
        ("", "empty"),
        (None, "empty"),
        (float("nan"), "empty"),
    ],
)
def test_error_names_row_text_and_reason(smiles, reason):
    with pytest.raises(MoleculeError) as caught:
        parse(smiles, row=17)
    error = caught.value
    assert (error.row, error.smiles) == (17, smiles) or smiles != smiles
    assert reason in error.reason
    assert str(error).startswith(f"row 17: {smiles!r} is not a molecule (")


def test_error_survives_pickling_as_workers_need_it():
    error = pickle.loads(pickle.dumps(MoleculeError("C1CC", "unclosed ring", 3)))
    assert (str(error), error.row) == ("row 3: 'C1CC' is not a molecule (unclosed ring)", 3)


def test_parse_is_silent(capfd):
    with pytest.raises(MoleculeError):
        parse("C1CC")
    identity("C[C@H](N)C(=O)O")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_canonical_ignores_the_way_of_writing_and_blanks_around():
    assert canonical(" OCC\n") == canonical("C(O)C") == "CCO"


def test_identity_ignores_stereo_isotopes_and_mobile_hydrogen_only():
    assert identity("C[C@H](N)C(=O)O") == identity("C[C@@H](N)C(=O)O") == identity("CC(N)C(=O)O")
    assert identity("ClC(Cl)Cl") == identity("ClC(Cl)(Cl)[2H]")
    assert identity("O=c1cccc[nH]1") == identity("Oc1ccccn1")
    assert identity("CCO") != identity("COC")
    assert len(identity("CCO")) == 14


def test_identity_with_stereo_tells_isomers_apart():
    assert identity("C/C=C/C", stereo=True) != identity("C/C=C\\C", stereo=True)
    assert identity("*C/C=C/C*", stereo=True) != identity("*C/C=C\\C*", stereo=True)
    assert identity("*C/C=C/C*") == identity("*C/C=C\\C*")


def test_identity_of_a_repeat_unit_does_not_depend_on_the_cut():
    assert identity("*CCO*") == identity("*COC*") == identity("*OCC*") == identity("O(C*)C*")
    assert identity("*CC(*)C") == identity("*C(C)C*")
    assert identity("*CC(*)C") != identity("*CCC*")
    assert identity("*CC(*)OC(C)=O") != identity("*CC(*)C(=O)OC")
    assert identity("*CC(*)C").startswith("poly-")


def test_identity_of_other_open_structures_is_their_flat_smiles():
    assert identity("*C[C@H](C)F") == canonical("*CC(C)F")


@pytest.mark.parametrize(
    ("unit", "capped", "trimer", "composition"),
    [
        ("*CC(*)c1ccccc1", "CCc1ccccc1", "CCC(CC(CC(C)c1ccccc1)c1ccccc1)c1ccccc1", "C8H8"),
        ("*CCO*", "CCO", "CCCOCCOCCOC", "C2H4O"),
        ("*C*", "C", "CCCCC", "CH2"),
        ("*n1ccnc1*", "c1c[nH]cn1", "Cc1nccn1-c1nccn1-c1nccn1C", "C3H2N2"),
        ("*C/C=C\\C*", "C/C=C\\C", "CC/C=C\\CC/C=C\\CC/C=C\\CC", "C4H6"),
        ("*c1ccc(*)cc1", "c1ccccc1", "Cc1ccc(-c2ccc(-c3ccc(C)cc3)cc2)cc1", "C6H4"),
    ],
)
def test_what_stands_for_a_polymer(unit, capped, trimer, composition):
    assert canonical(h_capped(unit)) == canonical(capped)
    assert canonical(oligomer(unit)) == canonical(trimer)
    assert formula(unit) == composition


def test_oligomer_keeps_the_handedness_of_every_unit():
    from rdkit import Chem

    centres = Chem.FindMolChiralCenters(parse(oligomer("*C[C@@H](C)O*", n=4, cap="CC")), useLegacyImplementation=False)
    assert len(centres) == 4
    assert len({label for _, label in centres}) == 1
    mirrored = Chem.FindMolChiralCenters(parse(oligomer("*C[C@H](C)O*", n=4, cap="CC")), useLegacyImplementation=False)
    assert {label for _, label in centres} != {label for _, label in mirrored}


def test_oligomer_length_and_cap():
    assert formula(oligomer("*CCO*", n=5, cap="[H]")) == "C10H22O5"
    assert formula(oligomer("*CCO*", n=1, cap="O")) == "C2H6O3"
    with pytest.raises(ValueError, match="at least 1 unit, not 0"):
        oligomer("*CCO*", n=0)
    with pytest.raises(MoleculeError, match="not an end group"):
        oligomer("*CCO*", cap="C1")


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        ("CC", "0 open ends"),
        ("*CC", "1 open ends"),
        ("**", "nothing between"),
        ("*=C=*", "one single bond"),
        ("*C.*C", "more than one fragment"),
    ],
)
def test_not_a_repeat_unit(unit, reason):
    with pytest.raises(MoleculeError, match="is not a repeat unit") as caught:
        h_capped(unit, row=4)
    assert reason in caught.value.reason
    assert caught.value.row == 4


def test_formula_in_hill_order():
    assert formula("O=C(O)CBr") == "C2H3BrO2"


def test_the_main_part_is_the_largest_organic_one():
    assert main_part("CCN.Cl") == "CCN"
    assert identity(main_part("CC(=O)[O-].[Na+]")) == identity("CC(=O)O")
    assert main_part("OCC.[I-].[I-].[Ba+2]") == "CCO"  # organic comes before heavy
    assert main_part("[Na+].[Cl-]") in ("[Na+]", "[Cl-]")
    assert main_part("OCC") == "CCO"
    with pytest.raises(MoleculeError, match="row 3"):
        main_part("C1CC", 3)
