"""What becomes of somebody's own table: each row is accounted for, each input error is a TableError."""

from __future__ import annotations

import csv
import gzip
import io
import os
import time
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openpyxl", reason="openpyxl is not installed yet: make setup")
pytest.importorskip("hypothesis", reason="hypothesis is not installed yet: make setup")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from course_lib import datasets, isolated
from course_lib.datasets import TableError, _files, read_molecules, read_table
from course_lib.datasets._cells import numbers


def excel(*sheets) -> bytes:
    book = Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"sheet {number + 1}")
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def edited(change) -> bytes:
    """Excel file of three molecules whose sheet is changed before it is stored."""
    book = Workbook()
    for row in (["smiles", "yield"], ["CCO", 0.5], ["CCN", 0.123], ["CCC", 1]):
        book.active.append(row)
    change(book.active)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        for number in range(3):
            archive.writestr(f"xl/worksheets/sheet{number}.xml", b" " * 70_000_000)
    return stream.getvalue()


GOOD = "smiles,Tg (K)\nCCO,159\nCCN,140.5\nCCC,85\n"
# name: (content, options, (used, merged, left out), words that stand in the reasons and notes)
ACCOUNTED = {
    "plain": (GOOD, {}, (3, 0, 0), ["guessed: structures", "guessed: values"]),
    "tabs": (GOOD.replace(",", "\t"), {}, (3, 0, 0), ["parted by tabs"]),
    "semicolons and decimal commas": (
        "smiles;y\nCCO;159,5\nCCN;140,25\nCCC;85\n", {}, (3, 0, 0), ["decimal commas"]
    ),
    "bars": (GOOD.replace(",", "|"), {}, (3, 0, 0), ["bars"]),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), {"smiles": "smiles"}, (3, 0, 0), ["utf-8-sig"]),
    "UTF-16": (GOOD.encode("utf-16"), {}, (3, 0, 0), ["utf-16"]),
    "UTF-16 without its mark": (GOOD.encode("utf-16-le"), {}, (3, 0, 0), ["utf-16-le"]),
    "Latin-1": ("smiles,température,Tg (°C)\nCCO,été,1\nCCN,naïf,2.5\n".encode("latin-1"), {}, (2, 0, 0), ["cp1252"]),
    "Shift-JIS": (
        "化合物,smiles,融点\nエタノール,CCO,１５９\nプロパン,CCC,８５．５\n".encode("cp932"), {}, (2, 0, 0), ["cp932"]
    ),
    "Excel": (excel([["smiles", "y"], ["CCO", 159], ["CCN", 140.5]]), {}, (2, 0, 0), ["Excel sheet 'sheet 1'"]),
    "Excel with two sheets, True and an empty row": (
        excel([["smiles", "active"], ["CCO", True], [None, None], ["CCN", False]], [["other"]]),
        {}, (2, 0, 1), ["not read: 'sheet 2'", "two classes"],
    ),
    "Excel made a date of 1.2": (
        excel([["smiles", "y"], ["CCO", 1.5], ["CCN", datetime(2026, 2, 1)], ["CCC", 2]]), {}, (2, 0, 1), ["a date"]
    ),
    "Excel formula without a stored value": (
        excel([["smiles", "y"], ["CCO", 1.5], ["CCN", "=1+1"], ["CCC", 2]]), {}, (2, 0, 1),
        ["empty", "formulas without a stored result, read as blank: 1 (first in B3)"],
    ),
    "gzip": (gzip.compress(GOOD.encode()), {}, (3, 0, 0), []),
    "gzip of Excel": (gzip.compress(excel([["smiles", "y"], ["CCO", 1], ["CC", 2.5]])), {}, (2, 0, 0), ["Excel"]),
    "values below a limit": (GOOD + "CCCC,<100\nCCCCC,>400\nCC=C,≤ 5\n", {}, (3, 0, 3), ["'<100': a bound"]),
    "words for nothing": (GOOD + "CCCC,n.d.\nCCCCC,NA\nC=C,\nC#C,-\n", {}, (3, 0, 4), ["no value (n.d.)", "empty"]),
    "units in cells": (
        "smiles,y\nCCO,159 K\nCCN,140.5K\nCCC,85\nCC,-188 °C\n", {}, (3, 0, 1),
        ["'-188 °C': unit °C, where most rows have K: convert it", "cells without a unit (1) are taken to be in 'K'"],
    ),
    "percent signs": (
        "smiles,yield\nCCO,93 %\nCCN,50%\nCCC,0.42\n", {}, (2, 0, 1), ["'0.42': no unit, where most rows have %"]
    ),
    "empty rows between": ("smiles,y\nCCO,1\n\n,\nCCN,2.5\n\n\n", {}, (2, 0, 2), ["no structure: empty"]),
    "doubled headers": (
        "smiles,y,y\nCCO,1,4\nCCN,2.5,6\n", {"target": "y (2)"}, (2, 0, 0), ["numbered from the second on: 'y'"]
    ),
    "replicates": (
        "smiles,y\nCCO,1\nOCC,3\nC(C)O,8\nCCN,2\n", {}, (2, 2, 0), ["rows 2, 3, 4: the median of 1, 3, 8 is taken"]
    ),
    "names among SMILES": (
        GOOD + "toluene,178\n64-17-5,159\n酢酸,290\n", {}, (3, 0, 3), ["is a name, not a SMILES", "is a CAS number"]
    ),
    "an InChI among SMILES": (GOOD + '"InChI=1S/CH4/h1H4",91\n', {}, (3, 0, 1), ["is an InChI"]),
    "broken SMILES": (GOOD + "C1CC,5\nCC(C,6\nC C,7\n", {}, (3, 0, 3), ["unclosed ring", "space in SMILES"]),
    "no header": ("CCO,1.5\nCCN,2\nCCC,9\n", {}, (3, 0, 0), ["no header"]),
    "lines above the header": ("Table 1,,\n,,\nsmiles,y,z\nCCO,1,a\nCCN,2.5,b\n", {}, (2, 0, 0), ["header is row 3"]),
    "a row that is too long": (GOOD + "CCCC,1,2,3\n", {}, (3, 0, 1), ["4 fields where the header has 2"]),
    "a row that is too short": (GOOD + "CCCC\n", {}, (3, 0, 1), ["no label"]),
    "thousands": (
        'smiles,y\nCCO,"1,250"\nCCN,"12,400.5"\nCCC,1 000\n', {}, (3, 0, 0), ["are read as thousands, as in '12,400.5'"]
    ),
    "thousands by their form alone": ('smiles,y\nCCO,"1,250"\nCCN,12\n', {}, (2, 0, 0), ["is read as thousands"]),
    "points that may be thousands": (
        "smiles;y\nCCO;1.234\nCCN;12\nCCC;2.500\n", {}, (3, 0, 0), ["'1.234' is read with a decimal point"]
    ),
    "one cell in another unit than the header": (
        "smiles;H (kJ/mol)\nCCO;120,5\nCCN;110,2\nCCC;105,1\nCC;26,7 kcal/mol\n", {}, (3, 0, 1),
        ["'26,7 kcal/mol': unit kcal/mol, the header says kJ/mol: convert it in the file"],
    ),
    "an unquoted decimal comma before an empty column": (
        "smiles,y,note\nCCO,12,5,\nCCN,3,a\nCCC,7,\n", {}, (2, 0, 1), ["4 fields where the header has 3"]
    ),
    "each row ends with a comma, the header too": ("smiles,y,\nCCO,12,\nCCN,3,\n", {}, (2, 0, 0), []),
    "no header, and each row ends with a comma": ("CCO,12,\nCCN,3,\n", {}, (2, 0, 0), ["no header"]),
    "names and CAS numbers beside the value": (
        "smiles,what,nr,K\nCCO,1-propanol,64-17-5,1\nCCN,2-x,71-43-2,5\n", {}, (2, 0, 0), ["stand in column 'K'"]
    ),
    "ranges beside a column that is called value": (
        "smiles,mp,value\nCCO,10-12,1\nCCN,12-14,5\n", {}, (2, 0, 0), ["values stand in column 'value'"]
    ),
    "a point or thousands": ("smiles;y\nCCO;1.234\nCCN;0,5\nCCC;1,75\n", {}, (2, 0, 1), ["point or thousands?"]),
    "stated errors, powers and ranges": (
        "smiles,y\nCCO,1.2 ± 0.1\nCCN,3.4(5)\nCCC,5e-1\nCC,6 x 10^-1\nC,10-20\nCCCC,~7\n",
        {}, (5, 0, 1), ["a range", "a stated error is left aside", "'about' is left aside"],
    ),
    "formulas and scripts": (
        "smiles,y,name\nCCO,=1+1,a\n=cmd|' /C calc'!A0,2,b\n<script>alert(1)</script>,3,c\nCCN,4,<b>x</b>\nCCC,5,d\n",
        {"target": "y"}, (2, 0, 3), ["a formula, not a value"],
    ),
    "two classes as words": (
        "smiles,activity\nCCO,active\nCCN,inactive\nCCC,Active\nCC,\n", {}, (3, 0, 1), ["'active' is 1"]
    ),
    "replicates that disagree about the class": (
        "smiles,hit\nCCO,yes\nOCC,no\nCCN,no\nCCC,yes\n", {}, (2, 0, 2), ["as many say 0 as say 1"]
    ),
    "an index and a year beside the value": (
        "id,year,smiles,y\n1,1999,CCO,5\n2,2001,CCN,7\n3,2003,CCC,1\n", {}, (3, 0, 0), ["values stand in column 'y'"]
    ),
    "infinite and huge": (GOOD + "CCCC,inf\nCCCCC,1e999\n", {}, (3, 0, 2), ["not finite"]),
    "old Mac line ends": (GOOD.replace("\n", "\r"), {}, (3, 0, 0), []),
    "polymers and salts are kept": ("smiles,y\n*CC*,1\n[Na+].[Cl-],2.5\nCCO.CC,4\n", {}, (3, 0, 0), []),
    "a SMILES of 3 000 atoms": (GOOD + f"{'C' * 3000},1\n", {}, (3, 0, 1), ["the limit is 2000"]),
}  # fmt: skip
REFUSED = {
    "no such file": (None, {}, "there is no file"),
    "nothing in it": ("", {}, "is empty"),
    "blanks only": (" \n,,\n\n", {}, "is empty"),
    "a header only": ("smiles,y\n", {}, "no row"),
    "one column": ("smiles\nCCO\nCCN\n", {}, "one column only"),
    "names only": ("name,y\nbenzene,1\ntoluene,2.5\nphenol,7\n", {}, "is a name, not a SMILES: look its structure up"),
    "CAS numbers only": ("cas,y\n64-17-5,1\n71-43-2,2.5\n", {}, "CAS number"),
    "a column that is not there": (GOOD, {"target": "Tg(K)"}, "Did you mean 'Tg (K)'"),
    "a name that stands twice": ("smiles,y,y\nCCO,1,2\n", {"target": "y"}, "two columns are called 'y'"),
    "two possible targets": ("smiles,a,b\nCCO,1,5\nCCN,3,2\nCCC,1,9\n", {}, "'a', 'b' may each be the target"),
    "three classes": ("smiles,c\nCCO,low\nCCN,mid\nCCC,high\n", {}, "hold no numbers or two classes"),
    "ranges for the most part": (
        "smiles,mp (°C)\nCCO,78-80\nCCN,12-13\nC,5\n",
        {},
        "'mp (°C)': 2 of 3 cells cannot be used, such as row 2, '78-80': a range, not a value. Write one number",
    ),
    "ranges beside numbers that are not the target": (
        "smiles,mp (°C),mass (mg)\nCCO,78-80,1.5\nCCN,12-13,2\nC,5,9\n",
        {},
        "'mass (mg)', 'mp (°C)' may each be",
    ),
    "another unit than the header's in every cell": (
        "smiles,H (kJ/mol),mass\nCCO,5 kcal/mol,1\nCCN,7 kcal/mol,3\n",
        {},
        "'5 kcal/mol': unit kcal/mol, the header says kJ/mol: convert it in the file, or correct the header",
    ),
    "dates that a spreadsheet made": ("smiles,pKa\nCCO,4. Aug\nCCN,5. Mrz\n", {}, "row 2, '4. Aug': a date"),
    "an unquoted decimal comma before an empty column": (
        "smiles,y,note\nCCO,12,5,\nCCN,1,7,\n",
        {},
        "(row 2: 4 fields where the header has 3)",
    ),
    "no value at all": ("smiles,y\nCCO,<1\nCCN,n.d.\n", {"target": "y"}, "no value that can be used"),
    "no row with both": (
        "smiles,y\nCCO,\nCCN,n.d.\nbenzen,3\n",
        {"target": "y", "smiles": "smiles"},
        "none of the 3 rows",
    ),
    "an unquoted decimal comma": ("smiles,y\nCCO,1,5\nCCN,2,5\nCCC,3,5\n", {}, "decimal comma"),
    "an old Excel file": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), {}, "save it as .xlsx"),
    "a zip archive": ("zip", {}, "is a zip archive"),
    "a damaged Excel file": (excel([["smiles", "y"], ["CCO", 1]])[:-300], {}, "cannot be read as an Excel file"),
    "a damaged gzip file": (gzip.compress(GOOD.encode())[:-12], {}, "damaged gzip file"),
    "a gzip bomb": (gzip.compress(bytes(210_000_000), 1), {}, "unpacks to more than that"),
    "an Excel bomb": (bomb(), {}, "unpacks to more than that"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, {}, "binary data"),
    "too many columns": ("smiles" + ",x" * 1001 + "\nCCO\n", {}, "1,002 columns"),
}


