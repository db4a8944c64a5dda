"""The real programs do what the manifests count on: settings, probes, Redis, metrics."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import grpc
import pytest
import trustme
import yaml
from free_ports import free_port
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis import Redis, RedisError

import manifests
import monitored
from manifests import ROOT, Document
from rt_predictor_api.front import nginx
from rt_predictor_api.metrics import IN_FLIGHT, TABLE
from rt_predictor_api.settings import Settings
from rt_predictor_api.stores.redis import RedisJournal
from rt_predictor_client import Client, load_config
from rt_predictor_client.errors import ClientError
from rt_predictor_core.history.events import Event

BIN = Path(sys.executable).parent
ADAPTER = ROOT / "k8s/components/monitoring/adapter-rules.yaml"


def until(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """Poll until the condition holds and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"waited {seconds} s in vain: {what}")


def placed(found: list[Document], container: Document, template: Document, folder: Path) -> dict[str, str]:
    """Put a container's Secrets where a pod of this machine would have them, and return its environment."""
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    for mount in container["volumeMounts"]:
        place = folder / mount["mountPath"].lstrip("/")
        place.mkdir(parents=True)
        if "secret" in (volume := volumes[mount["name"]]):
            name = volume["secret"]["secretName"]
            data = manifests.named(found, "Secret", name)["data"]
            keys = {item["key"] for item in volume["secret"].get("items", ())} or data
            mount_secret(place, {key: manifests.secret(found, name, key) for key in keys})
    variables = manifests.environment(found, container)
    return {key: moved(value, folder) for key, value in variables.items()}


def mount_secret(place: Path, files: dict[str, str]) -> None:
    """Show files as the kubelet does, at first and when they change: links to a folder that another one replaces."""
    former = (place / "..data").readlink() if (place / "..data").is_symlink() else None
    new = Path(mkdtemp(prefix="..", dir=place))
    for name, text in files.items():
        (new / name).write_text(text, "utf-8")
        if not (place / name).is_symlink():
            (place / name).symlink_to(Path("..data") / name)
    (place / "..data_tmp").symlink_to(new.name)
    (place / "..data_tmp").rename(place / "..data")
    if former:
        shutil.rmtree(place / former)


def moved(value: str, folder: Path) -> str:
    """Return a path of a container as one of this machine."""
    return f"{folder}{value}" if value.startswith("/") else value


