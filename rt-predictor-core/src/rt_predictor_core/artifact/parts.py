"""The parts of an artifact as a forecaster: nothing is taken that does not fit the rest."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

import numpy as np

from rt_predictor_core.artifact import npz
from rt_predictor_core.artifact.files import CHANCE, member_arrays
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_core.models.conformal import MEDIAN, Calibration
from rt_predictor_core.models.forecast import Forecaster
from rt_predictor_core.models.neighbours import Neighbours
from rt_predictor_core.models.shapes import SHAPES, Shape
from rt_predictor_core.models.target import Target
from rt_predictor_core.models.trees import BinaryForest


def forecaster(manifest: Manifest, contents: Mapping[str, bytes]) -> Forecaster:
    """Return the forecaster that a manifest and the contents of its files describe.

    Raises KeyError or ValueError where something is missing or does not fit.
    """
    levels = np.array(manifest.levels, np.float64)
    if len(levels) < 2 or not (levels[0] > 0.0 and levels[-1] < 1.0 and (np.diff(levels) > 0.0).all()):  # noqa: PLR2004
        raise ValueError("levels: they do not rise between 0 and 1")
    if levels[-1] < MEDIAN:
        raise ValueError("levels: none fits the median")
    members = {
        member.name: SHAPES[member.shape].from_arrays(npz.read(contents[member_arrays(member.name)]))
        for member in manifest.members
    }
    for name, member in members.items():
        _require_width(name, member, len(levels))
    chance = BinaryForest.from_arrays(npz.read(contents[CHANCE]))
    _require_width(CHANCE, chance, 1)
    return Forecaster(
        levels=levels,
        members=members,
        weights=_weights(manifest),
        chance=chance,
        calibration=Calibration(levels, np.array(manifest.calibration, np.float64)),
        target=_target(manifest),
    )


def _require_width(name: str, member: Shape, levels: int) -> None:
    width = len(member.levels if isinstance(member, Neighbours) else member.base)
    if width != levels:
        raise ValueError(f"{name}: {width} answers do not fit {levels} levels")


def _weights(manifest: Manifest) -> dict[str, np.ndarray]:
    weights = {member.name: np.array(member.weights, np.float64) for member in manifest.members}
    if not weights or len(weights) != len(manifest.members):
        raise ValueError("members: there is none, or two of one name")
    for name, one in weights.items():
        if one.shape != (len(manifest.levels),) or not ((one >= 0.0) & (one < inf)).all():
            raise ValueError(f"{name}: the weights do not fit the levels")
    return weights


def _target(manifest: Manifest) -> Target:
    told = manifest.target
    target = Target(told.power, told.usual_wallclock, inf if told.grace is None else told.grace, told.leeway)
    target.check()
    return target
