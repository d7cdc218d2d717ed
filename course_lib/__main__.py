"""The command line: ``python -m course_lib report FILE --target COLUMN`` and ``... predict MODEL FILE``."""

from __future__ import annotations

import argparse
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it is done, 2 when the input is at fault (one line on stderr says how)."""
    parser = argparse.ArgumentParser(prog="python -m course_lib", description="From a spreadsheet to a decision.")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("report", help="study a table of SMILES and a measured value")
    make.add_argument("file", help="CSV, TSV or Excel (.xlsx), also packed by gzip")
    make.add_argument("--target", help="column of the values (guessed when there is no doubt)")
    make.add_argument("--smiles", help="column of the structures (guessed when there is no doubt)")
    make.add_argument("--group", help="column of what must stay together in a split, such as a batch")
    make.add_argument("--candidates", help="file of molecules to predict and to choose from")
    make.add_argument("--out", default="report.html", help="the page; other files get its name (default: %(default)s)")
    make.add_argument("--level", type=float, default=0.9, help="of the intervals (default: %(default)s)")
    make.add_argument("--next", type=int, default=5, help="how many candidates to propose (default: %(default)s)")
    make.add_argument("--minimise", action="store_true", help="small values are wanted")
    make.add_argument("--quick", action="store_true", help="fewer splits: wider intervals, in a fraction of the time")
    make.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    make.add_argument("--seed", type=int, default=0)
    ask = commands.add_parser("predict", help="predict molecules with a model that a report has stored")
    ask.add_argument("model", help="the .skops file")
    ask.add_argument("file", help="table of molecules")
    ask.add_argument("--smiles", help="column of the structures")
    ask.add_argument("--out", default="predictions.csv", help="(default: %(default)s)")
    chosen = parser.parse_args(arguments)

    from course_lib.datasets import DatasetError

    try:
        return _report(chosen) if chosen.command == "report" else _predict(chosen)
    except (DatasetError, OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _report(chosen: argparse.Namespace) -> int:
    from course_lib.report import report

    options = {"smiles": chosen.smiles, "group": chosen.group, "candidates": chosen.candidates, "out": chosen.out}
    options |= {"level": chosen.level, "k": chosen.next, "maximise": not chosen.minimise, "quick": chosen.quick}
    print(report(chosen.file, chosen.target, **options, n_jobs=chosen.jobs, random_state=chosen.seed))
    return 0


def _predict(chosen: argparse.Namespace) -> int:
    from course_lib.report import predict
    from course_lib.report.saving import keep, spreadsheet_safe

    keep([chosen.model, chosen.file], [chosen.out])
    table = predict(chosen.model, chosen.file, chosen.smiles)
    spreadsheet_safe(table).to_csv(chosen.out, index=False)
    left_out = table.attrs["left_out"]
    print(f"{len(table)} molecules predicted, {int(table['in_domain'].sum())} of them inside the domain: {chosen.out}")
    for row in left_out:
        print(f"  left out: row {row['row']}, {row['reason']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
