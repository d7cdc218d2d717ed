"""Jobs by joblib: where they run, in what order results come, and what the functions built on it take for a default."""

import inspect
import os
import re

import joblib
import pytest

from course_lib.acquire import campaigns
from course_lib.evaluate import compare
from course_lib.featurize import augment, mordred2d
from course_lib.parallel import each
from environment_rules import pins, read


def where(number):
    return number, os.getpid()


def seen(n_jobs=None):
    results = list(each(where, [(number,) for number in range(4)], n_jobs))
    assert [number for number, _ in results] == [0, 1, 2, 3]
    return {pid for _, pid in results}


def test_jobs_run_here_unless_a_context_or_a_number_says_otherwise():
    assert seen() == seen(1) == {os.getpid()}
    assert os.getpid() not in seen(2)
    with joblib.parallel_config(n_jobs=2):
        assert os.getpid() not in seen()
        assert seen(1) == {os.getpid()}, "a number given to the function is stronger than the context"


def test_no_job_and_a_number_of_processes_without_meaning():
    assert list(each(where, [])) == []
    with pytest.raises(ValueError, match="n_jobs == 0"):
        list(each(where, [(1,)], 0))


@pytest.mark.parametrize("function", [augment, mordred2d, compare, campaigns])
def test_the_default_follows_the_context(function):
    assert inspect.signature(function).parameters["n_jobs"].default is None


def test_workers_that_are_there_already_keep_results_in_the_callers_cache(tmp_path, monkeypatch):
    for name in ("first", "second"):
        monkeypatch.setenv("COURSE_CACHE", str(tmp_path / name))
        assert set(each(os.getenv, [("COURSE_CACHE",)] * 2, 2)) == {str(tmp_path / name)}


def test_the_pins_for_a_cluster_are_exact_and_none_is_pinned_elsewhere():
    cluster = pins(read("requirements-dask.txt"))
    assert {"dask", "distributed", "pyarrow"} <= set(cluster)
    assert [str(r) for r in cluster.values() if not re.fullmatch(r"==[\d.]+", str(r.specifier))] == []
    assert set(cluster) & set(pins(read("requirements.txt"))) == set()
    site = pins(read("requirements-site.txt"))
    assert [name for name in set(cluster) & set(site) if str(cluster[name]) != str(site[name])] == []
