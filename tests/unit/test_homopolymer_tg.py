"""The embedded homopolymer table: every structure against its name's formula, every row against its source.

The column ``formula`` was worked out from the polymer's name (group by group), not from the SMILES, so
comparing it with the parsed repeat unit is a real check of the structure. RDKit is used directly and not
through ``course_lib``: the table has to stand on its own.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

DATA = Path(__file__).resolve().parents[2] / "data"
COLUMNS = [
    "name",
    "monomer_smiles",
    "repeat_unit",
    "formula",
    "route",
    "tg_k",
    "tacticity",
    "source",
    "status",
    "note",
]
ROUTES = {"addition", "ring-opening", "condensation", "oxidative", "other"}
STATUSES = {"verified", "recalled"}
WATER = Counter({"H": 2, "O": 1})


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with open(DATA / "homopolymer_tg.csv", newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def polymers(rows) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in rows}


@pytest.fixture(scope="module")
def sources_text() -> str:
    return (DATA / "homopolymer_tg_sources.md").read_text(encoding="utf-8")


def atoms(formula: str) -> Counter:
    """Element counts of a Hill formula such as ``C5H8O2``."""
    counts: Counter = Counter()
    for element, number in re.findall(r"([A-Z][a-z]?)(\d*)", formula):
        counts[element] += int(number or 1)
    return counts


def atoms_of(smiles: str) -> Counter:
    """Element counts of a SMILES, attachment points left out."""
    molecule = Chem.MolFromSmiles(smiles)
    assert molecule is not None, f"not a molecule: {smiles}"
    return atoms(re.sub(r"\*\d*", "", CalcMolFormula(molecule)))


def times(counts: Counter, factor: int) -> Counter:
    return Counter({element: n * factor for element, n in counts.items()})


def leaving_groups_balance(monomers: Counter, unit: Counter) -> bool:
    """True when monomers minus one (or two) repeat units leave only H2O, HF, HCl, HBr or Cl2."""
    for n_units in (1, 2):
        left = Counter(monomers)
        left.subtract(times(unit, n_units))
        left = Counter({element: n for element, n in left.items() if n})
        if not left or set(left) - {"H", "O", "F", "Cl", "Br"} or min(left.values()) < 0:
            continue
        hydrogen = 2 * left["O"] + left["F"] + left["Br"]
        if left["H"] == hydrogen + left["Cl"] or (left["H"] == hydrogen and left["Cl"] % 2 == 0):
            return True
    return False


def canonical(smiles: str) -> str:
    return Chem.MolToSmiles(Chem.MolFromSmiles(smiles))


def test_columns_and_size(rows):
    assert list(rows[0]) == COLUMNS
    verified = [row for row in rows if row["status"] == "verified"]
    assert len(verified) >= 150
    assert len({row["name"] for row in verified}) >= 150


def test_every_cell_that_must_be_filled_is_filled(rows):
    for number, row in enumerate(rows, start=2):
        for column in ("name", "monomer_smiles", "repeat_unit", "formula", "route", "tg_k", "source", "status"):
            assert row[column], f"line {number}: {column} is empty"
            assert row[column] == row[column].strip(), f"line {number}: {column} = {row[column]!r}"


def test_route_status_and_temperature(rows):
    for row in rows:
        assert row["route"] in ROUTES, row
        assert row["status"] in STATUSES, row
        assert 100 <= float(row["tg_k"]) <= 750, row


def test_repeat_units_parse_and_have_two_ends(polymers):
    for name, row in polymers.items():
        unit = Chem.MolFromSmiles(row["repeat_unit"])
        assert unit is not None, f"{name}: {row['repeat_unit']}"
        ends = [atom for atom in unit.GetAtoms() if atom.GetAtomicNum() == 0]
        assert len(ends) == 2, f"{name}: {len(ends)} ends"
        assert all(atom.GetDegree() == 1 for atom in ends), f"{name}: an end with more than one bond"
        assert len(Chem.GetMolFrags(unit)) == 1, f"{name}: repeat unit in pieces"


def test_repeat_unit_has_the_formula_of_its_name(polymers):
    for name, row in polymers.items():
        assert atoms_of(row["repeat_unit"]) == atoms(row["formula"]), f"{name}: {row['repeat_unit']}"


def test_monomers_give_the_repeat_unit(polymers):
    """Addition: same formula. Ring-opening: a multiple. Oxidative: minus H2. Else: minus small molecules."""
    for name, row in polymers.items():
        monomer, unit, route = atoms_of(row["monomer_smiles"]), atoms(row["formula"]), row["route"]
        if route == "addition":
            agrees = monomer == unit
        elif route == "ring-opening":
            agrees = any(monomer == times(unit, n) for n in (1, 2, 3, 4))
        elif route == "oxidative":
            agrees = monomer == unit + Counter({"H": 2})
        else:
            agrees = leaving_groups_balance(monomer, unit)
        assert agrees, f"{name} ({route}): {row['monomer_smiles']} does not give {row['formula']}"


def test_addition_monomers_have_a_double_bond_and_ring_monomers_a_ring(polymers):
    for name, row in polymers.items():
        molecule = Chem.MolFromSmiles(row["monomer_smiles"])
        if row["route"] == "addition":
            doubles = [bond for bond in molecule.GetBonds() if bond.GetBondType() == Chem.BondType.DOUBLE]
            assert doubles, name
        if row["route"] == "ring-opening":
            assert molecule.GetRingInfo().NumRings() > 0, name
        if row["route"] in ("addition", "ring-opening", "oxidative"):
            assert "." not in row["monomer_smiles"], name


def test_vinyl_monomers_and_repeat_units_agree_atom_by_atom(polymers):
    """A polymer of CH2=CXY keeps X and Y: the monomer's double bond, opened and capped, is the repeat unit."""
    pattern = Chem.MolFromSmarts("[CX3;!$(C=[!#6])]=[CX3]")
    other_openings = ("butadiene", "isoprene", "chloroprene", "xylylene")
    checked = 0
    for name, row in polymers.items():
        if row["route"] != "addition" or any(word in name for word in other_openings):
            continue
        monomer = Chem.MolFromSmiles(row["monomer_smiles"])
        units = set()
        for first, second in monomer.GetSubstructMatches(pattern):
            opened = Chem.RWMol(monomer)
            opened.GetBondBetweenAtoms(first, second).SetBondType(Chem.BondType.SINGLE)
            for end in (first, second):
                opened.AddBond(end, opened.AddAtom(Chem.Atom(0)), Chem.BondType.SINGLE)
            Chem.SanitizeMol(opened)
            units.add(Chem.MolToSmiles(opened))
        if units:
            checked += 1
            assert canonical(row["repeat_unit"]) in units, f"{name}: {units}"
    assert checked > 150


