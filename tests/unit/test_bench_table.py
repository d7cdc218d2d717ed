"""The one table of the benchmarks, and what the benchmark of sizes extrapolates."""

import importlib.util
import sys

import pandas as pd
import pytest

from environment_rules import ROOT, read


def module(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def table():
    return module("table")


def test_every_results_file_that_is_there_is_shown(table):
    shown = table.everything()
    for part in table.PARTS:
        values = shown[shown["part"] == part.title]["value"]
        assert values.notna().all() == (ROOT / "results" / part.file).exists()
        assert (ROOT / "benchmarks" / part.run.split()[0]).is_file()
    assert len({part.title for part in table.PARTS}) == len(table.PARTS)


def test_what_is_absent_is_said_to_be_absent(table, tmp_path):
    shown = table.everything(tmp_path)
    assert len(shown) == len(table.PARTS)
    assert shown["what"].str.startswith("not measured yet: python benchmarks/").all()
    assert shown["value"].isna().all()


def test_ratios_are_to_the_named_row_of_the_same_group(table, tmp_path):
    rows = [("a", "x", 2.0, 1), ("a", "y", 6.0, 0), ("b", "y", 5.0, 1), ("b", "x", 10.0, 1)]
    pd.DataFrame(rows, columns=["truth", "method", "s", "right"]).to_csv(tmp_path / "f.csv", index=False)
    part = table.Part("p", "f.csv", ("truth", "method"), ("ratio", "right"), seconds="s", than="x", run="f.py")
    found = table.lines(part, tmp_path)
    assert {line["what"]: line["value"] for line in found if line["measure"] == "ratio"} == {
        "a, x": 1.0,
        "a, y": 3.0,
        "b, y": 0.5,
        "b, x": 1.0,
    }
    assert [line["value"] for line in found if line["measure"] == "right"] == [1, 0, 1, 1]
    one = table.Part("p", "f.csv", ("method",), ("ratio",), seconds="s", than="x", run="f.py")
    pd.DataFrame(rows[:2], columns=["truth", "method", "s", "right"]).to_csv(tmp_path / "f.csv", index=False)
    assert [line["value"] for line in table.lines(one, tmp_path)] == [1.0, 3.0]


def test_make_bench_ends_with_the_table():
    recipe = read("Makefile").split("\nbench:")[1].split("\n\n")[0].splitlines()[1:]
    assert recipe[-1].split() == ["$(RUN)", "benchmarks/table.py"]
    assert all("$(ARGS)" in line for line in recipe[:-1])


def test_sizes_are_extrapolated_from_the_largest_measured_one():
    pytest.importorskip("resource", reason="no such module on Windows")
    own = {"features": "morgan", "basis": "measured", "peak_mb": 300.0}
    small = own | {"molecules": 1000, "seconds": 9.0, "cpu_seconds": 9.0, "parquet_mb": 4.0, "cache_mb": 0.0}
    large = own | {"molecules": 10_000, "seconds": 20.0, "cpu_seconds": 10.0, "parquet_mb": 30.0, "cache_mb": 1.0}
    rows = module("scale").extrapolated([small, large])
    assert rows[:2] == [small, large]
    assert rows[2:] == [
        large
        | {
            "molecules": 100_000,
            "basis": "extrapolated: 10 x 10000 molecules",
            "seconds": 200.0,
            "cpu_seconds": 100.0,
            "parquet_mb": 300.0,
            "cache_mb": 10.0,
        }
    ]
