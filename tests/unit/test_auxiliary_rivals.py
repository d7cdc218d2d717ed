"""The recommendation on planted truths, all rivals behind one call, and the benchmark that compares them."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from course_lib.auxiliary import RIVALS, recommend, rivals, select
from course_lib.auxiliary.transfer import predict_target
from course_lib.datasets import load
from course_lib.molecules import identity

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS = {
    "task": {"hidden": 8, "n_layers": 1, "n_molecules": 20},
    "structure and task": {"hidden": 8, "n_layers": 1, "n_molecules": 20},
    "principal gradient": {"hidden": 8, "n_layers": 1, "n_restarts": 2},
    "forward search": {"hidden": 8, "n_layers": 1, "n_steps": 8, "batch_size": 8},
    "molgroup": {"hidden": 8, "n_layers": 1, "n_steps": 5, "batch_size": 8, "n_seeds": 1, "rounds": 1},
}


@pytest.fixture(scope="module")
def benchmark():
    """The benchmark's module, by its path."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "planted_groups.py"
    spec = spec_from_file_location("planted_groups", path)
    module = module_from_spec(spec)
    sys.modules["planted_groups"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pool(benchmark):
    return benchmark.pool()


@pytest.fixture(scope="module", params=["linear", "wave"])
def planted(request, benchmark, pool):
    return benchmark.plant(pool, benchmark.TRUTHS[request.param](pool), seed=100)


@pytest.fixture(scope="module")
def small(benchmark, pool):
    """A planted linear truth with 40 and 60 molecules."""
    target, others = benchmark.plant(pool, benchmark.linear(pool), seed=3)
    cut = {name: {key: part[key][:60] for key in part} for name, part in others.items()}
    return {key: target[key][:40] for key in target}, cut


# --- the planted truths ---
def test_what_is_planted_is_there(benchmark, pool):
    for draw in (kind(pool) for kind in benchmark.TRUTHS.values()):
        truth = draw(np.random.default_rng(7))
        by_identity = dict(zip((identity(text) for text in pool), truth, strict=True))
        target, others = benchmark.plant(pool, draw, seed=7)
        assert not set(target["smiles"]) & {text for part in others.values() for text in part["smiles"]}
        found = {
            name: np.corrcoef([by_identity[identity(text)] for text in part["smiles"]], part["y"])[0, 1]
            for name, part in {"target": target, **others}.items()
        }
        assert found["target"] == pytest.approx(1 / np.sqrt(1.09), abs=0.03)
        assert found["copy"] == pytest.approx(1 / np.sqrt(1.25), abs=0.05)
        assert found["negated"] == pytest.approx(-1 / np.sqrt(1.25), abs=0.05)
        assert abs(found["shuffled"]) < 0.15
        assert abs(found["unrelated"]) < 0.15


def test_right_needs_both_copies_on_top(benchmark):
    scores = pd.Series({"copy": 3.0, "negated": 2.0, "shuffled": 1.0, "unrelated": 0.0})
    assert benchmark.right(scores)
    assert not benchmark.right(scores.replace(2.0, 0.5))
    assert not benchmark.right(pd.Series(0.0, index=scores.index))


# --- the recommendation ---
def test_the_recommendation_finds_copies_on_both_truths(benchmark, planted):
    """Whatever the folds: what does not help scatters about 0 by some hundredths, and copies stand above it."""
    target, others = planted
    found = pd.DataFrame([recommend(target, others, random_state) for random_state in range(2)])
    assert list(found) == list(others)
    assert all(benchmark.right(scores) for _, scores in found.iterrows())
    assert found[["copy", "negated"]].to_numpy().min() > 0
    assert found[["shuffled", "unrelated"]].mean().abs().max() < 0.1


def test_it_depends_neither_on_order_nor_on_company_nor_on_the_unit(small):
    target, others = small
    found = recommend(target, others)
    again = recommend({**target, "y": 1000 * target["y"] - 5}, dict(reversed(others.items())))
    assert again == pytest.approx(found, abs=1e-6)
    assert recommend(target, {"copy": others["copy"]})["copy"] == found["copy"]
    assert recommend(target, {"copy": others["copy"]}, 1)["copy"] != found["copy"]


def test_a_binary_auxiliary_and_a_binary_target(benchmark, pool):
    target, others = benchmark.plant(pool, benchmark.linear(pool), seed=100)
    classes = {**others["copy"], "y": (others["copy"]["y"] > 0).astype(int)}
    positive = {**target, "y": (target["y"] > 0).astype(int)}
    assert recommend(target, {"classes": classes})["classes"] > 0.05
    found = recommend(positive, {"classes": classes, "shuffled": others["shuffled"]})
    assert found["classes"] > found["shuffled"] + 0.05


def test_the_targets_own_labels_bring_nothing_for_new_molecules():
    """An auxiliary that is the target itself adds no molecule: what it seems to add would be a leak."""
    data = load("octane").subset(np.arange(120))
    rng = np.random.default_rng(0)
    noise = {"smiles": data.smiles, "y": rng.normal(size=len(data))}
    assert abs(recommend(noise, {"itself": noise})["itself"]) < 0.05


def test_held_out_molecules_are_not_read(small):
    target, others = small
    held = others["copy"]["smiles"][:20]
    kept = {name: {key: part[key][~np.isin(part["smiles"], held)] for key in part} for name, part in others.items()}
    assert recommend(target, others, held_out=held) == recommend(target, kept)


def test_a_fold_is_predicted_by_rows_without_its_molecules(small):
    from course_lib.auxiliary.tasks import read_task

    target = read_task("target", small[0])
    both = np.concatenate([np.arange(30), np.arange(10)])  # some twice
    other = target.subset(both)
    folds = np.arange(len(target)) % 4
    seen = []

    def watched(train, test):
        assert not set(other.groups[train]) & set(target.groups[test])
        seen.append(len(train))
        return test.astype(float)

    found = predict_target(watched, target, other, folds)
    assert found.tolist() == list(range(len(target)))
    assert len(seen) == 4


# --- rivals ---
@pytest.mark.parametrize("method", list(RIVALS))
def test_every_rival_answers_alike(method, small):
    target, others = small
    found = select(method, target, others, k=2, **OPTIONS.get(method, {}))
    assert list(found.scores.index) == list(others)
    assert np.isfinite(found.scores).all()
    assert set(found.selected) <= set(others)
    assert found.seconds >= 0
    if method == "all":
        assert found.selected == sorted(others)
    elif method == "none":
        assert found.selected == []
    elif method in ("forward search", "molgroup", "recommended"):
        assert len(found.selected) <= 2
    else:
        assert found.selected == found.scores.sort_values(ascending=False).index[:2].tolist()
    again = select(method, target, dict(reversed(others.items())), k=2, **OPTIONS.get(method, {}))
    assert again.selected == found.selected
    assert again.scores[list(others)].tolist() == pytest.approx(found.scores.tolist(), abs=1e-9)


def test_random_depends_on_its_seed_alone(small):
    target, others = small
    found = {tuple(select("random", target, others, k=2, random_state=seed).selected) for seed in range(30)}
    assert len(found) > 5


def test_forward_search_takes_the_best_and_stops(small, monkeypatch):
    """Known errors: the copy halves the error, then the negated takes a tenth, then nothing helps."""
    target, others = small
    factor = {"copy": 0.5, "negated": 0.9, "shuffled": 1.1, "unrelated": 1.0}

    class Fake:
        def __init__(self, **options):
            pass

        def fit(self, target, auxiliaries, *, validation):
            assert not set(target.groups) & set(validation.groups)
            value = np.prod([factor[name] for name in auxiliaries])
            self.history_ = pd.DataFrame({"validation": [2.0, value, 3.0]})

    monkeypatch.setattr(rivals, "JointNetwork", Fake)
    found = select("forward search", target, others, k=4)
    assert found.selected == ["copy", "negated"]
    assert found.scores.tolist() == pytest.approx([0.5, 0.1, -0.1, 0.0])
    assert select("forward search", target, others, k=1).selected == ["copy"]


def test_an_unknown_method_is_named(small):
    with pytest.raises(ValueError, match="choose one of .*'recommended'"):
        select("best", *small)
