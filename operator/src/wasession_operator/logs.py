"""Log lines: one format for ours and for those of the libraries, JSON or text; each line of a session names it.

Surprising: the API server's refusals quote what it was sent, and the pod's part of a status holds a phone number and the
QR code, so every line goes through `without_secrets` before it is written.
"""

import logging
import sys
import threading
from typing import Any

import structlog

from wasession_operator.secrecy import without_secrets
from wasession_operator.settings import LogFormat, LogLevel
from wasession_operator.views import CLAIM_SUFFIX, POD_SUFFIX

_QUIET = {"kopf": logging.WARNING, "aiohttp": logging.WARNING, "asyncio": logging.WARNING, "kubernetes": logging.ERROR}
"""kopf tells each event at INFO; what the client warns of, we say ourselves."""
_log = structlog.get_logger(__name__)


def _session_of_kopf(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Kopf's lines about an object name it in the record; it is a session, or its pod or claim."""
    reference = getattr(event.get("_record"), "k8s_ref", None)
    if reference:
        name = reference.get("name", "")
        event.setdefault("namespace", reference.get("namespace"))
        event.setdefault("session", name.removesuffix(POD_SUFFIX).removesuffix(CLAIM_SUFFIX))
    return event


def _hide(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """In every text but the session's own name, which is its user's choice."""
    return {key: without_secrets(value) if isinstance(value, str) and key not in _NAMES else value for key, value in event.items()}


_NAMES = {"namespace", "session", "timestamp", "level", "logger"}
_SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def set_up(form: LogFormat, level: LogLevel) -> None:
    """Send everything to standard output in `form`, from `level` on; what nobody catches, too."""
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if form is LogFormat.JSON else structlog.dev.ConsoleRenderer(colors=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, _session_of_kopf],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _hide,
            last,
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelNamesMapping()[level.upper()]))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    sys.excepthook = lambda kind, error, trace: _uncaught(error, (kind, error, trace))
    threading.excepthook = lambda args: _uncaught(args.exc_value, (args.exc_type, args.exc_value, args.exc_traceback))


def _uncaught(error: BaseException | None, info: Any) -> None:  # noqa: ANN401  as sys.exc_info gives it
    if isinstance(error, KeyboardInterrupt):
        return
    _log.critical("ended by a defect of the operator", because=repr(error), exc_info=info)
