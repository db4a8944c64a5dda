"""The manifests are what two releases of Kubernetes and the Prometheus operator take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import manifests
from manifests import FETCHED, Document

RELEASES = ("1.31", "1.37")
"""The oldest that knows all that is used here (preStop's sleep, eviction of pods that are not ready), and a new one."""

OPERATOR = "monitoring.coreos.com/v1"


def judged(found: list[Document], release: str, folder: Path) -> tuple[int, str]:
    """Return the status and the words of kubernetes-validate, with schemas that take no unknown key."""
    if not (FETCHED / "python/kubernetes_validate").exists():
        pytest.skip("the schemas are not here: make kubernetes fetches them")
    path = folder / "all.yaml"
    path.write_text(yaml.safe_dump_all(found), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", release, str(path)],
        env=os.environ | {"PYTHONPATH": str(FETCHED / "python")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def operator_schema(kind: str) -> Any:
    """Return the schema of a kind of the operator's."""
    path = FETCHED / f"crds/monitoring.coreos.com_{kind.lower()}s.yaml"
    if not path.exists():
        pytest.skip("the operator's schemas are not here: make kubernetes fetches them")
    (version,) = yaml.safe_load(path.read_text("utf-8"))["spec"]["versions"]
    return _closed(version["schema"]["openAPIV3Schema"])


def _closed(schema: Any) -> Any:
    """Return a schema for Python that refuses keys it does not name, which the cluster would drop without a word."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(pattern := schema.get("pattern"), str):
        closed["pattern"] = pattern.replace("^(?i)", "(?i)^")  # Go takes flags anywhere, Python first
    if isinstance(schema.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in schema:
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("overlay", manifests.OVERLAYS)
def test_a_release_of_kubernetes_takes_all_documents(overlay: str, release: str, tmp_path: Path) -> None:
    found = [one for one in manifests.documents(overlay) if one["apiVersion"] != OPERATOR]
    status, said = judged(found, release, tmp_path)
    assert (status, said.count(f"against version {release}")) == (0, len(found)), said


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    found = manifests.documents("dev")
    manifests.named(found, "Deployment", "rt-predictor-api")["spec"]["template"]["spec"]["terminationGracePeriod"] = 5
    status, said = judged(found, RELEASES[-1], tmp_path)
    assert status == 1, said
    assert "terminationGracePeriod" in said


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PrometheusRule"])
def test_the_prometheus_operator_takes_its_documents(kind: str) -> None:
    schema = operator_schema(kind)
    (document,) = manifests.of_kind(manifests.documents("production"), kind)
    bare = document | {"metadata": {}}  # of which the operator's schema says nothing
    jsonschema.validate(bare, schema)
    key = "endpoints" if kind == "ServiceMonitor" else "groups"
    document["spec"][key][0]["intervall"] = "15s"
    with pytest.raises(jsonschema.ValidationError, match="intervall"):
        jsonschema.validate(bare, schema)
