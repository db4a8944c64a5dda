"""Colours that can be seen and told apart."""

from __future__ import annotations

import tomllib
from itertools import combinations, product
from pathlib import Path

import pytest

from rt_predictor_ui.palette import ADVICE, FORECAST, LIMIT, OTHER

CONFIG = Path(__file__).resolve().parents[1] / "src/.streamlit/config.toml"
THEME = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"]
MODES = ("light", "dark")

# Machado, Oliveira and Fernandes 2009: what linear RGB becomes without one kind of cone
BLINDNESS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}


def linear(colour: str) -> list[float]:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(colour: str) -> float:
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def faded(colour: str, background: str) -> str:
    """Return what Streamlit makes of a caption: text of 60 % on its background."""
    parts = [(int(one[i : i + 2], 16), share) for i in (1, 3, 5) for one, share in ((colour, 0.6), (background, 0.4))]
    mixed = [round(a * share + b * rest) for (a, share), (b, rest) in zip(parts[::2], parts[1::2], strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def seen(colour: str, kind: str) -> tuple[float, float, float]:
    """OKLab of a colour as it is seen without one kind of cone."""
    red, green, blue = (
        min(max(sum(weight * part for weight, part in zip(row, linear(colour), strict=True)), 0), 1)
        for row in BLINDNESS[kind]
    )
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.793617785 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.428592205 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.808675766 * short,
    )


@pytest.mark.parametrize(("colour", "mode"), list(product((FORECAST, LIMIT, ADVICE, OTHER), MODES)))
def test_a_line_stands_out_from_the_page(colour: str, mode: str) -> None:
    assert contrast(colour, THEME[mode]["backgroundColor"]) >= 3


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("pair", list(combinations((FORECAST, LIMIT, ADVICE), 2)))
def test_lines_of_one_chart_differ_for_everybody(pair: tuple[str, str], kind: str) -> None:
    distance = sum((a - b) ** 2 for a, b in zip(seen(pair[0], kind), seen(pair[1], kind), strict=True)) ** 0.5
    assert distance >= 0.08


@pytest.mark.parametrize("mode", MODES)
def test_text_can_be_read(mode: str) -> None:
    theme = THEME[mode]
    for background in (theme["backgroundColor"], theme["secondaryBackgroundColor"]):
        assert contrast(theme["textColor"], background) >= 7
        assert contrast(theme["linkColor"], background) >= 4.5
        assert contrast(faded(theme["textColor"], background), background) >= 4.5
        assert contrast(theme["borderColor"], background) >= 3
    assert contrast("#ffffff", theme["primaryColor"]) >= 4.5
    assert contrast(theme["primaryColor"], theme["backgroundColor"]) >= 3


def test_no_font_or_picture_comes_from_elsewhere() -> None:
    assert "://" not in "".join(line for line in CONFIG.read_text().splitlines() if not line.startswith("#"))
