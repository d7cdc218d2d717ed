"""What a report compares: three tables of features, baselines and models that scikit-learn's own format can store.

All are scikit-learn estimators or built of them, since a model is saved by skops, which holds arrays and estimators and
no torch module. So the Gaussian processes are scikit-learn's.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import ConstantKernel
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib import isolated, settings
from course_lib.featurize import Descriptors, mordred2d, morgan
from course_lib.models import LightGBMClassifier, LightGBMRegressor, baselines

__all__ = ["BASELINES", "CONSTANT", "FEATURES", "Probability", "candidates", "features"]

FEATURES = {
    "counts": "molecular weight and atom counts",
    "bits": "Morgan fingerprint, radius 3, 2048 bits",
    "mordred": "Mordred 2D descriptors",
}
CONSTANT = "mean"
BASELINES = (CONSTANT, "nearest neighbours", "ridge on atom counts", "PLS on descriptors")
_SECONDS = 30.0  # for the descriptors of one molecule


def features(kind: str, smiles: list[str], n_jobs: int = 1) -> np.ndarray:
    """Table of shape (n, p) for canonical SMILES.

    Descriptors are worked out in `n_jobs` processes beside this one. A molecule that takes longer than 30 s gets a row
    of NaN, which models fill with medians.
    """
    smiles = list(smiles)
    if kind == "counts":
        return baselines.AtomCounts().transform(smiles)
    if kind == "bits":
        return morgan(smiles).to_numpy(dtype=bool)
    found = isolated.each("course_lib.report.models:descriptors", smiles, _SECONDS, effective_n_jobs(n_jobs))
    rows = [value for value, _ in settings.progress(found, "descriptors", len(smiles))]
    width = next((len(row) for row in rows if row), 1)
    return np.array([row if row else [np.nan] * width for row in rows], dtype=float)


def descriptors(smiles: str) -> list[float]:
    """Mordred's 2D descriptors of one molecule, for the second process."""
    return mordred2d([smiles]).iloc[0].tolist()


class Probability(RegressorMixin, BaseEstimator):
    """A classifier of 0 and 1 that predicts the probability of 1, so that it is compared as a regressor is.

    Trained on one class only it predicts that class.

    Parameters
    ----------
    classifier : estimator with ``predict_proba``
    """

    def __init__(self, classifier=None):
        self.classifier = classifier

    def fit(self, X, y):
        """Fit on X of shape (n, p) and y of 0 and 1, shape (n,)."""
        y = np.asarray(y, dtype=float)
        one = len(np.unique(y)) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a kernel's variance at its limit: there is no signal
            self.model_ = (DummyClassifier(strategy="prior") if one else clone(self.classifier)).fit(X, y)
        self.classes_ = np.asarray(self.model_.classes_)
        return self

    def predict(self, X):
        """Probability of 1, shape (n,)."""
        share = self.model_.predict_proba(X)
        return share[:, 1] if share.shape[1] == 2 else np.full(len(share), self.classes_[0])


def candidates(binary: bool, random_state: int = 0) -> dict[str, tuple[Any, str]]:
    """Estimators by name, each with the key of its features: baselines first, the constant one foremost.

    What is tuned is tuned inside ``fit``, on the rows that it is given: components of PLS, penalty of the ridge,
    kernels by marginal likelihood. LightGBM is not tuned, but its leaves may hold 5 molecules: its default of 20 is
    more than small data can fill.
    """
    leaves = {"min_child_samples": 5, "max_bin": 63, "random_state": random_state}
    if binary:
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * baselines.TanimotoKernel()
        models = {
            CONSTANT: (DummyClassifier(strategy="prior"), "counts"),
            "nearest neighbours": (KNeighborsClassifier(5, metric="jaccard", weights="distance"), "bits"),
            "ridge on atom counts": (make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), "counts"),
            "Gaussian process on fingerprints": (GaussianProcessClassifier(kernel, random_state=random_state), "bits"),
            "LightGBM on descriptors": (
                make_pipeline(Descriptors(scale=False), LightGBMClassifier(**leaves)),
                "mordred",
            ),
        }
        return {name: (Probability(model), kind) for name, (model, kind) in models.items()}
    return {
        CONSTANT: (baselines.mean(), "counts"),
        "nearest neighbours": (KNeighborsRegressor(5, metric="jaccard", weights="distance"), "bits"),
        "ridge on atom counts": (make_pipeline(StandardScaler(), RidgeCV(baselines.ALPHAS)), "counts"),
        "PLS on descriptors": (baselines.pls(random_state=random_state), "mordred"),
        "Gaussian process on fingerprints": (baselines.GaussianProcess("tanimoto", random_state=random_state), "bits"),
        "Gaussian process on descriptors": (baselines.gp_matern(random_state=random_state), "mordred"),
        "LightGBM on descriptors": (make_pipeline(Descriptors(scale=False), LightGBMRegressor(**leaves)), "mordred"),
    }
