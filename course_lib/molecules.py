"""SMILES in, checked molecules out: parsing, canonical form, identity, and what stands in for a polymer.

Every function that reads a SMILES raises `MoleculeError`, which names the row, the text and the reason.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors

_INCHI_LIMIT = 60  # heavy atoms


class MoleculeError(ValueError):
    """A text that is not a molecule, or not the kind of molecule that was asked for.

    Attributes
    ----------
    row : int or None
        Position in the table, when known.
    smiles : object
        What stood there.
    reason : str
        Why it was refused.
    """

    def __init__(self, smiles: object, reason: str, row: int | None = None, what: str = "a molecule") -> None:
        self.row, self.smiles, self.reason, self.what = row, smiles, reason, what
        where = "" if row is None else f"row {row}: "
        super().__init__(f"{where}{smiles!r} is not {what} ({reason})")

    def __reduce__(self) -> tuple:
        return type(self), (self.smiles, self.reason, self.row, self.what)


def parse(smiles: str, row: int | None = None) -> Chem.Mol:
    """Read a SMILES.

    Parameters
    ----------
    smiles : str
        Blanks around it are ignored, blanks inside it are an error: RDKit would take what follows for a name.
    row : int, optional
        Position in the table, for the error message.

    Returns
    -------
    rdkit.Chem.Mol
        Sanitised, with at least one atom.

    Raises
    ------
    MoleculeError
        When the text is empty, has a blank inside, cannot be read as a molecule, or holds no atom.
    """
    if not isinstance(smiles, str) or not smiles.strip():
        raise MoleculeError(smiles, "empty", row)
    text = smiles.strip()
    if re.search(r"\s", text):
        raise MoleculeError(smiles, "a space inside", row)
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(text)
        if mol is None:
            raise MoleculeError(smiles, _reason(text), row)
    if mol.GetNumAtoms() == 0:
        raise MoleculeError(smiles, "no atoms", row)
    return mol


def _reason(text: str) -> str:
    """Why RDKit refused `text`, in a chemist's words."""
    mol = Chem.MolFromSmiles(text, sanitize=False)
    if mol is not None:
        problems = Chem.DetectChemistryProblems(mol)
        return problems[0].Message().rstrip(".").replace("\n", " ") if problems else "cannot be sanitised"
    if text.count("[") != text.count("]"):
        return "unclosed square bracket"
    outside = re.sub(r"\[[^\]]*\]", "*", text)
    if outside.count("(") != outside.count(")"):
        return "unclosed parenthesis"
    open_rings: set[str] = set()
    for label in re.findall(r"%\d\d|\d", outside):
        open_rings ^= {label.lstrip("%").lstrip("0") or "0"}
    if open_rings:
        return "unclosed ring"
    unknown = re.sub(r"Cl|Br|[BCNOPSFIbcnops]|[-=#$:/\\.()*~]|%?\d", "", outside)
    if unknown:
        return f"unknown symbol {unknown[0]!r}"
    if re.search(r"[-=#$:/\\(]$", outside):
        return "ends in the middle of a bond"
    return "not valid SMILES syntax"


def canonical(smiles: str, row: int | None = None) -> str:
    """RDKit's canonical isomeric SMILES.

    Raises
    ------
    MoleculeError
        When the SMILES cannot be read; see `parse`.
    """
    return Chem.MolToSmiles(parse(smiles, row))


def identity(smiles: str, row: int | None = None, stereo: bool = False) -> str:
    """Name a molecule whatever way it is written, ignoring stereochemistry, isotopes and mobile hydrogens.

    Parameters
    ----------
    smiles : str
        A molecule, or a repeat unit with two ``*``.
    row : int, optional
        Position in the table, for the error message.
    stereo : bool
        True: tell stereoisomers and isotopologues apart (the second block of the InChIKey is added).

    Returns
    -------
    str
        First block (14 letters) of the standard InChIKey: the connectivity. A repeat unit gets ``poly-`` and a hash of
        the ring that three units make, so the place where the chain was cut does not matter (``*CCO*`` is ``*COC*``).
        Any other structure with ``*``, one that InChI refuses, and one of more than 60 heavy atoms, for which InChI can
        take seconds, gets its canonical SMILES.

    Raises
    ------
    MoleculeError
        When the SMILES cannot be read; see `parse`.

    Notes
    -----
    Standard InChI counts tautomers that differ by mobile hydrogens, and an acid and its anion, as one molecule. For
    groups in a split this is the safe side. Heller et al., J. Cheminf. 2015, 7:23.
    """
    parse(smiles, row)  # names the row when it fails
    return _identity(smiles.strip(), stereo)


