"""Write k8s/components/monitoring/prometheus-rule.yaml from monitoring/rules, which are the one source.

With ``--check`` nothing is written, and the status is 1 where the file is not what it would be.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "k8s/components/monitoring/prometheus-rule.yaml"

HEAD = "# Made by scripts/prometheus_rule.py from monitoring/rules: change those, then make kubernetes-rules.\n"


class _Folded(yaml.SafeDumper):
    """Writes queries of several lines as lines."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Folded.add_representer(str, _text)


def resource() -> dict[str, Any]:
    """Return the PrometheusRule with all groups."""
    paths = sorted((ROOT / "monitoring/rules").glob("*.yml"))
    groups = [group for path in paths for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "rt-predictor", "labels": {"app.kubernetes.io/part-of": "rt-predictor"}},
        "spec": {"groups": groups},
    }


def text() -> str:
    """Return the file as it should be."""
    return HEAD + yaml.dump(resource(), Dumper=_Folded, sort_keys=False, width=120, allow_unicode=True)


def main() -> int:
    """Write the file, or with --check compare it."""
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text(), "utf-8")
        return 0
    if TARGET.read_text("utf-8") != text():
        print(
            f"error: {TARGET.relative_to(ROOT)}: differs from monitoring/rules; run make kubernetes-rules",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
