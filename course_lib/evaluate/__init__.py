"""How good, and how sure: metrics, intervals, calibration, and the comparison of models on identical splits."""

from __future__ import annotations

from course_lib._lazy import attach

_HOME = {
    "BrierParts": "probability",
    "InterceptSlope": "probability",
    "Interval": "intervals",
    "IsotonicCDF": "recalibration",
    "RankCorrelation": "calibration",
    "SigmaScaler": "recalibration",
    "TemperatureScaler": "recalibration",
    "auroc": "probability",
    "bootstrap_interval": "bootstrap",
    "brier": "probability",
    "brier_decomposition": "probability",
    "calibration_curve": "calibration",
    "calibration_intercept_slope": "probability",
    "compare": "comparison",
    "conformal_intervals": "conformal",
    "coverage": "calibration",
    "crps": "calibration",
    "dionysus_ama": "calibration",
    "dionysus_ece": "probability",
    "ece": "probability",
    "error_rank_correlation": "calibration",
    "interval_score": "calibration",
    "log_loss": "probability",
    "mae": "metrics",
    "mce": "probability",
    "mean_squared_z": "calibration",
    "miscalibration_area": "calibration",
    "nadeau_bengio": "intervals",
    "nll": "calibration",
    "paired": "comparison",
    "perfect_reference": "calibration",
    "r2": "metrics",
    "reliability": "probability",
    "rmse": "metrics",
    "sharpness": "calibration",
    "summary": "comparison",
    "t_interval": "intervals",
    "z_scores": "calibration",
}
__getattr__, __dir__, __all__ = attach(__name__, _HOME)
