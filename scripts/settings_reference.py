"""Write docs/reference/settings.md and .env.example from the API's settings model.

Without an option both files are written; with ``--check`` the status is 1 when one is not what it would be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rt_predictor_api.settings import Settings, variable

ROOT = Path(__file__).resolve().parent.parent

KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}

HEAD = """# Settings

Every setting is an environment variable; the most used are options of the API's command line too
(`RT_PREDICTOR_METRICS_PORT` is `--metrics-port`). A value that breaks its rule ends the start with one line that names
the variable. This page is made by `scripts/settings_reference.py` from the settings themselves.

## The API

| variable | default | rule | what it does |
|---|---|---|---|
"""

OTHERS: tuple[tuple[str, str, str], ...] = (
    (
        "RT_PREDICTOR_ADDRESS",
        "localhost:50051",
        "Where `rtp` and the UI find the API: host:port, several parted by commas.",
    ),
    ("RT_PREDICTOR_TIMEOUT_SECONDS", "10", "Client and UI: how long a call with one answer may take."),
    ("RT_PREDICTOR_TLS", "", "Client and UI: true encrypts; empty does where one of the following files is given."),
    ("RT_PREDICTOR_CA_FILE", "", "Client and UI: authorities, PEM, that may have issued the service's certificate."),
    ("RT_PREDICTOR_CERT_FILE", "", "Client and UI: own certificate, PEM, where the service asks for one."),
    ("RT_PREDICTOR_KEY_FILE", "", "Client and UI: key of that certificate, PEM."),
    ("RT_PREDICTOR_SERVER_NAME", "", "Client and UI: name in the service's certificate, where its address is another."),
    ("RT_PREDICTOR_TOKEN", "", "Client and UI: token that says who asks; better in a file."),
    ("RT_PREDICTOR_TOKEN_FILE", "", "Client and UI: file with the token."),
    (
        "RT_PREDICTOR_BREAKER_FAILURES",
        "5",
        "UI: calls in a row without an answer after which it stops asking; 0 never does.",
    ),
    ("RT_PREDICTOR_BREAKER_SECONDS", "10", "UI: how long, until one call tries whether the service is back."),
    ("RT_PREDICTOR_PROFILE", "standard", "Training: profile where `--profile` is not given."),
    ("RT_PREDICTOR_UI_PORT", "8501", "Port of the UI."),
    ("RT_PREDICTOR_UI_HOST", "127.0.0.1", "Local processes: address of the UI."),
    ("RT_PREDICTOR_START_SECONDS", "180", "How long `make start` waits for the services to answer."),
    ("RT_PREDICTOR_REPLICAS", "1", "Compose: so many APIs behind one address, which share a journal in Redis."),
    (
        "RT_PREDICTOR_ADMITTED_CALLS",
        "64",
        "Compose: calls in progress at all of these together; a further one is RESOURCE_EXHAUSTED at once.",
    ),
    ("RT_PREDICTOR_SECRETS", "", "Compose: folder with certificates and tokens; set, callers need them."),
    ("RT_PREDICTOR_PROMETHEUS_PORT", "9090", "Compose: port of Prometheus on this machine."),
    (
        "RT_PREDICTOR_PROMETHEUS_RETENTION",
        "15d",
        "Compose: how long Prometheus keeps samples; alerts look back three days.",
    ),
    ("RT_PREDICTOR_ALERTMANAGER_PORT", "9093", "Compose: port of Alertmanager on this machine."),
    (
        "RT_PREDICTOR_ALERTMANAGER_CONFIG",
        "./monitoring/alertmanager.yml",
        "Compose: file that says who hears of alerts; nobody by default.",
    ),
    ("RT_PREDICTOR_GRAFANA_PORT", "3000", "Compose: port of Grafana on this machine, where it is started."),
    ("RT_PREDICTOR_GRAFANA_USER", "admin", "Compose: who may log in to Grafana."),
    ("RT_PREDICTOR_GRAFANA_PASSWORD", "admin", "Compose: with which password, taken at its first start."),
    (
        "RT_PREDICTOR_BIND",
        "127.0.0.1",
        "Compose: address the ports are published on; 0.0.0.0 lets other machines in, without secrets unencrypted.",
    ),
    ("RT_PREDICTOR_DATA_FOLDER", "./data", "Compose: folder mounted read-only as /data for training."),
    ("RT_PREDICTOR_TRAINING_MEMORY", "8g", "Compose: most memory of the training container."),
    (
        "RT_PREDICTOR_TRAINING_CPUS",
        "10",
        "Compose, m2max: cores of the training container; not more than the machine has.",
    ),
    ("RT_PREDICTOR_API_MEMORY", "2g", "Compose: most memory of an API's container."),
    ("RT_PREDICTOR_UI_MEMORY", "1g", "Compose: most memory of the UI's container."),
    ("RT_PREDICTOR_PROMETHEUS_URL", "", "UI: Prometheus's address, for live figures. Compose sets it."),
    ("RT_PREDICTOR_PROMETHEUS_JOB", "rt-predictor-api", "UI: the name that Prometheus scrapes the API under."),
    ("RT_PREDICTOR_METRICS_URL", "", "UI: where the API tells its metrics; nothing: its host, at its metrics port."),
    ("RT_PREDICTOR_USER_HEADER", "", "UI: header by which a proxy tells who the visitor is; nothing: nobody is asked."),
    ("RT_PREDICTOR_TRUSTED_PROXIES", "", "UI: addresses and networks of the proxies that may, separated by commas."),
    ("RT_PREDICTOR_REDIS_MEMORY", "1g", "Compose: most memory of Redis, where it is started."),
    ("RT_PREDICTOR_TAG", "0.1.0", "Compose: tag of the three images."),
    (
        "RT_PREDICTOR_PYTHON",
        "python:3.11-slim-bookworm",
        "Compose: image that `make build` builds on; NAME@sha256:... fixes it to the bit.",
    ),
    ("COMPOSE_PROJECT_NAME", "rt-predictor", "Compose: prefix of containers, network and volumes."),
)

OTHERS_HEAD = """
## Client, UI and start scripts

