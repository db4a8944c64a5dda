"""Hatch build hook: the stubs are generated whenever the package is built or installed in place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))
from generate import OWN, generate


class StubsHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's generic parameter is its own build configuration
    """Runs ``generate.py`` before files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the stubs; ``build_data`` names them as artifacts because git ignores them."""
        del version
        generate()
        build_data["artifacts"] += [f"src/{package}" for package in (*OWN, "buf")]
