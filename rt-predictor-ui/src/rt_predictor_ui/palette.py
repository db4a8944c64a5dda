"""The colours of charts: one set for light and dark pages, told apart by people who do not see all colours.

They are close to those of Okabe and Ito (https://jfly.uni-koeln.de/color/), moved so that each
stands out from both backgrounds. What a
line means is told by its dashes and in words too.
"""

from __future__ import annotations

from typing import Final

FORECAST: Final = "#2f74b5"
"""What is forecast: curve, bands, bars."""

LIMIT: Final = "#d55e00"
"""What the person asked for or accepts: the requested time, the diagonal of a dial."""

ADVICE: Final = "#0fa36b"
"""What is recommended."""

OTHER: Final = "#858f9b"
"""What the forecast is compared with."""

DASHES: Final = {FORECAST: [], LIMIT: [6, 4], ADVICE: [2, 3], OTHER: []}
"""How a line of each colour is drawn."""
