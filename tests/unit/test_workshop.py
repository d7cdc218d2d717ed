"""The class's JupyterHub configuration, read without JupyterHub; tests/slow/test_classroom.py starts it."""

from __future__ import annotations

import os
import pwd
import re
import runpy
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest

from environment_rules import ROOT, pins, read

CONFIG = ROOT / "workshop" / "jupyterhub_config.py"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="JupyterHub needs Linux or macOS")


class Config(dict):
    """What a configuration file sets, section by section."""

    def __getattr__(self, name: str) -> SimpleNamespace:
        return self.setdefault(name, SimpleNamespace())


def load(path=CONFIG) -> tuple[Config, dict, int]:
    """Run a configuration; what it set, its names, and the umask that it left."""
    config, before = Config(), os.umask(0o022)
    try:
        names = runpy.run_path(str(path), init_globals={"get_config": lambda: config})
    finally:
        umask = os.umask(before)
    return config, names, umask


@pytest.fixture(scope="module")
def benchmark():
    """The benchmark's module, by its path."""
    spec = spec_from_file_location("classroom", ROOT / "benchmarks" / "classroom.py")
    module = module_from_spec(spec)
    sys.modules["classroom"] = module
    spec.loader.exec_module(module)
    return module


def test_alone_it_asks_for_passwords_listens_on_loopback_and_closes_new_files():
    config, _, umask = load()
    assert config.JupyterHub.authenticator_class == "pam"
    assert config.PAMAuthenticator.allowed_groups == {"learners"}
    assert not hasattr(config.Authenticator, "allow_all")
    assert config.JupyterHub.bind_url.startswith("http://127.0.0.1:")
    assert umask == 0o077


@pytest.mark.parametrize("systemd", [True, False])
def test_limits_are_set_and_systemd_is_taken_where_it_can_enforce_them(monkeypatch, capsys, systemd):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: systemd)
    monkeypatch.setattr("pathlib.Path.is_dir", lambda path: True)
    config, _, _ = load()
    assert (config.Spawner.mem_limit, config.Spawner.cpu_limit) == ("2G", 2.0)
    spawner = config.JupyterHub.spawner_class.rsplit(".", 1)[1]
    assert spawner == ("SystemdSpawner" if systemd else "LocalProcessSpawner")
    assert ("not enforced" in capsys.readouterr().err) is not systemd


def test_the_idle_culler_may_stop_servers_and_nothing_else():
    config, _, _ = load()
    (service,), (role,) = config.JupyterHub.services, config.JupyterHub.load_roles
    assert service["command"][1:3] == ["-m", "jupyterhub_idle_culler"]
    assert role["services"] == [service["name"]]
    assert {scope for scope in role["scopes"] if not scope.startswith(("read:", "list:"))} == {"delete:servers"}


def test_on_tljh_it_leaves_log_in_spawner_limits_and_umask_alone(tmp_path):
    folder = tmp_path / "jupyterhub_config.d"
    folder.mkdir()
    (folder / "small_data.py").write_text(CONFIG.read_text())
    config, _, umask = load(folder / "small_data.py")
    assert "JupyterHub" not in config
    assert set(vars(config.Spawner)) == {"default_url", "environment", "args"}
    assert config.SystemdSpawner.unit_extra_properties == {"UMask": "0077"}
    assert umask == 0o022


def test_the_longest_name_leaves_room_for_the_kernels_sockets():
    config, _, _ = load()
    assert config.Spawner.args == ["--KernelManager.transport=ipc"]
    pattern = re.compile(config.Authenticator.username_pattern)
    longest = max((n for n in range(1, 40) if pattern.match("a" * n)), default=0)
    home = "/home/jupyter-" + "a" * longest  # on TLJH
    socket = f"{home}/.local/share/jupyter/runtime/kernel-{'0' * 36}-ipc-5"
    assert longest >= 12
    assert len(socket) <= 107
    assert not any(pattern.match(name) for name in ("", "Ada", "0ada", "../ada", "ada lovelace", "ada\nroot", "-ada"))


def test_a_home_that_others_can_read_is_closed(tmp_path, monkeypatch):
    _, names, _ = load()
    tmp_path.chmod(0o755)
    monkeypatch.setattr(pwd, "getpwnam", {"ada": SimpleNamespace(pw_dir=str(tmp_path))}.__getitem__)
    names["close_home"](SimpleNamespace(user=SimpleNamespace(name="ada")))
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_the_hub_runs_the_tested_jupyterlab():
    hub, course = pins(read("benchmarks/requirements-classroom.txt")), pins(read("requirements.txt"))
    both = set(hub) & set(course)
    assert both == {"jupyterlab", "ipykernel"}
    assert {name: hub[name].specifier for name in both} == {name: course[name].specifier for name in both}
    assert all(re.fullmatch(r"==[\d.]+", str(requirement.specifier)) for requirement in hub.values())


def test_extrapolation_follows_the_line_through_two_classes(benchmark):
    def row(n):
        return {
            "learners": n,
            "first_result_seconds_median": 2 + n,
            "first_result_seconds_worst": 3 + n,
            "total_seconds_worst": 50 * n,
            "memory_total_mb": 200 + 400 * n,
            "cpu_seconds_each": 100.0,
        }

    found = benchmark.extrapolate(row(4), row(8), 30)
    assert found.pop("basis") == "line through 4 and 8"
    assert found == row(30)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_counts_what_a_process_holds(benchmark):
    before = benchmark.pss(os.getpid())
    held = b"x" * 50_000_000
    assert benchmark.pss(os.getpid()) - before == pytest.approx(len(held) / 2**20, abs=5)
    assert benchmark.pss(2**22 + 1) == 0  # beyond the largest process id


def test_without_root_the_benchmark_says_so_and_runs_nothing(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["classroom.py"])
    benchmark.main()
    assert "not run" in capsys.readouterr().out


def test_a_folder_below_a_closed_one_is_not_open_to_all(benchmark, tmp_path):
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    assert benchmark.open_to_all(Path("/usr/bin"))
    (tmp_path / "closed").chmod(0o700)
    assert not benchmark.open_to_all(inner)