def write(tmp_path, content):
    path = tmp_path / "table.csv"
    if content == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.csv", GOOD)
    elif content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check_account(data, audit):
    counts = audit.counts
    assert counts["rows"] == counts["used"] + counts["merged"] + counts["left_out"] == len(audit.rows)
    assert set(audit.rows["fate"]) <= {"used", "merged", "left out"}
    assert len(data) == counts["used"] == len(set(data.smiles))
    assert (audit.rows.loc[audit.rows["fate"] == "left out", "reason"] != "").all()
    assert audit.rows["row"].is_unique
    assert list(data.left_out["row"]) == list(audit.rows.loc[audit.rows["fate"] == "left out", "row"])
    assert data.frame["n_rows"].sum() == counts["used"] + counts["merged"]
    assert np.isfinite(data.y).all()


@pytest.mark.parametrize("name", ACCOUNTED)
def test_messy_table_is_read_and_every_row_accounted_for(tmp_path, name):
    content, options, fates, words = ACCOUNTED[name]
    data, audit = read_table(write(tmp_path, content), **options)
    check_account(data, audit)
    assert (audit.counts["used"], audit.counts["merged"], audit.counts["left_out"]) == fates
    said = "\n".join([*audit.rows["reason"], *audit.notes])
    for word in words:
        assert word in said
    assert str(audit)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_with_one_kind_of_error_that_says_what_to_do(tmp_path, name):
    content, options, message = REFUSED[name]
    with pytest.raises(TableError) as caught:
        read_table(write(tmp_path, content), **options)
    assert message in str(caught.value)


