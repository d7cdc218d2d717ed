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
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri
from sklearn.utils.validation import check_is_fitted, validate_data

from course_lib.models.predictive import Moments, PredictiveClassifier, PredictiveRegressor

__all__ = ["GPClassifier", "GPRegressor", "TanimotoKernel"]

JITTER = 1e-6  # on the covariance of the inducing values
N_SAMPLES = 1000
CHUNK = 1000  # new rows at a time: GPyTorch builds their joint covariance
# Priors: normal on the logarithm, with these medians and standard deviations (a factor of e to each side is one).
# The length scale's median is three typical distances between training rows: for p independent standardised columns,
# where a typical distance is sqrt(2 p), that is the 4.1 sqrt(p) of Hvarfner et al. 2024. Three was chosen on training
# molecules of Delaney and FreeSolv. Two sets that had no part in it (sublimation, permittivity; 20 draws each of 12, 25
# and 50 molecules) say the same: mean absolute errors with three and six differ by less than 2 %; at 12 molecules one
# loses 4 % and twelve 11 %, at 50 all are within 2 %.
PRIOR_SD = {"lengthscale": 1.0, "outputscale": 2.0, "noise": 1.5}
# The search ends at four standard deviations, and never beyond a factor of 10 000: noise of 1e-4 or more then keeps the
# covariance of a thousand rows far from singular in double precision, and no jitter is needed.
WIDEST = math.log(1e4)


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


class _Variational(gpytorch.models.ApproximateGP):
    def __init__(self, Z, covariance):
        distribution = gpytorch.variational.CholeskyVariationalDistribution(len(Z))
        # The covariance of the inducing values carries the jitter; GPyTorch would add 1e-4 otherwise.
        strategy = gpytorch.variational.VariationalStrategy(
            self, Z, distribution, learn_inducing_locations=False, jitter_val=JITTER
        )
        super().__init__(strategy)
        self.mean_module, self.covar_module = gpytorch.means.ConstantMean(), covariance

    def forward(self, X):
        return MultivariateNormal(self.mean_module(X), self.covar_module(X))


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


def _distance(kernel: str, X: torch.Tensor, Z: torch.Tensor) -> torch.Tensor:
    """Return what `_shape` takes: Euclidean distances, or Tanimoto similarities; shape (n, m)."""
    return TanimotoKernel().forward(X, Z) if kernel == "tanimoto" else torch.cdist(X, Z)


def _medians(kernel: str, distance: torch.Tensor, **others: float) -> dict[str, float]:
    """Medians of the priors; the length scale's is three typical distances between rows that differ."""
    if kernel == "tanimoto":
        return others
    apart = distance[distance > 0]
    return {"lengthscale": 3.0 * float(apart.median()) if len(apart) else 1.0, **others}


