"""Numbers, units and classes from the cells of somebody's table; nothing is guessed for a single cell."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

MISSING = {
    *(
        "",
        "-",
        "--",
        "–",
        "—",
        "?",
        ".",
        "na",
        "n/a",
        "n.a.",
        "nan",
        "nd",
        "n.d.",
        "n.d",
        "none",
        "null",
        "missing",
        "tbd",
    ),
    *("#n/a", "#value!", "#div/0!", "#ref!", "#name?", "#num!", "#null!", "not determined", "not measured", "未測定"),
}
POSITIVE = {"yes", "y", "true", "t", "active", "positive", "pos", "+", "1", "toxic", "hit", "high", "pass"}

_NUMBER = r"[+-]?(?:\d[\d.,' ]*\d|\d|[.,]\d+)(?:e[+-]?\d+)?"
_CELL = re.compile(rf"(?P<about>~|≈|ca\.?|c\.|about|approx\.?)?\s*(?P<number>{_NUMBER})(?P<rest>.*)", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(\D.*)?")
_UNIT = re.compile(r"\s*([%‰°µμΩA-Za-z][^\d<>=±,;]{0,11}(?:[-^]?\d)?(?:[ /·*][^\d<>=±,;]{1,8}(?:[-^]?\d)?){0,3})\s*")
_THOUSANDS = re.compile(r"\d{1,3}([.,' ])\d{3}(\1\d{3})*")


@dataclass
class Numbers:
    """One column as numbers.

    Attributes
    ----------
    value : ndarray of float, shape (n_rows,)
        NaN where the cell holds no value that can be used.
    why : dict of int to str
        For those rows the reason.
    units : str
        What the cells bear, or "0/1" for two classes.
    notes : list of str
        What was guessed or put right, for the column as a whole.
    """

    value: np.ndarray
    why: dict[int, str] = field(default_factory=dict)
    units: str = ""
    notes: list[str] = field(default_factory=list)


def plain(cell: object) -> str:
    """Text of a cell: full-width letters and digits, odd minus signs and invisible characters made ordinary ones."""
    text = unicodedata.normalize("NFKC", str(cell))
    return re.sub(r"[\u200b-\u200f\u2060\ufeff]", "", text).replace("\u2212", "-").strip()


def is_missing(cell: object) -> bool:
    """Whether a cell says that there is no value."""
    return plain(cell).lower() in MISSING


def decimal_comma(texts: Sequence[str], semicolons: bool) -> tuple[bool, str]:
    """Decide for a column whether "12,345" has a decimal comma; with a note when only the file's form says so."""
    single = [text for text in texts if text.count(",") == 1 and "." not in text]
    if any(not _THOUSANDS.fullmatch(text.lstrip("+-")) or text.lstrip("+-").startswith("0") for text in single):
        return True, "commas are read as decimal commas"
    if not single:
        return False, ""
    if semicolons and not any("." in text for text in texts):
        return True, f"{single[0]!r} is read with a decimal comma, since the file's fields end with semicolons or tabs"
    return False, f"{single[0]!r} is read as thousands: write it without a comma if that is wrong"


def number(text: str, comma: bool) -> float | str:
    """Value of digits with marks, or why it has none."""
    mantissa, _, exponent = text.lower().partition("e")
    sign, digits = ("-" if mantissa.startswith("-") else ""), mantissa.lstrip("+-")
    marks = [mark for mark in digits if mark in ".,"]
    if re.search(r"[' ]", digits):
        if not _THOUSANDS.fullmatch(re.split(r"[.,]", digits)[0]):
            return "several numbers"
        digits = re.sub(r"[' ]", "", digits)
    if len(set(marks)) == 2:  # the last mark is the decimal one
        if marks.count(marks[-1]) > 1:
            return "not a number"
        digits = digits.replace(marks[0], "").replace(",", ".")
    elif len(marks) > 1:
        if not _THOUSANDS.fullmatch(digits):
            return "not a number"
        digits = digits.replace(marks[0], "")
    elif marks == [","]:
        digits = digits.replace(",", "" if _THOUSANDS.fullmatch(digits) and not comma else ".")
    elif marks == ["."] and comma and _THOUSANDS.fullmatch(digits) and not digits.startswith("0"):
        return "decimal point or thousands? Other rows have a decimal comma"
    value = float(f"{sign}{digits}{'e' + exponent if exponent else ''}")
    return value if np.isfinite(value) else "not finite"


