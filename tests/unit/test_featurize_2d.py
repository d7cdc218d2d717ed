"""Fingerprints, Mordred's 2D table, the transformer, spellings and noise."""

import warnings

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from sklearn.utils.estimator_checks import check_estimator

from course_lib import settings
from course_lib.featurize import Descriptors, enumerate_smiles, jitter, maccs, mordred2d, mordred_2d, morgan
from course_lib.featurize.fingerprints import tanimoto
from course_lib.molecules import MoleculeError, canonical

MOLECULES = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "C=CC(=O)OC"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))


# fingerprints


def test_morgan():
    table = morgan(["C", "CCO", "OCC"])
    assert table.shape == (3, 2048)
    assert table.columns[0] == "morgan_0"
    assert table.loc[0].sum() == 1  # methane: one atom, one environment
    # ethanol: three atoms, then the two ends and the middle with their neighbours; no larger fragment is new
    assert table.loc[1].sum() == 6
    assert table.loc[1].equals(table.loc[2])
    assert morgan(["CCO"], radius=0, n_bits=512).sum(axis=1).tolist() == [3]
    assert morgan(["CCO"], n_bits=512).shape == (1, 512)


def test_maccs():
    table = maccs(["CCO", "c1ccccc1", "CCl"])
    assert table.shape == (3, 166)
    assert table["maccs_164"].tolist() == [1, 0, 0]  # oxygen
    assert table["maccs_103"].tolist() == [0, 0, 1]  # chlorine
    assert table["maccs_163"].tolist() == [0, 1, 0]  # six-membered ring
    assert table["maccs_162"].tolist() == [0, 1, 0]  # aromatic


@pytest.mark.parametrize("function", [morgan, maccs, mordred2d])
def test_bad_smiles_are_named(function):
    with pytest.raises(MoleculeError, match="row 1: 'C1CC' is not a molecule"):
        function(["CCO", "C1CC"])
    with pytest.raises(TypeError, match=r"\[smiles\]"):
        function("CCO")


@pytest.mark.parametrize(("function", "width"), [(morgan, 2048), (maccs, 166), (mordred2d, 1613)])
def test_no_molecules_no_rows(function, width):
    assert function([]).shape == (0, width)


# Mordred's 2D table


def test_mordred2d_equals_the_calculator_and_is_quiet(capfd):
    from mordred import Calculator, descriptors

    smiles = ["CCO", "[Na+].[Cl-]", "C[Si](C)(C)Cl", "C"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = mordred2d(smiles)
    assert capfd.readouterr() == ("", "")
    assert table.shape == (4, 1613)
    assert table.dtypes.eq(float).all()
    calculator = Calculator(descriptors, ignore_3D=True)
    assert list(table.columns) == [str(descriptor) for descriptor in calculator.descriptors]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = [calculator(Chem.MolFromSmiles(text)) for text in smiles]
    expected = np.array([[np.nan if hasattr(value, "error") else float(value) for value in row] for row in results])
    expected[np.isinf(expected)] = np.nan
    np.testing.assert_allclose(table.to_numpy(), expected, rtol=1e-12, atol=1e-12)
    assert table.loc[0, "nHeavyAtom"] == 3
    assert table.loc[0, "MW"] == pytest.approx(46.0419, abs=1e-3)
    assert table.loc[1].isna().any()


def test_mordred2d_does_not_depend_on_spelling_company_or_workers(tmp_path, monkeypatch):
    table = mordred2d([*MOLECULES, "OCC"])
    assert table.loc[3].equals(table.loc[0])
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "another"))
    shared = mordred2d(MOLECULES[::-1], n_jobs=2)
    np.testing.assert_array_equal(shared.to_numpy()[::-1], table.to_numpy()[:3])


def test_mordred2d_is_cached_and_repairs_its_cache(monkeypatch):
    first = mordred2d(MOLECULES)
    calls, real = [], mordred_2d._molecule
    monkeypatch.setattr(mordred_2d, "_molecule", lambda folder, text: calls.append(text) or real(folder, text))
    pd.testing.assert_frame_equal(mordred2d(MOLECULES), first)
    assert calls == []
    next(iter((settings.cache_dir() / "mordred2d").rglob("*.npz"))).write_bytes(b"broken")
    pd.testing.assert_frame_equal(mordred2d(MOLECULES), first)
    assert len(calls) == 1