@lru_cache(maxsize=20_000)
def _identity(smiles: str, stereo: bool) -> str:
    mol = parse(smiles)
    text = Chem.MolToSmiles(mol, isomericSmiles=stereo)
    if not _ends(mol):
        return text if mol.GetNumHeavyAtoms() > _INCHI_LIMIT else _key(mol, stereo) or text
    try:
        unit, head, tail = _repeat_unit(smiles)
        ring = Chem.Mol()
        for link in range(3):
            ring = Chem.CombineMols(ring, _numbered(unit, {head: link + 1, tail: (link + 1) % 3 + 1}))
        with rdBase.BlockLogs():
            ring = Chem.molzip(ring)
            Chem.SanitizeMol(ring)
            closed = Chem.MolToSmiles(ring, isomericSmiles=stereo)
            closed = Chem.MolToSmiles(Chem.MolFromSmiles(closed), isomericSmiles=stereo)  # numbering left no trace
    except (MoleculeError, Chem.MolSanitizeException, RuntimeError, ValueError):
        return text
    return f"poly-{hashlib.sha256(closed.encode()).hexdigest()[:14].upper()}"


def _key(mol: Chem.Mol, stereo: bool) -> str:
    with rdBase.BlockLogs():
        return "-".join(Chem.MolToInchiKey(mol).split("-")[: 1 + stereo])


def main_part(smiles: str, row: int | None = None) -> str:
    """Largest organic part of a salt or mixture, as canonical SMILES; a structure of one part is its own.

    A salt and its free base or acid have one main part: groups in a split keep them together, which is the safe side.

    Raises
    ------
    MoleculeError
        When the SMILES cannot be read; see `parse`.
    """
    from rdkit.Chem.MolStandardize import rdMolStandardize

    with rdBase.BlockLogs():
        mol = rdMolStandardize.LargestFragmentChooser(preferOrganic=True).choose(parse(smiles, row))
    return Chem.MolToSmiles(mol)


def findings_of(smiles: str) -> tuple[list[tuple[str, str]], str | None, str | None]:
    """Say what is worth knowing of a SMILES before it is used.

    Returns
    -------
    findings : list of (str, str)
        Kind (of `course_lib.datasets.KINDS`) and detail.
    canonical, identity : str or None
        None when it is not a molecule.
    """
    try:
        mol = parse(smiles)
    except MoleculeError as error:
        if error.reason == "a space inside":
            return [("space in SMILES", f"{smiles!r}")], None, None
        return [("not a molecule", f"{smiles!r} ({error.reason})")], None, None
    text = Chem.MolToSmiles(mol)
    findings = []
    charges = [Chem.GetFormalCharge(part) for part in Chem.GetMolFrags(mol, asMols=True, sanitizeFrags=False)]
    if min(charges) < 0 < max(charges):
        findings.append(("salt", text))
    elif len(charges) > 1:
        findings.append(("mixture", text))
    if sum(charges):
        findings.append(("ion", f"{text} (net charge {sum(charges):+d})"))
    if _ends(mol):
        findings.append(("open ends", text))
    return findings, text, identity(text)


def formula(smiles: str, row: int | None = None) -> str:
    """Molecular formula in Hill order, for instance ``"C8H8"``; of a repeat unit, without its open ends.

    Raises
    ------
    MoleculeError
        When the SMILES cannot be read; see `parse`.
    """
    return re.sub(r"\*\d*", "", rdMolDescriptors.CalcMolFormula(parse(smiles, row)))


