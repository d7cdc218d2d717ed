"""Settings that every test run shares, notebooks included.

nbval starts its kernels with this process's environment: the same as the build's, so that outputs can be compared.
"""

import os
from pathlib import Path

from environment import one_code_path


def pytest_configure(config):
    """Fix the environment of the tests and of nbval's kernels."""
    os.environ["COURSE_PROGRESS"] = "0"
    os.environ["COURSE_MODE"] = "fast"
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.update(one_code_path())
    os.environ.pop("MPLBACKEND", None)  # kernels then draw inline, and the tests by the file below
    os.environ["MATPLOTLIBRC"] = str(Path(__file__).parent / "tests" / "matplotlibrc")
    config.option.nbval_sanitize_with = str(Path(__file__).parent / "tests" / "nbval_sanitize.cfg")
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