def _limits(centre: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Limits of the search for the logarithms, shape (n_hyperparameters, 2)."""
    return centre[:, None] + np.minimum(4 * sd, WIDEST)[:, None] * [-1, 1]


def _search(objective, centre, sd, limits, n_restarts, rng) -> np.ndarray:
    """Smallest of the minima that L-BFGS reaches from the priors' centre and from draws of the priors."""
    starts = [centre, *(rng.normal(centre, sd) for _ in range(n_restarts))]
    options = {"method": "L-BFGS-B", "bounds": limits, "options": {"maxiter": 200}}
    found = [minimize(objective, np.clip(start, *limits.T), jac=True, **options) for start in starts]
    found = [result for result in found if result.success and np.isfinite(result.fun)]
    if not found:
        raise ValueError("no start of the search for hyperparameters converged: check X and y for extreme values")
    return min(found, key=lambda result: result.fun).x


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
            distance = _distance(self.kernel, X, X)
        medians = _medians(self.kernel, distance, outputscale=1.0, noise=self.noise)
        centre, sd = np.log(list(medians.values())), np.array([PRIOR_SD[name] for name in medians])
        limits = _limits(centre, sd)
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

        best = _search(objective, centre, sd, limits, self.n_restarts, np.random.default_rng(self.random_state))
        near = np.isclose(best[:, None], limits, atol=1e-3).any(axis=1)
        self.at_bounds_ = [name for name, hit in zip(medians, near, strict=True) if hit]
        self._build(X, y, distance, dict(zip(medians, np.exp(best).tolist(), strict=True)))

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

    def covariance(self, X: ArrayLike) -> np.ndarray:
        """Posterior covariance of the function at X, noise left out; shape (n, n), in the unit of y squared."""
        X, Z = torch.tensor(self._read_new(X)), self.model_.train_inputs[0]
        k = self.model_.covar_module
        with torch.no_grad():
            noisy = k(Z, Z).to_dense() + self.hyperparameters_["noise"] * torch.eye(len(Z), dtype=torch.double)
            A = torch.linalg.solve_triangular(torch.linalg.cholesky(noisy), k(Z, X).to_dense(), upper=False)
            return (k(X, X).to_dense() - A.T @ A).numpy() * self.y_scale_**2


class GPClassifier(_Kernelled, PredictiveClassifier):
    """Gaussian-process classification of two classes: a probit likelihood and a normal variational posterior.

    The posterior of the whitened inducing values is improved by natural-gradient steps until it stands still; the
    hyperparameters maximise the evidence lower bound at that point, times priors: normal with standard deviation 1 on
    the logarithms and on the mean, whose centre gives the classes' shares in training.

    Parameters
    ----------
    kernel, nu, n_restarts
        As in `GPRegressor`.
    outputscale : float
        Median of the prior on the variance of the latent process. 16 expects most molecules to be clearly of one class
        (a latent value of 2 is a probability of 0.98). Chosen by log loss on random draws of 60 and 250 molecules of
        four sets, where the lower bound alone stays too small: a normal posterior makes large variances look costly.
    n_inducing : int
        Inducing points: all training rows while there are no more than this, else a random choice of them.
    random_state : int
        Seed of that choice and of the restarts.

    Attributes
    ----------
    model_ : gpytorch.models.ApproximateGP
        The latent process on scaled inputs.
    hyperparameters_ : dict of str to float
        lengthscale (not for Tanimoto), outputscale, mean of the latent process.
    elbo_ : float
        Evidence lower bound of the training rows, without the priors.

    References
    ----------
    Hensman et al., Proceedings of Machine Learning Research 2015, 38, 351-360; the steps: Khan and Lin, Proceedings of
    Machine Learning Research 2017, 54, 878-887.
    """

    TUNE_SPACE: ClassVar[dict[str, tuple]] = {"nu": ("choice", 0.5, 1.5, 2.5), "outputscale": ("log10", 1.0, 100.0)}

    def __init__(self, kernel="matern", *, nu=1.5, outputscale=16.0, n_inducing=300, n_restarts=0, random_state=0):
        self.kernel = kernel
        self.nu = nu
        self.outputscale = outputscale
        self.n_inducing = n_inducing
        self.n_restarts = n_restarts
        self.random_state = random_state

    def _fit(self, X, t):
        rng = np.random.default_rng(self.random_state)
        chosen = np.sort(rng.permutation(len(t))[: self.n_inducing])
        X, sign = torch.tensor(X), torch.tensor(2 * t - 1)
        Z = X[chosen]
        with torch.no_grad():
            between, across = _distance(self.kernel, Z, Z), _distance(self.kernel, Z, X)
        medians = _medians(self.kernel, across, outputscale=self.outputscale)
        names = [*medians, "mean"]
        base_rate = float(ndtri(t.mean())) * math.sqrt(1 + self.outputscale)
        centre = np.array([*np.log(list(medians.values())), base_rate])
        sd = np.ones(len(names))
        limits = _limits(centre, sd)
        posterior = _Posterior(sign)

        def projection(values):
            """Whitened covariance A of shape (m, n) and variance that the inducing values leave, of shape (n,)."""
            scale = values.get("lengthscale")
            Kzz, Kzx = (values["outputscale"] * _shape(self.kernel, self.nu, d, scale) for d in (between, across))
            L = torch.linalg.cholesky(Kzz + JITTER * torch.eye(len(Z), dtype=torch.double))
            A = torch.linalg.solve_triangular(L, Kzx, upper=False)
            return A, (values["outputscale"] - (A**2).sum(0)).clamp_min(0)

        def objective(point):
            """Minus the best lower bound at these hyperparameters and minus the log prior; and the gradient."""
            p = torch.tensor(point, requires_grad=True)
            values = {name: v if name == "mean" else v.exp() for name, v in zip(names, p, strict=True)}
            A, left = projection(values)
            posterior.improve(A.detach(), left.detach(), values["mean"].detach(), tolerance=1e-5)
            loss = -posterior.bound(A, left, values["mean"])
            loss = loss + (((p - torch.tensor(centre)) / torch.tensor(sd)) ** 2).sum() / 2
            loss.backward()
            return float(loss.detach()), p.grad.numpy()

        best = _search(objective, centre, sd, limits, self.n_restarts, rng)
        value = {name: float(v) if name == "mean" else math.exp(v) for name, v in zip(names, best, strict=True)}
        with torch.no_grad():
            A, left = projection({name: torch.tensor(v, dtype=torch.double) for name, v in value.items()})
            if not posterior.improve(A, left, value["mean"]):
                raise ValueError("the variational posterior did not settle: check X for extreme values")
            self.elbo_ = float(posterior.bound(A, left, value["mean"]))
        self.hyperparameters_ = value
        covariance = _covariance(self.kernel, self.nu)
        covariance.outputscale = value["outputscale"]
        if "lengthscale" in value:
            covariance.base_kernel.lengthscale = value["lengthscale"]
        model = _Variational(Z, covariance).double()
        model.mean_module.constant.data.fill_(value["mean"])
        distribution = model.variational_strategy._variational_distribution
        distribution.variational_mean.data.copy_(posterior.mean)
        distribution.chol_variational_covar.data.copy_(torch.linalg.cholesky(posterior.covariance))
        model.variational_strategy.variational_params_initialized.fill_(1)
        self.model_ = model.requires_grad_(False).eval()

    def _latent(self, X):
        """Mean and variance of the latent function, each of shape (n,)."""
        with torch.no_grad():
            parts = [self.model_(part) for part in torch.tensor(X).split(CHUNK)]
            return tuple(torch.cat([getattr(part, name) for part in parts]).numpy() for name in ("mean", "variance"))

    def _probability(self, X):
        mean, variance = self._latent(X)
        return ndtr(mean / np.sqrt(1 + variance))

    def _probability_samples(self, X):
        # Equally likely values of each row's latent normal: what draws would tend to, without chance.
        mean, variance = self._latent(X)
        z = ndtri((np.arange(N_SAMPLES) + 0.5) / N_SAMPLES)
        return ndtr(mean + np.sqrt(variance) * z[:, None])


class _Posterior:
    """Normal posterior of m whitened inducing values v; the latent values are constant + A'v + an independent rest.

    The best normal posterior has precision I + A diag(w) A' and mean of the form precision^-1 A b (Opper and
    Archambeau, Neural Computation 2009, 21, 786-792). b and w, of shape (n,), are kept from one set of hyperparameters
    to the next.
    """

    def __init__(self, sign):
        self.sign = sign
        self.b, self.w = torch.zeros_like(sign), torch.zeros_like(sign)
        nodes, weights = np.polynomial.hermite.hermgauss(20)
        self.nodes, self.weights = torch.tensor(nodes * math.sqrt(2)), torch.tensor(weights / math.sqrt(math.pi))

    def _at(self, A, left, constant, b, w):
        """Posterior with these b and w, as (lower bound, its slopes in the latent means and variances, A'v, L, v)."""
        L = torch.linalg.cholesky(torch.eye(len(A), dtype=torch.double) + (A * w) @ A.T)
        v = torch.cholesky_solve((A @ b)[:, None], L)[:, 0]
        through = (torch.linalg.solve_triangular(L, A, upper=False) ** 2).sum(0)
        latent, sd = A.T @ v, (left + through).clamp_min(1e-12).sqrt()
        f = self._signed(constant + latent, sd)
        log_p = torch.special.log_ndtr(f)
        slope = self.sign[:, None] * torch.exp(-(f**2) / 2 - math.log(2 * math.pi) / 2 - log_p) * self.weights
        # trace(covariance) = m - sum w * through, as precision times covariance is the identity
        divergence = (v @ v - w @ through) / 2 + L.diagonal().log().sum()
        bound = float((log_p @ self.weights).sum() - divergence)
        return bound, slope.sum(1), (slope @ self.nodes) / (2 * sd), latent, L, v

    def _signed(self, mean, sd):
        """Quadrature nodes of sign times latent value, shape (n, 20)."""
        return self.sign[:, None] * (mean[:, None] + sd[:, None] * self.nodes)

    def improve(self, A, left, constant, tolerance=1e-6, most=200) -> bool:
        """Take natural-gradient steps until the latent means stand still; return whether they do.

        Full steps alone swing to and fro about the optimum in some directions, and settle at once in others; every
        second step is therefore about half as long. A step that lowers the bound is halved. Where the classes can be
        told apart without a mistake the bound is too flat for that to end the swinging: when 20 steps have not made the
        latent means move less, all that follow are half as long.
        """
        now = self._at(A, left, constant, self.b, self.w)
        moved, longest, least, since = np.inf, 1.0, np.inf, 0
        for number in range(most):
            bound, in_mean, in_variance, latent = now[:4]
            w = -2 * in_variance
            b, step = in_mean + w * latent, longest * (0.55 if number % 2 else 1.0)
            while True:
                sites = self.b + step * (b - self.b), self.w + step * (w - self.w)
                now = self._at(A, left, constant, *sites)
                if now[0] >= bound - 1e-9 * abs(bound) or step < 1e-3:
                    break
                step /= 2
            self.b, self.w = sites
            moved = float((now[3] - latent).abs().max())
            if moved < tolerance:
                break
            least, since = (moved, 0) if moved < least / 2 else (least, since + 1)
            if since == 20:
                longest, since = longest / 2, 0
        self.mean, self.covariance = now[5], torch.cholesky_inverse(now[4])
        return moved < tolerance

    def bound(self, A, left, constant):
        """Evidence lower bound: expected log likelihood minus the divergence from the standard normal prior."""
        variance = left + (A * (self.covariance @ A)).sum(0)
        f = self._signed(constant + A.T @ self.mean, variance.clamp_min(1e-12).sqrt())
        divergence = self.covariance.trace() + self.mean @ self.mean - len(self.mean) - torch.logdet(self.covariance)
        return (torch.special.log_ndtr(f) @ self.weights).sum() - divergence / 2
