"""Sending spans to an OpenTelemetry collector; nothing of it is loaded where no collector is named."""

from __future__ import annotations

from importlib.metadata import version
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from rt_predictor_api.settings import Settings, variable
from rt_predictor_formats.errors import Problem, shown

NAME = "rt-predictor-api"
"""What the service is called in traces, where OTEL_SERVICE_NAME says nothing else."""

SEND_SECONDS = 2.0
"""How long one batch may take to be sent, tries again included: a collector that is away must not hold up the end."""

QUEUED, EVERY_SECONDS = 2_048, 1.0
"""Spans that wait to be sent, beyond which the oldest are dropped, and how often they are: all at a time."""

_LIMITS = SpanLimits(max_span_attributes=8, max_events=0, max_links=0, max_attribute_length=128)


def provider(settings: Settings) -> TracerProvider:
    """Return what makes spans and sends them, in a thread of its own; ``shutdown`` sends the last.

    Raises
    ------
    Problem
        ``SETTING_INVALID`` for an address that is none.
    """
    endpoint = settings.traces_endpoint or ""
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Problem(
            "SETTING_INVALID",
            f"{shown(endpoint)} is no address of a collector",
            place=variable("traces_endpoint"),
            remedy="write it as http://host:4317, or https://host:4317 for an encrypted connection",
        )
    # whoever asks and is traced decides for the call too
    sampler = ParentBased(TraceIdRatioBased(settings.traces_share))
    own = Resource({SERVICE_NAME: NAME, SERVICE_VERSION: version(NAME)})
    made = TracerProvider(
        sampler, own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False, span_limits=_LIMITS
    )
    exporter = OTLPSpanExporter(endpoint, insecure=parts.scheme == "http", timeout=SEND_SECONDS)
    made.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=QUEUED,
            max_export_batch_size=QUEUED,
            schedule_delay_millis=EVERY_SECONDS * 1_000,
        )
    )
    return made