def test_values_units_and_row_numbers(tmp_path):
    data, audit = read_table(
        write(tmp_path, "smiles;Tg (K);name\nCCO;159,5;ethanol\n;;\nOCC;160,5;alcohol\nCCN;1.140,5;\n")
    )
    assert data.units == "K"
    assert dict(zip(data.smiles, data.y, strict=True)) == {"CCO": 160.0, "CCN": 1140.5}
    assert list(audit.rows["row"]) == [2, 3, 4, 5]
    assert list(audit.rows["fate"]) == ["used", "left out", "merged", "used"]
    assert list(data.frame[["n_rows", "y_min", "y_max", "row"]].iloc[0]) == [2, 159.5, 160.5, 2]
    assert list(data.names) == ["ethanol", ""]
    assert "SHA-256" in data.card
    assert data.frame["smiles"].tolist() == data.smiles.tolist()


def test_classes_and_their_replicates(tmp_path):
    data, _ = read_table(write(tmp_path, "smiles,hit\nCCO,yes\nOCC,yes\nC(O)C,no\nCCN,no\n"))
    assert data.units == "0/1"
    assert dict(zip(data.smiles, data.y, strict=True)) == {"CCO": 1.0, "CCN": 0.0}


def test_groups_join_molecules_and_batches(tmp_path):
    text = "smiles,y,batch\nCCO,1,a\nCCN,2,a\nC/C=C/C,3,b\nC/C=C\\C,4,c\nCCC,5,b\nCC,6,\nC,7,\n"
    data, _ = read_table(write(tmp_path, text), group="batch")
    group = dict(zip(data.smiles, data.groups, strict=True))
    assert group["CCO"] == group["CCN"]
    assert group["C/C=C/C"] == group["C/C=C\\C"] == group["CCC"]  # stereoisomers join their batches
    assert len({group["CCO"], group["CCC"], group["CC"], group["C"]}) == 4
    plain, _ = read_table(write(tmp_path, text), target="y")
    assert len(set(plain.groups)) == 6


