"""Slurm's trackable resources, such as ``cpu=4,mem=8G,node=1,gres/gpu=2``."""

from __future__ import annotations

import re

_COUNT = re.compile(r"\d{1,9}", re.ASCII)


def parse_tres(text: str) -> dict[str, str]:
    """Return the resources by name; entries without a value are left out."""
    pairs = (entry.partition("=") for entry in text.split(","))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip() and value.strip()}


def gpus_of(tres: dict[str, str]) -> int | None:
    """Return the number of GPUs; None where a count cannot be read. Typed entries count when there is no plain one."""
    plain = tres.get("gres/gpu")
    counts = [plain] if plain is not None else [value for name, value in tres.items() if name.startswith("gres/gpu:")]
    if not all(_COUNT.fullmatch(count) for count in counts):
        return None
    return sum(map(int, counts))