def test_one_name_one_repeat_unit(rows):
    unit_of: dict[str, str] = {}
    name_of: dict[str, str] = {}
    for row in rows:
        unit = canonical(row["repeat_unit"])
        assert unit_of.setdefault(row["name"], unit) == unit, f"{row['name']} has two repeat units"
        assert name_of.setdefault(unit, row["name"]) == row["name"], f"{unit}: {name_of[unit]} and {row['name']}"


def test_rows_of_one_polymer_share_structure_columns(rows, polymers):
    for row in rows:
        for column in ("monomer_smiles", "repeat_unit", "formula", "route"):
            assert row[column] == polymers[row["name"]][column], (row["name"], column)


def test_no_row_twice(rows):
    keys = Counter((row["name"], row["tg_k"], row["tacticity"], row["source"]) for row in rows)
    assert [key for key, n in keys.items() if n > 1] == []


def test_sources_are_defined_and_counted(rows, sources_text):
    """Every key has its section with citation and address, and the table of counts is that of the file."""
    defined = set(re.findall(r"^### `([^`]+)`$", sources_text, flags=re.M))
    used = Counter(row["source"] for row in rows)
    assert set(used) == defined
    stated = {key: int(n) for key, n in re.findall(r"^\| `([^`]+)` \| (\d+) \|", sources_text, flags=re.M)}
    assert stated == dict(used)
    for key in defined:
        section = sources_text.split(f"### `{key}`")[1].split("\n### ")[0]
        assert "Citation:" in section, f"{key}: citation missing"
        assert "Read at:" in section, f"{key}: address missing"


def test_celsius_rows_use_one_rule(rows):
    """A figure printed in degrees Celsius is stored as that figure + 273."""
    printed = [(row, re.search(r"printed (-?\d+(?:\.\d+)?) deg C", row["note"])) for row in rows]
    celsius = [(row, float(match.group(1))) for row, match in printed if match]
    assert len(celsius) > 50
    for row, degrees in celsius:
        assert float(row["tg_k"]) == degrees + 273, row


def test_conflicting_values_are_kept(rows):
    """Disagreement between sources is data: some polymers must have rows more than 20 K apart."""
    spread = {}
    for row in rows:
        spread.setdefault(row["name"], []).append(float(row["tg_k"]))
    assert any(max(values) - min(values) > 20 for values in spread.values())


def test_two_printings_of_one_handbook_are_told_apart(rows):
    """The two transcriptions that disagree keep both values, each under its own key."""
    name = "poly(quinoxaline-2,7-diylquinoxaline-7,2-diyl-1,4-phenylene)"
    values = {row["source"]: float(row["tg_k"]) for row in rows if row["name"] == name}
    assert values == {"bicerano2002_choi": 645.0, "bicerano2002_afzal": 649.0}


@pytest.mark.parametrize(
    ("monomers", "unit", "expected"),
    [
        ("C2H6O2.C8H6O4", "C10H8O4", True),
        ("C2H6O2.C8H6O4", "C10H10O4", False),
        ("C15H16O2.CCl2O", "C16H14O3", True),
        ("C7H14Cl2Si", "C7H14Si", True),
        ("C2H4O", "C2H4O", False),
    ],
)
def test_balance_rejects_a_wrong_unit(monomers, unit, expected):
    assert leaving_groups_balance(atoms(monomers), atoms(unit)) is expected
