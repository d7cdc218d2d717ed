"""Baselines that every lesson's model has to beat, each a scikit-learn estimator or pipeline.

======================= ============================ ==========================================================
name                    X                            what it is
======================= ============================ ==========================================================
`mean`                  anything                     the mean of the training values
`ridge_counts`          SMILES, shape (n,)           ridge on molecular weight and atom counts
`group_contribution`    SMILES, shape (n,)           ridge on counts of atom environments (radius 1)
`tanimoto_gp`           SMILES, shape (n,)           Gaussian process on Morgan bits, Tanimoto kernel
`random_forest`         descriptors, shape (n, p)    random forest
`pls`                   descriptors, shape (n, p)    partial least squares
`gp_matern`             descriptors, shape (n, p)    Gaussian process, Matern kernel
`mlp`                   descriptors, shape (n, p)    neural network with one hidden layer, trained from scratch
======================= ============================ ==========================================================

Those on descriptors take the raw table of ``featurize.mordred2d`` (NaN allowed): choosing, imputing and scaling
columns is part of the pipeline, so it is learned on training rows only.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, NormalizedKernelMixin, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = [
    "PLS",
    "AtomCounts",
    "EnvironmentCounts",
    "GaussianProcess",
    "MorganBits",
    "TanimotoKernel",
    "gp_matern",
    "group_contribution",
    "mean",
    "mlp",
    "pls",
    "random_forest",
    "ridge_counts",
    "tanimoto_gp",
]

ALPHAS = np.logspace(-3, 4, 29)  # ridge penalties on standardised columns, chosen by leave-one-out


# ---------------------------------------------------------------------------------------- from SMILES to columns
def _smiles(X) -> list[str]:
    """One SMILES a row, from a 1-D array or a table with one column."""
    values = np.asarray(X, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"X must be SMILES, one a molecule, got an array of shape {values.shape}")
    return values.tolist()


class _FromSmiles(TransformerMixin, BaseEstimator):
    """A transformer that needs no fitting and takes SMILES as X."""

    def fit(self, X, y=None):
        """Check the SMILES; nothing is learned."""
        _smiles(X)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.requires_fit = False
        return tags


class AtomCounts(_FromSmiles):
    """Molecular weight (g/mol) and number of atoms of each element, hydrogens too, attachment points ``*`` not."""

    elements = ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I")

    def transform(self, X) -> np.ndarray:
        """Table of shape (n, 14): weight, the twelve elements, all others."""
        from rdkit.Chem.Descriptors import MolWt

        from course_lib.molecules import parse

        table = np.zeros((len(_smiles(X)), len(self.elements) + 2))
        place = {symbol: number + 1 for number, symbol in enumerate(self.elements)}
        for row, smiles in enumerate(_smiles(X)):
            mol = parse(smiles, row=row)
            table[row, 0] = MolWt(mol)
            for atom in mol.GetAtoms():
                if atom.GetAtomicNum() > 0:
                    table[row, place.get(atom.GetSymbol(), -1)] += 1
                table[row, 1] += atom.GetTotalNumHs()
        return table

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns."""
        return np.array(["molecular_weight", *self.elements, "other"], dtype=object)


