"""Settings that every test run shares, notebooks included.

nbval starts its kernels with this process's environment: the same as the build's, so that outputs can be compared.
"""

import os


def pytest_configure(config):
    """Fix the environment of the tests and of nbval's kernels."""
    notebooks = config.getoption("nbval", False) or config.getoption("nbval_lax", False)
    os.environ["COURSE_PROGRESS"] = "0"
    os.environ["COURSE_MODE"] = "fast"
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline" if notebooks else "Agg"
    os.environ["MATPLOTLIBRC"] = os.devnull
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
