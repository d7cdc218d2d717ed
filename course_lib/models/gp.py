"""Gaussian processes on GPyTorch: exact regression and variational binary classification, three kernels.

Hyperparameters are found on standardised targets, on a logarithmic scale, as the maximum of marginal likelihood times
weak priors. With a few dozen rows the likelihood alone is often largest where the noise is zero or the length scale
without limit; the priors say in advance that noise of some per cent of the variance is usual, and that molecules as
far apart as two random ones still have something in common.
"""

from __future__ import annotations

import math
from typing import ClassVar

import gpytorch
import numpy as np
import torch
from gpytorch.constraints import Positive
from gpytorch.distributions import MultivariateNormal
from gpytorch.kernels import Kernel, MaternKernel, RBFKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from scipy.optimize import minimize
from sklearn.utils.validation import check_is_fitted, validate_data

from course_lib.models.predictive import Moments, PredictiveRegressor

__all__ = ["GPRegressor", "TanimotoKernel"]

CHUNK = 1000  # new rows at a time: GPyTorch builds their joint covariance
# Priors: normal on the logarithm, with these medians and standard deviations (a factor of e to each side is one).
# The length scale's median is three typical distances between training rows: for p independent standardised columns,
# where a typical distance is sqrt(2 p), that is the 4.1 sqrt(p) of Hvarfner et al. 2024. Chosen by test error and log
# score on random draws of 12, 25 and 50 molecules of solubility and hydration sets (their training parts).
PRIOR_SD = {"lengthscale": 1.0, "outputscale": 2.0, "noise": 1.5}
LIMITS = (1e-4, 1e4)  # of the search, as multiples of the medians


class TanimotoKernel(Kernel):
    """Tanimoto similarity of fingerprints, bits or counts: what two molecules share / what either has.

    k(x, z) = sum min(x_i, z_i) / sum max(x_i, z_i), and 1 for two empty fingerprints. For bits this is
    x.z / (x.x + z.z - x.z). It is positive definite on non-negative numbers and has no hyperparameter.

    References
    ----------
    Gower, Biometrics 1971, 27, 857-871; Ralaivola et al., Neural Networks 2005, 18, 1093-1110 (MinMax kernel).
    """

    has_lengthscale = False

    def forward(self, x1, x2, diag=False, **params):
        """Return similarities of x1 (..., n, p) and x2 (..., m, p), shape (..., n, m), or (..., n) with ``diag``."""
        if diag:
            smaller, larger = torch.minimum(x1, x2).sum(-1), torch.maximum(x1, x2).sum(-1)
        else:
            total = x1.sum(-1)[..., :, None] + x2.sum(-1)[..., None, :]
            bits = all(bool(((x == 0) | (x == 1)).all()) for x in (x1, x2))
            # min(a, b) = (a + b - |a - b|) / 2; a product of matrices is far faster where it will do
            smaller = x1 @ x2.transpose(-1, -2) if bits else (total - torch.cdist(x1, x2, p=1.0)) / 2
            larger = total - smaller
        return torch.where(larger > 0, smaller / torch.where(larger > 0, larger, 1.0), 1.0)


def _logarithmic():
    return Positive(transform=torch.exp, inv_transform=torch.log)


def _covariance(kernel: str, nu: float) -> ScaleKernel:
    """Signal variance times the kernel, hyperparameters held as logarithms."""
    if kernel == "matern":
        base = MaternKernel(nu, lengthscale_constraint=_logarithmic())
    elif kernel == "rbf":
        base = RBFKernel(lengthscale_constraint=_logarithmic())
    else:
        base = TanimotoKernel()
    return ScaleKernel(base, outputscale_constraint=_logarithmic()).double()


def _shape(kernel: str, nu: float, distance: torch.Tensor, lengthscale: torch.Tensor) -> torch.Tensor:
    """Kernel of unit variance from Euclidean distances (from similarities for Tanimoto), as GPyTorch has it."""
    if kernel == "tanimoto":
        return distance
    r = distance / lengthscale
    if kernel == "rbf":
        return torch.exp(-(r**2) / 2)
    r = math.sqrt(2 * nu) * r
    return {0.5: 1.0, 1.5: 1 + r, 2.5: 1 + r + r**2 / 3}[nu] * torch.exp(-r)