`make`, `quickstart.sh` and Compose read them from the environment and from a file `.env` at the root; `.env.example` is
a copy of the defaults.

| variable | default | what it does |
|---|---|---|
"""


def rule(schema: dict[str, Any]) -> str:
    """Return the type and the bounds of a setting in words."""
    if "anyOf" in schema:  # or nothing
        return rule(schema["anyOf"][0])
    if "enum" in schema:
        return ", ".join(schema["enum"])
    parts = [
        {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}[schema["type"]]
    ]
    for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")):
        if key in schema:
            parts.append(f"{sign} {schema[key]:,}")
    return " ".join(parts)


def shown_default(value: object) -> str:
    """Return a default as it is written in the environment; nothing where there is none."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown_code(default: str) -> str:
    """Return a default as it stands in a table."""
    return f"`{default}`" if default else "empty"


def api_settings() -> Iterator[tuple[str, str, str, str]]:
    """Yield variable, default, rule and sentence of each setting of the API."""
    properties = Settings.model_json_schema()["properties"]
    for name, field in Settings.model_fields.items():
        sentence = " ".join((field.description or "").split())
        yield variable(name), shown_default(field.default), rule(properties[name]), sentence


def page() -> str:
    """Return the reference page."""
    rows = "".join(
        f"| `{name}` | {shown_code(default)} | {rules} | {text} |\n" for name, default, rules, text in api_settings()
    )
    others = "".join(f"| `{name}` | {shown_code(default)} | {text} |\n" for name, default, text in OTHERS)
    return HEAD + rows + OTHERS_HEAD + others


def example() -> str:
    """Return the example of an environment file: every variable, switched off, with its default."""
    lines = ["# Copy to .env and change what you need; every value here is the default.", ""]
    for name, default, _, text in api_settings():
        lines += [f"# {text}", f"#{name}={default}"]
    for name, default, text in OTHERS:
        lines += [f"# {text}", f"#{name}={default}"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write both files, or with --check compare them."""
    files = {ROOT / "docs/reference/settings.md": page(), ROOT / ".env.example": example()}
    if "--check" not in sys.argv[1:]:
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
        return 0
    for path, text in files.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            remedy = "run make settings"
            print(f"error: {path.relative_to(ROOT)}: differs from the settings; {remedy}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
