"""The same numbers from a Dask cluster, also when a worker dies; tables in parts that outlive a stop.

Needs requirements-dask.txt; tests/slow runs this file where that is installed.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import Ridge

from course_lib.acquire import campaigns
from course_lib.evaluate import compare
from course_lib.featurize import augment, maccs, mordred2d, morgan, to_parquet
from course_lib.molecules import MoleculeError
from course_lib.parallel import each

distributed = pytest.importorskip("distributed", reason="needs requirements-dask.txt")
pytest.importorskip("pyarrow", reason="needs requirements-dask.txt")
MOLECULES = ["CCO", "CCN", "CCC", "CCF", "CCCl", "CCS", "CCCO", "CC(C)O", "CC=O", "CC#N"]


@pytest.fixture(scope="module")
def cluster():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def client(cluster):
    """Wait for a worker that an earlier test killed: with a single one, joblib computes in the caller's process."""
    cluster.wait_for_workers(2, timeout=60)
    return cluster


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Give the test an empty cache each time it asks for one."""

    def make(name):
        monkeypatch.setenv("COURSE_CACHE", str(tmp_path / name))
        return tmp_path / name

    return make


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    return X, X[:, 0] + 0.1 * rng.normal(size=300)


class DiesOnce:
    """Mixin: the first fit, of all processes, kills the worker it is in."""

    def fit(self, X, y, **options):
        try:
            Path(self.flag).touch(exist_ok=False)
        except FileExistsError:
            return super().fit(X, y, **options)
        distributed.get_worker()  # raises an error where there is none
        os.kill(os.getpid(), signal.SIGKILL)


class RidgeDiesOnce(DiesOnce, Ridge):
    def __init__(self, flag=None):
        super().__init__()
        self.flag = flag


class GaussianProcessDiesOnce(DiesOnce, GaussianProcessRegressor):
    def __init__(self, flag=None):
        super().__init__(alpha=0.1, optimizer=None)
        self.flag = flag


def pid(number):
    return os.getpid()


def trees(n):
    """Count the processes that a forest's own joblib uses inside of a job."""
    return len(set(joblib.Parallel()(joblib.delayed(pid)(number) for number in range(8))) - {os.getpid()})


def test_jobs_run_on_the_workers_and_what_they_start_stays_there(client):
    workers = set(client.run(os.getpid).values())
    with joblib.parallel_config(backend="dask"):
        assert set(each(pid, [(number,) for number in range(8)])) == workers
        assert list(each(trees, [(1,), (2,)])) == [0, 0]


def test_features_are_the_same(client, fresh):
    fresh("here")
    flat, rows = mordred2d(MOLECULES), augment(MOLECULES[:4], n_conformers=4, protocols=("dg", "etkdg"))
    folder = fresh("there")
    with joblib.parallel_config(backend="dask"):
        there = mordred2d(MOLECULES)
        pd.testing.assert_frame_equal(there, flat, check_exact=True)
        there = augment(MOLECULES[:4], n_conformers=4, protocols=("dg", "etkdg"))
        pd.testing.assert_frame_equal(there, rows, check_exact=True)
    assert len(list(folder.glob("mordred2d/*/*.npz"))) == len(MOLECULES)
    assert len(list(folder.glob("conformers/*/*.npz"))) == 8


def test_featurisation_goes_on_when_a_worker_dies(client, fresh):
    smiles = ["C" * n + "O" for n in range(1, 17)]
    fresh("here")
    expected = mordred2d(smiles)
    folder = fresh("there")
    victim = min(client.run(os.getpid).values())

    def kill():
        while len(list(folder.glob("mordred2d/*/*.npz"))) < 4:
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with joblib.parallel_config(backend="dask"):
        found = mordred2d(smiles)
    killer.join(timeout=10)
    assert not killer.is_alive()
    client.wait_for_workers(2, timeout=60)
    assert victim not in client.run(os.getpid).values()
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_comparison_is_the_same_and_goes_on_when_a_worker_dies(client, data, tmp_path):
    X, y = data
    flag = tmp_path / "died"

    def run(path):
        models = {"ridge": RidgeDiesOnce(str(path)), "forest": RandomForestRegressor(5, random_state=0)}
        return compare(models, X, y, np.arange(len(y)), n_splits=3, n_repeats=2, return_predictions=True)

    there = tmp_path / "nobody dies"
    there.touch()
    expected = run(there)
    with joblib.parallel_config(backend="dask"):
        alive = run(there)
        died = run(flag)
    assert flag.exists()
    for want, *have in zip(expected, alive, died, strict=True):
        for table in have:
            pd.testing.assert_frame_equal(table, want, check_exact=True)


