"""Claims: the rules are complete, each can come out three ways, and the ledger reads what the full runs wrote."""

import math
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from course_lib.teaching import ClaimError, claim, claims, decide, decide_family, holm, ledger, load_claims
from course_lib.teaching.claims import CLAIM_IDS, RESULT_COLUMNS, parse_claims, read_results, verdict_of

RULES = load_claims()


def planted(rule, side, n=6):
    """Values of `n` units that lie clearly above, clearly below, or astride the rule's margin."""
    scale = max(abs(rule.margin), 0.01)
    wobble = scale * np.array([-0.2, 0.1, 0.2, -0.1, 0.15, -0.15])[:n]
    shift = {"above": 3 * scale, "below": -3 * scale, "astride": 0.0}[side]
    return rule.margin + shift + wobble


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RESULTS", str(tmp_path))
    return tmp_path


def test_there_are_exactly_the_26_claims():
    expected = [
        f"{lecture}{n}" for lecture, last in (("A", 6), ("B", 5), ("C", 8), ("D", 7)) for n in range(1, last + 1)
    ]
    assert list(RULES) == expected == list(CLAIM_IDS)
    assert len(RULES) == 26


def raw_claims():
    path = Path(claims.__file__).parent / "claims.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_the_untouched_rules_parse():
    assert parse_claims(raw_claims()) == RULES


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("direction", "up", "direction"),
        ("margin", "0.05", "margin"),
        ("margin", True, "margin"),
        ("sets", [], "sets"),
        ("rule", " ", "rule"),
        ("family", "B", "family"),
        ("lesson", "3", "lesson"),
        ("endpoint", RULES["A1"].endpoint, "endpoint used twice"),
    ],
)
def test_a_malformed_rule_is_named(key, value, says):
    content = raw_claims()
    content["A3"][key] = value
    with pytest.raises(ClaimError, match=says):
        parse_claims(content)


def test_missing_and_unknown_claims_and_keys_are_named():
    content = raw_claims()
    content["E1"] = content.pop("D7")
    with pytest.raises(ClaimError, match=r"missing \['D7'\], unknown \['E1'\]"):
        parse_claims(content)
    content = raw_claims()
    del content["C2"]["unit"]
    with pytest.raises(ClaimError, match=r"claim C2: .*unit"):
        parse_claims(content)


@pytest.mark.parametrize("id", CLAIM_IDS)
def test_every_rule_can_come_out_all_three_ways(id):
    rule, known = RULES[id], claim(id)
    other = "below" if rule.direction == "above" else "above"
    assert known.decide(planted(rule, rule.direction)).verdict == "holds"
    assert known.decide(planted(rule, other)).verdict == "does not hold"
    assert known.decide(planted(rule, "astride")).verdict == "undecided"


@pytest.mark.parametrize("family", "ABCD")
def test_whole_families_come_out_all_three_ways_after_correction(family):
    members = [id for id in CLAIM_IDS if id[0] == family]
    for turn in range(3):
        wanted = {id: ("holds", "does not hold", "undecided")[(turn + n) % 3] for n, id in enumerate(members)}
        measured = {}
        for id, verdict in wanted.items():
            rule = RULES[id]
            other = "below" if rule.direction == "above" else "above"
            side = {"holds": rule.direction, "does not hold": other, "undecided": "astride"}[verdict]
            measured[id] = planted(rule, side)
        table = decide_family(measured)
        assert dict(zip(table["claim"], table["verdict"], strict=True)) == wanted


def test_decide_against_numbers_worked_by_hand():
    # mean 0.2, sd 0.1, n = 4: se 0.05, t = (0.2 - 0.05) / 0.05 = 3 with 3 df; p = 0.0577 (tables: 3.182 at 0.05)
    values = 0.2 + 0.1 * np.array([-1, -1, 1, 1]) * math.sqrt(3) / 2
    d = decide(values, margin=0.05, direction="above")
    assert d.estimate == pytest.approx(0.2)
    assert d.se == pytest.approx(0.05)
    assert (d.df, d.n_units) == (3, 4)
    assert d.p == pytest.approx(0.05767, abs=5e-5)
    assert (d.low, d.high) == pytest.approx((0.2 - 3.18245 * 0.05, 0.2 + 3.18245 * 0.05), abs=1e-5)
    assert d.verdict == "undecided"
    again = decide(0.2, 0.05, 3, margin=0.05, direction="above")
    assert (again.p, again.low, again.verdict) == pytest.approx((d.p, d.low, d.verdict))
    # t = 4 with 3 df: p = 0.0280
    assert decide(0.25, 0.05, 3, margin=0.05).p == pytest.approx(0.0280, abs=5e-5)
    assert decide(0.25, 0.05, 3, margin=0.05).verdict == "holds"
    assert decide(0.25, 0.05, 3, margin=0.05, direction="below").verdict == "does not hold"


