"""The result of a gate as lines of text, as a grid and as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from earmark.codec.text import counted
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.statistics.differences import LEVEL
from earmark.eval.statistics.gate import Check
from earmark.eval.tables.columns import describe
from earmark.eval.tables.difference_grids import interval_text
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import DASH, p_statement, probability, signed

WORDS = {"regression": "REGRESSION", "missing": "MISSING", "passed": "ok"}


def lines(checks: Sequence[Check]) -> list[str]:
    """One line per check: "REGRESSION pesq -0.29 [-0.38, -0.18], p = 0.001, n = 8: mine@6"."""
    return [f"{WORDS[check.verdict]} {check.metric} {_finding(check)}: {_subject(check)}" for check in checks]


def _finding(check: Check) -> str:
    one = check.difference
    if one is None:
        return f"({check.reason})"
    mean, low, high = (_plain(value, one.decimals) for value in (one.mean, one.ci95_low, one.ci95_high))
    return f"{mean} [{low}, {high}], {p_statement(one.p)}, n = {one.n}"


def _plain(value: float, decimals: int) -> str:
    """A signed number with an ASCII hyphen, which every log and every pattern can take."""
    return signed(value, decimals).replace("−", "-")


def _subject(check: Check) -> str:
    return check.system if check.scope == ALL else f"{check.system}, {check.scope}"


def summary_line(checks: Sequence[Check]) -> str:
    """Count the checks by verdict: "2 checks: 1 regression, 1 passed"."""
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in WORDS}
    named = [counted(counts["regression"], "regression")] if counts["regression"] else []
    named += [f"{counts[verdict]} {verdict}" for verdict in ("missing", "passed") if counts[verdict]]
    return f"{counted(len(checks), 'check')}: {', '.join(named)}"


def gate_grid(checks: Sequence[Check], title: str) -> Grid:
    """Table of the checks, one row each.

    Args:
        title: what was compared with what.
    """
    return Grid(
        f"{title}: {summary_line(checks)}",
        ("Result", "Metric", "System", "Recordings", "n", "difference", "95 % interval", "p", "margin"),
        tuple(map(_row, checks)),
        (
            f"A regression is a mean loss above the margin with p below {LEVEL:g}: bootstrap-t, by inversion of the "
            "interval, two-sided and not corrected for the number of checks.",
            *(f"{check.metric}, {_subject(check)}: {check.reason}." for check in checks if check.reason),
        ),
        left=4,
        data=tuple(map(_record, checks)),
    )


def _row(check: Check) -> tuple[str, ...]:
    one, column = check.difference, describe(check.metric)
    lead = (WORDS[check.verdict], f"{column.title} {column.arrow}".strip(), check.system, check.scope)
    margin = f"{check.margin:g}"
    if one is None:
        return (*lead, DASH, DASH, DASH, DASH, margin)
    return (*lead, f"{one.n}", signed(one.mean, one.decimals), interval_text(one), probability(one.p), margin)


def _record(check: Check) -> dict[str, object]:
    nan, one = float("nan"), check.difference
    return {
        "result": check.verdict, "metric": check.metric, "system": check.system, "scope": check.scope,
        "margin": check.margin, "n": one.n if one else 0, "mean": one.mean if one else nan,
        "ci95_low": one.ci95_low if one else nan, "ci95_high": one.ci95_high if one else nan,
        "p": one.p if one else nan, "reason": check.reason,
    }  # fmt: skip


def junit(checks: Sequence[Check], name: str) -> str:
    """JUnit XML with a test case per check: a regression is a failure, a check that could not be made an error.

    Args:
        name: name of the test suite.
    """
    counts = {
        "tests": len(checks),
        "failures": sum(check.verdict == "regression" for check in checks),
        "errors": sum(check.verdict == "missing" for check in checks),
        "skipped": 0,
    }
    attributes = {"name": name, **{key: str(value) for key, value in counts.items()}}
    suite = ElementTree.Element("testsuite", attributes)
    for check, line in zip(checks, lines(checks), strict=True):
        case = ElementTree.SubElement(suite, "testcase", {"classname": check.metric, "name": _subject(check)})
        if check.verdict == "passed":
            ElementTree.SubElement(case, "system-out").text = line
        else:
            tag = "failure" if check.verdict == "regression" else "error"
            ElementTree.SubElement(case, tag, {"type": check.verdict, "message": line})
    suites = ElementTree.Element("testsuites", attributes)
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
