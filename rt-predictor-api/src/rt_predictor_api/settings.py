"""Every setting of the service: one typed model, read from the environment and overridden by flags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from rt_predictor_formats.errors import Problem, shown

PREFIX = "RT_PREDICTOR_"
"""What the environment variable of every setting begins with."""

Level = Literal["debug", "info", "warning", "error"]
Port = Annotated[int, Field(ge=0, le=65_535)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """The settings; the variable of ``port`` is ``RT_PREDICTOR_PORT``, and so on."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, use_attribute_docstrings=True, frozen=True
    )

    models: Path = Path("models")
    """Folder of artifacts; the newest valid one answers."""

    history: Path = Path("history")
    """Folder of the journal of reported jobs; keep it on a local disk, over restarts and upgrades."""

    redis_url: SecretStr = SecretStr("")
    """Redis that keeps the journal instead of a file, for several machines: redis://user:password@host:6379/0."""

    redis_seconds: Annotated[float, Field(gt=0)] = 1.0
    """How long one answer of Redis may take; a forecast goes on without, a report is refused."""

    redis_trusted: bool = False
    """Acknowledge reports although Redis may lose them in a power cut, or cannot be asked how it is set."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in, which needs tls_cert and access_file or tls_client_ca."""

    port: Port = 50_051
    """Port of the gRPC service; 0 takes a free one, which the log names."""

    metrics_port: Port = 8_181
    """Port of the Prometheus metrics, at /metrics, encrypted with tls_cert; 0 takes a free one."""

    metrics_host: str | None = None
    """Address of the metrics, which anyone who reaches it may read; empty is host."""

    tls_cert: Path | None = None
    """Certificate of the service and its chain, PEM; empty is plain text. Changed files are taken while it runs."""

    tls_key: Path | None = None
    """Key of tls_cert, PEM without a passphrase."""

    tls_client_ca: Path | None = None
    """Authorities, PEM, one of which must have issued every client's certificate; empty asks for none."""

    access_file: Path | None = None
    """Who may do what, by hashed token or name of certificate; empty lets everyone who can connect."""

    allow_insecure: bool = False
    """Listen beyond this machine without encryption or without asking who calls; the network must keep others out."""

    rate_per_second: Annotated[float, Field(ge=0)] = 0.0
    """Calls per second of one caller, 50 rows counting as a call; what is more is refused. 0 is without limit."""

    rate_burst: Count = 100
    """Calls that one caller may make at once before rate_per_second holds."""

    wait_for_model: bool = False
    """Start without a model and answer UNAVAILABLE until one appears, instead of ending with an error."""

    default_risk: Annotated[float, Field(ge=0.01, le=0.5)] = 0.1
    """Risk of the recommended wallclock where the caller names none; higher means shorter limits and more kills."""

    max_batch_rows: Count = 10_000
    """Most jobs or events in one message of rows; higher needs more memory per call and larger messages."""

    max_arrow_rows: Count = 100_000
    """Most jobs in one Arrow payload; higher needs more memory and keeps a thread busy for longer."""

    max_message_bytes: Annotated[int, Field(ge=1_024, le=1 << 30)] = 16 << 20
    """Largest message that is accepted; clients need the same limit to receive the answers to such batches."""

    workers: Count = 1
    """Processes that answer on the port, each with a model and a history of its own; more use more cores and memory."""

    nginx: bool = False
    """Start nginx before the workers, to refuse what is too much at low cost; not with tls_client_ca. Images do so."""

    one_core: bool = True
    """Answer calls on one core per worker, which Python does best; batches and models use others. false: any core."""

    max_active_calls: Count = 16
    """Calls, but for streams, that are worked on at a time; more wait for the disk together, not compute faster."""

    max_streams: Count = 8
    """Most streams at a time, each of which works beside the calls."""

    max_stream_rows: Count = 10_000_000
    """Most jobs or events in one stream; what was answered or stored before the limit stays."""

    max_stream_seconds: Annotated[float, Field(gt=0)] = 3_600.0
    """How long a stream may last, and whoever opened it be taken for allowed; higher holds a place for longer."""

    max_idle_seconds: Annotated[float, Field(gt=0)] = 300.0
    """How long a stream may wait for its next message; lower frees the places of forgotten streams sooner."""

    max_concurrent_calls: Count = 1_024
    """Most calls in progress or queued; a further one is RESOURCE_EXHAUSTED at once instead of waiting."""

    max_wait_seconds: Annotated[float, Field(gt=0)] = 0.005
    """How long a call may wait for its turn while more come than are answered; a later one is RESOURCE_EXHAUSTED."""

    max_pending_calls: Count = 16
    """Calls of one kind that may wait to be looked at; one above is CANCELLED. Higher takes larger bursts."""

    keepalive_seconds: Annotated[float, Field(ge=1)] = 60.0
    """How long a connection may be silent before it is probed; lower finds dead clients sooner and sends more."""

    max_connection_seconds: Annotated[float, Field(ge=0)] = 0.0
    """How long a client keeps a connection before it looks for replicas anew; its calls end first. 0 is without end."""

    watch_interval_seconds: Annotated[float, Field(gt=0)] = 5.0
    """How often the folder of artifacts is looked at; lower swaps sooner."""

    drain_seconds: Annotated[float, Field(ge=0)] = 30.0
    """How long running calls may take to end after SIGTERM; what still runs then is cut off."""

    remembered_forecasts: Annotated[int, Field(ge=0)] = 50_000
    """Forecasts kept to be compared with the jobs' ends, about 300 bytes each; the oldest are forgotten."""

    listed_jobs: Annotated[int, Field(ge=0)] = 50_000
    """Reported jobs that ListJobs tells of, the newest, about 500 bytes each once somebody asks; 0 tells none."""

    privacy: Literal["show", "hash", "hide"] = "show"
    """Names in ListJobs: show, hash (keyed, and asked for by the hash), or hide (nobody's jobs can be asked for)."""

    privacy_key: SecretStr = SecretStr("")
    """Secret of the hashes; empty makes one in the history folder. Services that shall tell the same need the same."""

    forecast_cache_entries: Annotated[int, Field(ge=0)] = 4_096
    """Forecasts of single jobs kept for equal questions, about 7 kB each; 0 makes each anew."""

    traces_endpoint: str | None = None
    """OpenTelemetry collector that a span of each call goes to, as http://host:4317 (gRPC); empty makes none."""

    traces_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the calls that are traced, where whoever asks says nothing; lower costs less under load."""

    reflection: bool | None = None
    """Describe the contract to tools such as grpcurl; empty is true on this machine's own addresses, else false."""

    log_level: Level = "info"
    """Least severity that is logged."""

    request_log_level: Level = "debug"
    """Severity at which each call is logged, with its duration and status; never with what it asked."""


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{field.upper()}"


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that say all of the settings to another process."""
    return {variable(name): _said(value) for name, value in settings.model_dump(exclude_none=True).items()}


def _said(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)


def of_one_worker(settings: Settings, port: int) -> Settings:
    """Return the settings of each of the workers: the shared port, and its share of every caller's budget."""
    share = {
        "rate_per_second": settings.rate_per_second / settings.workers,
        "rate_burst": max(1, settings.rate_burst // settings.workers),
    }
    if settings.nginx:
        # it bounds what all have, and while others begin one has all of it
        share["max_pending_calls"] = settings.workers * (settings.max_active_calls + settings.max_pending_calls)
    return settings.model_copy(update={"port": port, "workers": 1, **share})


def read(flags: Mapping[str, Any]) -> Settings:
    """Return the settings of the environment, overridden by the ``flags`` that are not None.

    Raises
    ------
    Problem
        ``SETTING_INVALID`` naming the first setting that breaks its rule, with its environment variable.
    """
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0])
        raise Problem(
            "SETTING_INVALID",
            f"{shown(first['input'])}: {first['msg']}",
            place=variable(field),
            remedy=f"set {variable(field)} or --{field.replace('_', '-')} to a value that fits",
        ) from error
    if settings.max_streams >= settings.max_concurrent_calls:
        raise Problem(
            "SETTING_INVALID",
            f"{settings.max_streams} streams would be all {settings.max_concurrent_calls} calls",
            place=variable("max_streams"),
            remedy=f"set it below {variable('max_concurrent_calls')}",
        )
    return settings