def test_candidates_need_no_values(tmp_path):
    data, audit = read_molecules(write(tmp_path, "smiles\nCCO\nOCC\nnonsense\nCCN\n"))
    assert list(data.smiles) == ["CCO", "CCN"]
    assert np.isnan(data.y).all()
    assert audit.counts == {"rows": 4, "used": 2, "merged": 1, "left_out": 1}
    assert "median" not in "".join(audit.rows["reason"])
    data, audit = read_molecules(write(tmp_path, "CCO\nCCN\n"))
    assert audit.counts["used"] == 2


def test_row_and_size_limits_are_checked_before_anything_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "MAX_ROWS", 50)
    with pytest.raises(TableError, match="more than 51 rows"):
        read_table(write(tmp_path, "smiles,y\n" + "CCO,1\n" * 60))
    monkeypatch.setattr(_files, "MAX_BYTES", 100)
    with pytest.raises(TableError, match="small data"):
        read_table(write(tmp_path, "smiles,y\n" + "CCO,1\n" * 20))


@pytest.mark.parametrize(
    ("cell", "value", "unit"),
    [
        ("12.5", 12.5, ""), ("−3", -3, ""), ("１２", 12, ""), ("1.5e-3", 1.5e-3, ""), ("2×10^3", 2000, ""),
        ("2·10⁻³", 0.002, ""), ("10²", 100, ""), ("5 x 10+3", 5000, ""), ("1 g/cm³", 1, "g/cm3"),
        ("12 kJ/mol", 12, "kJ/mol"), ("5 kJ mol-1", 5, "kJ mol-1"), ("1.1 g/cm3", 1.1, "g/cm3"), ("20℃", 20, "°C"),
        ("1,234,567.5", 1234567.5, ""), ("1'234", 1234, ""), ("1.234.567", 1234567, ""), (".5", 0.5, ""),
    ],
)  # fmt: skip
def test_one_cell(cell, value, unit):
    found = numbers([cell])
    assert found.value[0] == pytest.approx(value)
    assert found.units == unit


