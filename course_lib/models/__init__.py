"""Models: each is a scikit-learn estimator, so that a lesson swaps models by swapping one name.

Names are imported when they are first used: ``from course_lib.models import LightGBMRegressor, tune``.
"""

from __future__ import annotations

from course_lib._lazy import attach

_HOME = {
    "BNNClassifier": "bnn",
    "BNNRegressor": "bnn",
    "BootstrapEnsemble": "ensemble",
    "DeepEnsembleClassifier": "deep_ensemble",
    "DeepEnsembleRegressor": "deep_ensemble",
    "GNNClassifier": "gnn",
    "GNNEmbedding": "gnn",
    "GNNGPClassifier": "gnn_gp",
    "GNNGPRegressor": "gnn_gp",
    "GNNRegressor": "gnn",
    "GPClassifier": "gp",
    "GPRegressor": "gp",
    "LightGBMClassifier": "boosting",
    "LightGBMRegressor": "boosting",
    "NGBoostClassifier": "ngb",
    "NGBoostRegressor": "ngb",
    "SNGPClassifier": "sngp",
    "SNGPRegressor": "sngp",
    "SPACE": "tuning",
    "TuneResult": "tuning",
    "average_by_group": "aggregate",
    "fit_weighted": "aggregate",
    "gp_matern": "baselines",
    "group_contribution": "baselines",
    "mean": "baselines",
    "mlp": "baselines",
    "pls": "baselines",
    "random_forest": "baselines",
    "ridge_counts": "baselines",
    "tanimoto_gp": "baselines",
    "tune": "tuning",
}
__getattr__, __dir__, __all__ = attach(__name__, _HOME)
