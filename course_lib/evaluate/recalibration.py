"""Correct a predicted distribution after the fact, from calibration molecules that neither training nor test saw.

Each object learns with ``fit`` from predictions for *calibration* molecules and corrects new ones with ``predict``.
None of them sees X: a correction is the same for all molecules, so it mends the average and not the single case, and
under a shift of chemistry it may be wrong. The fewer parameters, the fewer molecules it needs: one number
(:class:`SigmaScaler`, :class:`TemperatureScaler`) serves from about 20; a curve (:class:`IsotonicCDF`) wants hundreds,
as it repeats the noise of its sample. For classes the curve is scikit-learn's
``IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")``, fitted on (p, y); at small n it gives probabilities of
exactly 0 and 1, and then an infinite log loss.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.base import BaseEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted

from course_lib.evaluate.calibration import _numbers, _positive, mean_squared_z, z_scores
from course_lib.evaluate.probability import _both, _check, _log_odds

__all__ = ["IsotonicCDF", "SigmaScaler", "TemperatureScaler"]


class SigmaScaler(BaseEstimator):
    """Multiply all standard deviations by one factor, the root of the mean squared z of the calibration molecules.

    That factor maximises the normal likelihood. Its relative standard error is about 1 / sqrt(2 n), 16 % at n = 20,
    and one outlier can double it: look at the z first. Ranks of the molecules do not change.

    Attributes
    ----------
    factor_ : float

    References
    ----------
    Levi et al., Sensors 2022, 22, 5540; Laves et al., MIDL 2020, PMLR 121, 393-412.
    """

    def fit(self, y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike) -> SigmaScaler:
        """Learn the factor from calibration molecules; all of shape (n,).

        Raises
        ------
        ValueError
            For bad rows, or errors that are all 0: they are not predictions of new molecules.
        """
        self.factor_ = float(np.sqrt(mean_squared_z(y, y_mean, y_std)))
        if self.factor_ == 0:
            raise ValueError("all errors are 0: calibrate on molecules that the model was not trained on")
        return self

    def predict(self, y_mean: ArrayLike, y_std: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return y_mean as it is, and the corrected y_std, both of shape (n,)."""
        check_is_fitted(self)
        y_mean = _numbers(y_mean, "y_mean")
        return y_mean, _positive(y_std, len(y_mean)) * self.factor_


class IsotonicCDF(BaseEstimator):
    """Replace the predicted share below each value by the share that was seen below it.

    The predicted distribution function of a calibration molecule at its y, u = Phi(z), should be uniform. A rising
    curve R from u to its rank / (n + 1) makes it so; the corrected distribution function is R(Phi(z)). It can mend a
    shift, a skew and heavy tails, which one factor cannot. It knows nothing of levels beyond 1 / (n + 1): 30
    molecules give no 99 % interval.

    Attributes
    ----------
    n_ : int
        Calibration molecules.

    References
    ----------
    Kuleshov, Fenner & Ermon, ICML 2018, PMLR 80, 2796-2804, algorithm 1.
    """

    def fit(self, y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike) -> IsotonicCDF:
        """Learn the curve from calibration molecules; all of shape (n,)."""
        u = np.sort(norm.cdf(z_scores(y, y_mean, y_std)))
        self.n_ = len(u)
        ranks = np.arange(1, self.n_ + 1) / (self.n_ + 1)
        self.curve_ = IsotonicRegression(out_of_bounds="clip").fit(np.r_[0, u, 1], np.r_[0, ranks, 1])
        return self

    def cdf(self, y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike) -> np.ndarray:
        """Corrected share of the distribution that lies below y, shape (n,); uniform when all is well."""
        check_is_fitted(self)
        return self.curve_.predict(norm.cdf(z_scores(y, y_mean, y_std)))

    def predict(self, y_mean: ArrayLike, y_std: ArrayLike, levels: ArrayLike) -> np.ndarray:
        """Quantiles of the corrected distributions.

        Parameters
        ----------
        y_mean, y_std : array-like of shape (n,)
        levels : array-like of shape (k,)
            Shares below the quantile: (0.05, 0.95) for the ends of a central 90 % interval.

        Returns
        -------
        ndarray of shape (n, k), in the unit of y

        Raises
        ------
        ValueError
            For levels that so few calibration molecules say nothing about.
        """
        check_is_fitted(self)
        y_mean = _numbers(y_mean, "y_mean")
        y_std = _positive(y_std, len(y_mean))
        levels = np.atleast_1d(np.asarray(levels, dtype=float))
        end = 1 / (self.n_ + 1)
        bad = levels[~((levels >= end - 1e-12) & (levels <= 1 - end + 1e-12))]
        if len(bad):
            raise ValueError(
                f"level {bad[0]:g} lies outside [{end:.3g}, {1 - end:.3g}], which is all that {self.n_} calibration "
                "molecules tell about: take more of them, or a lower level"
            )
        u = np.interp(levels, self.curve_.y_thresholds_, self.curve_.X_thresholds_)
        return y_mean[:, None] + y_std[:, None] * norm.ppf(u)


class TemperatureScaler(BaseEstimator):
    """Divide all log odds by one temperature, the one of the highest likelihood on the calibration molecules.

    Above 1 it makes an overconfident model more timid. p = 1/2 and the order of the molecules stay: it cannot mend
    probabilities that are too high on average.

    Attributes
    ----------
    temperature_ : float

    References
    ----------
    Guo et al., ICML 2017, PMLR 70, 1321-1330.
    """

    def fit(self, y: ArrayLike, p: ArrayLike) -> TemperatureScaler:
        """Learn the temperature from outcomes y in {0, 1} and probabilities p, both of shape (n,).

        Raises
        ------
        ValueError
            For one class only, a p of exactly 0 or 1, and when no finite temperature is best: all molecules lie on
            the right side of 1/2, or the p rank no better than chance.
        """
        y, p = _check(y, p)
        _both(y, "a temperature")
        x = _log_odds(p)
        if np.all((2 * y - 1) * x >= 0):
            raise ValueError(
                "every calibration molecule lies on the right side of p = 1/2: the best temperature is 0. Use more "
                "molecules (pool the folds of a cross-validation)"
            )

        def slope(b):  # of the negative log likelihood, rising in the inverse temperature b
            return np.sum(x * (expit(b * x) - y))

        if slope(0.0) >= 0:
            raise ValueError("log odds and outcomes do not go together: no temperature helps, look at the AUROC first")
        high = 1.0
        while slope(high) < 0:
            high *= 2
        self.temperature_ = float(1 / brentq(slope, 0.0, high, xtol=1e-14))
        return self

    def predict(self, p: ArrayLike) -> np.ndarray:
        """Return the corrected probabilities, shape (n,)."""
        check_is_fitted(self)
        p = _check(np.zeros(np.shape(p)), p)[1]
        with np.errstate(divide="ignore"):  # 0 and 1 stay what they are
            return expit(logit(p) / self.temperature_)
