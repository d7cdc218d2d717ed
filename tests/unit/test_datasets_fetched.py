"""Published files: how they are fetched (no network: the download is replaced), and what the loaders make of them."""

import functools
import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests

from course_lib import datasets, settings
from course_lib.datasets import _base, _fetch

CONTENT = b"a published file, as its author has it\n" * 20
KNOWN = {
    "mirror": "folder/file.csv",
    "url": "https://author.example/file.csv",
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "size": len(CONTENT),
}


@pytest.fixture
def web(monkeypatch, tmp_path):
    """A pretended network: address -> content, or an exception; records what was asked for."""
    pages: dict[str, object] = {}
    asked: list[str] = []

    def get(self, url, output_file, pooch):
        asked.append(url)
        answer = pages.get(url, requests.ConnectionError("no route to host"))
        if isinstance(answer, Exception):
            raise answer
        Path(output_file).write_bytes(answer)

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", get)
    monkeypatch.setattr(_fetch, "entry", lambda name: {"files": {"table": KNOWN}})
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_DATA_MIRROR", raising=False)
    pages["asked"] = asked
    return pages


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    path = tmp_path / "mirror" / KNOWN["mirror"]
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    monkeypatch.setenv("COURSE_DATA_MIRROR", str(tmp_path / "mirror"))
    return path


def test_download_once_then_from_the_cache(web):
    web[KNOWN["url"]] = CONTENT
    first = _fetch.fetch("x")
    assert first.read_bytes() == CONTENT
    assert _fetch.fetch("x") == first
    assert web["asked"] == [KNOWN["url"]]
    assert not list(first.parent.glob(".part-*"))


def test_mirror_folder_is_tried_first_and_needs_no_network(web, mirror):
    assert _fetch.fetch("x") == mirror
    assert web["asked"] == []


