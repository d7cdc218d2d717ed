"""The 26 claims of the lectures: their rules, the decision, and what the full runs found.

``claims.toml`` was committed before the runs that decide it. A claim is decided by a two-sided t-test of its endpoint
against its margin, corrected by Holm's method over the claims of one family; only FULL runs decide. Verdicts stand in
``results/<stem>_claims.csv``, which ``make reproduce`` writes with `decide_family`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.results import results_dir
from course_lib.teaching.checks import WIDTH, figures, number, wrap

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
HOLDS, FAILS, UNDECIDED, OPEN = "holds", "does not hold", "undecided", "not decided yet"
CLAIM_IDS = (
    *(f"A{i}" for i in range(1, 7)),
    *(f"B{i}" for i in range(1, 6)),
    *(f"C{i}" for i in range(1, 9)),
    *(f"D{i}" for i in range(1, 8)),
)
RESULT_COLUMNS = (
    "claim", "endpoint", "estimate", "low", "high", "se", "df", "n_units",
    "p", "p_holm", "margin", "direction", "verdict", "date", "versions",
)  # fmt: skip


class ClaimError(ValueError):
    """A claim, its rule or its results are not what they must be."""


@dataclass(frozen=True)
class Rule:
    """One entry of ``claims.toml``; the field names are its keys."""

    id: str
    text: str
    lesson: str
    estimand: str
    endpoint: str
    direction: str
    margin: float
    unit: str
    sets: tuple[str, ...]
    seeds: str
    rule: str
    family: str


@dataclass(frozen=True)
class Decision:
    """Test of an endpoint against its margin.

    Attributes
    ----------
    estimate : float
        The endpoint, in its unit.
    low : float
        Lower end of its 95 % interval.
    high : float
        Upper end of its 95 % interval.
    se : float
        Standard error of the estimate.
    df : float
        Degrees of freedom.
    n_units : int or None
        Number of units the interval is over, when known.
    p : float
        Two-sided p-value against the margin.
    p_holm : float
        The p-value corrected for its family; equal to ``p`` for a single test.
    margin : float
        Smallest effect that matters.
    direction : {"above", "below"}
        The side of the margin on which the claim holds.
    verdict : {"holds", "does not hold", "undecided"}
        What the test says of the claim.
    """

    estimate: float
    low: float
    high: float
    se: float
    df: float
    n_units: int | None
    p: float
    p_holm: float
    margin: float
    direction: str
    verdict: str


# ---------------------------------------------------------------------------------------------------------- the rules


def load_claims(path: Path | None = None) -> dict[str, Rule]:
    """Read and validate the rules.

    Parameters
    ----------
    path : Path, optional
        Another file than the package's ``claims.toml``.

    Returns
    -------
    dict
        Claim id to rule, from A1 to D7 in the order of the lectures. A rule is one entry of ``claims.toml``; the keys
    there (text, endpoint, direction, margin and others) are its attributes.

    Raises
    ------
    ClaimError
        When a claim is missing, unknown or malformed; the message names it.
    """
    return dict(_load(path or Path(__file__).parent / "claims.toml"))


@cache
def _load(path: Path) -> dict[str, Rule]:
    return parse_claims(tomllib.loads(path.read_text(encoding="utf-8")))


def parse_claims(content: Mapping[str, Any]) -> dict[str, Rule]:
    """Validate a parsed ``claims.toml``; see `load_claims`."""
    missing, unknown = set(CLAIM_IDS) - content.keys(), content.keys() - set(CLAIM_IDS)
    if missing or unknown:
        raise ClaimError(f"claims.toml: missing {sorted(missing)}, unknown {sorted(unknown)}")
    wanted = {field.name for field in fields(Rule)} - {"id"}
    rules = {}
    for id in CLAIM_IDS:
        entry = dict(content[id])
        if entry.keys() != wanted:
            raise ClaimError(f"claim {id}: keys differ from the schema: {sorted(entry.keys() ^ wanted)}")
        if entry["direction"] not in ("above", "below"):
            raise ClaimError(f"claim {id}: direction must be above or below, not {entry['direction']!r}")
        if isinstance(entry["margin"], bool) or not isinstance(entry["margin"], (int, float)):
            raise ClaimError(f"claim {id}: margin must be a number, not {entry['margin']!r}")
        if not isinstance(entry["sets"], list) or not entry["sets"]:
            raise ClaimError(f"claim {id}: sets must name at least one data set")
        for key in wanted - {"margin", "sets"}:
            if not isinstance(entry[key], str) or not entry[key].strip():
                raise ClaimError(f"claim {id}: {key} must be a text")
        if entry["family"] != id[0]:
            raise ClaimError(f"claim {id}: family is {entry['family']!r}, must be {id[0]!r}")
        if not (len(entry["lesson"]) == 2 and entry["lesson"].isdigit()):
            raise ClaimError(f"claim {id}: lesson must be two digits, not {entry['lesson']!r}")
        rules[id] = Rule(id=id, **{**entry, "margin": float(entry["margin"]), "sets": tuple(entry["sets"])})
    endpoints = [rule.endpoint for rule in rules.values()]
    repeated = {name for name in endpoints if endpoints.count(name) > 1}
    if repeated:
        raise ClaimError(f"claims.toml: endpoint used twice: {sorted(repeated)}")
    return rules


# ------------------------------------------------------------------------------------------------------- the decision


def decide(
    estimate: float | Sequence[float],
    se: float | None = None,
    df: float | None = None,
    margin: float = 0.0,
    direction: str = "above",
) -> Decision:
    """Decide one endpoint by a two-sided t-test against its margin.

    Parameters
    ----------
    estimate : float or array, shape (n_units,)
        The endpoint, with `se` and `df`; or its value for each independent unit, without them: then the mean, its
        standard error sd / sqrt(n) and n - 1 degrees of freedom are used.
    se : float, optional
        Standard error of `estimate`; for splits of one data set the Nadeau-Bengio one.
    df : float, optional
        Degrees of freedom.
    margin : float
        Smallest effect that matters.
    direction : {"above", "below"}
        The side of the margin on which the claim holds.

    Returns
    -------
    Decision
        "holds" when p < 0.05 and the estimate lies on the claim's side, "does not hold" when p < 0.05 and it lies on
        the other, else "undecided". One unit alone never decides.

    Raises
    ------
    ClaimError
        When a value is missing or not finite, `se` is negative, or `direction` is unknown.
    """
    from scipy import stats

    if direction not in ("above", "below"):
        raise ClaimError(f"direction must be 'above' or 'below', not {direction!r}")
    n_units = None
    if se is None and df is None:
        values = np.atleast_1d(np.asarray(estimate, dtype=float))
        if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
            raise ClaimError(f"the units' values must be a finite one-dimensional array, not {estimate!r}")
        n_units, df = values.size, values.size - 1
        estimate = float(values.mean())
        se = float(values.std(ddof=1) / math.sqrt(n_units)) if n_units > 1 else math.inf
    elif se is None or df is None:
        raise ClaimError("give se and df together, or neither and one value a unit")
    elif not (math.isfinite(float(estimate)) and se >= 0 and df >= 0):  # type: ignore[arg-type]
        raise ClaimError(f"estimate {estimate!r}, se {se!r} and df {df!r} must be finite and not negative")
    estimate, se, df, margin = float(estimate), float(se), float(df), float(margin)  # type: ignore[arg-type]
    difference = estimate - margin
    if df < 1 or math.isinf(se):
        low, high, p = -math.inf, math.inf, 1.0
    elif se <= 1e-12 * max(abs(estimate), abs(margin)):  # all units agree to the last digit
        low = high = estimate
        p = 0.0 if abs(difference) > 1e-12 * max(abs(estimate), abs(margin)) else 1.0
    else:
        half = float(stats.t.ppf(0.975, df)) * se
        low, high = estimate - half, estimate + half
        p = float(2 * stats.t.sf(abs(difference) / se, df))
    verdict = verdict_of(estimate, p, margin, direction)
    return Decision(estimate, low, high, se, df, n_units, p, p, margin, direction, verdict)


def verdict_of(estimate: float, p: float, margin: float, direction: str) -> str:
    """Verdict for an estimate and its (corrected) p-value."""
    if not p < ALPHA:
        return UNDECIDED
    return HOLDS if (estimate > margin) == (direction == "above") else FAILS


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's step-down correction.

    Parameters
    ----------
    p_values : array, shape (n,)

    Returns
    -------
    array, shape (n,)
        Adjusted p-values in the order given: the k-th smallest times (n - k + 1), never below a smaller one's, and
        at most 1.

    Raises
    ------
    ClaimError
        When a value is not between 0 and 1.

    References
    ----------
    Holm S. A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6 (1979) 65-70.
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ClaimError(f"p-values must lie between 0 and 1: {p_values!r}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    return adjusted


def decide_family(
    measured: Mapping[str, Sequence[float] | tuple[float, float, float]],
    *,
    date: str = "",
    versions: str = "",
    n_units: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Decide claims by the rules of ``claims.toml``, Holm-corrected within each family.

    Parameters
    ----------
    measured : dict
        Claim id to one value for each unit (array), or to a tuple ``(estimate, se, df)``.
    date, versions : str
        Written into the table.
    n_units : dict, optional
        Number of units, where `measured` holds (estimate, se, df).

    Returns
    -------
    DataFrame
        What ``results/<stem>_claims.csv`` holds, one row a claim: its id and endpoint, the estimate with its interval,
    standard error, degrees of freedom and number of units, the p-value without and with correction, margin,
    direction, verdict, date and versions.

    Raises
    ------
    ClaimError
        When a claim is unknown, or only part of a family is given: Holm's correction is over all its primaries, so a
        claim that was not measured would make the others look better. Pass None as the value of a claim that could
        not be run: it counts with p = 1 and gets no row.
    """
    import pandas as pd

    rules = load_claims()
    unknown = measured.keys() - rules.keys()
    if unknown:
        raise ClaimError(f"unknown claims {sorted(unknown)}; there are {', '.join(rules)}")
    decisions: dict[str, Decision] = {}
    for id, values in measured.items():
        rule = rules[id]
        if values is None:
            continue
        given = values if isinstance(values, tuple) else (values,)
        decisions[id] = decide(*given, margin=rule.margin, direction=rule.direction)
    rows = []
    for family in dict.fromkeys(rules[id].family for id in measured):
        members = [id for id in rules if rules[id].family == family]
        absent = [id for id in members if id not in measured]
        if absent:
            raise ClaimError(f"family {family}: no value for {', '.join(absent)} (pass None where there is none)")
        corrected = holm([decisions[id].p if id in decisions else 1.0 for id in members])
        for id, p_holm in zip(members, corrected, strict=True):
            if id not in decisions:
                continue
            d = decisions[id]
            units = d.n_units if d.n_units is not None else (n_units or {}).get(id)
            verdict = verdict_of(d.estimate, float(p_holm), d.margin, d.direction)
            rows.append(
                (id, rules[id].endpoint, d.estimate, d.low, d.high, d.se, d.df, units, d.p, float(p_holm), d.margin,
                 d.direction, verdict, date, versions)
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(RESULT_COLUMNS))


