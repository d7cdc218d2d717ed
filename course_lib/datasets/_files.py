"""Rows of cells from a file that somebody made: text in any usual form, gzip or Excel, within bounds."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from xml.etree.ElementTree import iterparse

from ._base import DatasetError

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

MAX_BYTES = 200_000_000  # of the file, and of what it unpacks to
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1_000
MAX_CELLS = 10_000_000


class TableError(DatasetError, ValueError):
    """A table cannot be read, or does not hold what is asked of it; the message says what to do."""


@dataclass
class Raw:
    """Cells of a file as they stand there.

    Attributes
    ----------
    rows : list of list
        Texts, or numbers from a spreadsheet; rows[0] is the file's first row. Blank cells at a row's end are not kept.
    widths : list of int
        How many fields each row has in the file, with the blank ones at its end.
    semicolons : bool
        Whether a semicolon or a tab parts the fields.
    notes : list of str
        What was guessed about the form.
    """

    rows: list[list]
    widths: list[int]
    semicolons: bool
    notes: list[str]


def read(path: Path) -> Raw:
    """Read a file of rows and cells.

    Raises
    ------
    TableError
        When there is no such file, it is too large, or no table.
    """
    try:
        if not path.is_file():
            raise TableError(f"there is no file {str(path)!r}: give the path of a table (CSV, TSV, Excel .xlsx)")
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(path, f"has {path.stat().st_size / 1e6:.0f} MB")
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path.name} cannot be read ({error.strerror or error})") from error
    if content[:2] == b"\x1f\x8b":
        content = _unpacked(path, content)
    if content[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise TableError(
            f"{path.name} is an old or a protected Excel file: save it as .xlsx without a password, or as CSV"
        )
    raw = _spreadsheet(path, content) if content[:4] == b"PK\x03\x04" else _text(path, content)
    while raw.rows and not any(str(cell).strip() for cell in raw.rows[-1]):
        raw.rows.pop()  # what stands below the table
    if not raw.rows:
        raise TableError(f"{path.name} is empty: it holds no cell with anything in it")
    return raw


def _too_large(path: Path, what: str) -> TableError:
    return TableError(
        f"{path.name} {what}; the limits are {MAX_BYTES // 10**6} MB, {MAX_ROWS:,} rows, {MAX_COLUMNS:,} columns and "
        f"{MAX_CELLS:,} cells. This course is about small data: take the rows and columns that you need"
    )


def _unpacked(path: Path, content: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"{path.name} is a damaged gzip file ({error}): copy it again") from error
    if len(content) > MAX_BYTES:
        raise _too_large(path, "unpacks to more than that")
    return content


def _bounded(path: Path, rows: Iterator[list]) -> tuple[list[list], list[int]]:
    """Rows as a list, and their widths; given up as soon as there are too many. Blank cells at a row's end go."""
    kept, widths, cells = [], [], 0
    for row in rows:
        widths.append(len(row))
        while row and (row[-1] is None or row[-1] == ""):
            row.pop()
        cells += len(row)
        if len(row) > MAX_COLUMNS:
            raise _too_large(path, f"has {len(row):,} columns in row {len(kept) + 1}")
        if len(kept) >= MAX_ROWS + 1 or cells > MAX_CELLS:
            raise _too_large(path, f"has more than {len(kept):,} rows and {cells:,} cells")
        kept.append(row)
    return kept, widths


# ------------------------------------------------------------------------------------------------------------- Excel
def _spreadsheet(path: Path, content: bytes) -> Raw:
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise _too_large(path, "unpacks to more than that")
            if "xl/workbook.xml" not in archive.namelist():
                raise TableError(f"{path.name} is a zip archive, not a table: unpack it first")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        try:
            sheets = book.worksheets
            if not sheets:
                raise TableError(f"{path.name} has no worksheet")
            sheets[0].reset_dimensions()  # what the file states of its size may be wrong
            rows, widths = _bounded(path, ([_plain(cell) for cell in row] for row in sheets[0].iter_rows()))
            hidden, unknown = _unseen(sheets[0])
        finally:
            book.close()
    except TableError:
        raise
    except Exception as error:  # a damaged file fails in many ways inside openpyxl
        raise TableError(
            f"{path.name} cannot be read as an Excel file ({type(error).__name__}: {error}): save it again, or as CSV"
        ) from error
    others = [sheet.title for sheet in sheets[1:]]
    notes = [f"Excel sheet {sheets[0].title!r}" + (f"; not read: {', '.join(map(repr, others))}" if others else "")]
    if hidden:
        notes.append(f"hidden rows, read as all others: {hidden}. Delete the rows that you do not want")
    if unknown:
        notes.append(
            f"formulas without a stored result, read as blank: {len(unknown)} (first in {unknown[0]}). Open the file "
            "in Excel or LibreOffice and save it again"
        )
    return Raw(rows, widths, False, notes)


