"""One way to run many independent jobs: joblib, so that a context of the caller's can move them to other machines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import TypeVar

T = TypeVar("T")


def each(function: Callable[..., T], jobs: Iterable[tuple], n_jobs: int | None = None) -> Iterator[T]:
    """Call a function once for each tuple of arguments, in other processes when asked for.

    Parameters
    ----------
    function : callable
        A function of a module, so that other processes can import it.
    jobs : iterable of tuple
        Arguments of each call.
    n_jobs : int, optional
        Processes. None (the default) takes what ``joblib.parallel_config`` says, and is 1 outside such a context.

    Yields
    ------
    object
        Results, in the order of `jobs`, each as soon as it and those before it are there.
    """
    from joblib import Parallel, delayed

    jobs = list(jobs)
    if not jobs:
        return iter(())
    # never more processes than jobs; a negative number counts from the cores and stays
    workers = Parallel(n_jobs=n_jobs and min(n_jobs, len(jobs)), return_as="generator")
    # The arguments go as one tuple. joblib scatters large arrays of a call to one worker of a Dask cluster, and when
    # that worker dies they are gone and the run with them; what is inside a tuple travels with its task.
    cache = os.environ.get("COURSE_CACHE")
    return workers(delayed(_call)(function, job, cache) for job in jobs)


def _call(function: Callable[..., T], job: tuple, cache: str | None) -> T:
    """Call the function with the caller's cache folder.

    On a Dask worker, what the function runs by joblib itself stays there: one level of parallelism.
    """
    if cache is not None:  # a worker may be older than the setting
        os.environ["COURSE_CACHE"] = cache
    from joblib.parallel import get_active_backend, parallel_config

    on_dask = type(get_active_backend()[0]).__name__ == "DaskDistributedBackend"
    with parallel_config("threading", n_jobs=1) if on_dask else nullcontext():
        return function(*job)