def test_what_the_clock_decided_is_not_cached(monkeypatch):
    from mordred import DetourMatrix
    from mordred.error import Timeout

    def slow(self):
        raise Timeout

    monkeypatch.setattr(DetourMatrix.CalcDetour, "__call__", slow)
    table = mordred2d(["CCO"])
    assert np.isnan(table.loc[0, "DetourIndex"])
    assert not list((settings.cache_dir() / "mordred2d").rglob("*.npz"))
    monkeypatch.undo()


# transformer


@pytest.fixture
def raw():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    return pd.DataFrame(
        {
            "a": 5 + 3 * a,
            "constant": 7.0,
            "nearly_a": a + 1e-3 * b,
            "minus_a": -2 * a,
            "gappy": np.where(np.arange(50) < 11, np.nan, b),  # 22 %
            "b": np.where(np.arange(50) < 5, np.nan, b),  # 10 %
            "infinite": np.where(np.arange(50) < 30, np.inf, b),
            "empty": np.nan,
            "huge": 1e200 * rng.normal(size=50),
        }
    )


def test_transformer_keeps_what_it_should(raw):
    clean = Descriptors().set_output(transform="pandas").fit(raw)
    table = clean.transform(raw)
    assert list(table.columns) == ["a", "b", "huge"]
    assert clean.get_feature_names_out().tolist() == ["a", "b", "huge"]
    assert clean.dropped_ == {"missing": 3, "constant": 1, "correlated": 2}
    np.testing.assert_allclose(table.mean(), 0, atol=1e-12)
    np.testing.assert_allclose(table.std(ddof=0), 1)
    filled = table["b"].iloc[:5]
    assert filled.nunique() == 1
    assert filled.iloc[0] == pytest.approx((raw["b"].median() - clean.mean_[1]) / clean.scale_[1])


