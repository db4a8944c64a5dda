"""Growth: exponents are those of the power laws that the seconds were made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from growth import draw, exponents, slope, text, too_steep

SIZES = np.array([1e5, 3.16e5, 1e6, 3.16e6, 1.1e7])
LAWS = {
    "flat": lambda n: 20.0 + 0.0 * n,
    "linear": lambda n: 1e-5 * n,
    "sorting": lambda n: 1e-6 * n * np.log(n),
    "square": lambda n: 1e-10 * n**2,
    "short": lambda n: 1e-15 * n**2,
}
START_UP_SECONDS = 3.0


@pytest.fixture
def rows() -> list[dict[str, float]]:
    start = dict.fromkeys(LAWS, START_UP_SECONDS)
    sizes = [{name: START_UP_SECONDS + float(law(n)) for name, law in LAWS.items()} for n in SIZES]
    rest = {"profile": "quick", "peak MB": 900.0, "MAE h": 0.5}
    for row, jobs in zip([start, *sizes], [1000, *SIZES.astype(int).tolist()], strict=True):
        row["whole run"] = sum(row.values())
        row["jobs"] = jobs
        row.update(rest)
    for row in [start, *sizes]:
        row["short"] -= START_UP_SECONDS
    return [start, *sizes]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_slope_of_a_power_law_is_its_exponent(exponent: float) -> None:
    assert slope(SIZES, 7.0 * SIZES**exponent) == pytest.approx(exponent)


def test_the_start_up_is_taken_off_before_a_slope_is_fitted(rows: list[dict[str, float]]) -> None:
    found = exponents(rows)
    assert found["linear"] == pytest.approx(1.0)
    assert found["square"] == pytest.approx(2.0)
    assert found["flat"] == pytest.approx(0.0, abs=1e-9)
    assert 1.0 < found["sorting"] < 1.1


def test_what_grows_faster_than_n_log_n_is_named(rows: list[dict[str, float]]) -> None:
    assert too_steep(rows) == ["square", "whole run"]
    assert "grows faster than n log n: square, whole run" in text(rows)


def test_nothing_is_named_where_nothing_is_steeper(rows: list[dict[str, float]]) -> None:
    tame = [{name: value for name, value in row.items() if name not in {"square", "whole run"}} for row in rows]
    assert "grows faster than n log n: none" in text(tame)


def test_a_stage_that_is_mostly_start_up_has_no_slope(rows: list[dict[str, float]]) -> None:
    rows[0]["linear"] = rows[-1]["linear"] - 0.1
    assert "linear" not in exponents(rows)


def test_a_stage_that_takes_no_time_has_no_slope(rows: list[dict[str, float]]) -> None:
    assert "short" not in exponents(rows)


def test_the_plot_is_an_svg_and_the_same_each_time(rows: list[dict[str, float]], tmp_path: Path) -> None:
    for name in ("once.svg", "again.svg"):
        draw(rows, tmp_path / name)
    once, again = ((tmp_path / name).read_bytes() for name in ("once.svg", "again.svg"))
    assert once == again
    assert b"<svg" in once