def _cell(cell: object, comma: bool) -> tuple[float, str, str]:
    """(value, unit, reason or remark); the value is NaN when the last is a reason."""
    nothing = float("nan")
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return (float(cell), "", "") if np.isfinite(cell) else (nothing, "", "not finite")
    text = plain(cell)
    if text.lower() in MISSING:
        return nothing, "", f"no value ({text})" if text else "empty"
    if text[0] in "<>≤≥":
        return nothing, "", "a bound, not a value"
    if text[0] in "=@":
        return nothing, "", "a formula, not a value; it is never run"
    text = re.sub(r"\s*[x×*·]\s*10\s*\^?\s*(?=[+-]?\d)", "e", text)
    found = _CELL.fullmatch(text)
    if found is None or _DATE.fullmatch(text):
        return nothing, "", "a date, not a number" if _DATE.fullmatch(text) else "not a number"
    value, rest = number(found["number"], comma), found["rest"].strip()
    if isinstance(value, str):
        return nothing, "", value
    if re.match(r"(±|\+/?-|\(\d[\d.,]*\))", rest):
        rest, remark = re.sub(r"^(±|\+/?-)\s*[\d.,]+|^\([\d.,]+\)", "", rest).strip(), "a stated error is left aside"
    else:
        remark = "'about' is left aside" if found["about"] else ""
    if re.match(r"(-|–|\.\.|to\b|/)\s*\d", rest):
        return nothing, "", "a range, not a value"
    unit = _UNIT.fullmatch(rest) if rest else None
    if rest and unit is None:
        return nothing, "", "not a number"
    return value, unit[1].strip() if unit else "", remark


def numbers(cells: Sequence[object], header: str = "", semicolons: bool = False) -> Numbers:
    """Read a column of numbers, or of two classes.

    Parameters
    ----------
    cells : sequence
        Texts, or numbers as a spreadsheet holds them.
    header : str
        Name of the column; a unit in brackets or after a slash counts when no cell bears one.
    semicolons : bool
        Whether semicolons or tabs part the file's fields, so that a comma may be a decimal one.

    Returns
    -------
    Numbers
    """
    texts = [plain(cell) for cell in cells if isinstance(cell, str)]
    comma, note = decimal_comma([m["number"] for m in map(_CELL.fullmatch, texts) if m], semicolons)
    read = [_cell(cell, comma) for cell in cells]
    result = Numbers(np.array([value for value, _, _ in read], dtype=float), notes=[note] if note else [])
    usable = np.isfinite(result.value)
    given = [row for row, cell in enumerate(cells) if not is_missing(cell)]
    if 2 * usable.sum() < len(given) and (classes := _classes([cells[row] for row in given])):
        result.value = np.array([classes.get(plain(cell).lower(), np.nan) for cell in cells])
        first, second = classes
        result.units, result.notes = "0/1", [f"two classes: {second!r} is 1, {first!r} is 0"]
        result.why = {row: "no value" for row in range(len(cells)) if row not in set(given)}
        return result
    for row in np.flatnonzero(~usable).tolist():
        text = plain(cells[row])
        result.why[row] = f"{text!r}: {read[row][2]}" if text else "empty"
    remarks = Counter(read[row][2] for row in np.flatnonzero(usable) if read[row][2])
    result.notes += [f"{remark} (cells: {count})" for remark, count in remarks.items()]
    _settle_units(result, [unit for _, unit, _ in read], usable, header)
    return result


def _classes(cells: Sequence[object]) -> dict[str, float]:
    """Codes of exactly two words, the negative one first; none for any other column."""
    words = sorted({plain(cell).lower() for cell in cells})
    if len(words) != 2 or any(re.match(r"[<>≤≥=]|.*\d", word) for word in words):
        return {}
    if words[0] in POSITIVE:
        words.reverse()
    return {words[0]: 0.0, words[1]: 1.0}


def _settle_units(result: Numbers, units: list[str], usable: np.ndarray, header: str) -> None:
    """Keep the rows that bear the column's unit. Rows without one are taken to share it, save beside percent signs."""
    counts = Counter(units[row] for row in np.flatnonzero(usable))
    named = {unit: count for unit, count in counts.items() if unit}
    in_header = re.search(r"[(\[]([^)\]]{1,15})[)\]]\s*$|\s/\s*(\S{1,15})\s*$", header)
    if not named:
        result.units = (in_header[1] or in_header[2]).strip() if in_header else ""
        return
    strict = "%" in named
    main = max(counts if strict else named, key=counts.get)
    result.units = main
    allowed = {main} if strict else {main, ""}
    for row in np.flatnonzero(usable):
        if units[row] not in allowed:
            result.value[row] = np.nan
            have, most = (f"unit {unit!r}" if unit else "no unit" for unit in (units[row], main))
            result.why[int(row)] = f"{have}, where most rows have {most}"
    if not strict and counts[""]:
        result.notes.append(f"cells without a unit ({counts['']}) are taken to be in {main!r}")