class _LogMarginal(torch.autograd.Function):
    """Log marginal likelihood log N(y; m, K) with the constant mean m at its best, and its gradient in K.

    d/dK = (a a' - K^-1) / 2 with a = K^-1 (y - m) (Rasmussen and Williams 2006, equation 5.9). One Cholesky
    factor and one inverse, several times faster than differentiating through the factorisation.
    """

    @staticmethod
    def forward(ctx, K, y):
        L = torch.linalg.cholesky(K)
        solved = torch.cholesky_solve(torch.stack([y, torch.ones_like(y)], dim=1), L)
        mean = solved[:, 0].sum() / solved[:, 1].sum()
        a = solved[:, 0] - mean * solved[:, 1]
        ctx.save_for_backward(L, a)
        ctx.mark_non_differentiable(mean)
        value = -0.5 * (y - mean) @ a - L.diagonal().log().sum() - 0.5 * len(y) * math.log(2 * math.pi)
        return value, mean

    @staticmethod
    def backward(ctx, scale, _):
        L, a = ctx.saved_tensors
        return scale * (torch.outer(a, a) - torch.cholesky_inverse(L)) / 2, None


class _Exact(gpytorch.models.ExactGP):
    def __init__(self, X, y, likelihood, covariance):
        super().__init__(X, y, likelihood)
        self.mean_module, self.covar_module = gpytorch.means.ConstantMean(), covariance

    def forward(self, X):
        return MultivariateNormal(self.mean_module(X), self.covar_module(X))


class _Kernelled:
    """What the regressor and the classifier share: which kernel, and what it takes as X."""

    def _check_kernel(self):
        if self.kernel not in ("matern", "rbf", "tanimoto"):
            raise ValueError(f"kernel is {self.kernel!r}: choose 'matern', 'rbf' or 'tanimoto'")
        if self.kernel == "matern" and self.nu not in (0.5, 1.5, 2.5):
            raise ValueError(f"nu is {self.nu!r}: choose 0.5, 1.5 or 2.5")

    def _fingerprints(self, X):
        if (X < 0).any():
            row, column = np.argwhere(X < 0)[0]
            raise ValueError(
                f"Negative values in data passed to {type(self).__name__}: row {row}, column {column} is "
                f"{X[row, column]}; the Tanimoto kernel takes fingerprint bits or counts, not scaled descriptors"
            )
        return X

    def _read_training(self, X, y, **check):
        self._check_kernel()
        if self.kernel != "tanimoto":
            return super()._read_training(X, y, **check)
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2, **check)
        return self._fingerprints(X), y

    def _read_new(self, X):
        if self.kernel != "tanimoto":
            return super()._read_new(X)
        check_is_fitted(self)
        return self._fingerprints(validate_data(self, X, reset=False, dtype=np.float64))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.kernel != "tanimoto"
        tags.input_tags.positive_only = self.kernel == "tanimoto"
        return tags


def _typical_lengthscale(distance: torch.Tensor) -> float:
    """Three times the median distance between rows that differ."""
    apart = distance[distance > 0]
    return 3.0 * float(apart.median()) if len(apart) else 1.0


