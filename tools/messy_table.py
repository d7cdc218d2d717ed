"""Write the messy table of lesson 10 and its list of candidates, from the embedded heats of sublimation.

A table as a colleague might send it: Western European text, semicolons, decimal commas, a title above the header, units
in some cells, names and CAS numbers among the SMILES, limits of detection, repeated measurements, one slip of the pen.
What is planted is stated here, so that the lesson and its test can say what should be found. Molecules and values are
those of the set; repeated values have noise added, since a compilation holds none.

    python tools/messy_table.py      writes data/lab_table.csv and data/lab_candidates.csv
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from course_lib.datasets import load

DATA = Path(__file__).resolve().parents[1] / "data"
NOISE = 4.0  # kJ/mol, standard deviation of one repeated measurement
SLIP = 5  # the molecule (counted from 0) whose decimal comma is one place too far to the right
N, CANDIDATES = 72, 24


def rows() -> tuple[list[list[str]], list[list[str]]]:
    """Rows of the table below its header, and of the list of candidates."""
    rng = np.random.default_rng(10)
    pool = load("sublimation")
    chosen = pool.subset(rng.permutation(len(pool))[: N + CANDIDATES])
    smiles, y = chosen.smiles[:N], chosen.y[:N]

    def comma(value: float) -> str:
        return f"{value:.1f}".replace(".", ",")

    cells = [comma(value) for value in y]
    cells[SLIP] = comma(10 * y[SLIP])
    for at in (3, 11, 20):
        cells[at] += " kJ/mol"
    cells[27] = f"{comma(y[27] / 4.184)} kcal/mol"
    cells[33], cells[34], cells[35] = "<50", "n.d.", ">200"
    cells[41] = f"{cells[41]} ± 2,5"
    table = [[f"A-{at + 1:03d}", text, cell, ""] for at, (text, cell) in enumerate(zip(smiles, cells, strict=True))]
    repeated = rng.choice(np.setdiff1d(np.arange(N), [SLIP, 27, 33, 34, 35, 41]), 10, replace=False)
    for at in repeated:
        table.append([f"B-{at + 1:03d}", smiles[at], comma(y[at] + rng.normal(scale=NOISE)), "zweite Messung"])
    table += [
        ["A-100", "naphthalene", "72,6", ""],
        ["A-101", "91-20-3", "72,4", "CAS"],
        ["A-102", "c1ccc2ccccc2c1 (lab book 7)", "72,9", ""],
        ["A-103", "C1CCCCC", "61,0", "gezeichnet von Hand"],
        ["", "", "", ""],
        ["A-104", "OC(=O)c1ccccc1", "=B7+1", ""],
        ["A-105", "OC(=O)c1ccccc1O", "95,1", "<b>prüfen</b>"],
    ]
    order = rng.permutation(len(table))
    return [table[at] for at in order], [[text] for text in chosen.smiles[N:]]


def texts() -> tuple[bytes, str]:
    """Return what the two files hold."""
    table, candidates = rows()
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=";", lineterminator="\n")
    writer.writerow(["Sublimation, Labor 3, Größe: Enthalpie", "", "", ""])
    writer.writerow(["Probe", "SMILES", "Enthalpie (kJ/mol)", "Bemerkung"])
    writer.writerows(table)
    return stream.getvalue().encode("cp1252"), "smiles\n" + "".join(f"{text}\n" for (text,) in candidates)


def main() -> None:
    table, candidates = texts()
    (DATA / "lab_table.csv").write_bytes(table)
    (DATA / "lab_candidates.csv").write_bytes(candidates.encode())


if __name__ == "__main__":
    main()