@pytest.mark.parametrize(
    ("cells", "header", "units", "values"),
    [
        (["1"] * 14 + ["0.5 mM"], "IC50 (µM)", "µM", [1.0] * 14 + [np.nan]),
        (["1"] * 14 + ["0.5 mM"], "IC50", "", [1.0] * 14 + [np.nan]),
        (["1"] * 3 + ["0.5 uM"], "IC50 (µM)", "µM", [1, 1, 1, 0.5]),
        (["5 kJ mol⁻¹", "6", "7 kcal/mol"], "H (kJ/mol)", "kJ/mol", [5, 6, np.nan]),
        (["50 %", "7"], "yield (%)", "%", [50, 7]),
        (["5 K", "7 K"], "Tg (mean)", "K", [5, 7]),
        (["5 K", "7 K"], "Tg (2)", "K", [5, 7]),
        (["210 dec.", "211 dec.", "212"], "mp", "", [np.nan, np.nan, 212]),
        (["5 Mar", "12 May 2020", "3. März", "7"], "pKa", "", [np.nan, np.nan, np.nan, 7]),
    ],
)
def test_a_cell_in_another_unit_is_left_out_and_never_names_the_column(cells, header, units, values):
    found = numbers(cells, header)
    assert found.units == units
    np.testing.assert_array_equal(found.value, values)
    assert set(found.why) == set(np.flatnonzero(np.isnan(values)))
    assert all(repr(cells[row]) in why for row, why in found.why.items())


