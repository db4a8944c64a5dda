"""Whether scheduler and workers run what we run: trees of other versions would not be those that we flatten."""

from __future__ import annotations

from typing import Any, Final

from distributed import Client

from rt_predictor_formats.errors import Problem

_SAME: Final = {
    "numpy": ("numpy",),
    # on Linux the same library comes as two distributions
    "xgboost": ("xgboost", "xgboost-cpu"),
    "lightgbm": ("lightgbm",),
    "catboost": ("catboost",),
    "rt-predictor-core": ("rt-predictor-core",),
    "rt-predictor-training": ("rt-predictor-training",),
}


def require_same(client: Client) -> None:
    """Raise Problem CLUSTER_VERSIONS, which names what differs and where, unless all run the versions that we do."""
    asked = [distribution for names in _SAME.values() for distribution in names]
    versions = client.get_versions(packages=asked)
    ours = _chosen(versions["client"])
    # XGBoost's engine begins on the scheduler, and we ask it for its workers
    for place, answer in {"the scheduler": versions["scheduler"], **versions["workers"]}.items():
        theirs = _chosen(answer)
        differing = [name for name, version in ours.items() if theirs[name] != version]
        if differing:
            raise Problem(
                "CLUSTER_VERSIONS",
                ", ".join(f"{name} {theirs[name] or 'is missing'} (here {ours[name]})" for name in differing),
                place=place,
                remedy="start scheduler and workers from the environment of rt-predictor-train",
            )


def _chosen(answer: dict[str, Any]) -> dict[str, str | None]:
    packages = answer["packages"]
    found = {name: next(filter(None, map(packages.get, names)), None) for name, names in _SAME.items()}
    return {"Python": ".".join(packages["python"].split(".")[:2]), **found}