class EnvironmentCounts(_FromSmiles):
    """How often each atom environment occurs: an atom with its neighbours (radius 1), as in a Morgan fingerprint.

    Nothing is folded: one column an environment. The environments are those of the training molecules. One that appears
    only in a test molecule has no coefficient and is not counted, as in any group-contribution method;
    ``unknown_share`` says how much of a molecule that is.

    Parameters
    ----------
    radius : int
        Bonds around the central atom.

    Attributes
    ----------
    environments_ : ndarray of int, shape (n_environments,)
        RDKit's identifiers, sorted.
    """

    def __init__(self, radius=1):
        self.radius = radius

    def _counts(self, X) -> list[dict[int, int]]:
        from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

        from course_lib.molecules import parse

        generator = GetMorganGenerator(radius=self.radius, includeRedundantEnvironments=True)
        result = []
        for row, smiles in enumerate(_smiles(X)):
            counts = generator.GetSparseCountFingerprint(parse(smiles, row=row)).GetNonzeroElements()
            result.append({int(key): int(value) for key, value in counts.items()})
        return result

    def fit(self, X, y=None):
        """Collect the environments of the training molecules."""
        self.environments_ = np.array(sorted(set().union(*self._counts(X))), dtype=np.int64)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "environments_")

    def transform(self, X) -> np.ndarray:
        """Count them: shape (n, n_environments)."""
        check_is_fitted(self)
        place = {key: number for number, key in enumerate(self.environments_.tolist())}
        table = np.zeros((len(_smiles(X)), len(place)))
        for row, counts in enumerate(self._counts(X)):
            for key, value in counts.items():
                if key in place:
                    table[row, place[key]] = value
        return table

    def unknown_share(self, X) -> np.ndarray:
        """Share of each molecule's environments that no training molecule has, shape (n,), between 0 and 1."""
        check_is_fitted(self)
        known = set(self.environments_.tolist())
        shares = []
        for counts in self._counts(X):
            total = sum(counts.values())
            shares.append(sum(v for k, v in counts.items() if k not in known) / total if total else 0.0)
        return np.array(shares)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns."""
        check_is_fitted(self)
        return np.array([f"environment_{key}" for key in self.environments_], dtype=object)


class MorganBits(_FromSmiles):
    """Morgan fingerprint bits of `course_lib.featurize.morgan`.

    Parameters
    ----------
    radius, n_bits : int
    """

    def __init__(self, radius=3, n_bits=2048):
        self.radius = radius
        self.n_bits = n_bits

    def transform(self, X) -> np.ndarray:
        """Bits as 0.0 and 1.0, shape (n, n_bits)."""
        from course_lib.featurize import morgan

        return np.asarray(morgan(_smiles(X), radius=self.radius, n_bits=self.n_bits), dtype=float)


# --------------------------------------------------------------------------------------------- Gaussian processes
class TanimotoKernel(NormalizedKernelMixin, Kernel):
    """Tanimoto similarity of fingerprints as a kernel: bits in common / bits set in either.

    k(x, z) = x.z / (x.x + z.z - x.z), and 1 for two empty fingerprints. It is positive semidefinite on vectors of
    bits, has no hyperparameter, and has k(x, x) = 1.

    References
    ----------
    Gower, Biometrics 1971, 27, 857-871; Ralaivola et al., Neural Networks 2005, 18, 1093-1110.
    """

    def __init__(self):  # scikit-learn reads its signature
        pass

    def __call__(self, X, Y=None, eval_gradient=False):
        """Return the matrix of shape (n, m) for bits of shape (n, p) and (m, p), with an (empty) gradient if asked."""
        if eval_gradient and Y is not None:
            raise ValueError("the gradient is only defined when Y is None")
        X = self._bits(X)
        Z = X if Y is None else self._bits(Y)
        from course_lib.featurize.fingerprints import tanimoto

        matrix = tanimoto(X, Z)
        return (matrix, np.empty((len(X), len(Z), 0))) if eval_gradient else matrix

    @staticmethod
    def _bits(X) -> np.ndarray:
        X = np.atleast_2d(np.asarray(X, dtype=float))
        if not ((X == 0) | (X == 1)).all():
            raise ValueError("the Tanimoto kernel takes fingerprint bits, 0 and 1 only, not counts or scaled columns")
        return X

    def is_stationary(self) -> bool:
        """Say that it does not depend on x - z alone."""
        return False

    def __repr__(self) -> str:
        return "TanimotoKernel()"


class GaussianProcess(RegressorMixin, BaseEstimator):
    """Gaussian-process regression: scikit-learn's, with a signal, a noise term and care for the optimisation.

    kernel = variance x (Matern or Tanimoto) + noise, y standardised. The marginal likelihood is maximised by L-BFGS
    from a data-based start (length scale: the median distance between training rows) and from ``n_restarts``
    random ones, each run to convergence.

    Parameters
    ----------
    kernel : {"matern", "tanimoto"}
    nu : float
        Smoothness of the Matern kernel: 0.5, 1.5 or 2.5.
    n_restarts : int
        Random restarts.
    random_state : int
        Seed of the restarts.

    Attributes
    ----------
    model_ : GaussianProcessRegressor
        The fitted process; ``model_.kernel_`` holds the hyperparameters (of standardised y).
    at_bounds_ : list of str
        Hyperparameters that ended at a limit. The noise at its lower limit says that the model thinks it can pass
        through every point.
    """

    def __init__(self, kernel="matern", nu=1.5, n_restarts=2, random_state=0):
        self.kernel = kernel
        self.nu = nu
        self.n_restarts = n_restarts
        self.random_state = random_state

    def fit(self, X, y):
        """Fit on X of shape (n, p) and y of shape (n,). Time grows as n^3: for molecules, not for conformers.

        Raises
        ------
        ValueError
            For an unknown kernel, or when no start of the optimisation converges.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        if self.kernel == "matern":
            start = self._median_distance(X)
            inner = Matern(length_scale=start, length_scale_bounds=(start * 1e-2, start * 1e2), nu=self.nu)
        elif self.kernel == "tanimoto":
            inner = TanimotoKernel()
        else:
            raise ValueError(f"kernel is {self.kernel!r}: choose 'matern' or 'tanimoto'")
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * inner + WhiteKernel(0.1, (1e-4, 10.0))
        self._n_converged = 0
        model = GaussianProcessRegressor(
            kernel,
            alpha=1e-8,
            normalize_y=True,
            optimizer=self._maximise,
            n_restarts_optimizer=self.n_restarts,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            # The optimiser below checks its own convergence; what is left are remarks on limits, kept in at_bounds_.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model_ = model.fit(X, y)
        self.model_.optimizer = None  # it refers to this very object, which no file can hold
        if not self._n_converged:
            raise ValueError("the marginal likelihood has no maximum that the optimiser could find: check X and y")
        theta, bounds = self.model_.kernel_.theta, self.model_.kernel_.bounds
        near = np.isclose(theta[:, None], bounds, atol=1e-3).any(axis=1)
        names = [h.name for h in self.model_.kernel_.hyperparameters if not h.fixed]
        self.at_bounds_ = [name for name, hit in zip(names, near, strict=True) if hit]
        return self

    @staticmethod
    def _median_distance(X) -> float:
        from scipy.spatial.distance import pdist

        distance = pdist(X[:2000])
        distance = distance[distance > 0]
        return float(np.median(distance)) if len(distance) else 1.0

    def _maximise(self, objective, start, bounds):
        """Minimise scikit-learn's objective (minus the log marginal likelihood); resume where a line search gave up."""
        from scipy.optimize import minimize

        best = None
        for _ in range(3):
            result = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": 1000})
            if np.isfinite(result.fun) and (best is None or result.fun < best.fun):
                best = result
            if result.success:
                self._n_converged += 1
                break
            start = result.x
        return (best.x, best.fun) if best is not None else (np.asarray(start), np.inf)

    def predict(self, X, return_std=False):
        """Predict the mean; with ``return_std`` also the sd of a new measurement (noise included). Shape (n,) each."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self.model_.predict(X, return_std=return_std)

    def _noise(self) -> float:
        """Variance of the noise, in the unit of y squared."""
        return float(self.model_.kernel_.k2.noise_level * self.model_._y_train_std**2)

    def predict_parts(self, X):
        """Take the standard deviation apart, as :class:`course_lib.models.GPRegressor` does.

        Returns
        -------
        DataFrame of n rows
            mean, std, epistemic (of the function) and aleatoric (the noise), in the unit of y.
        """
        mean, std = self.predict(X, return_std=True)
        epistemic = np.sqrt(np.maximum(std**2 - self._noise(), 0.0))
        return pd.DataFrame({"mean": mean, "std": std, "epistemic": epistemic, "aleatoric": np.sqrt(self._noise())})

    def covariance(self, X):
        """Posterior covariance of the function at X, noise left out; shape (n, n), in the unit of y squared."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self.model_.predict(X, return_cov=True)[1] - self._noise() * np.eye(len(X))


# ------------------------------------------------------------------------------------------ partial least squares
class PLS(RegressorMixin, BaseEstimator):
    """Partial least squares with the number of components chosen by 5-fold cross-validation on the training rows.

    Parameters
    ----------
    n_components : int or None
        None: the number from 1 to ``max_components`` with the smallest mean absolute error. That inner
        cross-validation splits rows; with several rows a molecule give a number.
    max_components : int
    random_state : int
        Seed of the inner folds.

    Attributes
    ----------
    n_components_ : int
        The number used: never more than the training rows and columns allow.
    """

    def __init__(self, n_components=None, max_components=10, random_state=0):
        self.n_components = n_components
        self.max_components = max_components
        self.random_state = random_state

    def fit(self, X, y):
        """Fit on X of shape (n, p), scaled, and y of shape (n,)."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        if self.n_components is not None:
            self.n_components_ = min(self.n_components, len(X) - 1, X.shape[1])
        else:
            self.n_components_ = self._choose(X, y)
        self.model_ = PLSRegression(self.n_components_, scale=False).fit(X, y)
        return self

    def _choose(self, X, y) -> int:
        folds = min(5, len(X))
        most = min(self.max_components, len(X) - -(-len(X) // folds) - 1, X.shape[1])
        if most < 2:
            return 1
        splits = list(KFold(folds, shuffle=True, random_state=self.random_state).split(X))
        error = []
        for k in range(1, most + 1):
            fitted = ((PLSRegression(k, scale=False).fit(X[train], y[train]), test) for train, test in splits)
            error.append(np.mean([mean_absolute_error(y[test], model.predict(X[test])) for model, test in fitted]))
        return int(np.argmin(error)) + 1

    def predict(self, X):
        """Prediction of shape (n,), in the unit of y."""
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, X, reset=False, dtype=np.float64)).ravel()


# ------------------------------------------------------------------------------------------------- the baselines
def _descriptors(scale: bool = True):
    from course_lib.featurize import Descriptors

    return Descriptors(scale=scale)


def _clip(limit: float = 5.0) -> FunctionTransformer:
    """Cut scaled columns at ``limit`` training standard deviations.

    A column that hardly varies among 70 training molecules can be hundreds of standard deviations away for a test
    molecule, and a linear model follows it: one such molecule then decides the mean error.
    """
    return FunctionTransformer(np.clip, kw_args={"a_min": -limit, "a_max": limit}, feature_names_out="one-to-one")


def mean() -> DummyRegressor:
    """Predict the mean of the training values, whatever X is: what a model must beat to have learned anything."""
    return DummyRegressor(strategy="mean")


def ridge_counts() -> Pipeline:
    """Ridge regression on molecular weight and atom counts. X: SMILES, shape (n,)."""
    return make_pipeline(AtomCounts(), StandardScaler(), RidgeCV(ALPHAS))


def group_contribution(radius: int = 1) -> Pipeline:
    """Group contributions: ridge regression on counts of atom environments. X: SMILES, shape (n,).

    An environment is an atom with its neighbours.

    Parameters
    ----------
    radius : int
        Bonds around each atom. 1 is close to the groups of Joback or van Krevelen, and needs no table of groups.
    """
    return make_pipeline(EnvironmentCounts(radius), StandardScaler(), RidgeCV(ALPHAS))


def tanimoto_gp(radius: int = 3, n_bits: int = 2048, random_state: int = 0) -> Pipeline:
    """Gaussian process with a Tanimoto kernel on Morgan bits. X: SMILES, shape (n,).

    ``predict(X, return_std=True)`` gives the standard deviation as well.
    """
    return make_pipeline(MorganBits(radius, n_bits), GaussianProcess("tanimoto", random_state=random_state))


def random_forest(n_estimators: int = 300, random_state: int = 0) -> Pipeline:
    """Random forest: a third of the columns at each node. X: descriptors, shape (n, p), NaN allowed."""
    forest = RandomForestRegressor(n_estimators, max_features=1 / 3, n_jobs=1, random_state=random_state)
    return make_pipeline(_descriptors(scale=False), forest)


def pls(n_components: int | None = None, random_state: int = 0) -> Pipeline:
    """Partial least squares on scaled descriptors, number of components by inner cross-validation. X: (n, p).

    Scaled values beyond 5 standard deviations are cut, so that one odd descriptor cannot throw a prediction far off.
    """
    return make_pipeline(_descriptors(), _clip(), PLS(n_components, random_state=random_state))


def gp_matern(nu: float = 1.5, n_restarts: int = 2, random_state: int = 0) -> Pipeline:
    """Gaussian process with a Matern kernel on scaled descriptors. X: descriptors, shape (n, p).

    ``predict(X, return_std=True)`` gives the standard deviation as well.
    """
    return make_pipeline(_descriptors(), GaussianProcess("matern", nu, n_restarts, random_state))


def mlp(hidden: tuple[int, ...] = (64,), alpha: float = 10.0, random_state: int = 0) -> Pipeline:
    """Neural network on scaled descriptors, trained from scratch. X: descriptors, shape (n, p).

    Scaled values are cut at 5 standard deviations, as for `pls`. One hidden layer, L2 penalty ``alpha``, L-BFGS on all
    training rows until no gradient (of the standardised target) exceeds 0.01. No early stopping: it would give up a
    tenth of the molecules, and with 50 of them five are no guide for when to stop. Penalty and stopping rule were set
    once, on a few random splits of the polymer table, so that training converges in a tenth of a second.
    """
    network = MLPRegressor(
        hidden_layer_sizes=hidden, solver="lbfgs", alpha=alpha, tol=1e-2, max_iter=2000, random_state=random_state
    )
    return make_pipeline(_descriptors(), _clip(), TransformedTargetRegressor(network, transformer=StandardScaler()))