def test_one_cell_with_both_marks_decides_for_its_column():
    found = numbers(["1.234,5", "12", "2.500", "950", "1.100"], semicolons=True)
    np.testing.assert_array_equal(found.value, [1234.5, 12, 2500, 950, 1100])
    assert found.notes == ["commas are read as decimal commas, as in '1.234,5'"]
    found = numbers(["1,234.5", "2,500", "12,5"])
    np.testing.assert_array_equal(found.value, [1234.5, 2500, np.nan])
    assert "Other rows have a decimal point" in found.why[2]


@pytest.mark.parametrize(
    "cell",
    [
        *("78.2²", "105¹", "5 x 100", "2*100", "5 x 103", "5 x 3", "1.2 ± 0.1 x 10^3", "5-Mar"),
        *("1.2.3", "12 5", "1,2,3", "2024-01-02", "12/11/2024", "abc", "1 < 2", "3 4 5", "--5", "1,234.5,6"),
    ],
)
def test_cells_that_are_no_number(cell):
    found = numbers([cell, "1"])
    assert np.isnan(found.value[0])
    assert cell in found.why[0]


# ------------------------------------------------------------------------------------------------- the second process
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_text_that_hangs_or_crashes_costs_its_own_row_only(monkeypatch, n_workers):
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    start = time.perf_counter()
    assert list(isolated.each("isolated_tasks:slow", ["a", "hang", "b"], 0.5, n_workers)) == [
        ("A", None),
        (None, "no answer within 0.5 s"),
        ("B", None),
    ]
    assert time.perf_counter() - start < 30
    assert list(isolated.each("isolated_tasks:crash", ["a", "crash", "b"], n_workers=n_workers)) == [
        (None, "not to our taste"),
        (None, "it crashes the chemistry software"),
        (None, "not to our taste"),
    ]


# ------------------------------------------------------------------------------------------------------ random tables
CELLS = st.one_of(
    st.sampled_from(
        ["CCO", "OCC", "c1ccccc1", "CC(=O)O", "C1CC", "benzene", "64-17-5", "*CC*", "", "CC C", "[Na+].[Cl-]"]
    ),
    st.sampled_from(["1", "2,5", "3.75", "<4", "n.d.", "12 K", "50 %", "1.234", "1,234", "=A1", "1e400", "yes", "no"]),
    st.floats(allow_nan=True).map(str),
    st.text(alphabet="aC1(=,;\t\n\r\"'. é漢−％<$\u200b\x00", max_size=8),
)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=12)
RELAXED = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@RELAXED
@given(rows=TABLES, mark=st.sampled_from(",;\t|"), header=st.booleans(), encoding=st.sampled_from(["utf-8", "utf-16"]))
def test_random_table_adds_up_or_is_refused(tmp_path, rows, mark, header, encoding):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=mark)
    writer.writerows([["smiles", "y", "z", "y"]] * header + rows)
    path = tmp_path / "random.csv"
    path.write_bytes(stream.getvalue().encode(encoding, errors="replace"))
    for read in (read_table, lambda p: read_table(p, smiles="smiles", target="z"), read_molecules):
        try:
            data, audit = read(path)
        except TableError:
            continue
        else:
            counts = audit.counts
            assert counts["rows"] == counts["used"] + counts["merged"] + counts["left_out"]
            assert len(data) == counts["used"] == len(set(data.smiles)) > 0


