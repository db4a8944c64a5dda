"""Pods are such as Kubernetes lets into a namespace that enforces its Pod Security Standard "restricted"."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

import manifests
from manifests import Document


def refusals(templates: list[Document]) -> list[str]:
    """Return why Kubernetes' own code would refuse each template; empty where it would not."""
    program = manifests.FETCHED / "bin/pod-security"
    if not program.exists():
        pytest.skip("pod-security is not here: make kubernetes builds it")
    done = subprocess.run([program], input=json.dumps(templates), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def templates(overlay: str) -> list[Document]:
    return [template for _, template in manifests.templates(manifests.documents(overlay))]


@pytest.mark.parametrize("overlay", manifests.OVERLAYS)
def test_every_pod_is_let_in(overlay: str) -> None:
    found = templates(overlay)
    assert refusals(found) == [""] * len(found)


@pytest.mark.parametrize("overlay", manifests.OVERLAYS)
def test_the_namespace_enforces_it(overlay: str) -> None:
    (namespace,) = manifests.of_kind(manifests.documents(overlay), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("where", "key", "words"),
    [("pod", "seccompProfile", "seccomp"), ("pod", "runAsNonRoot", "NonRoot"), ("container", "capabilities", "capab")],
)
def test_a_pod_that_asks_for_more_is_refused(where: str, key: str, words: str) -> None:
    template: Any = templates("dev")[0]
    place = template["spec"] if where == "pod" else template["spec"]["containers"][0]
    del place["securityContext"][key]
    (said,) = refusals([template])
    assert words in said
