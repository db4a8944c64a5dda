"""Numbers as JSON takes them: RFC 8259 knows neither not-a-number nor infinity, and nothing of numpy."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a document in Python's own types, with None where a number is not finite."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return None if isinstance(value, float) and not isfinite(value) else value


def strict_json(document: Any) -> str:
    """Return a document as indented JSON that any parser reads."""
    return json.dumps(plain(document), indent=2, allow_nan=False) + "\n"
