"""Tables as text: a lesson's figures are compared cell by cell as text when it is tested."""

from __future__ import annotations

import pandas as pd

__all__ = ["print_table"]


def print_table(table: pd.DataFrame, digits: str = "{}", *, missing: str = "-", index: bool = True) -> None:
    """Print a table, its columns two spaces apart at least, so that headings of several words stay apart.

    Parameters
    ----------
    table : DataFrame
    digits : str
        Format of the figures, such as ``"{:.2f}"``; text stays as it is.
    missing : str
        What stands where a figure is missing.
    index : bool
        Whether the names of the rows are printed.

    Raises
    ------
    ValueError
        When ``digits`` is no format of a number.
    """
    digits.format(0.0)  # says so before anything is printed

    def text(value: object) -> str:
        if isinstance(value, str):
            return value
        return missing if pd.isna(value) else digits.format(value)

    shown = table.map(text).rename_axis(None, axis=1)
    print(shown.to_string(index=index, col_space=[len(str(column)) + 2 for column in shown]))
