import os
import subprocess
import sys

import pytest

from course_lib import settings

CALLS = []


def counted(x):
    CALLS.append(x)
    return {"square": x * x, "text": "a long enough text to be cut in two" * 20}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    CALLS.clear()
    return tmp_path / "cache"


def test_cache_dir_is_made_where_the_environment_says(cache):
    assert settings.cache_dir() == cache
    assert cache.is_dir()


def test_cache_dir_without_the_variable_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / name)
    assert settings.cache_dir() == tmp_path / "course_lib"


def test_unwritable_cache_is_one_clear_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(settings.CacheError, match="Set the environment variable COURSE_CACHE"):
        settings.cache_dir()


def test_read_only_cache_is_the_same_error(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    settings._WRITABLE.discard(tmp_path)

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(settings.tempfile, "TemporaryFile", refuse)
    with pytest.raises(settings.CacheError, match="Permission denied"):
        settings.cache_dir()


def test_cached_computes_once(cache):
    call = settings.cached(counted)
    assert call(3) == call(3)
    assert CALLS == [3]


@pytest.mark.parametrize("damage", ["truncated", "one byte", "empty", "gone"])
def test_damaged_entry_is_computed_again(cache, caplog, damage):
    call = settings.cached(counted)
    expected = call(4)
    (entry,) = cache.rglob("output.pkl")
    data = bytearray(entry.read_bytes())
    if damage == "truncated":
        entry.write_bytes(data[: len(data) // 2])
    elif damage == "one byte":
        data[len(data) // 2] ^= 0xFF
        entry.write_bytes(data)
    elif damage == "empty":
        entry.write_bytes(b"")
    else:
        entry.unlink()
    assert call(4) == expected
    assert CALLS == [4, 4]
    assert "Traceback" not in caplog.text
    assert call(4) == expected
    assert CALLS == [4, 4]


def test_damaged_record_of_the_source_is_computed_again(cache):
    from joblib import memory

    call = settings.cached(counted)
    memory._FUNCTION_HASHES.clear()  # what joblib remembers within one process
    expected = call(5)
    (record,) = cache.rglob("func_code.py")
    record.write_bytes(b"\xff\xfe not text")
    memory._FUNCTION_HASHES.clear()
    assert call(5) == expected


def test_versions_are_part_of_the_key(cache, monkeypatch):
    first = settings.memory("rdkit").location
    assert "rdkit-" in str(first)
    assert "course_lib-" in str(first)
    monkeypatch.setattr(settings, "_version", lambda name: "another")
    assert settings.memory("rdkit").location != first


def test_mode(monkeypatch):
    monkeypatch.delenv("COURSE_MODE", raising=False)
    assert settings.mode() == "fast"
    monkeypatch.setenv("COURSE_MODE", " FULL ")
    assert settings.mode() == "full"
    monkeypatch.setenv("COURSE_MODE", "quick")
    with pytest.raises(ValueError, match="'quick'; it must be 'fast' or 'full'"):
        settings.mode()


def test_progress_goes_to_stderr_and_can_be_switched_off(monkeypatch, capsys):
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    assert list(settings.progress(range(3), "counting")) == [0, 1, 2]
    captured = capsys.readouterr()
    assert "counting" in captured.err
    assert captured.out == ""
    monkeypatch.setenv("COURSE_PROGRESS", "0")
    assert list(settings.progress(iter("ab"), "counting", total=2)) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"torch", "rdkit", "pandas", "numpy", "matplotlib", "lightgbm"}
    code = f"import sys, course_lib; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert run.stdout.strip() == "[]"


def test_submodules_come_on_first_use():
    import course_lib

    assert course_lib.molecules.canonical("OC") == "CO"
    assert "datasets" in dir(course_lib)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = course_lib.nothing
