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
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_MONTH = re.compile(
    r"[-./ ]*(jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-zäû]{0,6}\.?([-./ ]+\d+)?",
    re.IGNORECASE,
)
# what stands where a unit might stand, in a cell or in the brackets of a header
_REMARKS = {
    *("dec", "decomp", "decomposed", "decomposition", "subl", "sublimes"),
    *("lit", "exp", "expt", "calc", "corr", "mean", "avg", "average", "median"),
}


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


def _text(cell: object) -> str:
    """Give a cell as `plain` does, with "^" before raised digits: they are a power or a footnote, not more digits."""
    return plain(re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+", lambda found: "^" + found[0].translate(_RAISED), str(cell)))


def decimal_mark(texts: Sequence[str], semicolons: bool) -> tuple[str, bool, str]:
    """Decide for a column whether its decimal mark is a comma or a point.

    Parameters
    ----------
    texts : sequence of str
        Digits with marks.
    semicolons : bool
        Whether the file's fields end with semicolons or tabs.

    Returns
    -------
    mark : {".", ","}
    shown : bool
        Whether a cell with both marks shows it, so that the other mark parts thousands.
    note : str
        When something was decided.
    """
    both = {max(".,", key=text.rfind): text for text in texts if "." in text and "," in text}
    if len(both) == 1:
        mark, text = next(iter(both.items()))
        return mark, True, f"commas are read as {'decimal commas' if mark == ',' else 'thousands'}, as in {text!r}"
    commas, points = ([t for t in texts if t.count(mark) == 1 and other not in t] for mark, other in (",.", ".,"))
    if any(not _like_thousands(text) for text in commas):
        return ",", False, "commas are read as decimal commas"
    if commas and semicolons and not any("." in text for text in texts):
        why = "since the file's fields end with semicolons or tabs"
        return ",", False, f"{commas[0]!r} is read with a decimal comma, {why}"
    if commas:
        return ".", False, f"{commas[0]!r} is read as thousands: write it without a comma if that is wrong"
    if points and semicolons and all(map(_like_thousands, points)):
        return ".", False, f"{points[0]!r} is read with a decimal point: write it without one if it means thousands"
    return ".", False, ""


def _like_thousands(digits: str) -> bool:
    digits = digits.lstrip("+-")
    return bool(_THOUSANDS.fullmatch(digits)) and not digits.startswith("0")


def number(text: str, decimal: str, shown: bool = False) -> float | str:
    """Value of digits with marks, or why it has none; `decimal` and `shown` as `decimal_mark` gives them."""
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
    elif marks == [","] and decimal == ".":
        if not _like_thousands(digits):
            return "a decimal comma? Other rows have a decimal point: write it in one way"
        digits = digits.replace(",", "")
    elif marks == [","]:
        digits = digits.replace(",", ".")
    elif marks == ["."] and decimal == "," and _like_thousands(digits):
        if not shown:
            return "decimal point or thousands? Other rows have a decimal comma: write it in one way"
        digits = digits.replace(".", "")
    value = float(f"{sign}{digits}{'e' + exponent if exponent else ''}")
    return value if np.isfinite(value) else "not finite"


def _cell(cell: object, decimal: str, shown: bool) -> tuple[float, str, str]:
    """(value, unit, reason or remark); the value is NaN when the last is a reason."""
    nothing = float("nan")
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return (float(cell), "", "") if np.isfinite(cell) else (nothing, "", "not finite")
    text = _text(cell)
    if text.lower() in MISSING:
        return nothing, "", f"no value ({text})" if text else "empty"
    if text[0] in "<>≤≥":
        return nothing, "", "a bound, not a value"
    if text[0] in "=@":
        return nothing, "", "a formula, not a value; it is never run"
    text = re.sub(r"^([+-]?)10\s*\^\s*(?=[+-]?\d)", r"\g<1>1e", text)
    text = re.sub(r"\s*[x×*·]\s*10\s*(\^\s*(?=[+-]?\d)|(?=[+-]\d))", "e", text)
    found = _CELL.fullmatch(text)
    if found is None or _DATE.fullmatch(text):
        return nothing, "", "a date, not a number" if _DATE.fullmatch(text) else "not a number"
    value, rest = number(found["number"], decimal, shown), found["rest"].strip()
    if isinstance(value, str):
        return nothing, "", value
    if re.match(r"(±|\+/?-|\(\d[\d.,]*\))", rest):
        rest, remark = re.sub(r"^(±|\+/?-)\s*[\d.,]+|^\([\d.,]+\)", "", rest).strip(), "a stated error is left aside"
    else:
        remark = "'about' is left aside" if found["about"] else ""
    reason = _no_unit(value, rest)
    if reason:
        return nothing, "", reason
    unit = _UNIT.fullmatch(rest) if rest else None
    return value, unit[1].strip().replace("^", "") if unit else "", remark


def _no_unit(value: float, rest: str) -> str:
    """Why what stands behind a number spoils it; nothing when it is a unit or empty."""
    if re.match(r"(-|–|\.\.|to\b|/)\s*\d", rest):
        return "a range, not a value"
    if rest.startswith("^"):
        return "a raised digit, a footnote or a power: write the number alone"
    if re.match(r"[x×*·]\s*\d|e[+-]?\d", rest):
        return "a product, not a value: write 1.2e3 for 1.2 times 10^3"
    if _MONTH.fullmatch(rest) and 1 <= value <= 31:
        return "a date, not a number"
    if rest.strip("(). ").lower() in _REMARKS:
        return f"{rest!r} is a remark, not a unit: give it a column of its own"
    return "not a number" if rest and not _UNIT.fullmatch(rest) else ""


def numbers(cells: Sequence[object], header: str = "", semicolons: bool = False) -> Numbers:
    """Read a column of numbers, or of two classes.

    Parameters
    ----------
    cells : sequence
        Texts, or numbers as a spreadsheet holds them.
    header : str
        Name of the column; a unit in brackets or after a slash at its end is that of the column.
    semicolons : bool
        Whether semicolons or tabs part the file's fields, so that a comma may be a decimal one.

    Returns
    -------
    Numbers
    """
    texts = [_text(cell) for cell in cells if isinstance(cell, str)]
    decimal, shown, note = decimal_mark([m["number"] for m in map(_CELL.fullmatch, texts) if m], semicolons)
    read = [_cell(cell, decimal, shown) for cell in cells]
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
        text = _as_written(cells[row])
        result.why[row] = f"{text!r}: {read[row][2]}" if text else "empty"
    remarks = Counter(read[row][2] for row in np.flatnonzero(usable) if read[row][2])
    result.notes += [f"{remark} (cells: {count})" for remark, count in remarks.items()]
    _settle_units(result, cells, [unit for _, unit, _ in read], header)
    return result


def _classes(cells: Sequence[object]) -> dict[str, float]:
    """Codes of exactly two words, the negative one first; none for any other column."""
    words = sorted({plain(cell).lower() for cell in cells})
    if len(words) != 2 or any(re.match(r"[<>≤≥=]|.*\d", word) for word in words):
        return {}
    if words[0] in POSITIVE:
        words.reverse()
    return {words[0]: 0.0, words[1]: 1.0}


def _as_written(cell: object) -> str:
    """Text of a cell for a reason: raised digits stay raised."""
    return plain(cell) if _text(cell) == plain(cell) else str(cell).strip()


def _header_unit(header: str) -> str:
    """Return the unit at the end of a column's name, in brackets or after a slash; what cannot be one is none."""
    found = re.search(r"[(\[]([^)\]]{1,15})[)\]]\s*$|\s/\s*(\S{1,15})\s*$", re.sub(r" \(\d+\)$", "", header))
    unit = re.split("[,;]", found[1] or found[2])[0].strip() if found else ""
    condition = unit.isdigit() or re.search("[=<>]", unit) or re.match(r"pH\b|\d[\d.]*\s*(°|[CKF]$)", unit)
    return "" if condition or unit.lower().strip(".") in _REMARKS else unit


def _one_form(unit: str) -> str:
    """Write a unit in one form, to compare it: "kJ mol-1" as "kJ/mol", "uM" as "µM", "C" as "°C"."""
    unit = re.sub(r"[ ·*^()]", "", unit).rstrip(".")
    unit = re.sub(r"/([^\d/]+)(\d*)", lambda found: f"{found[1]}-{found[2] or 1}", unit)
    return "°C" if unit in ("C", "oC", "degC") else re.sub("^[uµ](?=[MmgLlsPV])", "μ", unit)


def _settle_units(result: Numbers, cells: Sequence[object], units: list[str], header: str) -> None:
    """Keep the rows that bear the column's unit: the header's, else that of at least as many cells as bear none.

    Rows without a unit are taken to share it, save beside percent signs that no header speaks of.
    """
    usable = np.flatnonzero(np.isfinite(result.value)).tolist()
    counts = Counter(units[row] for row in usable)
    stated = _header_unit(header)
    main = stated or max(counts, key=lambda unit: (counts[unit], unit != ""), default="")
    result.units = main
    strict = main == "%" and not stated
    borne = any(not unit or _one_form(unit) == _one_form(main) for unit in counts)
    for row in usable:
        unit, text = units[row], _as_written(cells[row])
        fits = _one_form(unit) == _one_form(main) if unit else not strict
        if fits:
            continue
        result.value[row] = np.nan
        if not unit:
            result.why[row] = f"{text!r}: no unit, where most rows have {main}: write the unit into the cell"
            continue
        others = f"the header says {main}" if stated else f"where most rows have {main or 'none'}"
        remedy = "convert it in the file" if main else "take it out, or convert it and name the unit in the header"
        remedy += "" if borne else ", or correct the header"
        result.why[row] = f"{text!r}: unit {unit}, {others}: {remedy}"
    if main and not strict and counts[""] and len(counts) > 1:
        result.notes.append(f"cells without a unit ({counts['']}) are taken to be in {main!r}")