def _ends(mol: Chem.Mol) -> list[int]:
    return [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]


def _repeat_unit(smiles: str, row: int | None = None) -> tuple[Chem.Mol, int, int]:
    mol = parse(smiles, row)
    ends = _ends(mol)
    if len(ends) != 2:
        raise MoleculeError(smiles, f"{len(ends)} open ends '*' instead of 2", row, "a repeat unit")
    for end in ends:
        bonds = mol.GetAtomWithIdx(end).GetBonds()
        if len(bonds) != 1 or bonds[0].GetBondType() != Chem.BondType.SINGLE:
            raise MoleculeError(smiles, "an end '*' must be held by one single bond", row, "a repeat unit")
    if mol.GetBondBetweenAtoms(*ends) is not None:
        raise MoleculeError(smiles, "nothing between the ends '*'", row, "a repeat unit")
    if len(Chem.GetMolFrags(mol)) != 1:
        raise MoleculeError(smiles, "more than one fragment", row, "a repeat unit")
    return mol, ends[0], ends[1]


def h_capped(repeat_unit: str, row: int | None = None) -> str:
    """Close both ends of a repeat unit with hydrogen: ``"*CC(*)c1ccccc1"`` gives ethylbenzene.

    Parameters
    ----------
    repeat_unit : str
        SMILES with exactly two ``*``, each held by a single bond.
    row : int, optional
        Position in the table, for the error message.

    Returns
    -------
    str
        Canonical SMILES.

    Raises
    ------
    MoleculeError
        When the text is not a repeat unit, or the result is not a molecule.
    """
    return oligomer(repeat_unit, n=1, cap="[H]", row=row)


def oligomer(repeat_unit: str, n: int = 3, cap: str = "C", row: int | None = None) -> str:
    """Join `n` repeat units head to tail, with `cap` at both ends.

    Parameters
    ----------
    repeat_unit : str
        SMILES with exactly two ``*``; the first is the head, the second the tail.
    n : int
        Number of units, at least 1.
    cap : str
        SMILES of the end group; it is bound by its first atom. ``"C"`` is a methyl group, ``"[H]"`` a hydrogen.
    row : int, optional
        Position in the table, for the error message.

    Returns
    -------
    str
        Canonical SMILES.

    Raises
    ------
    MoleculeError
        When the text is not a repeat unit, or the result is not a molecule.
    ValueError
        When `n` is below 1.
    """
    if n < 1:
        raise ValueError(f"an oligomer needs at least 1 unit, not {n}")
    unit, head, tail = _repeat_unit(repeat_unit, row)
    options = Chem.SmilesParserParams()
    options.removeHs = False
    with rdBase.BlockLogs():
        end_group = Chem.MolFromSmiles(f"*{cap}", options)
    if end_group is None or end_group.GetNumAtoms() < 2:
        raise MoleculeError(cap, "cannot be read", row, "an end group")

    # two ends with one and the same number are joined; molzip keeps the handedness of the atoms that held them
    pieces = _numbered(end_group, {0: 1})
    for link in range(1, n + 1):
        pieces = Chem.CombineMols(pieces, _numbered(unit, {head: link, tail: link + 1}))
    pieces = Chem.CombineMols(pieces, _numbered(end_group, {0: n + 1}))
    try:
        with rdBase.BlockLogs():
            mol = Chem.RemoveHs(Chem.molzip(pieces))
            return canonical(Chem.MolToSmiles(mol), row)
    except (Chem.MolSanitizeException, RuntimeError, ValueError) as error:
        reason = f"joining the ends gives no molecule: {error}"
        raise MoleculeError(repeat_unit, reason, row, "a repeat unit") from error


def _numbered(mol: Chem.Mol, numbers: dict[int, int]) -> Chem.Mol:
    copy = Chem.Mol(mol)
    for atom, number in numbers.items():
        copy.GetAtomWithIdx(atom).SetAtomMapNum(number)
    return copy