class GPRegressor(_Kernelled, PredictiveRegressor):
    """Exact Gaussian-process regression with a constant mean and Gaussian noise, in double precision.

    Parameters
    ----------
    kernel : {"matern", "rbf", "tanimoto"}
        The first two on scaled descriptors (or bits as they are), with one length scale; Tanimoto on fingerprint bits
        or counts.
    nu : {0.5, 1.5, 2.5}
        Smoothness of the Matern kernel.
    noise : float
        Median of the prior on the noise variance, as a share of the variance of y.
    n_restarts : int
        Random starts, drawn from the priors, besides the one at their medians.
    random_state : int
        Seed of the restarts.

    Attributes
    ----------
    model_ : gpytorch.models.ExactGP
        The fitted process, on scaled inputs and target.
    hyperparameters_ : dict of str to float
        lengthscale (not for Tanimoto), outputscale (signal variance), noise (variance), mean; of the scaled target.
    log_marginal_likelihood_ : float
        Of the scaled target, without the priors.
    at_bounds_ : list of str
        Hyperparameters that ended at a limit of the search: the data do not determine them.

    References
    ----------
    Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, chapters 2 and 5. Priors that keep
    a variance off zero: Chung et al., Psychometrika 2013, 78, 685-709; a length scale that grows with the dimension:
    Hvarfner et al., Proceedings of Machine Learning Research 2024, 235, 20793-20817.
    """

    TUNE_SPACE: ClassVar[dict[str, tuple]] = {"nu": ("choice", 0.5, 1.5, 2.5), "noise": ("log10", 0.005, 0.5)}

    def __init__(self, kernel="matern", *, nu=1.5, noise=0.05, n_restarts=1, random_state=0):
        self.kernel = kernel
        self.nu = nu
        self.noise = noise
        self.n_restarts = n_restarts
        self.random_state = random_state

    def _fit(self, X, y):
        X, y = torch.tensor(X), torch.tensor(y)
        with torch.no_grad():
            distance = torch.cdist(X, X) if self.kernel != "tanimoto" else TanimotoKernel().forward(X, X)
        medians = {"lengthscale": _typical_lengthscale(distance), "outputscale": 1.0, "noise": self.noise}
        if self.kernel == "tanimoto":
            del medians["lengthscale"]
        centre = np.log(list(medians.values()))
        sd = np.array([PRIOR_SD[name] for name in medians])
        limits = centre[:, None] + np.log(LIMITS)
        eye = torch.eye(len(y), dtype=torch.double)

        def objective(logs):
            """Minus the log posterior of the logarithms, up to a constant, and its gradient."""
            t = torch.tensor(logs, requires_grad=True)
            value = dict(zip(medians, t.exp(), strict=True))
            K = value["outputscale"] * _shape(self.kernel, self.nu, distance, value.get("lengthscale"))
            loss = -_LogMarginal.apply(K + value["noise"] * eye, y)[0]
            loss = loss + (((t - torch.as_tensor(centre)) / torch.as_tensor(sd)) ** 2).sum() / 2
            loss.backward()
            return float(loss.detach()), t.grad.numpy()

        rng = np.random.default_rng(self.random_state)
        starts = [centre, *(rng.normal(centre, sd) for _ in range(self.n_restarts))]
        found = [
            minimize(objective, start, jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": 200})
            for start in starts
        ]
        found = [result for result in found if result.success and np.isfinite(result.fun)]
        if not found:
            raise ValueError("no start of the search for hyperparameters converged: check X and y for extreme values")
        best = min(found, key=lambda result: result.fun)
        near = np.isclose(best.x[:, None], limits, atol=1e-3).any(axis=1)
        self.at_bounds_ = [name for name, hit in zip(medians, near, strict=True) if hit]
        self._build(X, y, distance, dict(zip(medians, np.exp(best.x).tolist(), strict=True)))

    def _build(self, X, y, distance, value):
        """Set the model to these hyperparameters."""
        K = value["outputscale"] * _shape(self.kernel, self.nu, distance, value.get("lengthscale"))
        found, mean = _LogMarginal.apply(K + value["noise"] * torch.eye(len(y), dtype=torch.double), y)
        self.log_marginal_likelihood_ = float(found)
        self.hyperparameters_ = {**value, "mean": float(mean)}
        likelihood = GaussianLikelihood(noise_constraint=_logarithmic()).double()
        covariance = _covariance(self.kernel, self.nu)
        model = _Exact(X, y, likelihood, covariance).double()
        model.mean_module.constant.data.fill_(mean)
        covariance.outputscale, likelihood.noise = value["outputscale"], value["noise"]
        if "lengthscale" in value:
            covariance.base_kernel.lengthscale = value["lengthscale"]
        self.model_ = model.requires_grad_(False).eval()

    def _moments(self, X):
        means, variances = [], []
        exact = gpytorch.settings.fast_computations(covar_root_decomposition=False, log_prob=False, solves=False)
        with torch.no_grad(), exact, gpytorch.settings.debug(False):  # predicting training rows is no mistake here
            for part in torch.tensor(X).split(CHUNK):
                latent = self.model_(part)
                means.append(latent.mean)
                variances.append(latent.variance)
        mean, epistemic = torch.cat(means).numpy(), torch.cat(variances).clamp_min(0).numpy()
        return Moments(mean, epistemic, np.full(len(mean), self.hyperparameters_["noise"]))
