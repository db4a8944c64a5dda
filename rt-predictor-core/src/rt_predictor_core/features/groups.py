"""Groups of features that belong together for a person: what a job is, and what is known of its like.

Every feature is in exactly one. A number of the request that two groups decide together, such as the processor hours,
is counted with the wallclock; an explanation computes it anew from what each group says of the request.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rt_predictor_core.features import history, neighbours, queued, request
from rt_predictor_core.features.table import NAMES
from rt_predictor_core.requests import NUMBERS

GROUPS: Final = ("wallclock", "size", "time", "place", "user", "name", "alike", "machine")
"""The groups, by the names of the contract's ``Contribution``."""

_WALLCLOCK = ("log_wallclock_req", "log_processor_hours_req", "wallclock_minutes_mod_hour")
_TIME = ("hour_of_day", "day_of_week")
_KEYS: Final = {
    "site": "machine",
    "partition": "place",
    "account": "place",
    "user": "user",
    "user_partition": "user",
    "user_request": "user",
    "user_stem": "name",
    "user_name": "name",
    "user_stem_request": "name",
    "user_work_dir": "name",
}
_OF_KEY = {f"{key}_{feature}": group for key, group in _KEYS.items() for feature in history.PER_KEY}


def group_of(feature: str) -> str:
    """Return the group of a feature. Raises KeyError for one that there is not."""
    if feature in _OF_KEY:
        return _OF_KEY[feature]
    if feature in queued.FEATURES:
        return "machine"
    if feature in neighbours.FEATURES:
        # what the user has running is no job that has ended like this one
        return "user" if feature.startswith("now_") else "alike"
    if feature in _TIME:
        return "time"
    if feature in _WALLCLOCK:
        return "wallclock"
    return dict.fromkeys(request.FEATURES, "size")[feature]


OF_FEATURES: Final = np.array([GROUPS.index(group_of(name)) for name in NAMES])
"""Of each feature of the table the place of its group in ``GROUPS``, int64[features]."""

OF_NUMBERS: Final = np.array([GROUPS.index("wallclock" if name == "wallclock_req" else "size") for name in NUMBERS])
"""The same of each of ``requests.NUMBERS``."""

TIME: Final = GROUPS.index("time")
"""The group that the submit time decides."""