def test_decide_at_the_edges():
    assert decide([0.3], margin=0.0).verdict == "undecided"  # one unit never decides
    assert decide([0.3], margin=0.0).low == -math.inf
    assert decide([0.3, 0.3, 0.3], margin=0.1).verdict == "holds"  # all agree
    assert decide([0.1, 0.1, 0.1], margin=0.1).verdict == "undecided"  # exactly on the margin
    assert decide([0.05, 0.05, 0.05], margin=0.1).verdict == "does not hold"


@pytest.mark.parametrize(
    "arguments",
    [
        {"estimate": [0.1, float("nan")]},
        {"estimate": []},
        {"estimate": 0.1, "se": 0.1},
        {"estimate": 0.1, "df": 3},
        {"estimate": float("nan"), "se": 0.1, "df": 3},
        {"estimate": 0.1, "se": -0.1, "df": 3},
        {"estimate": [0.1, 0.2], "direction": "up"},
    ],
)
def test_decide_refuses_what_it_cannot_judge(arguments):
    with pytest.raises(ClaimError):
        decide(**arguments)


def test_holm_against_values_worked_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04 -> x4 0.02, x3 0.03, x2 0.06, x1 0.04 -> kept monotone 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == pytest.approx([0.2])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([0.02, 0.02, 0.02]) == pytest.approx([0.06, 0.06, 0.06])
    assert holm([]).size == 0
    with pytest.raises(ClaimError):
        holm([0.1, 1.2])
    with pytest.raises(ClaimError):
        holm([0.1, float("nan")])


def test_holm_never_rejects_more_than_five_in_a_hundred_families_of_nulls():
    draws = np.random.default_rng(0).random((4000, 6))
    assert np.mean([holm(p).min() < 0.05 for p in draws]) == pytest.approx(0.05, abs=0.012)


def test_correction_can_take_a_verdict_away():
    members = [id for id in CLAIM_IDS if id[0] == "A"]
    measured = {id: (RULES[id].margin, 1.0, 10.0) for id in members}
    measured["A1"] = (RULES["A1"].margin + 2.5, 1.0, 10.0)  # p = 0.031 alone
    assert claim("A1").decide(*measured["A1"]).verdict == "holds"
    row = decide_family(measured).set_index("claim").loc["A1"]
    assert row["p"] == pytest.approx(0.0314, abs=2e-4)
    assert row["p_holm"] == pytest.approx(6 * row["p"])
    assert row["verdict"] == "undecided"


def test_a_family_must_be_complete_but_may_hold_a_claim_that_was_not_run():
    measured = {id: planted(RULES[id], "astride") for id in CLAIM_IDS if id[0] == "B"}
    table = decide_family(measured, date="2026-01-02", versions="x 1")
    assert list(table.columns) == list(RESULT_COLUMNS)
    assert set(table["date"]) == {"2026-01-02"}
    assert "B3" not in set(decide_family({**measured, "B3": None})["claim"])
    del measured["B3"]
    with pytest.raises(ClaimError, match="B3"):
        decide_family(measured)
    with pytest.raises(ClaimError, match="Z9"):
        decide_family({"Z9": [1.0, 2.0]})


def test_a_claim_without_results_is_not_decided_yet(results, capsys):
    assert claim("A3").verdict == "not decided yet"
    claim("A3").show()
    assert "A3 full run  not decided yet" in capsys.readouterr().out
    assert set(ledger()["verdict"]) == {"not decided yet"}
    assert list(ledger().index) == list(CLAIM_IDS)


def test_the_ledger_reads_the_full_runs(results, capsys):
    measured = {id: planted(RULES[id], RULES[id].direction) for id in CLAIM_IDS if id[0] == "A"}
    decide_family(measured, date="2026-01-02", versions="x").to_csv(results / "tg_claims.csv", index=False)
    table = ledger()
    assert (table.loc["A1":"A6", "verdict"] == "holds").all()
    assert (table.loc["B1":, "verdict"] == "not decided yet").all()
    assert table.loc["A3", "n_units"] == 6
    a3 = claim("A3")
    a3.illustrate([0.2, 0.3], row_split=3.3)
    printed = capsys.readouterr().out
    assert "illustration, not a verdict" in printed
    assert "row split = 3.30" in printed
    assert printed.splitlines()[-1].endswith("holds")
    a3.illustrate([0.2, 0.3], quiet=True, row_split=3.3)
    assert capsys.readouterr().out == ""
    a3.show()
    printed = capsys.readouterr().out
    assert RULES["A3"].text in printed
    assert "illustration" in printed
    assert "6 x data set" in printed
    starts = [line[:13] for line in printed.splitlines()]
    whats = ("claim", "measured", "rule", "today", "full run")
    assert [start for start in starts if start.strip()] == [f"A3 {what:9} " for what in whats]
    assert max(map(len, printed.splitlines())) <= 96


