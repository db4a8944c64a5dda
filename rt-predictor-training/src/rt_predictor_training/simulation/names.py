"""Names of what is compared, as the command and its JSON write them."""

from typing import Final

SCHEDULERS: Final = ("easy", "easy-sjbf")
"""EASY backfilling in submit order, and the shortest estimate first."""

INPUTS: Final = ("request", "last2", "ensemble", "most_likely", "true")
"""Where estimates come from: the user's request, the user's last two jobs, the ensemble's median, its most likely run
time, the truth."""

FORECASTS: Final = frozenset({"ensemble", "most_likely"})
"""Those that need trained models."""
