"""The embedded sets: measured properties from the `chemicals` package, one row per molecule.

The same steps for every set: read its sources side by side, state ``y`` by rule (the first source that has a value),
find the structure by CAS number, leave out what cannot be used, and say why in ``Dataset.left_out``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import settings
from course_lib.molecules import MoleculeError, identity, parse

from . import _chemicals
from ._base import Dataset, data_file, entry, fingerprint, make

# The elements of organic chemistry; a structure with any other is left out.
ELEMENTS = frozenset(["H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I", "Se"])
# 15 to 30 degrees C, as tables with one decimal have it.
ROOM = (288.0, 303.2)
FLAMMABLE_BELOW_K = 333.15
OCTANE_CENSORED = 120.0


@dataclass(frozen=True)
class Recipe:
    """How one set is made.

    Attributes
    ----------
    read : callable
        Gives a frame with CAS numbers as index, one column per source in the order in which the rule of ``y`` takes
        them, and further columns.
    sources : tuple of str
        The columns that hold values.
    y : callable
        From the value by rule to ``y``.
    keep : callable, optional
        From the frame to a Series of reasons (empty text: keep).
    remark : callable, optional
        From the frame to a Series of remarks on rows that stay, the frame's column ``remark``.
    stereo_tolerance : float, optional
        Where stereoisomers differ by more than this, a structure drawn without its stereochemistry is left out: it
        stands for several of them (unit of the value).
    """

    read: Callable[[], pd.DataFrame]
    sources: tuple[str, ...]
    y: Callable[[pd.Series], pd.Series] = lambda value: value
    keep: Callable[[pd.DataFrame], pd.Series] | None = None
    remark: Callable[[pd.DataFrame], pd.Series] | None = None
    stereo_tolerance: float | None = None


def _lookups(name: str, **methods: str) -> Callable[[], pd.DataFrame]:
    """Columns named by the keywords, each from one method of a lookup function."""
    return lambda: pd.DataFrame({column: _chemicals.lookup(name, key)["value"] for column, key in methods.items()})


def _sublimation() -> pd.DataFrame:
    return (_chemicals.table("sublimation") / 1000).rename(columns={"Hsub": "gharagheizi", "error": "stated_error"})


def _vaporization(column: str) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        frame = _chemicals.table("vaporization")
        return pd.DataFrame({"crc": frame[column] / 1000, "boiling_point_k": frame["Tb"]})

    return read


def _permittivity() -> pd.DataFrame:
    return _chemicals.table("permittivity").rename(columns={"Permittivity": "crc", "T": "t_k"})


def _refractive_index() -> pd.DataFrame:
    return _chemicals.lookup("refractive_index", "CRC").rename(columns={"value": "crc"})


def _fusion() -> pd.DataFrame:
    return _lookups("fusion", crc="CRC")() / 1000


def _cetane() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "florian_liming": _chemicals.table("cetane_florian_liming")["CETANE"],
            "combustdb": _chemicals.table("cetane_combustdb")["CETANE"],
        }
    )


def _flash_point() -> pd.DataFrame:
    frame = _lookups("flash_point", iec="IEC 60079-20-1 (2010)", serat="Serat DIPPR (2017)")()
    modelled = frame["serat"].map(_decimals) >= 8
    frame["serat_model_output"] = frame["serat"].where(modelled)
    frame["serat"] = frame["serat"].where(~modelled)
    return frame


def _decimals(value: float) -> int:
    """How many decimals the number is written with; none for a missing one."""
    return 0 if np.isnan(value) else len(repr(float(value)).partition(".")[2].rstrip("0"))


def _only_model(frame: pd.DataFrame) -> pd.Series:
    only = frame["iec"].isna() & frame["serat"].isna() & frame["serat_model_output"].notna()
    return only.map({True: "value written with 8 or more decimals: model output", False: ""})


def _at_room_temperature(frame: pd.DataFrame) -> pd.Series:
    outside = ~frame["t_k"].between(*ROOM)
    reason = frame["t_k"].map(lambda t: f"measured at {t:g} K, outside {ROOM[0]:g}-{ROOM[1]:g} K")
    return reason.where(frame["t_k"].notna(), "no temperature stated").where(outside, "")


def _octane(name: str) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        frame = _lookups(name, florian_liming="FLORIAN_LIMING", combustdb="COMBUSTDB")()
        # CombustDB's CAS numbers are not always those of the fuel (polymers, oils, an alkoxide are among them):
        # its values stand beside, for the molecules of the other source only
        return frame[frame["florian_liming"].notna()]

    return read


def _octane_scale(table: pd.DataFrame) -> pd.Series:
    """Mark the two fuels that define the scale, and round values at its upper end."""
    defines = table["cas"].isin(["142-82-5", "540-84-1"])
    remark = (table["y"] == OCTANE_CENSORED).map({True: "exactly 120: perhaps 'at least 120'", False: ""})
    return remark.where(~defines, "defines the scale, not measured")


RECIPES = {
    "sublimation": Recipe(_sublimation, ("gharagheizi",)),
    "permittivity": Recipe(_permittivity, ("crc",), y=np.log10, keep=_at_room_temperature),
    "flammable": Recipe(
        _flash_point,
        ("iec", "serat"),
        y=lambda flash: (flash <= FLAMMABLE_BELOW_K).astype(float),
        keep=_only_model,
    ),
    "octane": Recipe(_octane("research_octane"), ("florian_liming",), remark=_octane_scale),
    "motor_octane": Recipe(_octane("motor_octane"), ("florian_liming",), remark=_octane_scale),
    "cetane": Recipe(_cetane, ("florian_liming", "combustdb")),
    "dipole": Recipe(
        _lookups("dipole", cccbdb="CCCBDB", muller="MULLER", poling="POLING"), ("cccbdb", "muller", "poling")
    ),
    "logp": Recipe(_lookups("logp", crc="CRC"), ("crc",)),
    "critical_temperature": Recipe(_lookups("critical_temperature", iupac="IUPAC"), ("iupac",)),
    "vaporization_298": Recipe(_vaporization("Hvap298"), ("crc",)),
    "vaporization_boiling": Recipe(_vaporization("HvapTb"), ("crc",)),
    "fusion": Recipe(_fusion, ("crc",)),
    "refractive_index": Recipe(_refractive_index, ("crc",), keep=_at_room_temperature),
    "melting_point": Recipe(
        _lookups("melting_point", crc="CRC_ORG", open_notebook="OPEN_NTBKM"),
        ("crc", "open_notebook"),
        stereo_tolerance=5.0,
    ),
}


def load(name: str) -> Dataset:
    """Load an embedded set; its table is cached, and made again when the cache is broken or an input changed."""
    entry(name)
    frame, left_out = settings.cached(derive, "chemicals", "rdkit")(name, _fingerprint())
    return make(name, frame, left_out)


def _fingerprint() -> str:
    """Everything beside the packages that the derived tables depend on."""
    here = Path(__file__)
    return fingerprint(
        here, here.with_name("_chemicals.py"), here.parents[1] / "molecules.py", data_file("exclusions.csv")
    )


def derive(name: str, key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a set from its sources.

    Parameters
    ----------
    name : str
        A key of `RECIPES`.
    key : str
        Part of the cache key only.

    Returns
    -------
    frame : pandas.DataFrame
        Columns cas, name, smiles, y, y_source, then the sources, further columns and group.
    left_out : pandas.DataFrame
        Columns cas, name, value, reason.
    """
    recipe = RECIPES[name]
    sources = list(recipe.sources)
    frame = recipe.read()
    frame.index.name = "cas"
    frame = frame[~frame.index.duplicated()]
    had_value = frame[sources].notna().any(axis=1)
    values, struck_out = _without_excluded(name, frame[sources])
    frame = frame.assign(**{source: values[source] for source in sources})
    value = values.bfill(axis=1).iloc[:, 0]
    reason = pd.Series("", index=frame.index) if recipe.keep is None else recipe.keep(frame)
    reason = reason.mask(had_value & value.isna(), "excluded: see data/exclusions.csv")
    frame, values, value, reason = (part[value.notna() | (reason != "")] for part in (frame, values, value, reason))

    found = _chemicals.structures(list(frame.index))
    names, smiles, groups = {}, {}, {}
    for cas in frame.index[reason == ""]:
        if cas not in found:
            reason[cas] = "no structure for this CAS number"
            continue
        names[cas], text = found[cas]
        smiles[cas], groups[cas], reason[cas] = _organic(text)
    kept = pd.DataFrame({"smiles": pd.Series(smiles), "value": value.reindex(list(smiles))}, index=list(smiles))
    kept = kept[kept["smiles"] != ""]
    for _, same in kept.groupby("smiles"):
        for cas in same.index[1:]:
            reason[cas] = f"same structure as CAS {same.index[0]}"
    if recipe.stereo_tolerance is not None:
        for cas, text in _flat_drawings(kept[reason[kept.index] == ""], groups, recipe.stereo_tolerance):
            reason[cas] = text

    keep = reason == ""
    index = frame.index[keep]
    table = pd.DataFrame(
        {
            "cas": index,
            "name": [names[cas] for cas in index],
            "smiles": [smiles[cas] for cas in index],
            "y": recipe.y(value[keep]).to_numpy(dtype=float),
            "y_source": values[keep].notna().idxmax(axis=1).to_numpy(),
        }
    )
    table = pd.concat([table, frame[keep].reset_index(drop=True)], axis=1)
    if recipe.remark is not None:
        table["remark"] = recipe.remark(table)
    table["group"] = [groups[cas] for cas in index]
    gone = ~keep & ~reason.str.startswith("excluded")
    entries = [*zip(frame.index[gone], value[gone], reason[gone], strict=True), *struck_out]
    left_out = pd.DataFrame(entries, columns=["cas", "value", "reason"])
    left_out.insert(1, "name", [found.get(cas, ("",))[0] for cas in left_out["cas"]])
    order = table["cas"].map(lambda cas: [int(part) for part in cas.split("-")]).sort_values(key=list).index
    return table.loc[order].reset_index(drop=True), left_out


