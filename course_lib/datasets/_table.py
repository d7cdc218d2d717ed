"""Somebody's own table to a Dataset, with an account of every row."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import isolated
from course_lib.molecules import identity, main_part
from course_lib.settings import progress

from ._audit import Audit, examine
from ._base import Dataset
from ._cells import POSITIVE, Numbers, is_missing, numbers, plain
from ._files import TableError, read

_SECONDS = 10.0  # for one structure
_LONGEST = 2_000  # characters of a SMILES
_TARGETS = {"y", "value", "target", "activity", "property", "measured", "measurement", "label", "result", "response"}
_NAMES = {
    "name",
    "compound",
    "molecule",
    "id",
    "title",
    "substance",
    "compound name",
    "compound_name",
    "名前",
    "化合物",
}
_NOT_TARGETS = re.compile(
    r"(row|index|id|no|nr|number|#|unnamed.*|cas.*|year|.*\bdate\b.*|.*datum|mw|mol.?weight)\.?", re.IGNORECASE
)
_IDENTIFIERS = (
    (re.compile(r"\d{2,7}-\d\d-\d"), "a CAS number"),
    (re.compile(r"InChI=.*"), "an InChI"),
    (re.compile(r"[A-Z]{14}-[A-Z]{10}-[A-Z]"), "an InChIKey"),
)
# what is left of a word of SMILES after its signs: letters that no SMILES has outside brackets
_FOREIGN = re.compile(r"\[[^\]]*\]|Cl|Br|[BCNOPSFIbcnops]")


class _Structures(dict):
    """What `course_lib.molecules.findings_of` says of each text, worked out in a second process."""

    def add(self, texts: Iterable[object], bar: bool = False) -> _Structures:
        """Look at the texts that are new."""
        new = [text for text in dict.fromkeys(texts) if isinstance(text, str) and text.strip() and text not in self]
        short = [text for text in new if len(text) <= _LONGEST]
        found = isolated.each("course_lib.molecules:findings_of", short, _SECONDS)
        for text, (value, reason) in zip(
            short, progress(found, "structures", len(short)) if bar else found, strict=True
        ):
            self[text] = _named(text, value) if value else self._lost(text, reason)
        for text in new:
            if len(text) > _LONGEST:
                self[text] = self._lost(text[:40] + "...", f"{len(text)} characters, the limit is {_LONGEST}")
        return self

    @staticmethod
    def _lost(text: str, reason: str) -> tuple:
        return [("not a molecule", f"{text!r} ({reason})")], None, None

    def molecules(self, texts: Iterable[object]) -> int:
        """How many of the texts are molecules."""
        return sum(isinstance(text, str) and self.get(text, (0, None))[1] is not None for text in texts)


def _named(text: str, value: list) -> tuple:
    """Say what stands in the place of a SMILES, when it is a name or another identifier."""
    findings, smiles, key = value
    if smiles is None:
        what = next((what for form, what in _IDENTIFIERS if form.fullmatch(text.strip())), None)
        foreign = "" if re.search(r"\s", text) and re.search(r"[\d()=#@\[\]]", text) else _FOREIGN.sub("", text)
        if what is None and (re.search("[a-z]", foreign) or any(c.isalpha() and not c.isascii() for c in foreign)):
            what = "a name"
        if what:
            findings = [("not a molecule", f"{text!r} is {what}, not a SMILES: look its structure up and check it")]
    return [tuple(finding) for finding in findings], smiles, key


def read_table(
    path: str | Path, smiles: str | None = None, target: str | None = None, group: str | None = None
) -> tuple[Dataset, Audit]:
    """Read a table of molecules and measured values, and account for every row.

    Text parted by commas, semicolons, tabs or bars, in UTF-8, UTF-16, Shift-JIS or Western European; Excel (.xlsx, its
    first sheet, hidden rows too); each also packed by gzip. Decimal commas, units in cells and percent signs are
    understood. A value below or above a limit of detection is left out, as it is not a value. Rows of one molecule (by
    canonical SMILES) are merged into one with their median. Cells are data: no formula is run.

    Parameters
    ----------
    path : str or Path
        At most 200 MB, also when unpacked, and a million rows.
    smiles : str, optional
        Column of the structures. It is guessed when that can be done without doubt; the audit's ``notes`` say what was
        guessed.
    target : str, optional
        Column of the values; guessed in the same way.
    group : str, optional
        Column of what must stay together in a split (a batch, a series). Molecules of one connectivity always share a
        group, and so do a salt and its free base or acid.

    Returns
    -------
    data : Dataset
        One row a molecule. Its `frame` has the columns smiles, y, name, n_rows (how many rows it was measured in),
        y_min, y_max, row (the first one's in the file), and the file's other columns as text. Two classes are 0 and 1.
    audit : Audit
        `counts` (rows = used + merged + left_out) and `rows` (each row of the file below its header: number as a
        spreadsheet shows it, fate, reason, and the text of its cells).

    Raises
    ------
    TableError
        When the file or a column cannot be read, or the choice of a column is in doubt; says what to do.
    """
    return _read(Path(path), smiles, target, group, labelled=True)


def read_molecules(path: str | Path, smiles: str | None = None) -> tuple[Dataset, Audit]:
    """Read molecules without values, such as candidates for the next measurement; as `read_table`, all `y` are NaN."""
    return _read(Path(path), smiles, None, None, labelled=False)


def _read(
    path: Path, smiles: str | None, target: str | None, group: str | None, labelled: bool
) -> tuple[Dataset, Audit]:
    raw, structures = read(path), _Structures()
    notes = list(raw.notes)
    header, top, start = _header(raw.rows, structures, labelled, notes)
    body, width, most = raw.rows[start:], len(header), max(len(header), raw.widths[top])
    if not body:
        raise TableError(f"{path.name} holds a header and no row")
    ragged = {
        at: f"{raw.widths[start + at]} fields where the header has {width}"
        for at, row in enumerate(body)
        if len(row) > width or (row and raw.widths[start + at] > most)
    }
    if 2 * len(ragged) > len(body):
        first, what = next(iter(ragged.items()))
        raise TableError(
            f"{path.name}: most rows have more fields than the header has names (row {start + first + 1}: {what}). Is "
            "a decimal comma taken for the end of a field? Save with semicolons or with quotation marks. If each row "
            "ends with such a mark, let the header end with one too"
        )
    columns = [[row[place] if place < len(row) else "" for row in body] for place in range(width)]
    chosen = _smiles_column(header, columns, smiles, structures, notes)
    texts = [str(cell).strip() for cell in columns[chosen]]
    at, label = None, None
    if labelled:
        at, label = _target_column(header, columns, target, {chosen}, raw.semicolons, start + 1, notes)
        notes += label.notes
        missing = label.why | ragged
    else:
        label, missing = Numbers(np.zeros(len(body))), ragged
    label.value[list(missing)] = np.nan
    structures.add(texts, bar=len(texts) > 200)
    if not structures.molecules(texts):
        raise TableError(_no_molecule(header[chosen], texts, structures))
    labels = columns[_column(header, group, "group")] if group is not None else None
    audit = examine(texts, label.value, missing, structures, range(start + 1, start + 1 + len(body)))
    audit.rows["cells"] = [" | ".join(plain(cell) for cell in row) for row in body]
    if not labelled:
        audit.rows["y"] = np.nan
        audit.rows["reason"] = audit.rows["reason"].str.replace(r": the median of .* is taken$", "", regex=True)
    # a salt may not be learned from while its free base is tested on
    keys = {
        text: identity(main_part(canonical)) if canonical and "." in canonical else key
        for text, (_, canonical, key) in structures.items()
    }
    return _dataset(
        path, header, columns, {chosen, at}, audit, [keys.get(text) for text in texts], label.units, labels, notes
    )


# -------------------------------------------------------------------------------------------------- header and columns
def _header(rows: list[list], structures: _Structures, labelled: bool, notes: list[str]) -> tuple[list[str], int, int]:
    """Names of the columns, position of the table's first row, and that of the first row of molecules."""
    filled = {at: count for at, row in enumerate(rows) if (count := sum(bool(str(cell).strip()) for cell in row))}
    usual = Counter(filled.values()).most_common(1)[0][0]
    top = next(at for at, count in filled.items() if 2 * count > usual)
    first = [plain(cell) for cell in rows[top]]
    structures.add(first)
    a_number = any(np.isfinite(numbers([cell]).value[0]) for cell in rows[top])
    if structures.molecules(first) and (a_number or not labelled):
        notes.append("no header: columns are called by their numbers")
        return [f"column {place + 1}" for place in range(max(map(len, rows[top:])))], top, top
    if top:
        notes.append(f"the header is row {top + 1}; what stands above is not read")
    if labelled and len(first) < 2:
        raise TableError(f"the table has one column only ({first[0]!r}): it takes structures and values")
    seen: Counter[str] = Counter()
    names = []
    for place, text in enumerate(first):
        name = text or f"column {place + 1}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    doubled = [name for name, count in seen.items() if count > 1]
    if doubled:
        notes.append(f"columns of one name are numbered from the second on: {', '.join(map(repr, doubled))}")
    return names, top, top + 1


def _column(header: list[str], name: str, what: str) -> int:
    """Position of a column asked for by name."""
    lower = [text.lower() for text in header]
    wanted = plain(name)
    if f"{wanted} (2)" in header:
        raise TableError(
            f"two columns are called {wanted!r}: give them different names, or ask for {wanted + ' (2)'!r}"
        )
    if wanted in header:
        return header.index(wanted)
    if lower.count(wanted.lower()) == 1:
        return lower.index(wanted.lower())
    near = get_close_matches(wanted.lower(), lower, n=1)
    hint = f"Did you mean {header[lower.index(near[0])]!r}? " if near else ""
    raise TableError(f"there is no column {name!r} for {what}. {hint}There are: {', '.join(map(repr, header[:30]))}")


def _smiles_column(header, columns, name, structures, notes) -> int:
    if name is not None:
        return _column(header, name, "smiles")
    samples = [list(dict.fromkeys(str(c).strip() for c in column if str(c).strip()))[:30] for column in columns]
    telling = [place for place, text in enumerate(header) if "smiles" in text.lower()]
    places = telling or [place for place, sample in enumerate(samples) if any(re.search("[A-Za-z]", c) for c in sample)]
    for place in places:
        structures.add(samples[place])
    found = {place: structures.molecules(samples[place]) for place in places}
    share = {place: found[place] / max(1, len(samples[place])) for place in places}
    good = [place for place in places if share[place] > (0 if telling else 0.7)]
    if not good:
        place = max(places, key=share.get, default=0)
        raise TableError(_no_molecule(header[place], samples[place], structures))
    best = max(good, key=found.get)
    notes.append(f"guessed: structures stand in column {header[best]!r}")
    return best


def _no_molecule(name: str, texts: list[str], structures: _Structures) -> str:
    structures.add(texts[:30])
    lost = (structures[text][0][0][1] for text in texts if text in structures and structures[text][1] is None)
    detail = next(lost, "nothing can be used")
    return (
        f"no column of SMILES was found; the nearest is {name!r}: {detail}. Structures are never guessed from names: "
        "add a column of SMILES (PubChem finds them by name or CAS number), and say smiles='its name'"
    )


def _target_column(header, columns, name, taken, semicolons, first, notes) -> tuple[int, Numbers]:
    if name is not None:
        place = _column(header, name, "target")
        result = numbers(columns[place], header[place], semicolons)
        if not np.isfinite(result.value).any():
            raise TableError(
                f"column {header[place]!r} holds no value that can be used: {_unusable(result, columns[place], first)}"
            )
        return place, result
    read = {
        place: numbers(columns[place], header[place], semicolons) for place in range(len(header)) if place not in taken
    }
    filled = {place: sum(not is_missing(cell) for cell in columns[place]) for place in read}
    found = [place for place in read if 2 * np.isfinite(read[place].value).sum() >= max(filled[place], 1)]
    found = [place for place in found if not _numbers_rows(header[place], read[place].value)] or found
    found = [place for place in found if read[place].units != "0/1" or _says_yes(columns[place])] or found
    telling = [place for place in found if _bare(header[place]) in _TARGETS]
    if len(found) > 1 and len(telling) == 1:
        found = telling
    # the column that was measured may hold ranges, bounds, dates or other units for the most part: no words, no blanks
    spoilt = {
        place: sum(
            not why.endswith(": not a number") and not is_missing(columns[place][at])
            for at, why in read[place].why.items()
        )
        for place in read
    }
    lost = [
        place
        for place in read
        if 2 * spoilt[place] > filled[place]
        and not _NOT_TARGETS.fullmatch(_bare(header[place]))
        and not all(_IDENTIFIERS[0][0].fullmatch(plain(cell)) for cell in columns[place] if not is_missing(cell))
    ]
    if len(found) == 1 and (not lost or found == telling):
        notes.append(f"guessed: values stand in column {header[found[0]]!r}")
        return found[0], read[found[0]]
    names = ", ".join(repr(header[place]) for place in (found + lost or read))
    what = (
        "may each be the target: say which one it is, target='its name'" if found else "hold no numbers or two classes"
    )
    shown = lost or ([] if found else ([place for place in read if filled[place]] or [*read])[:3])
    why = "".join(f". Column {header[place]!r}: {_unusable(read[place], columns[place], first)}" for place in shown)
    raise TableError(f"the columns {names} {what}{why}")


def _unusable(read: Numbers, cells: list, first: int) -> str:
    """How many cells of a column cannot be used, an example by its row, and what to write instead."""
    given = [at for at, cell in enumerate(cells) if not is_missing(cell)] or list(range(len(cells)))
    bad = [at for at in given if at in read.why]
    return (
        f"{len(bad)} of {len(given)} cells cannot be used, such as row {first + bad[0]}, {read.why[bad[0]]}. Write "
        "one number into each cell: the middle of a range, nothing for a bound, the number that was made a date"
    )


def _says_yes(cells: list) -> bool:
    """Whether one of a column's two words is a usual one for the positive class; else they may be names."""
    return any(plain(cell).lower() in POSITIVE for cell in cells)


def _bare(name: str) -> str:
    """Name of a column without its unit."""
    return re.split(r"\s*[(\[]|\s/\s", name)[0].strip().lower()


def _numbers_rows(name: str, value: np.ndarray) -> bool:
    """Whether a column counts or names the rows, by its name or by rising in steps of one."""
    value = value[np.isfinite(value)]
    return bool(_NOT_TARGETS.fullmatch(_bare(name))) or (
        len(value) > 2 and np.array_equal(value, np.arange(len(value)) + value[0])
    )


# ------------------------------------------------------------------------------------------------------------- result
def _dataset(path, header, columns, taken, audit, keys, units, labels, notes) -> tuple[Dataset, Audit]:
    """Dataset of the used rows; `keys` names the connectivity of each row's main part, None where there is none."""
    rows = audit.rows
    kept = rows[rows["fate"] != "left out"]
    merged = kept.groupby("smiles", sort=False)["y"].agg(["median", "size", "min", "max"])
    if set(kept["y"]) <= {0.0, 1.0}:
        units = "0/1"
        torn = kept.index[kept["smiles"].map(merged["median"]) == 0.5]
        where = rows.loc[torn, "reason"].str.split(":").str[0]
        rows.loc[torn, "reason"] = where + ": as many say 0 as say 1"
        rows.loc[torn, "fate"] = "left out"
    used = rows.index[rows["fate"] == "used"]
    if not len(used):
        reasons = rows["reason"].str.split(":").str[0].value_counts()
        raise TableError(
            f"none of the {len(rows)} rows of {path.name} can be used: "
            + ", ".join(f"{count} {reason}" for reason, count in reasons.items())
            + f". The first is row {rows['row'].iloc[0]}, {rows['reason'].iloc[0]}"
        )
    others = [place for place in range(len(header)) if place not in taken]
    name = next((place for place in others if header[place].lower() in _NAMES), None)
    chosen = merged.loc[rows.loc[used, "smiles"]].reset_index()
    frame = pd.DataFrame({"smiles": chosen["smiles"], "y": chosen["median"]})
    frame["name"] = chosen["smiles"] if name is None else [plain(columns[name][at]) for at in used]
    frame[["n_rows", "y_min", "y_max"]] = chosen[["size", "min", "max"]]
    frame["row"] = rows.loc[used, "row"].to_numpy()
    extra = {
        header[place]: [plain(columns[place][at]) for at in used] for place in others if header[place] not in frame
    }
    frame = pd.concat([frame, pd.DataFrame(extra, dtype=object, index=frame.index)], axis=1)
    label = keys if labels is None else _united(kept.index, keys, [plain(cell) for cell in labels])
    audit = replace(audit, notes=tuple(notes))
    counts = audit.counts
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    data = Dataset(
        name=path.name,
        smiles=frame["smiles"].to_numpy(dtype=object),
        y=frame["y"].to_numpy(dtype=float),
        units=units,
        groups=np.array([label[at] for at in used], dtype=object),
        names=frame["name"].to_numpy(dtype=object),
        frame=frame,
        card=f"## {path.name}\n\nSHA-256 {digest}. {counts['rows']} rows: {counts['used']} used, {counts['merged']} "
        f"merged, {counts['left_out']} left out. " + "; ".join(notes) + ".\n",
        left_out=rows.loc[rows["fate"] == "left out", ["row", "reason"]].reset_index(drop=True),
    )
    return data, audit


def _united(kept: pd.Index, keys: list, labels: list[str]) -> dict[int, str]:
    """One label for all kept rows that hang together by their molecule or by the given group."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    molecule, _ = pd.factorize(np.array([keys[at] for at in kept], dtype=object))
    given = [labels[at] or f"of its own {number}" for at, number in zip(kept, molecule, strict=True)]
    series, names = pd.factorize(np.array(given, dtype=object))
    size = molecule.max() + 1 + len(names)
    edges = coo_matrix((np.ones(len(kept)), (molecule, series + molecule.max() + 1)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    return {at: f"group {component[number]}" for at, number in zip(kept, molecule, strict=True)}