# -------------------------------------------------------------------------------------------------------- the results


def read_results() -> pd.DataFrame:
    """All rows of ``results/*_claims.csv``, with `RESULT_COLUMNS` first; empty when there are none.

    Raises
    ------
    ClaimError
        When a table lacks a column or names an unknown claim.
    """
    import pandas as pd

    tables = []
    for path in sorted(results_dir().glob("*_claims.csv")):
        table = pd.read_csv(path, keep_default_na=True)
        missing = [column for column in RESULT_COLUMNS if column not in table]
        if missing:
            raise ClaimError(f"{path.name} lacks the columns {', '.join(missing)}")
        unknown = sorted(set(table["claim"]) - set(CLAIM_IDS))
        if unknown:
            raise ClaimError(f"{path.name} names unknown claims: {', '.join(map(str, unknown))}")
        tables.append(table)
    if not tables:
        return pd.DataFrame({column: [] for column in RESULT_COLUMNS})
    return pd.concat(tables, ignore_index=True)


class Claim:
    """A claim of the lectures, its rule, and what is known about it.

    Attributes
    ----------
    rule : Rule
        One entry of ``claims.toml``; the keys there are its attributes.
    results : DataFrame
        Rows of the primary endpoint in ``results/*_claims.csv``: none, one, or one for each region where the rule
        says so (column ``region``).
    """

    def __init__(self, rule: Rule, results: pd.DataFrame) -> None:
        self.rule = rule
        primary = (results["claim"] == rule.id) & (results["endpoint"] == rule.endpoint)
        self.results = results[primary].reset_index(drop=True)
        self._illustration: str | None = None

    @property
    def id(self) -> str:
        """Its number, such as "A3"."""
        return self.rule.id

    @property
    def text(self) -> str:
        """The claim as the lecture makes it."""
        return self.rule.text

    @property
    def verdict(self) -> str:
        """Verdict of the full run, or "not decided yet"."""
        verdicts = list(self.results["verdict"])
        if not verdicts:
            return OPEN
        if len(set(verdicts)) == 1:
            return str(verdicts[0])
        return "; ".join(f"{v} in {verdicts.count(v)}" for v in (HOLDS, FAILS, UNDECIDED) if v in verdicts)

    def decide(self, estimate: float | Sequence[float], se: float | None = None, df: float | None = None) -> Decision:
        """Apply this claim's margin and direction to measured values; see `course_lib.teaching.decide`.

        The p-value is that of this claim alone: the verdict of the full run is corrected for the whole family.
        """
        return decide(estimate, se, df, margin=self.rule.margin, direction=self.rule.direction)

    def illustrate(self, values: float | Sequence[float], *, quiet: bool = False, **secondary: float) -> None:
        """Print today's small recomputation beside the full run's figure; it decides nothing.

        `show` and `settle` print it too.

        Parameters
        ----------
        values : float or array, shape (n,)
            The endpoint, once or for a few repeats (NaN and infinity are refused).
        quiet : bool
            Print nothing now, for a cell that goes on to `show` or `settle` the claim.
        **secondary : float
            Further figures to print, by name.

        Raises
        ------
        ClaimError
            When a value is not a finite number.
        """
        array = np.atleast_1d(np.asarray(values, dtype=float)).ravel()
        if array.size == 0 or not np.isfinite(array).all():
            raise ClaimError(f"claim {self.id}: the values to illustrate it with must be finite, not {values!r}")
        line = f"illustration, not a verdict: {self.rule.endpoint} = {number(array.mean())}"
        if array.size > 1:
            line += f" (mean of {array.size}, from {number(array.min())} to {number(array.max())})"
        extra = [f"{name.replace('_', ' ')} = {number(value)}" for name, value in secondary.items()]
        self._illustration = "; ".join([line, *extra])
        if not quiet:
            self._print("today", self._illustration)
            self._print_full_run()

    def show(self) -> None:
        """Print the claim, its rule, today's illustration if there is one, and the full run's interval and verdict."""
        rule = self.rule
        self._print("claim", rule.text)
        self._print("measured", rule.estimand)
        self._print("rule", f"holds when {rule.endpoint} lies {rule.direction} {rule.margin:g}. {rule.rule}")
        if self._illustration:
            self._print("today", self._illustration)
        self._print_full_run()

    def settle(self, meaning: Mapping[str, str]) -> None:
        """Show the claim, the full run's value for each unit in its parts, and what the verdict means.

        Parameters
        ----------
        meaning : mapping of str to str
            A sentence for "holds" and for "does not hold"; one for "undecided" takes the place of the usual one.
        """
        import pandas as pd

        self.show()
        for path in sorted(results_dir().glob("*_claim_parts.csv")):
            parts = pd.read_csv(path)
            mine = parts[parts["claim"] == self.id].drop(columns="claim").dropna(axis=1, how="all")
            if len(mine):
                text = mine.round(3).to_string(index=False)
                if text.index("\n") > WIDTH:  # parts downwards, units across
                    text = mine.set_index(mine.columns[0]).rename_axis(None).T.round(3).to_string()
                print("\n" + text)
        sentences = {
            UNDECIDED: "These data do not settle it.",
            OPEN: "The full run is still to come.",
        }
        known = {**sentences, **meaning}
        if self.verdict in known:  # several regions with several verdicts have no one sentence
            print("\n" + wrap(known[self.verdict]))

    def _print(self, what: str, text: str) -> None:
        print(wrap(f"{self.id} {what:9} {text}", hanging=13))

    def _print_full_run(self) -> None:
        if self.results.empty:
            self._print("full run", OPEN)
        for _, row in self.results.iterrows():
            where = f"[{row['region']}] " if isinstance(row.get("region"), str) else ""
            units = "" if row["n_units"] != row["n_units"] else f" over {int(row['n_units'])} x {self.rule.unit}"
            estimate, low, high = figures(row["estimate"], row["low"], row["high"])
            verdict = row["verdict"]
            if verdict == UNDECIDED and row["p"] < ALPHA:  # else the interval would seem to contradict it
                verdict += f" (p {row['p']:.2g}; {row['p_holm']:.2g} after Holm's correction for its family)"
            self._print("full run", f"{where}{estimate}, 95 % interval {low} to {high}{units}: {verdict}")

    def __repr__(self) -> str:
        return f"{self.id}: {self.text} [{self.verdict}]"


