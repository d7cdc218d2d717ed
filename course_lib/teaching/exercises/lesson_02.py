"""Checks of lesson 02: what may be copied, weights of conformers, a stand-in for a polymer, rows and their groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from course_lib.teaching.exercises import Case, Verdict, exercise, right, wrong
from course_lib.teaching.exercises.kinds import function_exercise

_GAS_CONSTANT = 0.0019872  # kcal/(mol K)
_ENERGIES = np.array([3.0, 0.0, 0.5, 1.2, 30.0])  # kcal/mol; 30, since in J/mol the others weigh alike
_PROTOCOLS = ("etkdg", "etkdg_uff", "etkdg_mmff94", "dg", "dg_uff", "dg_mmff94")
_STRINGS = ("OCC", "C(C)O", "COC", "CCO", "O(C)C", "c1ccccc1C", "Cc1ccccc1", "C1C=CC=CC=1C")


# --- 2.1 ------------------------------------------------------------------------------------------------------------
@exercise(
    "2.1",
    solution=lambda: Case("abdf"),
    wrong_answers=lambda: [
        Case("abcdf", says="fluorine"),
        Case("abdef", says="isotactic"),
        Case("abf", says="mirror"),
        Case("abd", says="same chain"),
        Case("bdf", says="shape"),
        Case("adf", says="spelling"),
        Case("abxy", says="letters"),
        Case(4, says="letters"),
    ],
)
def _label_stays_true(answer: object, **context: object) -> Verdict:
    if isinstance(answer, (list, tuple, set, frozenset)):
        answer = "".join(map(str, answer))
    if not isinstance(answer, str):
        return wrong("Write the letters in one string, for instance 'ace'.")
    chosen = {letter for letter in answer.lower() if letter.isalnum()}
    if not chosen or chosen - set("abcdef"):
        return wrong("Write some of the letters a to f in one string, for instance 'ace'.")
    if "c" in chosen:
        return wrong(
            "c: with fluorine it is another substance with a Tg of its own. That it looks alike to us, or to a "
            "fingerprint, does not make the label true."
        )
    if "e" in chosen:
        return wrong(
            "e: an isotactic sample is another material. In section 4 an isotactic form differs by tens of kelvin."
        )
    if "a" not in chosen:
        return wrong("a: a molecule takes all of its shapes; the sample, and so its label, is the same for each shape.")
    if "b" not in chosen:
        return wrong("b: the spelling is a matter of where one starts to write. The molecule does not notice.")
    if "d" not in chosen:
        return wrong(
            "d: the mirror image of all positions has the same distances, energies and Tg. (It would be wrong for a "
            "label that another handed molecule had a part in, such as the binding to a protein.)"
        )
    if "f" not in chosen:
        return wrong("f: write three units of each in a row: it is the same chain, cut at another place.")
    return right(
        "a, b, d and f leave the sample what it was; c changes the substance, e the material. e cannot even be seen "
        "in the SMILES: whether an augmentation is honest depends on the label, not on the picture."
    )


# --- 2.2 ------------------------------------------------------------------------------------------------------------
def _weights(rt: Callable[[float], float] = lambda t: _GAS_CONSTANT * t, sign: float = -1.0) -> list[Callable]:
    """Make answers by a rule: right, not measured from the lowest energy, and both again at room temperature always."""

    def shares(energies: np.ndarray, temperature: float, lowest: bool) -> np.ndarray:
        factors = np.exp(sign * (energies - lowest * energies.min()) / rt(temperature))
        return factors / factors.sum()

    return [
        lambda energies, temperature=298.15, fixed=fixed, lowest=lowest: shares(
            energies, 298.15 if fixed else temperature, lowest
        )
        for fixed in (False, True)
        for lowest in (True, False)
    ]


_RIGHT, _FROM_ZERO, *_AT_ROOM_TEMPERATURE = _weights()

function_exercise(
    "2.2",
    inputs=lambda: [(_ENERGIES.copy(),), (_ENERGIES.copy(), 600.0), (_ENERGIES + 1000.0,)],
    solution=_RIGHT,
    why="Only differences of energy count: measuring from the lowest is allowed and keeps exp() from underflowing. "
    "These are the weights of a gas at equilibrium; in a melt the neighbours have a say too.",
    mistakes={
        "The highest energy has the largest weight: there is a minus sign missing in the exponent.": _weights(sign=1.0),
        "You took the gas constant for kJ; the energies are in kcal/mol. Use 0.0019872 kcal/(mol K).": (
            _weights(lambda t: 8.314e-3 * t)
        ),
        "8.314 is the gas constant in J/(mol K); the energies are in kcal/mol.": _weights(lambda t: 8.314 * t),
        "Where is the temperature? The energy is divided by R times T, about 0.6 kcal/mol.": _weights(lambda t: 1.0),
        "Right at room temperature, but the function ignores its second argument.": _AT_ROOM_TEMPERATURE,
        "Right for small energies. With 1000 kcal/mol added to each, which changes nothing, exp() gives 0 for all. "
        "Measure the energies from the lowest first.": _FROM_ZERO,
    },
    shape=f"For {len(_ENERGIES)} energies there should be {len(_ENERGIES)} weights, one for each shape.",
    signs={
        "The weights are all the same. Shapes of higher energy are rarer.": lambda given: np.ptp(given[0]) < 1e-6,
        "The weights do not add up to 1: divide by their sum.": lambda given: not np.isclose(given[0].sum(), 1.0),
    },
    others={
        "all the same": lambda energies, temperature=298.15: np.full(len(energies), 1 / len(energies)),
        "add up to 1": lambda energies, temperature=298.15: np.exp(-energies / (_GAS_CONSTANT * temperature)),
    },
    otherwise="These are not the weights. Energy over RT, a minus sign, exp(), and divide by the sum.",
    rtol=5e-3,
)


# --- 2.3 ------------------------------------------------------------------------------------------------------------
@exercise(
    "2.3",
    solution=lambda: Case("CCC(Cl)CC(Cl)CC(C)Cl"),
    wrong_answers=lambda: [
        Case("C=CCl", says="monomer"),
        Case("CCCl", says="H-capped"),
        Case("*CC(Cl)CC(Cl)CC(Cl)*", says="stars"),
        Case("CC(Cl)CC(Cl)CCCl", says="methyl"),
        Case("CCC(Cl)CC(C)Cl", says="2 units"),
        Case("CCC(Cl)CC(Cl)CC(Cl)CC(C)Cl", says="4 units"),
        Case("CCC(Cl)CC(Cl)C(Cl)CC", says="head to head"),
        Case("CC=CC(Cl)CC(Cl)CC(C)Cl", says="double bond"),
        Case("CCC(Cl", says="not a molecule"),
        Case("CCC(F)CC(F)CC(C)F", says="chlorine"),
    ],
)
def _trimer(answer: object, **context: object) -> Verdict:
    from rdkit.Chem import MolToSmiles, RemoveStereochemistry

    from course_lib.molecules import MoleculeError, canonical, oligomer, parse

    unit = "*CC(*)Cl"
    if not isinstance(answer, str):
        return wrong("The answer should be a SMILES, a text in quotes.")
    try:
        flat = parse(answer)
        RemoveStereochemistry(flat)  # a trimer with stereo marks is a right one too
        text, mol = canonical(MolToSmiles(flat)), flat
    except MoleculeError as error:
        return wrong(str(error) + ".")
    if text == oligomer(unit, 3, "C"):
        return right(
            "Three units head to tail, a methyl group on either end, no double bond. The middle "
            "unit has a neighbour on both sides, as in the chain."
        )
    chlorines = sum(atom.GetSymbol() == "Cl" for atom in mol.GetAtoms())
    if "*" in text:
        return wrong("There are still stars in it. Close both ends with a methyl group, C.")
    if text == canonical("C=CCl"):
        return wrong("That is the monomer. In the polymer its double bond has become bonds to the neighbours.")
    if any(str(bond.GetBondType()) == "DOUBLE" for bond in mol.GetBonds()):
        return wrong("There is a double bond left. Polymerisation uses it up.")
    if chlorines == 0:
        return wrong("Poly(vinyl chloride) has one chlorine atom in each unit.")
    if text == oligomer(unit, 1, "[H]"):
        return wrong("That is the H-capped repeat unit, chloroethane: one unit, not three.")
    if text == oligomer(unit, 3, "[H]"):
        return wrong("Three units, but closed with hydrogens. Put a methyl group on either end.")
    if chlorines != 3:
        return wrong(f"That has {chlorines} units; a trimer has three.")
    if mol.GetNumHeavyAtoms() == parse(oligomer(unit, 3, "C")).GetNumHeavyAtoms():
        return wrong(
            "The right atoms in another order: two units meet head to head, or the chain is branched. Head to tail "
            "every unit reads -CH2-CHCl-."
        )
    return wrong("Write CH3, three times -CH2-CHCl-, and CH3 again.")


# --- 2.4 ------------------------------------------------------------------------------------------------------------
def _index(n_molecules: int, each: int, protocols: Sequence[str] = _PROTOCOLS):
    import pandas as pd

    names = ["row", "protocol", "conformer"]
    return pd.MultiIndex.from_product([range(n_molecules), protocols, range(each)], names=names)


def _frame(n_molecules: int = 2, each: int = 4, protocols: Sequence[str] = _PROTOCOLS):
    import pandas as pd

    index = _index(n_molecules, each, protocols)
    return pd.DataFrame(np.arange(3.0 * len(index)).reshape(-1, 3), index=index, columns=["a", "b", "c"])


def _own(rows: object, labels: object, says: str = "") -> Case:
    return Case((rows, labels), says=says, smiles=["CCO", "CCC"], values=np.array([1.0, 2.0]))


@exercise(
    "2.4",
    solution=lambda: _own(_frame(), np.repeat([1.0, 2.0], 24)),
    wrong_answers=lambda: [
        _own(_frame(each=24), np.repeat([1.0, 2.0], 144), says="in total"),
        _own(_frame(each=24, protocols=["etkdg"]), np.repeat([1.0, 2.0], 24), says="six protocols"),
        _own(_frame(each=2), np.repeat([1.0, 2.0], 12), says="24"),
        _own(_frame(n_molecules=1), np.repeat([1.0], 24), says="molecules"),
        _own(_frame(), np.array([1.0, 2.0]), says="one label for each row"),
        _own(_frame(), np.tile([1.0, 2.0], 24), says="tile"),
        _own(_frame(), np.repeat([2.0, 1.0], 24), says="wrong molecule"),
        _own(np.zeros((48, 213)), np.repeat([1.0, 2.0], 24), says="index"),
        _own(_frame().reset_index(drop=True), np.repeat([1.0, 2.0], 24), says="index"),
        Case((_frame(), np.ones(48)), says="star", smiles=["*CC*", "CCC"], values=np.ones(2)),
    ],
)
def _augment_own(
    answer: object, smiles: Sequence[str] = (), values: Sequence[float] = (), **context: object
) -> Verdict:
    if not isinstance(answer, tuple) or len(answer) != 2:
        return wrong("Hand over two things: the rows and the labels.")
    rows, labels = answer
    smiles, values = list(smiles), np.asarray(values, dtype=float)
    if len(values) != len(smiles):
        return wrong(f"You have {len(smiles)} molecules and {len(values)} values: give one value for each molecule.")
    if any("*" in text for text in smiles):
        return wrong("One of your molecules has an open end, a star. Cap it first: h_capped(...) or oligomer(...).")
    index = getattr(rows, "index", None)
    if index is None or list(getattr(index, "names", [])) != ["row", "protocol", "conformer"]:
        return wrong(
            "The rows should be the table that augment returns, with its index (row, protocol, conformer): without it "
            "nobody knows which row belongs to which molecule."
        )
    molecule = index.get_level_values("row").to_numpy()
    protocols = set(index.get_level_values("protocol"))
    present = np.unique(molecule)
    if len(protocols) < len(_PROTOCOLS):
        return wrong(f"All six protocols were asked for; your rows come from {len(protocols)}: {', '.join(protocols)}.")
    largest = int(np.bincount(molecule).max())
    if largest == 24 * len(_PROTOCOLS):
        return wrong(f"{largest} rows a molecule: n_conformers is the number in total, over all protocols.")
    if largest > 24 or (largest < 24 and largest % len(_PROTOCOLS) == 0):
        return wrong(f"{largest} rows a molecule; 24 were asked for.")
    if len(present) < len(smiles):
        return wrong(
            f"Rows for {len(present)} of your {len(smiles)} molecules. Pass the whole list; if you did, see what "
            "augment(..., return_failures=True) says of the others."
        )
    labels = np.asarray(labels, dtype=float)
    if labels.shape != (len(rows),):
        return wrong(f"{len(rows)} rows and labels of shape {labels.shape}: there must be one label for each row.")
    if not np.allclose(labels, values[molecule]):
        if len(rows) % len(values) == 0 and np.allclose(labels, np.tile(values, len(rows) // len(values))):
            return wrong(
                "The labels alternate, as np.tile makes them, but the rows of a molecule stand together. Nothing would "
                "have warned you. Look up each row's label by its index level 'row'."
            )
        return wrong("Some rows carry the label of the wrong molecule. Use the index level 'row' to look labels up.")
    missing = 24 * len(smiles) - len(rows)
    told = f" {missing} conformers failed: name them when you report." if missing else ""
    return right(
        f"{len(rows)} rows, still {len(smiles)} molecules and {len(np.unique(values))} labels. Looking labels "
        f"up by the index stays right when a conformer fails; np.repeat would not.{told}"
    )


# --- 2.5 ------------------------------------------------------------------------------------------------------------
def _identities(smiles: Sequence[str]) -> list[str]:
    from course_lib.molecules import identity

    return [identity(text) for text in smiles]


def _partition(labels: Sequence[object]) -> list[int]:
    """Return the number of each label in order of first appearance, so that names do not matter."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels]


