"""JSON lines on standard error, for this service's own words and for those of its libraries."""

from __future__ import annotations

import logging
import sys

import structlog

from rt_predictor_api.security import audit
from rt_predictor_api.settings import Level


def configure(level: Level, **told: int) -> None:
    """Send everything of at least ``level`` to standard error, one JSON object per line that begins with ``told``.

    Tracebacks are plain text without the values of variables: those would carry user names.
    """
    shared: list[structlog.typing.Processor] = [
        lambda _logger, _method, line: {**told, **line},
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # what must be on record does not depend on how much else is told
    logging.getLogger(audit.LOGGER).setLevel(logging.INFO)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