def test_mirror_address_is_tried_first(web, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_MIRROR", "https://mirror.example/data/")
    web["https://mirror.example/data/folder/file.csv"] = CONTENT
    assert _fetch.fetch("x").read_bytes() == CONTENT
    assert web["asked"] == ["https://mirror.example/data/folder/file.csv"]


def test_mirror_without_the_file_falls_through(web, mirror, monkeypatch):
    mirror.unlink()
    web[KNOWN["url"]] = CONTENT
    assert _fetch.fetch("x").read_bytes() == CONTENT
    monkeypatch.setenv("COURSE_DATA_MIRROR", "https://mirror.example")
    (settings.cache_dir() / "datasets" / KNOWN["mirror"]).unlink()
    assert _fetch.fetch("x").read_bytes() == CONTENT
    assert web["asked"][-2:] == ["https://mirror.example/folder/file.csv", KNOWN["url"]]


def test_wrong_file_at_the_address(web):
    web[KNOWN["url"]] = CONTENT[:-1] + b"X"
    with pytest.raises(
        datasets.ChecksumError, match=r"file.csv is not the published file: SHA-256 \w{12}\.\.\. instead"
    ):
        _fetch.fetch("x")
    assert not list(settings.cache_dir().rglob("*.csv")), "a wrong file must not reach the cache"


def test_truncated_file_at_the_address(web):
    web[KNOWN["url"]] = CONTENT[:100]
    with pytest.raises(datasets.TruncatedFileError, match=f"ends early: 100 bytes instead of {len(CONTENT)}"):
        _fetch.fetch("x")
    assert not list(settings.cache_dir().rglob(".part-*"))


def test_wrong_or_truncated_file_on_the_mirror(web, mirror):
    mirror.write_bytes(CONTENT[:100])
    with pytest.raises(datasets.TruncatedFileError, match="Replace it, or unset COURSE_DATA_MIRROR"):
        _fetch.fetch("x")
    mirror.write_bytes(CONTENT.upper())
    with pytest.raises(datasets.ChecksumError, match="Replace it, or unset COURSE_DATA_MIRROR"):
        _fetch.fetch("x")
    assert web["asked"] == []


def test_damaged_file_in_the_cache_is_fetched_again(web):
    web[KNOWN["url"]] = CONTENT
    path = _fetch.fetch("x")
    path.write_bytes(CONTENT[:10])
    assert _fetch.fetch("x").read_bytes() == CONTENT
    assert len(web["asked"]) == 2


def test_no_mirror_and_no_network_is_one_clear_error(web):
    with pytest.raises(datasets.DownloadError) as caught:
        _fetch.fetch("x")
    text = str(caught.value)
    assert "https://author.example/file.csv: no connection (ConnectionError)" in text
    assert "set COURSE_DATA_MIRROR to a folder that holds folder/file.csv" in text


def test_a_server_that_refuses_is_named_with_its_answer(web):
    response = requests.Response()
    response.status_code = 404
    web[KNOWN["url"]] = requests.HTTPError("404 Client Error: a long text", response=response)
    with pytest.raises(datasets.DownloadError, match="the server answered 404"):
        _fetch.fetch("x")


def test_unwritable_cache(web, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "datasets").write_text("in the way")
    web[KNOWN["url"]] = CONTENT
    with pytest.raises(settings.CacheError, match="COURSE_CACHE"):
        _fetch.fetch("x")


def test_every_registered_file_is_pinned():
    for name, values in _base.registry().items():
        assert ("files" in values) == (values["kind"] == "fetched"), name
        for known in values.get("files", {}).values():
            assert re.search(r"^https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/", known["url"])
            assert re.fullmatch(r"[0-9a-f]{64}", known["sha256"])
            assert known["size"] > 1000


# --- the sets themselves: need the mirror, the cache or the network ---------------------------------------------------


@functools.cache
def unavailable(name):
    """Why the files of a set cannot be had, or an empty text."""
    try:
        for file in _base.entry(name)["files"]:
            _fetch.fetch(name, file)
    except datasets.DownloadError:
        return f"{name} is fetched from its author and neither COURSE_DATA_MIRROR nor the network has it"
    return ""


def load(name, **options):
    if unavailable("tg_vinyl"):  # one unanswered address is enough to know
        pytest.skip(unavailable("tg_vinyl"))
    return datasets.load(name, **options)


@pytest.mark.parametrize("name", ["tg_vinyl", "delaney", "freesolv", "lipo", "bace"])
def test_set_is_as_its_card_and_the_registry_say(name):
    data = load(name)
    stated = re.search(r"rows (\d+), molecules (\d+), left out (\d+)", data.card)
    assert [int(number) for number in stated.groups()] == [len(data), len(set(data.groups)), len(data.left_out)]
    assert _base.entry(name)["n"] == len(data)
    assert np.isfinite(data.y).all()


def test_tg_vinyl_says_what_was_repaired_and_left_out():
    data = load("tg_vinyl")
    assert len(data) == 352
    assert list(data.left_out["reason"].unique()) == ["the row is empty in the published file"]
    assert len(data.left_out) == 40
    repaired = data.frame[data.frame["repaired"] != ""]
    assert repaired["published_smiles"].tolist() == ["O= C1CCCO1"]
    assert repaired["smiles"].tolist() == ["O=C1CCCO1"]
    assert sorted([*data.frame["file_row"], *data.left_out["file_row"]]) == list(range(392))


def test_tg_vinyl_as_in_the_paper_and_one_row_per_molecule():
    paper = load("tg_vinyl", repair=False)
    assert (len(paper), len(set(paper.groups)), len(paper.left_out)) == (351, 223, 41)
    assert "a space inside the SMILES" in set(paper.left_out["reason"])
    merged = load("tg_vinyl", duplicates=False)
    assert len(merged) == len(set(merged.groups)) == len(set(merged.smiles)) == 224
    assert merged.frame["n_rows"].sum() == 352
    assert (merged.frame["n_rows"] > 1).sum() == 124
    full = pd.Series(load("tg_vinyl").y).groupby(load("tg_vinyl").groups).median()
    assert np.allclose(merged.y, full[merged.groups])
    assert (merged.frame["y_max"] - merged.frame["y_min"]).max() == 92


def test_audit_of_tg_vinyl_finds_what_is_known_of_it():
    frame = load("tg_vinyl").frame
    found = datasets.audit(frame, smiles="published_smiles", units="K", verbose=False)
    assert (found.n_labelled, found.n_parsed, found.n_distinct, found.n_repeated) == (352, 351, 223, 124)
    assert len(found.having("space in SMILES")) == 1
    assert len(found.having("not a molecule")) == 0
    hexadecyl = frame.index[frame["name"].str.lower().str.contains("hexadecyl acrylate")]
    assert set(hexadecyl) <= set(found.having("conflicting labels"))
    assert len(hexadecyl) > 0


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("delaney", (780, 112, 224)), ("freesolv", (445, 64, 128)), ("bace", (1058, 152, 303))],
)
def test_published_splits(name, sizes):
    data = load(name)
    counts = data.frame["split"].value_counts()
    assert tuple(counts[["train", "val", "test"]]) == sizes
    assert len(set(data.smiles)) == len(data) == sum(sizes)
    everything = load(name, split=False)
    assert len(everything) == len(data) + len(data.left_out)
    assert "split" not in everything.frame


