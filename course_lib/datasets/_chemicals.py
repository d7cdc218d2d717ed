"""The one place where the course reads the `chemicals` package.

Where the package has a lookup function it is called with ``method=``: without one it falls through to predicted values.
Three tables and the two cetane files have no function; they are named here and nowhere else.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pandas as pd

from ._base import SourceChangedError

# name here -> (module, attribute, columns that the course reads)
TABLES = {
    "sublimation": ("phase_change", "Hsub_data_Gharagheizi", ("Hsub", "error")),
    "vaporization": ("phase_change", "Hvap_data_CRC", ("Hvap298", "HvapTb", "Tb")),
    "permittivity": ("permittivity", "permittivity_data_CRC", ("Permittivity", "T")),
}
# name here -> file in the package's folder Misc
FILES = {
    "cetane_florian_liming": "Florian_Liming_CETANE_experimental.tsv",
    "cetane_combustdb": "Travis_Kessler_Combustdb_CETANE.tsv",
}
# name here -> (module, lookup function, tables by method: read for their CAS numbers only)
LOOKUPS = {
    "research_octane": ("combustion", "RON", "RON_sources"),
    "motor_octane": ("combustion", "MON", "MON_sources"),
    "flash_point": ("safety", "T_flash", "Tflash_sources"),
    "dipole": ("dipole", "dipole_moment", "dipole_sources"),
    "critical_temperature": ("critical", "Tc", "Tc_sources"),
    "fusion": ("phase_change", "Hfus", "Hfus_sources"),
    "melting_point": ("phase_change", "Tm", "Tm_sources"),
    "refractive_index": ("refractivity", "RI", "RI_sources"),
    "logp": ("environment", "logP", "logP_sources"),
}


def table(name: str) -> pd.DataFrame:
    """Read one of `TABLES` or `FILES`; the index holds CAS numbers.

    Raises
    ------
    SourceChangedError
        When the installed package lacks it, or one of its columns.
    """
    if name in FILES:
        from chemicals.utils import source_path

        path = Path(source_path) / "Misc" / FILES[name]
        if not path.is_file():
            raise _changed(f"the file Misc/{FILES[name]}")
        frame, columns = pd.read_csv(path, sep="\t", index_col=0), ("CETANE",)
    else:
        module, attribute, columns = TABLES[name]
        frame = _attribute(module, attribute)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise _changed(f"the column {missing[0]!r} of {FILES.get(name) or '.'.join(TABLES[name][:2])}")
    frame = frame[list(columns)].astype(float)
    frame.index = frame.index.astype(str).str.strip()
    return frame


def lookup(name: str, method: str) -> pd.DataFrame:
    """Call a lookup function with ``method=`` for every CAS number of that method's table.

    Returns
    -------
    pandas.DataFrame
        Index CAS number, column ``value``, and ``t_k`` where the function also gives a temperature.

    Raises
    ------
    SourceChangedError
        When the installed package lacks the function, the method or the list of CAS numbers.
    """
    module, function, tables = LOOKUPS[name]
    call = _attribute(module, function)
    if method not in _attribute(module, f"{function}_all_methods"):
        raise _changed(f"the method {method!r} of {module}.{function}")
    call("64-17-5")  # the tables are there from the first call on
    rows = {}
    for cas in _attribute(module, tables)[method].index:
        result = call(cas, method=method)
        value, temperature = result if isinstance(result, tuple) else (result, None)
        if value is not None:
            rows[str(cas).strip()] = (value, temperature)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "t_k"]).astype(float)
    return frame if frame["t_k"].notna().any() else frame[["value"]]


def structures(cas_numbers: list[str]) -> dict[str, tuple[str, str]]:
    """Name and SMILES of each CAS number that the package has a structure for.

    The first call reads the package's PubChem tables: about 1.5 s and 230 MB.
    """
    from chemicals.identifiers import get_pubchem_db

    database = get_pubchem_db()
    if not database.finished_loading:
        database.finish_loading()
    found = {}
    for cas in cas_numbers:
        entry = database.search_CAS(cas)
        if entry and entry.smiles:
            found[cas] = (entry.common_name, entry.smiles)
    return found


def _attribute(module: str, attribute: str):
    try:
        return getattr(import_module(f"chemicals.{module}"), attribute)
    except (ImportError, AttributeError) as error:
        raise _changed(f"{module}.{attribute}") from error


def _changed(what: str) -> SourceChangedError:
    from importlib.metadata import version

    return SourceChangedError(
        f"chemicals {version('chemicals')} has no {what}, which the course reads (it was built with 1.5.2). "
        "Install the version that requirements.txt names."
    )