def test_campaigns_are_the_same_and_go_on_when_a_worker_dies(client, data, tmp_path, fresh):
    X, y = data
    flag = tmp_path / "died"

    def run(path):
        methods = {
            "ei": {"model": GaussianProcessDiesOnce(str(path)), "acquisition": "expected_improvement"},
            "random": {"acquisition": "random"},
        }
        return campaigns(methods, y, X=X, n_starts=3, n_init=10, budget=6, batch_size=3)

    there = tmp_path / "nobody dies"
    there.touch()
    fresh("here")
    expected = run(there)
    folder = fresh("there")
    with joblib.parallel_config(backend="dask"):
        pd.testing.assert_frame_equal(run(there), expected, check_exact=True)
        assert len(list(folder.rglob("output.pkl*"))) == 6, "each campaign is kept where the caller's cache is"
        pd.testing.assert_frame_equal(run(flag), expected, check_exact=True)
    assert flag.exists()


# --- tables in parts ---
def test_parts_are_the_table(tmp_path, fresh):
    fresh("cache")
    paths = to_parquet(morgan, MOLECULES, tmp_path / "bits", chunk_size=4, n_bits=64)
    assert [path.name for path in paths] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    whole = morgan(MOLECULES, n_bits=64)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "bits"), whole.rename_axis(index="row"))
    options = {"n_conformers": 2, "protocols": ("dg", "etkdg")}
    to_parquet(augment, MOLECULES[:5], tmp_path / "rows", chunk_size=2, **options)
    found, whole = pd.read_parquet(tmp_path / "rows"), augment(MOLECULES[:5], **options)
    pd.testing.assert_frame_equal(found, whole, check_exact=True)


def test_a_stopped_run_goes_on_with_the_part_it_was_at(tmp_path, monkeypatch):
    write, written = pd.DataFrame.to_parquet, []

    def stops(table, path, **options):
        if stop and len(written) == 2:
            path.write_bytes(b"PAR1, half of it")
            raise KeyboardInterrupt
        write(table, path, **options)
        written.append(path.stem)

    stop = True
    monkeypatch.setattr(pd.DataFrame, "to_parquet", stops)
    with pytest.raises(KeyboardInterrupt):
        to_parquet(maccs, MOLECULES, tmp_path, chunk_size=4)
    assert written == ["part-00000", "part-00001"]
    stop = False
    written.clear()
    to_parquet(maccs, MOLECULES, tmp_path, chunk_size=4)
    assert written == ["part-00002"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path), maccs(MOLECULES).rename_axis(index="row"))


def test_a_killed_process_leaves_whole_parts_and_whole_molecules(tmp_path, fresh):
    cache = fresh("cache")
    code = (
        "import sys; from course_lib.featurize import mordred2d, to_parquet\n"
        "to_parquet(mordred2d, sys.argv[2:], sys.argv[1], chunk_size=2)"
    )
    smiles = ["C" * n + "N" for n in range(1, 13)]
    run = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "table"), *smiles], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (tmp_path / "table" / "part-00001.parquet").exists() and time.monotonic() < end:
            time.sleep(0.01)
    finally:
        run.kill()
    assert run.wait() == -signal.SIGKILL, "it ended before it could be stopped"
    before = {path: path.stat().st_mtime_ns for path in [*tmp_path.glob("table/part-*"), *cache.glob("*/*/*.npz")]}
    assert len(before) >= 6
    to_parquet(mordred2d, smiles, tmp_path / "table", chunk_size=2)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in before}.items(), "nothing was computed twice"
    assert len(list(cache.glob("mordred2d/*/*.npz"))) == 12
    fresh("another")
    expected = mordred2d(smiles).rename_axis(index="row")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table"), expected, check_exact=True)


def test_a_damaged_part_is_written_again(tmp_path):
    path, *_ = to_parquet(maccs, MOLECULES, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    to_parquet(maccs, MOLECULES, tmp_path)
    assert path.read_bytes() == whole


def test_another_table_is_not_written_over(tmp_path):
    to_parquet(morgan, MOLECULES, tmp_path, chunk_size=5)
    for function, smiles, options in [
        (maccs, MOLECULES, {}),
        (morgan, MOLECULES[::-1], {}),
        (morgan, MOLECULES[:5], {}),
        (morgan, MOLECULES, {"radius": 2}),
    ]:
        with pytest.raises(ValueError, match="parquet is part of another table"):
            to_parquet(function, smiles, tmp_path, chunk_size=5, **options)


def test_bad_input_is_named_before_anything_is_written(tmp_path):
    with pytest.raises(MoleculeError, match="row 5: 'C1CC'"):
        to_parquet(maccs, [*MOLECULES[:5], "C1CC"], tmp_path, chunk_size=2)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MoleculeError, match="row 3: .*open end"):
        to_parquet(augment, ["CC", "CCC", "CCO", "*CC*"], tmp_path / "a", chunk_size=2, n_conformers=1)
    with pytest.raises(ValueError, match="no function of course_lib.featurize"):
        to_parquet(pid, MOLECULES, tmp_path)
    with pytest.raises(ValueError, match="chunk_size must be at least 1"):
        to_parquet(maccs, MOLECULES, tmp_path, chunk_size=0)
    with pytest.raises(ValueError, match="return_failures"):
        to_parquet(augment, MOLECULES, tmp_path, return_failures=True)
