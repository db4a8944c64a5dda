"""Rules that every manifest keeps: each takes all documents of an overlay and yields what breaks it, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import manifests
from manifests import Document
from rt_predictor_api.settings import Settings
from rt_predictor_api.settings import variable as of_api
from rt_predictor_client.config import _OPTIONS
from rt_predictor_client.config import variable as of_client
from rt_predictor_ui.settings import Settings as UiSettings

Rule = Callable[[list[Document]], Iterator[str]]

KNOWN = {
    "api": {of_api(field) for field in Settings.model_fields},
    "ui": {of_client(name) for name in (*_OPTIONS, *(field.name for field in fields(UiSettings)))},
    "training": {"OMP_NUM_THREADS", "NUMBA_NUM_THREADS"},
}
"""The variables that each program reads."""

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def resources(found: list[Document]) -> Iterator[str]:
    """Each container says what it needs and what it gets at most."""
    for _, container in manifests.containers(found):
        for what in ("requests", "limits"):
            for resource in {"cpu", "memory"} - container.get("resources", {}).get(what, {}).keys():
                yield f"{container['name']}: no {what} of {resource}"


def probes(found: list[Document]) -> Iterator[str]:
    """Each container that runs for long is looked after in all three ways, each in one way."""
    for document, template in manifests.templates(found):
        if document["kind"] == "CronJob":
            continue
        for container in template["spec"]["containers"]:
            for probe in PROBES:
                ways = container.get(probe, {}).keys() & {"grpc", "exec", "httpGet", "tcpSocket"}
                if len(ways) != 1:
                    yield f"{container['name']}: {probe}: {len(ways)} ways to look"


def images(found: list[Document]) -> Iterator[str]:
    """Images have a version."""
    for _, container in manifests.containers(found):
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in container["image"] and tag in {"", "latest"}:
            yield f"{container['name']}: image {container['image']} has no version"


def users(found: list[Document]) -> Iterator[str]:
    """Nothing runs as root, in a pod or in a container of its own mind."""
    for document, template in manifests.templates(found):
        context = template["spec"].get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            yield f"{document['metadata']['name']}: may run as root"
    for _, container in manifests.containers(found):
        own = container.get("securityContext", {})
        if own.get("runAsNonRoot") is False or own.get("runAsUser", 1) == 0:
            yield f"{container['name']}: may run as root"


def confinement(found: list[Document]) -> Iterator[str]:
    """What the Pod Security Standard "restricted" asks for, and a root file system that nobody writes."""
    for document, template in manifests.templates(found):
        spec = template["spec"]
        if spec.get("securityContext", {}).get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{document['metadata']['name']}: seccomp is not RuntimeDefault"
        yield from (f"{document['metadata']['name']}: {key}" for key in spec if key.startswith("host"))
        for volume in spec.get("volumes", ()):
            if "hostPath" in volume:
                yield f"{document['metadata']['name']}: volume {volume['name']} is of the node"
    for _, container in manifests.containers(found):
        own = container.get("securityContext", {})
        for key, value in (("allowPrivilegeEscalation", False), ("readOnlyRootFilesystem", True)):
            if own.get(key) is not value:
                yield f"{container['name']}: {key} is not {value}"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{container['name']}: capabilities are not dropped"
        if own.get("privileged"):
            yield f"{container['name']}: privileged"


def tokens(found: list[Document]) -> Iterator[str]:
    """No pod can speak to the cluster's API: it has an account of its own, without a token."""
    accounts = {one["metadata"]["name"]: one for one in manifests.of_kind(found, "ServiceAccount")}
    for document, template in manifests.templates(found):
        spec, name = template["spec"], document["metadata"]["name"]
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{name}: its pods get a token"
        account = accounts.get(spec.get("serviceAccountName", "default"))
        if account is None or account.get("automountServiceAccountToken") is not False:
            yield f"{name}: no account without a token"


def settings(found: list[Document]) -> Iterator[str]:
    """Each variable that is set is one that the program reads; the cluster adds none of the same beginning."""
    for template, container in manifests.containers(found):
        if template["spec"].get("enableServiceLinks") is not False:
            yield f"{container['name']}: the cluster sets variables for Services"
        for name in manifests.environment(found, container).keys() - KNOWN.get(container["name"], set()):
            yield f"{container['name']}: {name} is no setting"


def ports(found: list[Document]) -> Iterator[str]:
    """What a Service, a probe or a NetworkPolicy names is open in the containers that it is about."""
    yield from _of_services(found)
    yield from _of_policies(found)
    yield from _of_probes(found)