def test_homopolymers_against_the_lectures_table():
    from course_lib.molecules import identity

    published = load("tg_vinyl")
    ours = load("homopolymer_tg")
    a = pd.Series(ours.y, index=[identity(smiles) for smiles in ours.frame["monomer_smiles"]])
    found = datasets.compare_sources(a, pd.Series(published.y, index=published.groups))
    stated = re.search(
        r"(\d+) monomers are in\s+both; (\d+) % of the medians are identical.*?median difference (\d+) K",
        ours.card,
        re.DOTALL,
    )
    assert [int(number) for number in stated.groups()] == [
        found["n_common"],
        round(100 * found["identical"]),
        round(found["median_absolute_difference"]),
    ]


# --- the loaders on small made-up files, which need nothing ----------------------------------------------------------


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """Stand-ins for the published files; returns the folder, in which a test may change them."""
    rows = ["300,C=CC(=O)OC,Poly(méthyl)", ",,", "290,O= C1CCCO1,Poly(x)", "310,COC(=O)C=C,Poly(again)", "280,CC=C,P"]
    (tmp_path / "tg_vinyl-table").write_bytes("\n".join(rows).encode("latin-1"))
    table = pd.DataFrame(
        {
            "compound id": ["a", "b", "c", "d", "e", "f"],
            " SMILES": ["CCO", "OCC", "CCN", "C1CC", "[Na+].[Cl-]", "CCC"],
            " iupac name (or alternative if IUPAC is unavailable or not parseable by OEChem)": list("abcdef"),
            " experimental value (kcalmol)": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            " experimental uncertainty (kcalmol)": 0.6,
        }
    )
    table.to_csv(tmp_path / "freesolv-table", index=False)
    with (tmp_path / "freesolv-split").open("wb") as stream:
        np.savez(stream, train=np.array(["CCO"]), val=np.array(["CCN"]), test=np.array(["CCC"]))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("course_lib.datasets._published.fetch", lambda name, file="table": tmp_path / f"{name}-{file}")
    return tmp_path


def test_loader_of_tg_vinyl_on_a_made_up_file(made_up):
    data = datasets.load("tg_vinyl")
    assert list(data.smiles) == ["C=CC(=O)OC", "O=C1CCCO1", "C=CC(=O)OC", "C=CC"]
    assert data.names[0] == "Poly(méthyl)"
    assert list(data.left_out["file_row"]) == [1]
    merged = datasets.load("tg_vinyl", duplicates=False, repair=False)
    assert list(merged.y) == [305.0, 280.0]
    assert merged.frame["published_names"][0] == "Poly(méthyl); Poly(again)"


def test_a_second_broken_smiles_in_tg_vinyl_would_not_pass_unseen(made_up):
    (made_up / "tg_vinyl-table").write_text("300,C1CC,Poly(x)\n", encoding="latin-1")
    with pytest.raises(ValueError, match=r"row 0: 'C1CC' is not a molecule \(unclosed ring\)"):
        datasets.load("tg_vinyl")


def test_loader_of_dionysus_on_made_up_files(made_up):
    data = datasets.load("freesolv")
    assert list(data.names) == ["a", "c", "f"]
    assert list(data.frame["split"]) == ["train", "val", "test"]
    assert list(data.frame["stated_error"]) == [0.6, 0.6, 0.6]
    assert dict(zip(data.left_out["name"], data.left_out["reason"], strict=True)) == {
        "b": "same molecule as an earlier row (DIONYSUS keeps one)",
        "d": "not a molecule: unclosed ring",
        "e": "not in DIONYSUS's split (salt, single atom or duplicate)",
    }
    assert list(datasets.load("freesolv", split=False).names) == ["a", "b", "c", "e", "f"]


def test_a_split_that_does_not_fit_its_table_is_an_error(made_up):
    with (made_up / "freesolv-split").open("wb") as stream:
        np.savez(stream, train=np.array(["CCO"]), val=np.array(["CCCl"]), test=np.array(["CCC"]))
    with pytest.raises(datasets.DatasetError, match="1 molecules of freesolv's split are not in its table, first CCCl"):
        datasets.load("freesolv")