def claim(id: str) -> Claim:
    """Return a claim by its number.

    Raises
    ------
    ClaimError
        When there is no such claim.
    """
    rules = load_claims()
    if id not in rules:
        raise ClaimError(f"there is no claim {id!r}; there are A1-A6, B1-B5, C1-C8, D1-D7")
    return Claim(rules[id], read_results())


def ledger() -> pd.DataFrame:
    """Table of all 26 claims with the full runs' figures.

    Returns
    -------
    DataFrame
        Index ``claim``; columns lesson, text, endpoint, margin (as "> 0.05"), estimate, low, high, n_units, verdict.
    """
    import pandas as pd

    results, rows = read_results(), []
    for rule in load_claims().values():
        known = Claim(rule, results)
        first = known.results.iloc[0] if len(known.results) == 1 else {}
        margin = f"{'>' if rule.direction == 'above' else '<'} {rule.margin:g}"
        figures = [first.get(column, float("nan")) for column in ("estimate", "low", "high", "n_units")]
        rows.append((rule.id, rule.lesson, rule.text, rule.endpoint, margin, *figures, known.verdict))
    columns = ["claim", "lesson", "text", "endpoint", "margin", "estimate", "low", "high", "n_units", "verdict"]
    return pd.DataFrame(rows, columns=columns).set_index("claim")