def test_a_settled_claim_shows_its_parts_and_what_the_verdict_means(results, capsys):
    a3 = claim("A3")
    a3.settle({"holds": "It holds.", "does not hold": "It fails."})
    assert capsys.readouterr().out.endswith("\nThe full run is still to come.\n")
    measured = {id: planted(RULES[id], RULES[id].direction) for id in CLAIM_IDS if id[0] == "A"}
    decide_family(measured).to_csv(results / "tg_claims.csv", index=False)
    parts = pd.DataFrame(
        {"claim": ["A3", "A2"], "set": ["octane", "logp"], "estimate": [0.12345, 0.5], "half": [0.2, 1]}
    )
    parts.to_csv(results / "tg_claim_parts.csv", index=False)
    claim("A3").settle({"holds": "It holds.", "does not hold": "It fails."})
    printed = capsys.readouterr().out
    assert printed.endswith("\nIt holds.\n")
    assert "octane     0.123   0.2" in printed
    assert "logp" not in printed
    parts.assign(**{f"a part with a long name {n}": 0.5 for n in range(5)}).to_csv(
        results / "tg_claim_parts.csv", index=False
    )
    claim("A3").settle({"holds": "It holds.", "does not hold": "It fails."})
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 96
    assert "a part with a long name 4   0.500" in printed


def test_a_secondary_endpoint_is_not_taken_for_the_verdict(results):
    measured = {id: planted(RULES[id], RULES[id].direction) for id in CLAIM_IDS if id[0] == "A"}
    table = decide_family(measured)
    table.loc[table["claim"] == "A3", "endpoint"] = "something_else"
    table.to_csv(results / "tg_claims.csv", index=False)
    assert claim("A3").verdict == "not decided yet"


def test_an_interval_beyond_the_margin_that_the_correction_leaves_undecided_is_explained(results, capsys):
    members = [id for id in CLAIM_IDS if id[0] == "D"]
    rule = RULES["D2"]
    values = rule.margin + np.array([0.2, 0.5, 0.6, 0.9])
    table = decide_family(dict.fromkeys(members) | {"D2": values})
    row = table.set_index("claim").loc["D2"]
    assert row["low"] > rule.margin
    assert row["verdict"] == "undecided"
    table.to_csv(results / "panel_claims.csv", index=False)
    claim("D2").show()
    printed = " ".join(capsys.readouterr().out.split())
    assert f"undecided (p {row['p']:.2g}; {row['p_holm']:.2g} after Holm's correction" in printed


def test_a_claim_with_regions_says_how_many(results):
    measured = {id: planted(RULES[id], RULES[id].direction) for id in CLAIM_IDS if id[0] == "D"}
    one = decide_family(measured).assign(region="strong signal")
    two = one[one["claim"] == "D4"].assign(region="weak signal", verdict="undecided")
    pd.concat([one, two]).to_csv(results / "panel_claims.csv", index=False)
    assert claim("D4").verdict == "holds in 1; undecided in 1"
    assert claim("D1").verdict == "holds"


def test_a_damaged_results_table_is_named(results):
    (results / "tg_claims.csv").write_text("claim,estimate\nA1,0.3\n")
    with pytest.raises(ClaimError, match=r"tg_claims.csv lacks .*verdict"):
        read_results()


def test_unknown_claim_and_infinite_illustration_are_refused():
    with pytest.raises(ClaimError, match="no claim 'A9'"):
        claim("A9")
    with pytest.raises(ClaimError, match="finite"):
        claim("A1").illustrate([0.1, float("nan")])


def tampered(table):
    """Rows of the primaries whose margin, direction, p-values or verdict do not follow from their numbers."""
    bad = []
    primary = table[[row["endpoint"] == RULES[row["claim"]].endpoint for _, row in table.iterrows()]]
    for _, row in primary.iterrows():
        rule = RULES[row["claim"]]
        fresh = decide(row["estimate"], row["se"], row["df"], rule.margin, rule.direction)
        follows = (
            (row["margin"], row["direction"]) == (rule.margin, rule.direction)
            and row["p"] == pytest.approx(fresh.p, abs=1e-3)  # the table holds six digits
            and row["p_holm"] >= row["p"] * (1 - 1e-5)
            and row["verdict"] == verdict_of(row["estimate"], row["p_holm"], rule.margin, rule.direction)
        )
        if not follows:
            bad.append(row["claim"])
    return bad


def test_stored_verdicts_follow_from_the_stored_numbers():
    assert tampered(read_results()) == []


@pytest.mark.parametrize(("column", "value"), [("verdict", "holds"), ("margin", 0.0), ("p", 0.001), ("p_holm", 1e-9)])
def test_an_edited_results_table_is_noticed(column, value):
    table = decide_family({id: planted(RULES[id], "astride") for id in CLAIM_IDS if id[0] == "A"})
    assert tampered(table) == []
    table.loc[table["claim"] == "A2", column] = value
    assert tampered(table) == ["A2"]