def _without_excluded(name: str, values: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, float, str]]]:
    """Strike out what data/exclusions.csv lists for this set, cell by cell; also return what was struck out."""
    values, struck_out = values.copy(), []
    for cas, row in exclusions(name).iterrows():
        if cas not in values.index:
            continue
        for source in values.columns:
            found = values.loc[cas, source]
            if not np.isnan(found) and (np.isnan(row["value"]) or np.isclose(found, row["value"], rtol=1e-5)):
                values.loc[cas, source] = np.nan
                struck_out.append((cas, found, f"excluded: {row['reason']}"))
    return values, struck_out


def _flat_drawings(kept: pd.DataFrame, groups: dict[str, str], tolerance: float) -> Iterator[tuple[str, str]]:
    """Find structures drawn without stereochemistry that has a say, as their stereoisomers' values show."""
    from rdkit import Chem

    for _, same in kept.groupby(pd.Series(groups)):
        span = np.ptp(same["value"])
        if len(same) < 2 or span <= tolerance:
            continue
        for cas, smiles in same["smiles"].items():
            places = Chem.FindPotentialStereo(parse(smiles))
            if any(place.specified == Chem.StereoSpecified.Unspecified for place in places):
                yield cas, f"drawn without its stereochemistry; its stereoisomers differ by {span:.1f}"