def _of_services(found: list[Document]) -> Iterator[str]:
    for service in manifests.of_kind(found, "Service"):
        there = _open(found, service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            if port.get("targetPort", port["port"]) not in there:
                yield f"Service {service['metadata']['name']}: nothing listens at {port.get('targetPort')}"


def _of_policies(found: list[Document]) -> Iterator[str]:
    for policy in manifests.of_kind(found, "NetworkPolicy"):
        selected = policy["spec"]["podSelector"].get("matchLabels", {})
        for rule in policy["spec"].get("ingress", ()):
            yield from _closed(found, policy, selected, rule)
        for rule in policy["spec"].get("egress", ()):
            for peer in rule["to"]:
                if "namespaceSelector" not in peer:
                    yield from _closed(found, policy, peer["podSelector"]["matchLabels"], rule)


def _of_probes(found: list[Document]) -> Iterator[str]:
    for _, container in manifests.containers(found):
        there = _of(container)
        for probe in PROBES:
            asked = container.get(probe, {})
            named = {asked[way]["port"] for way in ("grpc", "httpGet", "tcpSocket") if way in asked}
            yield from (f"{container['name']}: {probe}: nothing listens at {port}" for port in named - there)


def _closed(found: list[Document], policy: Document, labels: dict[str, str], rule: Document) -> Iterator[str]:
    there = _open(found, labels)
    for port in rule["ports"]:
        if port["port"] not in there:
            yield f"NetworkPolicy {policy['metadata']['name']}: nothing listens at {port['port']}"


def _open(found: list[Document], labels: dict[str, str]) -> set[Any]:
    """Return the ports, by number and name, of the pods with these labels."""
    chosen = [template for _, template in manifests.templates(found) if _has(template, labels)]
    return {port for template in chosen for container in template["spec"]["containers"] for port in _of(container)}


def _of(container: Document) -> set[Any]:
    return {value for port in container.get("ports", ()) for value in (port["containerPort"], port["name"])}


def _has(template: Document, labels: dict[str, str]) -> bool:
    return labels.items() <= template["metadata"]["labels"].items()


def selectors(found: list[Document]) -> Iterator[str]:
    """What selects pods or names a workload finds some."""
    for document in manifests.of_kind(found, "Service", "PodDisruptionBudget", "Deployment", "StatefulSet"):
        selector = document["spec"]["selector"]
        labels = selector.get("matchLabels", selector)
        if not any(_has(template, labels) for _, template in manifests.templates(found)):
            yield f"{document['kind']} {document['metadata']['name']}: selects no pod"
    workloads = {(one["kind"], one["metadata"]["name"]) for one, _ in manifests.templates(found)}
    for scaler in manifests.of_kind(found, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) not in workloads:
            yield f"autoscaler: there is no {target['kind']} {target['name']}"
    for monitor in manifests.of_kind(found, "ServiceMonitor"):
        labels = monitor["spec"]["selector"]["matchLabels"].items()
        services = [one for one in manifests.of_kind(found, "Service") if labels <= one["metadata"]["labels"].items()]
        names = {port["name"] for service in services for port in service["spec"]["ports"]}
        yield from (
            f"ServiceMonitor: no port {one['port']}" for one in monitor["spec"]["endpoints"] if one["port"] not in names
        )


def references(found: list[Document]) -> Iterator[str]:
    """Claims, ConfigMaps and Secrets that a pod names are built with it, with the keys that it wants; so are mounts."""
    there = {(one["kind"], one["metadata"]["name"]): one for one in found}
    for document, template in manifests.templates(found):
        name = document["metadata"]["name"]
        own = {one["metadata"]["name"] for one in document["spec"].get("volumeClaimTemplates", ())}
        volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", ())}
        for volume in volumes.values():
            for kind, what, key in (
                ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
                ("ConfigMap", "configMap", "name"),
                ("Secret", "secret", "secretName"),
            ):
                if what not in volume:
                    continue
                source = there.get((kind, volume[what][key]))
                if source is None:
                    yield f"{name}: there is no {kind} {volume[what][key]}"
                else:
                    wanted = {item["key"] for item in volume[what].get("items", ())}
                    yield from (f"{name}: {kind} has no {one}" for one in wanted - source.get("data", {}).keys())
        for container in (*template["spec"].get("initContainers", ()), *template["spec"]["containers"]):
            mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
            yield from (f"{name}: there is no volume {one}" for one in mounted - volumes.keys() - own)


def silence(found: list[Document]) -> Iterator[str]:
    """A pod that no policy speaks of reaches nobody and is reached by nobody."""
    for document, template in manifests.templates(found):
        for direction in ("Ingress", "Egress"):
            closing = [
                policy
                for policy in manifests.of_kind(found, "NetworkPolicy")
                if direction in policy["spec"]["policyTypes"]
                and direction.lower() not in policy["spec"]
                and _has(template, policy["spec"]["podSelector"].get("matchLabels", {}))
            ]
            if not closing:
                yield f"{document['metadata']['name']}: {direction} is open to all"


def ending(found: list[Document]) -> Iterator[str]:
    """A pod has time to take its leave: until nobody sends it calls, until they ended, and some to close."""
    for template, container in manifests.containers(found):
        drain = manifests.environment(found, container).get("RT_PREDICTOR_DRAIN_SECONDS")
        if drain is None:
            continue
        waits = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        grace = template["spec"].get("terminationGracePeriodSeconds", 30)
        if not waits or grace < waits + float(drain) + 5:
            yield f"{container['name']}: {grace} s are too few for {waits} s of waiting and {drain} s of draining"


def overlap(found: list[Document]) -> Iterator[str]:
    """One training at a time, and none without an end."""
    for job in manifests.of_kind(found, "CronJob"):
        if job["spec"].get("concurrencyPolicy") != "Forbid":
            yield f"{job['metadata']['name']}: two may run at a time"
        if not job["spec"]["jobTemplate"]["spec"].get("activeDeadlineSeconds"):
            yield f"{job['metadata']['name']}: may run for ever"


RULES: tuple[Rule, ...] = (
    *(resources, probes, images, users, confinement, tokens, settings),
    *(ports, selectors, references, silence, ending, overlap),
)