def test_transformer_learns_from_training_rows_only(raw):
    train, test = raw.iloc[:40], raw.iloc[40:].copy()
    clean = Descriptors().fit(train)
    learnt = (clean.kept_.copy(), clean.median_.copy(), clean.mean_.copy(), clean.scale_.copy())
    before = clean.transform(train)
    test["a"] *= 1e6
    test["b"] = np.nan
    result = clean.transform(test)
    for old, new in zip(learnt, (clean.kept_, clean.median_, clean.mean_, clean.scale_), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(clean.transform(train), before)
    np.testing.assert_allclose(clean.mean_[0], train["a"].mean())
    assert np.isfinite(result).all()
    # a row's result does not depend on the rows beside it
    np.testing.assert_array_equal(clean.transform(test.iloc[[3]])[0], result[3])


def test_transformer_options(raw):
    plain = Descriptors(scale=False, max_correlation=1.0, max_missing=1.0).fit(raw)
    kept = plain.get_feature_names_out().tolist()
    assert kept == ["a", "nearly_a", "minus_a", "gappy", "b", "infinite", "huge"]
    np.testing.assert_array_equal(plain.transform(raw)[:, 0], raw["a"])
    for option in ("max_missing", "max_correlation"):
        with pytest.raises(ValueError, match=option):
            Descriptors(**{option: 1.5}).fit(raw)


def test_transformer_without_columns_says_why(raw):
    with pytest.raises(
        ValueError, match="no descriptor column is left of 2: 1 had more than 20% gaps, 1 were constant"
    ):
        Descriptors().fit(raw[["constant", "empty"]])


def test_transformer_on_mordreds_table():
    """Real descriptors span 20 orders of magnitude and hold gaps."""
    smiles = [
        canonical(f"{'C' * k}{end}") for k in range(1, 9) for end in ("O", "OC(=O)C=C", "c1ccccc1", "[N+](=O)[O-]")
    ]
    table = mordred2d(smiles)
    result = Descriptors().set_output(transform="pandas").fit_transform(table)
    assert np.isfinite(result.to_numpy()).all()
    correlation = np.corrcoef(result.to_numpy().T) - np.eye(result.shape[1])
    assert np.abs(correlation).max() <= 0.95 + 1e-9


def test_transformer_follows_scikit_learn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = check_estimator(Descriptors(), on_fail=None)
    assert [check["check_name"] for check in report if check["status"] == "failed"] == []
    assert sum(check["status"] == "passed" for check in report) > 30


# spellings and noise


def test_enumerate_smiles():
    table = enumerate_smiles(["CCO", "C", "COC(=O)Cc1ccccc1"], n=6)
    assert table.index.names == ["row", "variant"]
    assert set(table.loc[0, "smiles"]) == {"OCC", "C(O)C", "C(C)O"}  # all there are beside CCO
    assert (table.loc[0, "found"] == 3).all()
    assert table.loc[1, "smiles"].tolist() == ["C"]
    assert table.loc[1, "found"].tolist() == [0]
    ester = table.loc[2]
    assert len(ester) == 6
    assert ester["smiles"].is_unique
    assert (ester["found"] == 6).all()
    own = canonical("COC(=O)Cc1ccccc1")
    assert own not in set(ester["smiles"])
    assert {canonical(text) for text in ester["smiles"]} == {own}


def test_spellings_depend_on_the_molecule_and_the_seed_only():
    ester = "COC(=O)Cc1ccccc1"
    many = enumerate_smiles([ester], 70)
    few = enumerate_smiles(["CCO", canonical(ester)], 20).loc[1]
    assert many.loc[0, "smiles"].tolist()[:20] == few["smiles"].tolist()
    assert enumerate_smiles([ester], 20, random_state=1)["smiles"].tolist() != few["smiles"].tolist()
    with pytest.raises(ValueError, match="at least 1"):
        enumerate_smiles([ester], 0)


def test_mordred_does_not_see_the_spelling():
    """Why spellings are no augmentation for descriptors: none of the 1613 changes."""
    spellings = enumerate_smiles(["COC(=O)Cc1ccccc1"], 5)["smiles"]
    assert spellings.nunique() == 5
    table = mordred2d(spellings)
    assert (table.nunique(dropna=False) == 1).all()


def test_jitter():
    rng = np.random.default_rng(1)
    X = pd.DataFrame({"a": 10 * rng.normal(size=400), "b": 0.1 * rng.normal(size=400), "c": 3.0})
    X.loc[5, "a"] = np.nan
    noisy = jitter(X, 20, scale=0.2)
    assert noisy.shape == (8000, 3)
    assert noisy.index.names == ["row", "copy"]
    noise = noisy.to_numpy().reshape(400, 20, 3) - X.to_numpy()[:, np.newaxis]
    np.testing.assert_allclose(np.nanstd(noise, axis=(0, 1)), 0.2 * X.std(ddof=0), rtol=0.05)
    np.testing.assert_allclose(np.nanmean(noise, axis=(0, 1)), 0, atol=0.1)
    assert noisy.loc[5, "a"].isna().all()
    assert noisy["a"].isna().sum() == 20
    few = jitter(X, 3, scale=0.2)
    pd.testing.assert_frame_equal(noisy[noisy.index.get_level_values("copy") < 3], few)
    assert not np.allclose(jitter(X, 3, scale=0.2, random_state=1)["a"].dropna(), few["a"].dropna())
    np.testing.assert_array_equal(jitter(X.to_numpy(), 3, scale=0.2), few)
    with pytest.raises(ValueError, match="n_copies"):
        jitter(X, 0)
    with pytest.raises(ValueError, match="negative"):
        jitter(X, 1, scale=-1)


def test_tanimoto_is_rdkits():
    from rdkit import Chem
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
    from rdkit.DataStructs import BulkTanimotoSimilarity

    smiles = ["CCO", "CCCO", "c1ccccc1O", "CC(=O)Oc1ccccc1"]
    prints = [GetMorganGenerator(radius=3, fpSize=2048).GetFingerprint(Chem.MolFromSmiles(text)) for text in smiles]
    expected = [BulkTanimotoSimilarity(one, prints) for one in prints]
    assert tanimoto(morgan(smiles), morgan(smiles)) == pytest.approx(np.array(expected))
    assert tanimoto([[0, 0]], [[0, 0], [1, 0]]).tolist() == [[1, 0]]
