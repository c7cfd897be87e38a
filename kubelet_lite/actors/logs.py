"""Log records: key-value, one event name a fact, with the actor that it happened in. structlog, loaded with the first record.

Unless the program has configured structlog itself, warnings and worse go to standard error. https://www.structlog.org/
"""
from __future__ import annotations

import logging
import sys
from typing import Any

from kubelet_lite.actors.actor import current_actor


class Logger:
    """`object` stands for the object meant, as namespace/name."""

    def debug(self, event: str, **values: Any) -> None:
        _emit("debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        _emit("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        _emit("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        _emit("error", event, values)


def get_logger() -> Logger:
    return _LOGGER


_LOGGER = Logger()


def _emit(level: str, event: str, values: dict[str, Any]) -> None:
    import structlog

    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"),
                structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # today's: a test may have put another in its place
        )
    actor = current_actor()
    if actor:
        values.setdefault("actor", actor)
    getattr(structlog.get_logger(), level)(event, **values)
