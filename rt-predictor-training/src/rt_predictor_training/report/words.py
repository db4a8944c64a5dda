"""The findings of a backtest in sentences, from its document; the same for the terminal and the page."""

from __future__ import annotations

from typing import Any

from rt_predictor_formats.times import HOUR, human_duration

Document = dict[str, Any]

_BASELINES = {
    "last2": "the mean of the user's last two jobs",
    "user_mean": "the user's mean so far",
    "last_name": "the user's last job of the same name",
}

ADVISED_RISK = 0.05
"""The risk that the sentences speak of, if the backtest has it; otherwise the nearest."""


def number(value: float | None, digits: int, scale: float = 1.0) -> str:
    """Return a number with a fixed count of digits; a dash where there is none."""
    return "-" if value is None else f"{scale * value:.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def hours(value: float | None) -> str:
    """Return hours as people say them: ``1.2 h``, ``14 min``, ``40 s``; a dash where there are none."""
    if value is None:
        return "-"
    return f"{value:.1f} h" if 1.0 <= value < 100.0 else human_duration(value * HOUR)  # noqa: PLR2004


def of_method(document: Document, name: str) -> dict[str, Any] | None:
    """Return the scores of a method, None if the backtest lacks it."""
    return next((row for row in document["methods"] if row["name"] == name), None)


def best_baselines(document: Document, count: int) -> list[dict[str, Any]]:
    """Return the baselines with the smallest mean error, best first.

    Without the request, and without rules that are the request: all are in a log that tells no users.
    """
    request = of_method(document, "request")
    known = None if request is None else request["mae_h"]
    rows = [row for row in document["methods"] if row["kind"] == "baseline" and row["mae_h"] is not None]
    rows = [row for row in rows if row["name"] != "request" and row["mae_h"] != known]
    return sorted(rows, key=lambda row: float(row["mae_h"]))[:count]


def verdict(document: Document) -> list[str]:
    """Return what the backtest says, most important first."""
    if not document["evaluated"]:
        return ["No job was evaluated: the log is too short, or every job was left out."]
    sentences = (error(document), against_rule(document), coverage(document), dial(document), cold_start(document))
    return [sentence for sentence in sentences if sentence]


def error(document: Document) -> str:
    """Return how far forecasts and requests are off."""
    mine, request = document["methods"][0]["mae_h"], of_method(document, "request")
    said = f"The forecast is off by {hours(mine)} on average"
    if request is None or not document["with_request"]:
        return f"{said}; no job states a request to compare it with."
    return f"{said}; requests are off by {hours(request['mae_h'])}{_compared(mine, request['mae_h'])}."


def _compared(mine: float, other: float) -> str:
    if other <= 0.0:
        return ""
    change = 1.0 - mine / other
    return f" ({abs(change):.0%} {'less' if change >= 0.0 else 'more'} error with the forecast)".replace("%", " %")


def against_rule(document: Document) -> str:
    """Return how the best simple rule does, empty if there is none."""
    rules = best_baselines(document, 1)
    if not rules:
        return ""
    name, other = rules[0]["name"], rules[0]["mae_h"]
    mine = document["methods"][0]["mae_h"]
    rule = _BASELINES.get(name, name)
    return f"The best rule without training, {rule}, is off by {hours(other)}{_compared(mine, other)}."


def coverage(document: Document) -> str:
    """Return how often the 90 % interval held, over all jobs and in the consecutive tenths of them."""
    overall = document["methods"][0]["coverage_90"]
    tenths = [row["coverage_90"] for row in document["tenths"] if row["coverage_90"] is not None]
    if overall is None or not tenths:
        return ""
    spread = f"between {percent(min(tenths))} and {percent(max(tenths))}"
    return f"{percent(overall)} of jobs ended within their 90 % interval; {spread} in consecutive tenths of them."


def dial(document: Document) -> str:
    """Return what would happen with the recommended wallclock, empty if the backtest has none."""
    if not document["dial"]:
        return ""
    row = min(document["dial"], key=lambda row: abs(float(row["risk"]) - ADVISED_RISK))
    advised = f"With the wallclock recommended for a risk of {percent(row['risk'], 0)}"
    said = f"{advised}, {percent(row['rate'])} of jobs would have been killed by it"
    said += f" ({percent(row['rate_with_limit'])} with those that their own request killed)"
    if row["bound_to_request"] is None:
        return f"{said}."
    return f"{said}; it is {percent(row['bound_to_request'], 0)} of the request on average."


def cold_start(document: Document) -> str:
    """Return how far off the forecast is for users without any ended job, empty if there are none."""
    row = document["tiers"][0]
    if not row["jobs"]:
        return ""
    request = row["mae_h_by_method"].get("request")
    against = "" if request is None or not document["with_request"] else f", the request by {hours(request)}"
    who = f"the {row['jobs']:,} jobs of users without history"
    return f"For {who}, the forecast is off by {hours(row['mae_h'])}{against}."
