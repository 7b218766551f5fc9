"""Structured logs, one JSON object a line. Only fields on the list leave the process: people never do."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

FIELDS = frozenset(
    {
        "event", "level", "timestamp", "service", "logger", "topic", "partition", "offset", "count", "attempt",
        "seconds", "reason", "code", "tenant_id", "event_id", "episode_id", "alert_id", "fact_id", "status", "path",
        "method", "request_id", "error_type", "where", "name", "state", "pid", "address", "group", "rule", "policy",
        "restarts", "lag", "version", "hint",
    }
)  # fmt: skip
"""Surrogate ids, places and counts. No bodies, no references of the clinic, no scores."""


def _only_listed(_logger: object, _name: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value for key, value in entry.items() if key in FIELDS}


def _exception_by_type(_logger: object, _name: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A traceback's message may quote a value; its type and place may not."""
    info = entry.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else (sys.exc_info()[1] if info else None)
    if error is not None:
        trace = error.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        entry["error_type"] = type(error).__name__
        entry["where"] = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return entry


class _Foreign(logging.Handler):
    """Libraries log free text; their level, logger and template are kept, their arguments are not."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(record.levelno, str(record.msg), logger=record.name, exc_info=error)


def configure(service: str, level: str = "INFO") -> None:
    """Send structured lines to standard error; call once, in `__main__`."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _exception_by_type,
            _only_listed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, handlers=[_Foreign()], force=True)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger. Bind ids only."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name=name)
    return logger
