"""A fitted model in a file that holds no code, and predictions from it.

skops writes arrays, numbers and the names of classes; loading makes objects of those classes alone that are listed here
or that skops trusts itself. A pickle, in contrast, may run anything.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from course_lib.datasets import TableError, read_molecules
from course_lib.report.models import features
from course_lib.report.splitting import distances

__all__ = ["keep", "load", "predict", "save", "spreadsheet_safe"]

FORMAT = 1
MAX_BYTES = 1_000_000_000
TRUSTED = {
    "collections.OrderedDict",
    "course_lib.featurize.transformer.Descriptors",
    "course_lib.models.baselines.GaussianProcess",
    "course_lib.models.baselines.PLS",
    "course_lib.models.baselines.TanimotoKernel",
    "course_lib.models.boosting.LightGBMClassifier",
    "course_lib.models.boosting.LightGBMRegressor",
    "course_lib.report.intervals.CVPlus",
    "course_lib.report.models.Probability",
    "lightgbm.basic.Booster",
    "numpy.clip",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
}


def keep(inputs: Iterable[str | Path], outputs: Iterable[str | Path]) -> None:
    """Refuse to write over what is read. The first of the outputs is the one that the caller has named.

    Raises
    ------
    TableError
        When an output is one of the inputs, by whatever name, or two outputs have one name.
    """
    inputs, outputs = [Path(path) for path in inputs], [Path(path) for path in outputs]
    for path in outputs:
        if outputs.count(path) > 1:
            raise TableError(f"{path} would be written twice: give the page a name that ends in .html")
        for source in inputs:
            if path.exists() and source.exists() and path.samefile(source):
                other = f"{outputs[0].stem}_new{outputs[0].suffix}"
                raise TableError(
                    f"{source} is read, and {path} would be written over it: choose another name, such as {other!r}"
                )


def save(path: Path, study: Any, bits: np.ndarray) -> None:
    """Write a study's model, with what it takes to use it: features, fingerprints of its molecules, the domain."""
    import skops.io

    stored = {
        "format": FORMAT,
        "model": study.model,
        "features": study.features,
        "name": study.recommended,
        "units": study.numbers["data"]["units"],
        "domain_limit": study.numbers["domain"]["limit"],
        "bits": np.packbits(bits, axis=1),
        "n_bits": bits.shape[1],
    }
    skops.io.dump(stored, path)


def load(path: str | Path) -> dict[str, Any]:
    """Read what `save` wrote.

    Raises
    ------
    TableError
        When it is no such file, is too large, or names a class that a report does not write.
    """
    import skops.io

    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        unknown = set(skops.io.get_untrusted_types(file=path)) - TRUSTED if size <= MAX_BYTES else set()
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise TableError(f"{path.name} is not a model that a report has written ({error})") from error
    if size > MAX_BYTES:
        raise TableError(f"{path.name} unpacks to {size / 1e9:.1f} GB; a report's model has less than 1 GB")
    if unknown:
        raise TableError(f"{path.name} holds {', '.join(sorted(unknown))}, which no report writes: it is not loaded")
    stored = skops.io.load(path, trusted=sorted(TRUSTED))
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise TableError(f"{path.name} is not a model of this version of the report: make the report again")
    return stored


def predict(model: str | Path, path: str | Path, smiles: str | None = None) -> pd.DataFrame:
    """Predict the molecules of a file with a model that a report has stored.

    Parameters
    ----------
    model : str or Path
        The ``.skops`` file.
    path : str or Path
        Table of molecules, in any form that `course_lib.datasets.read_molecules` takes.
    smiles : str, optional
        Its column of SMILES.

    Returns
    -------
    DataFrame
        row, name, smiles, predicted, low and high (not for classes), distance (to the nearest molecule of the model's
        table), in_domain. ``attrs["left_out"]`` has the rows that were not predicted, and why.
    """
    stored = load(model)
    new, _ = read_molecules(path, smiles)
    bits = features("bits", list(new.smiles))
    X = bits if stored["features"] == "bits" else features(stored["features"], list(new.smiles))
    table = new.frame[["row", "name", "smiles"]].assign(predicted=stored["model"].predict(X))
    if hasattr(stored["model"], "interval"):
        low, high = stored["model"].interval(X)
        table = table.assign(low=low, high=high)
    known = np.unpackbits(stored["bits"], axis=1, count=stored["n_bits"])
    distance = distances(bits, known).min(axis=1)
    table = table.assign(distance=distance, in_domain=distance <= stored["domain_limit"])
    table.attrs["left_out"] = new.left_out.to_dict("records")
    return table


def spreadsheet_safe(table: pd.DataFrame) -> pd.DataFrame:
    """Copy of a table whose texts no spreadsheet takes for a formula: an apostrophe stands before ``= + - @``."""
    table = table.copy()
    for column in table.select_dtypes("object"):
        table[column] = [
            f"'{value}" if isinstance(value, str) and value.startswith(tuple("=+-@\t\r")) else value
            for value in table[column]
        ]
    return table