@contextmanager
def pod(overlay: str, folder: Path) -> Iterator[tuple[int, list[Document], dict[str, str]]]:
    """Run the API as the manifests say, without a model; yields port, documents, and what the probe's shell has."""
    found = manifests.documents(overlay)
    template, container = next(pair for pair in manifests.containers(found) if pair[1]["name"] == "api")
    port = free_port()
    variables = placed(found, container, template, folder) | {
        # what the image sets, and what is another here
        "RT_PREDICTOR_MODELS": str(folder / "models"),
        "RT_PREDICTOR_HISTORY": str(folder / "history"),
        "RT_PREDICTOR_HOST": "0.0.0.0",  # noqa: S104 - as the image
        "RT_PREDICTOR_PORT": str(port),
        "RT_PREDICTOR_METRICS_PORT": str(free_port()),
        "RT_PREDICTOR_NGINX": "true" if nginx.program() else "false",
        "RT_PREDICTOR_DRAIN_SECONDS": "1",
        "RT_PREDICTOR_WATCH_INTERVAL_SECONDS": "0.2",
        "RT_PREDICTOR_REDIS_URL": "",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RT_PREDICTOR_")}
    log = folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen([BIN / "rt-predictor-api"], env=kept | variables, stderr=stderr)
    try:
        until(lambda: process.poll() is not None or b'"listening"' in log.read_bytes(), "the service to listen")
        assert process.poll() is None, log.read_text()
        yield port, found, kept | variables
    finally:
        process.terminate()
        process.wait(30)


def probed(port: int, probe: Document) -> str:
    """Ask as the kubelet does: for the service that the probe names."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        asked = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
        answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=10)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def test_a_pod_without_a_model_lives_and_is_asked_nothing(tmp_path: Path) -> None:
    with pod("dev", tmp_path) as (port, found, _):
        api = manifests.container(found, "api")
        assert probed(port, api["startupProbe"]) == "SERVING"
        assert probed(port, api["livenessProbe"]) == "SERVING"
        assert probed(port, api["readinessProbe"]) == "NOT_SERVING"


def test_an_encrypted_pod_is_probed_and_its_pages_may_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pod("production", tmp_path / "api") as (port, found, environment):
        command = manifests.container(found, "api")["readinessProbe"]["exec"]["command"]
        asked = subprocess.run(
            [BIN / command[0], *command[1:]], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        # what is told of a model came over an encrypted connection
        assert "no model is loaded" in asked.stderr
        assert asked.returncode != 0
        template, ui = next(pair for pair in manifests.containers(found) if pair[1]["name"] == "ui")
        for name, value in placed(found, ui, template, tmp_path / "ui").items():
            monkeypatch.setenv(name, value)
        with Client.from_config(load_config(f"localhost:{port}")) as client, pytest.raises(ClientError) as caught:
            client.model()
        assert caught.value.code == "NO_MODEL", "the token was known"


def test_an_encrypted_pod_shows_a_renewed_certificate(tmp_path: Path) -> None:
    with pod("production", tmp_path) as (port, _, environment):
        shown = Path(environment["RT_PREDICTOR_TLS_CERT"])
        assert ssl.PEM_cert_to_DER_cert(met(port)) == ssl.PEM_cert_to_DER_cert(shown.read_text("ascii"))
        renewed = trustme.CA().issue_cert("rt-predictor-api")
        files = {
            path.name: path.read_text("ascii") for path in shown.parent.iterdir() if path.suffix in {".crt", ".key"}
        }
        files |= {
            "tls.crt": renewed.cert_chain_pems[0].bytes().decode(),
            "tls.key": renewed.private_key_pem.bytes().decode(),
        }
        mount_secret(shown.parent, files)
        # for a moment both are shown, as nginx begins with the new one before it ends with the old one
        wanted = ssl.PEM_cert_to_DER_cert(files["tls.crt"])
        until(lambda: ssl.PEM_cert_to_DER_cert(met(port)) == wanted, "the new certificate")


def met(port: int) -> str:
    """Return the certificate that a new connection meets."""
    return ssl.get_server_certificate(("127.0.0.1", port))


@contextmanager
def redis(overlay: str, folder: Path) -> Iterator[str]:
    """Run Redis with the configuration of an overlay; yields the address that the API is told, on this machine."""
    if (program := shutil.which("redis-server")) is None:
        pytest.skip("redis-server is not here: install Redis")
    found = manifests.documents(overlay)
    data, port = folder / "data", free_port()
    data.mkdir(parents=True)
    (folder / "access.conf").write_text(manifests.secret(found, "rt-predictor-redis", "access.conf"), "utf-8")
    config = manifests.named(found, "ConfigMap", "rt-predictor-redis")["data"]["redis.conf"]
    config = config.replace("/etc/redis-access/", f"{folder}/").replace("dir /data", f"dir {data}")
    (folder / "redis.conf").write_text(config, "utf-8")
    url = manifests.secret(found, "rt-predictor-redis", "url").replace("rt-predictor-redis:6379", f"127.0.0.1:{port}")
    process = subprocess.Popen(
        [program, folder / "redis.conf", "--port", str(port), "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: answers(url), "Redis to answer")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        with Redis.from_url(url) as asked:
            return bool(asked.ping())
    except RedisError:
        return False


@pytest.mark.parametrize("overlay", manifests.OVERLAYS)
def test_redis_keeps_what_it_acknowledges_so_that_reports_are_taken(overlay: str, tmp_path: Path) -> None:
    with redis(overlay, tmp_path) as url:
        journal = RedisJournal(url, 5.0)
        try:
            event = Event("", "1", 1, 2, 3, None, {})
            assert journal.append([event]) == [True]
        finally:
            journal.close()


def test_the_production_redis_asks_for_its_password(tmp_path: Path) -> None:
    with redis("production", tmp_path) as url:
        assert not answers(url.replace(url.partition("@")[0], "redis://:wrong"))


def test_alerts_and_the_cluster_have_the_same_rules() -> None:
    script = [sys.executable, ROOT / "scripts/prometheus_rule.py", "--check"]
    assert subprocess.run(script, capture_output=True, text=True, check=False).stderr == ""
    (rule,) = manifests.of_kind(manifests.documents("production"), "PrometheusRule")
    groups = [
        group
        for path in sorted((ROOT / "monitoring/rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
    ]
    assert rule["spec"]["groups"] == groups


def test_the_rules_job_is_the_scraped_service() -> None:
    found = manifests.documents("production")
    (monitor,) = manifests.of_kind(found, "ServiceMonitor")
    labels = monitor["spec"]["selector"]["matchLabels"].items()
    # the operator calls the job as the Service, where jobLabel is not set
    (service,) = [one for one in manifests.of_kind(found, "Service") if labels <= one["metadata"]["labels"].items()]
    alerts = (ROOT / "monitoring/rules/alerts.yml").read_text("utf-8")
    assert "jobLabel" not in monitor["spec"]
    assert f'up{{job="{service["metadata"]["name"]}"}}' in alerts


def test_the_autoscaler_asks_for_what_the_adapter_makes_of_a_metric_of_ours() -> None:
    (rule,) = yaml.safe_load(ADAPTER.read_text("utf-8"))["rules"]
    assert rule["seriesQuery"].partition("{")[0] == IN_FLIGHT.name
    assert IN_FLIGHT in TABLE
    assert "rpc" in IN_FLIGHT.labels
    (scaler,) = manifests.of_kind(manifests.documents("production"), "HorizontalPodAutoscaler")
    (metric,) = [one["pods"] for one in scaler["spec"]["metrics"] if one["type"] == "Pods"]
    assert metric["metric"]["name"] == rule["name"]["as"]
    assert int(metric["target"]["averageValue"]) == Settings().max_active_calls // 2


def test_the_adapters_query_adds_up_each_pod_without_streams(tmp_path: Path) -> None:
    (rule,) = yaml.safe_load(ADAPTER.read_text("utf-8"))["rules"]
    query = rule["metricsQuery"]
    # what the adapter fills in when the autoscaler asks for all pods of a Deployment
    filled = {"Series": IN_FLIGHT.name, "LabelMatchers": 'namespace="rt",pod=~"a|b"', "GroupBy": "pod"}
    for name, text in filled.items():
        query = query.replace(f"<<.{name}>>", text)
    series = {'rpc="Predict",pod="a"': 3, 'rpc="PredictBatch",pod="a"': 2, 'rpc="PredictStream",pod="a"': 7}
    series |= {'rpc="Predict",pod="b"': 1, 'rpc="Predict",pod="another"': 50}
    told = [
        {"series": f'{IN_FLIGHT.name}{{namespace="rt",{labels}}}', "values": f"{value}x20"}
        for labels, value in series.items()
    ]
    expected = [{"labels": f'{{pod="{pod}"}}', "value": value} for pod, value in (("a", 5), ("b", 1))]
    case = {"interval": "15s", "input_series": told}
    case["promql_expr_test"] = [{"expr": query, "eval_time": "2m", "exp_samples": expected}]
    (tmp_path / "case.yml").write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [case]}), "utf-8")
    command = [monitored.program("promtool"), "test", "rules", tmp_path / "case.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_secret_is_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", f"k8s/{manifests.SECRETS}"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("no git repository")
    assert listed.stdout.split() == [f"k8s/{manifests.SECRETS}/.gitignore"]


def test_images_that_the_overlays_name_are_those_that_are_built() -> None:
    tag = (ROOT / "scripts/compose.sh").read_text("utf-8").partition("RT_PREDICTOR_TAG:-")[2].partition("}")[0]
    for overlay in manifests.OVERLAYS:
        ours = {
            one["image"].rpartition("/")[2]
            for _, one in manifests.containers(manifests.documents(overlay))
            if "rt-predictor" in one["image"]
        }
        assert ours == {f"rt-predictor-{name}:{tag}" for name in ("api", "ui", "training")}