def _organic(text: str) -> tuple[str, str, str]:
    """Canonical SMILES, group and the reason why the structure is left out (empty: it is not)."""
    from rdkit import Chem

    try:
        mol = parse(text)
    except MoleculeError as error:
        return "", "", f"structure cannot be read: {error.reason}"
    smiles = Chem.MolToSmiles(mol)
    symbols = {atom.GetSymbol() for atom in mol.GetAtoms()}
    if "C" not in symbols or symbols - ELEMENTS:
        return "", "", "not an organic structure"
    if "." in smiles:
        return "", "", "salt, complex or mixture"
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return "", "", "open valence: a radical, or the structure lost its hydrogens"
    if Chem.GetFormalCharge(mol):
        return "", "", "ion without its counter-ion"
    return smiles, identity(smiles), ""


def exclusions(name: str | None = None) -> pd.DataFrame:
    """Read the values removed by hand, of one set or of all.

    Returns
    -------
    pandas.DataFrame
        Index CAS number; columns set, value (in the set's unit before `Recipe.y`; missing: every value of that CAS
        number, because its structure is wrong), reason, evidence.
    """
    frame = pd.read_csv(data_file("exclusions.csv"), index_col="cas", dtype={"cas": str})
    return frame if name is None else frame[frame["set"] == name]
