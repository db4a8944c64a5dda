"""The manifests keep every rule, and a rule finds what breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import manifests
import policy
from manifests import Document

Spoil = Callable[[list[Document]], object]


def pod(found: list[Document], name: str = "rt-predictor-api") -> Any:
    return next(template for one, template in manifests.templates(found) if one["metadata"]["name"] == name)["spec"]


def api(found: list[Document]) -> Any:
    return pod(found)["containers"][0]


def change(kind: str, name: str, path: str, value: Any) -> Spoil:
    """Return what sets a value, deep in a document: names and numbers between slashes."""

    def apply(found: list[Document]) -> None:
        *way, last = [int(step) if step.isdecimal() else step for step in path.split("/")]
        place: Any = manifests.named(found, kind, name)
        for step in way:
            place = place[step]
        place[last] = value

    return apply


def without(kind: str, name: str) -> Spoil:
    return lambda found: found.remove(manifests.named(found, kind, name))


SPOILT: dict[str, tuple[policy.Rule, Spoil, str]] = {
    "no limit": (policy.resources, lambda all_: api(all_)["resources"]["limits"].pop("memory"), "no limits of memory"),
    "no request": (
        policy.resources,
        lambda all_: pod(all_, "rt-predictor-training")["containers"][0].pop("resources"),
        "no requests of cpu",
    ),
    "no probe": (policy.probes, lambda all_: api(all_).pop("readinessProbe"), "readinessProbe: 0 ways"),
    "two ways": (policy.probes, lambda all_: api(all_)["livenessProbe"].update(exec={"command": ["true"]}), "2 ways"),
    "latest": (policy.images, lambda all_: api(all_).update(image="rt-predictor-api:latest"), "has no version"),
    "a registry's port is no version": (
        policy.images,
        lambda all_: api(all_).update(image="registry.example:5000/rt-predictor-api"),
        "has no version",
    ),
    "root": (policy.users, lambda all_: pod(all_)["securityContext"].update(runAsUser=0), "may run as root"),
    "root within": (
        policy.users,
        lambda all_: api(all_)["securityContext"].update(runAsUser=0),
        "api: may run as root",
    ),
    "no word of users": (policy.users, lambda all_: pod(all_)["securityContext"].pop("runAsNonRoot"), "as root"),
    "writable root": (
        policy.confinement,
        lambda all_: api(all_)["securityContext"].pop("readOnlyRootFilesystem"),
        "readOnlyRootFilesystem",
    ),
    "escalation": (
        policy.confinement,
        lambda all_: api(all_)["securityContext"].update(allowPrivilegeEscalation=True),
        "allowPrivilegeEscalation",
    ),
    "capabilities": (policy.confinement, lambda all_: api(all_)["securityContext"].pop("capabilities"), "capabilities"),
    "seccomp": (policy.confinement, lambda all_: pod(all_)["securityContext"].pop("seccompProfile"), "seccomp"),
    "the node's network": (policy.confinement, lambda all_: pod(all_).update(hostNetwork=True), "hostNetwork"),
    "the node's files": (
        policy.confinement,
        lambda all_: pod(all_)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
        "is of the node",
    ),
    "a token": (policy.tokens, lambda all_: pod(all_).pop("automountServiceAccountToken"), "get a token"),
    "the default account": (policy.tokens, lambda all_: pod(all_).pop("serviceAccountName"), "no account"),
    "an unknown setting": (
        policy.settings,
        change("ConfigMap", "rt-predictor-api", "data/RT_PREDICTOR_WORKER_THREADS", "4"),
        "RT_PREDICTOR_WORKER_THREADS is no setting",
    ),
    "a setting of another program": (
        policy.settings,
        change("ConfigMap", "rt-predictor-ui", "data/RT_PREDICTOR_DRAIN_SECONDS", "4"),
        "ui: RT_PREDICTOR_DRAIN_SECONDS is no setting",
    ),
    "variables of the cluster": (policy.settings, lambda all_: pod(all_).pop("enableServiceLinks"), "for Services"),
    "a Service's port": (
        policy.ports,
        change("Service", "rt-predictor-api", "spec/ports/0/targetPort", 50052),
        "nothing listens at 50052",
    ),
    "a probe's port": (
        policy.ports,
        lambda all_: pod(all_, "rt-predictor-ui")["containers"][0]["livenessProbe"]["httpGet"].update(port=80),
        "livenessProbe: nothing listens at 80",
    ),
    "a policy's port": (
        policy.ports,
        change("NetworkPolicy", "rt-predictor-redis", "spec/ingress/0/ports/0/port", 6380),
        "nothing listens at 6380",
    ),
    "a policy to nowhere": (
        policy.ports,
        change("NetworkPolicy", "rt-predictor-ui", "spec/egress/0/to/0/podSelector/matchLabels", {"app": "none"}),
        "nothing listens at 50051",
    ),
    "a selector of nothing": (
        policy.selectors,
        change("PodDisruptionBudget", "rt-predictor-api", "spec/selector/matchLabels", {"app": "none"}),
        "selects no pod",
    ),
    "a scaler of nothing": (
        policy.selectors,
        change("HorizontalPodAutoscaler", "rt-predictor-api", "spec/scaleTargetRef/name", "none"),
        "there is no Deployment none",
    ),
    "a missing claim": (policy.references, without("PersistentVolumeClaim", "rt-predictor-models"), "there is no Pers"),
    "a missing key": (
        policy.references,
        lambda all_: manifests.named(all_, "Secret", "rt-predictor-redis")["data"].pop("access.conf"),
        "has no access.conf",
    ),
    "a missing volume": (policy.references, lambda all_: pod(all_)["volumes"].pop(), "there is no volume"),
    "an open network": (policy.silence, without("NetworkPolicy", "rt-predictor-nobody"), "Egress is open to all"),
    "a short end": (policy.ending, lambda all_: pod(all_).pop("terminationGracePeriodSeconds"), "30 s are too few"),
    "no waiting": (policy.ending, lambda all_: api(all_).pop("lifecycle"), "too few for 0 s"),
    "two trainings": (
        policy.overlap,
        change("CronJob", "rt-predictor-training", "spec/concurrencyPolicy", "Allow"),
        "two may run",
    ),
}


@pytest.mark.parametrize("overlay", manifests.OVERLAYS)
@pytest.mark.parametrize("rule", policy.RULES, ids=lambda rule: rule.__name__)
def test_an_overlay_keeps_the_rule(overlay: str, rule: policy.Rule) -> None:
    assert list(rule(manifests.documents(overlay))) == []


@pytest.mark.parametrize("name", SPOILT)
def test_a_rule_finds_what_breaks_it(name: str) -> None:
    rule, spoil, words = SPOILT[name]
    found = manifests.documents("dev")
    spoil(found)
    assert any(words in one for one in rule(found)), list(rule(found))


def test_each_rule_is_seen_to_find_something() -> None:
    assert {rule for rule, _, _ in SPOILT.values()} == set(policy.RULES)


def test_a_monitor_of_no_port_is_found() -> None:
    found = manifests.documents("production")
    change("ServiceMonitor", "rt-predictor-api", "spec/endpoints/0/port", "none")(found)
    assert list(policy.selectors(found)) == ["ServiceMonitor: no port none"]