@RELAXED
@given(
    values=st.lists(st.tuples(st.sampled_from(["CCO", "OCC", "CCN", "CCC", "x"]), st.integers(-999, 999)), min_size=3)
)
def test_random_values_come_back_as_medians(tmp_path, values):
    path = tmp_path / "values.csv"
    path.write_text("smiles,y\n" + "".join(f"{smiles},{y / 4}\n" for smiles, y in values))
    canonical = {"CCO": "CCO", "OCC": "CCO", "CCN": "CCN", "CCC": "CCC"}
    expected = {}
    for smiles, y in values:
        if smiles != "x":
            expected.setdefault(canonical[smiles], []).append(y / 4)
    if not expected:
        return
    data, audit = read_table(path, smiles="smiles", target="y")
    assert {s: [y] for s, y in zip(data.smiles, data.y, strict=True)} == {
        smiles: [float(np.median(ys))] for smiles, ys in expected.items()
    }
    assert audit.counts["left_out"] == sum(smiles == "x" for smiles, _ in values)


@RELAXED
@given(content=st.binary(max_size=300))
def test_random_bytes_are_refused_or_read(tmp_path, content):
    path = tmp_path / "bytes.csv"
    path.write_bytes(content)
    try:
        data, audit = read_table(path)
    except TableError:
        return
    check_account(data, audit)


def test_read_table_uses_the_same_audit(tmp_path):
    _, audit = read_table(write(tmp_path, "smiles,y\nCCO,1\nOCC,2\nC1CC,3\n"))
    assert isinstance(audit, datasets.Audit)
    assert list(audit.having("duplicate")) == [2, 3]  # rows of the file
    assert list(audit.having("not a molecule")) == [4]
    assert "CCO in rows 2, 3: 1, 2" in str(audit)


def test_a_salt_and_its_free_base_or_acid_share_a_group(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "smiles,y,batch\nCCN,1,a\nCCN.Cl,2,b\nCC(=O)O,3,c\nCC(=O)[O-].[Na+],4,b\nCCC,5,d\n[Na+].[Cl-],6,e\n"
    )
    data, _ = read_table(path, target="y")
    assert len(data) == 6  # measured as they are, and never merged
    first, second = data.groups[:4:2]
    assert data.groups[:4].tolist() == [first, first, second, second]
    assert len(set(data.groups)) == 4
    joined, _ = read_table(path, target="y", group="batch")
    assert len(set(joined.groups[:4])) == 1  # batch b links the two
    assert len(set(joined.groups)) == 3


@pytest.mark.parametrize("condition", ["25 °C", "298 K", "pH 7.4", "n = 3"])
def test_a_condition_in_the_header_is_no_unit(tmp_path, condition):
    path = tmp_path / "t.csv"
    path.write_text(f"smiles,solubility ({condition})\nCCO,5 mg/mL\nCCC,6 mg/mL\n", encoding="utf-8")
    data, _ = read_table(path)
    assert (data.units, data.y.tolist()) == ("mg/mL", [5, 6])


@pytest.mark.parametrize("form", ["0%", "0.00%"])
def test_percent_in_excel_is_read_as_it_is_seen(tmp_path, form):
    def as_percent(sheet):
        for cell in sheet["B"][1:]:
            cell.number_format = form

    path = tmp_path / "yields.xlsx"
    path.write_bytes(edited(as_percent))
    assert list(read_table(path)[0].y) == [50, 12.3, 100]
    path.write_bytes(edited(lambda sheet: None))
    assert list(read_table(path)[0].y) == [0.5, 0.123, 1]


def test_hidden_rows_of_excel_are_read_and_told(tmp_path):
    def hide(sheet):
        sheet.row_dimensions[3].hidden = True

    path = tmp_path / "filtered.xlsx"
    path.write_bytes(edited(hide))
    data, audit = read_table(path)
    assert len(data) == 3
    assert "hidden rows, read as all others: 1. Delete the rows that you do not want" in audit.notes
    path.write_bytes(edited(lambda sheet: None))
    assert not any("hidden" in note for note in read_table(path)[1].notes)
