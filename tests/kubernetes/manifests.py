"""What kustomize makes of ``k8s/``, with secrets as a site would make them, and ways to look at it."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trustme
import yaml

from rt_predictor_api.security import access

ROOT = Path(__file__).resolve().parents[2]
FETCHED = ROOT / ".cache/kubernetes"
"""Where ``make kubernetes`` puts what it fetches."""

OVERLAYS = ("dev", "production")
SECRETS = "overlays/production/secrets"

Document = dict[str, Any]


def build() -> list[str]:
    """Return the command that builds a folder; skips the test where there is no kustomize."""
    if (found := FETCHED / "bin/kustomize").exists() or (found := shutil.which("kustomize")):
        return [str(found), "build"]
    if found := shutil.which("kubectl"):
        return [found, "kustomize"]
    pytest.skip("kustomize is not here: make kubernetes fetches it")


@cache
def rendered(overlay: str) -> str:
    """Return all that an overlay builds, as text."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "k8s"
        shutil.copytree(ROOT / "k8s", copy)
        make_secrets(copy / SECRETS)
        done = subprocess.run(
            [*build(), str(copy / "overlays" / overlay)], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def documents(overlay: str) -> list[Document]:
    """Return all documents of an overlay, for this caller alone."""
    return list(yaml.safe_load_all(rendered(overlay)))


def make_secrets(folder: Path) -> None:
    """Make the files that the guide tells a site to make."""
    folder.mkdir(exist_ok=True)
    authority = trustme.CA()
    issued = authority.issue_cert("rt-predictor-api", "localhost")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    issued.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.crt").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    token, line = access.issue("ui", ("predict",))
    (folder / "ui-token").write_text(token, "ascii")
    (folder / "access").write_text(f"{line}\n", "ascii")
    password = secrets.token_hex(16)
    (folder / "redis-url").write_text(f"redis://:{password}@rt-predictor-redis:6379/0", "ascii")
    (folder / "redis-access.conf").write_text(f"requirepass {password}\n", "ascii")


def of_kind(found: list[Document], *kinds: str) -> list[Document]:
    """Return the documents of these kinds."""
    return [document for document in found if document["kind"] in kinds]


def named(found: list[Document], kind: str, name: str) -> Document:
    """Return the one document of that kind and name; a name may lack the hash that kustomize adds."""
    (one,) = [
        document
        for document in of_kind(found, kind)
        if document["metadata"]["name"] == name or document["metadata"]["name"].rpartition("-")[0] == name
    ]
    return one


def templates(found: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Yield each workload with the template of its pods."""
    for document in of_kind(found, "Deployment", "StatefulSet"):
        yield document, document["spec"]["template"]
    for document in of_kind(found, "CronJob"):
        yield document, document["spec"]["jobTemplate"]["spec"]["template"]


def containers(found: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Yield each container, those that prepare too, with the template that it is in."""
    for _, template in templates(found):
        for container in (*template["spec"].get("initContainers", ()), *template["spec"]["containers"]):
            yield template, container


def environment(found: list[Document], container: Document) -> dict[str, str]:
    """Return what a container's environment will be, read from ConfigMaps and Secrets."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        variables |= named(found, "ConfigMap", source["configMapRef"]["name"])["data"]
    for entry in container.get("env", ()):
        if "value" in entry:
            variables[entry["name"]] = entry["value"]
        else:
            reference = entry["valueFrom"]["secretKeyRef"]
            variables[entry["name"]] = secret(found, reference["name"], reference["key"])
    return variables


def secret(found: list[Document], name: str, key: str) -> str:
    """Return what a Secret holds."""
    from base64 import b64decode

    return b64decode(named(found, "Secret", name)["data"][key]).decode()


def container(found: list[Document], name: str) -> Document:
    """Return the one container of that name."""
    (one,) = [one for _, one in containers(found) if one["name"] == name]
    return one