def _plain(cell: Cell) -> object:
    """Give a spreadsheet's cell as number or text; 0.5 that is shown as 50 % is read as it is seen."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{100 * value:.15g}%" if "%" in cell.number_format else value
    return str(value)


def _unseen(sheet: ReadOnlyWorksheet) -> tuple[int, list[str]]:
    """Count hidden rows, and find formulas that no program has worked out (a script wrote the file).

    openpyxl tells both only of a sheet that it holds whole, so they are read from the sheet's XML.
    """
    hidden, unknown = 0, []
    with sheet._get_source() as xml:
        for _, row in iterparse(xml):
            if row.tag.endswith("}row"):
                hidden += row.get("hidden") in ("1", "true")
                for cell in row:
                    if cell.find("{*}f") is not None and not cell.findtext("{*}v"):
                        unknown.append(cell.get("r", "a cell"))
                row.clear()
    return hidden, unknown


# -------------------------------------------------------------------------------------------------------------- text
def _text(path: Path, content: bytes) -> Raw:
    encoding = _encoding(content)
    newline = re.compile(r"\r\n?|\n")

    def lines(most: int | None = None) -> Iterator[str]:
        stream: BinaryIO = io.BytesIO(content)
        text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
        return islice(text, most)

    sample = list(lines(200))
    if any("\x00" in line for line in sample):
        raise TableError(f"{path.name} is not a table of text: it holds binary data. Save it as CSV or .xlsx")
    delimiter = _delimiter(sample)
    try:
        # csv wants lines that end in one way; old Macs ended them in \r alone
        ended = (part + "\n" for line in lines() for part in newline.split(re.sub(r"(\r\n?|\n)$", "", line)))
        parts = _bounded(path, csv.reader(ended, delimiter=delimiter, strict=False))
    except csv.Error as error:
        raise TableError(f"{path.name} cannot be read as a table ({error}): is a quotation mark left open?") from error
    name = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[delimiter]
    return Raw(*parts, delimiter in ";\t", [f"text in {encoding}, fields parted by {name}"])


def _encoding(content: bytes) -> str:
    """Name of the encoding: by its mark, else the first of UTF-8, Shift-JIS and Western European that fits."""
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return encoding
    head = content[:10_000]
    zeros = head[0::2].count(0), head[1::2].count(0)
    if max(zeros) > len(head) // 5 > 0:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    if _decodes(content, "utf-8"):
        return "utf-8"
    # Both halves of a Japanese sign are bytes; the first one is mostly below A0, where Western letters do not lie.
    leads = re.findall(rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]|[\xa0-\xff]", content)
    japanese = sum(len(lead) == 2 and lead[0] < 0xA0 for lead in leads)
    if 2 * japanese > len(leads) and _decodes(content, "cp932"):
        return "cp932"
    return "cp1252" if _decodes(content, "cp1252") else "latin-1"


def _decodes(content: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(content), 1_000_000):  # the whole text at once would take four times the memory
            decoder.decode(content[start : start + 1_000_000])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(sample: list[str]) -> str:
    """Return the mark that cuts most rows into the same number of fields, and into more than one."""

    def fit(mark: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=mark) if any(cell.strip() for cell in row)]
        except csv.Error:
            return 0.0, 0
        width, count = Counter(widths).most_common(1)[0] if widths else (0, 0)
        same_as_first = bool(widths) and widths[0] == width
        return (count / len(widths) + same_as_first, width) if width > 1 else (0.0, 0)

    return max((",", ";", "\t", "|"), key=fit)