def _coarser(labels: Sequence[object], truth: Sequence[object]) -> bool:
    """Whether each true group lies within one group of the answer."""
    return len(set(zip(truth, labels, strict=True))) == len(set(truth))


def _strings(answer: object, says: str = "") -> Case:
    return Case(answer, says=says, smiles=list(_STRINGS))


@exercise(
    "2.5",
    solution=lambda: _strings(_identities(_STRINGS)),
    wrong_answers=lambda: [
        _strings(list(_STRINGS), says="spelling"),
        _strings(list(range(len(_STRINGS))), says="row of its own"),
        _strings(["C2H6O"] * 5 + ["C7H8"] * 3, says="isomers"),
        _strings(["all"] * len(_STRINGS), says="nothing to test"),
        _strings(_identities(_STRINGS)[:3], says="8 strings"),
        _strings(["a", "a", "b", "b", "b", "c", "c", "c"], says="both sides"),
        _strings([len(text) for text in _STRINGS], says="both sides"),
    ],
)
def _groups(answer: object, smiles: Sequence[str] = _STRINGS, **context: object) -> Verdict:
    labels = [str(label) for label in (answer.tolist() if hasattr(answer, "tolist") else answer)]  # type: ignore[union-attr]
    smiles = list(smiles)
    if len(labels) != len(smiles):
        return wrong(f"There are {len(smiles)} strings and {len(labels)} groups: give one group for each string.")
    truth = _identities(smiles)
    if _partition(labels) == _partition(truth):
        return right(
            f"{len(set(truth))} molecules behind {len(smiles)} strings. Canonical SMILES would do here too; the "
            "InChIKey's first block also unites stereoisomers and mobile hydrogens, which is the safe side for a split."
        )
    if len(set(labels)) == len(labels):
        if labels == smiles:
            return wrong("Your groups are the strings: each spelling counts as another molecule. That was her check.")
        return wrong("Every row of its own group: then a group splitter splits by row.")
    if len(set(labels)) == 1:
        return wrong("All in one group: no leak, but nothing to test on either.")
    if _coarser(labels, truth):
        return wrong(
            "No molecule is on both sides, so nothing leaks. But you tied different molecules together, isomers for "
            "instance, and have fewer groups to deal out than you could have."
        )
    split = next(i for i, name in enumerate(truth) if labels[i] != labels[truth.index(name)])
    first = smiles[truth.index(truth[split])]
    return wrong(f"{first!r} and {smiles[split]!r} are one molecule, and a split could put it on both sides.")
