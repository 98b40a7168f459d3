"""Structured logs: one line per turn, never the text of a message, every configured secret replaced."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

LONGEST = 2000  # characters of one field
# A bot token as it stands in URLs that HTTP clients log (Bot API, "Authorizing your bot").
TOKEN = re.compile(r"(?<!\d)\d{5,}:[A-Za-z0-9_-]{30,}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_secrets: list[str] = []
_out = logging.getLogger("parley")


def hide(secrets: Iterable[str]) -> None:
    """From now on replace these wherever they turn up; longest first, so that no tail is left."""
    known = {secret for secret in (*_secrets, *secrets) if len(secret) >= 4}
    _secrets[:] = sorted(known, key=len, reverse=True)


def clean(text: str) -> str:
    """Without secrets, without control characters, not longer than LONGEST."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    text = TOKEN.sub("***", text)
    text = CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def veiled(text: str, *, growing: bool = False) -> str:
    """Without configured secrets, for what a model or a tool says; *growing*: nor the beginning of one at its end."""
    for secret in _secrets:
        text = text.replace(secret, "***")
        at = text.find(secret[:4], max(0, len(text) - len(secret) + 1)) if growing else -1
        while at >= 0:
            if secret.startswith(text[at:]):
                text = text[:at]
            at = text.find(secret[:4], at + 1)
    return text


class Redacted(logging.Formatter):
    """Every record passes here, also those of libraries, with their exception texts."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%S")
        parts = [
            f"{stamp}.{int(record.msecs):03d}Z {record.levelname.lower():7} {clean(record.getMessage())}"
        ]
        parts += [f"{name}={_field(value)}" for name, value in fields.items() if value is not None]
        if record.exc_info:
            # Its end says what happened.
            parts.append("trace=" + _field(self.formatException(record.exc_info)[-LONGEST:]))
        return " ".join(parts)


def _field(value: object) -> str:
    text = clean(str(value))
    if text and not any(mark in text for mark in ' "='):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _ours_or_urgent(record: logging.LogRecord) -> bool:
    """What libraries say below a warning stays out: SDKs write whole requests there, with what people said."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] == _out.name


def set_up(*, level: str = "info", file: Path | None = None, stream: TextIO | None = None) -> None:
    """Send everything, ours and the libraries', through the one redacting formatter."""
    import time

    handler: logging.Handler
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        from logging.handlers import RotatingFileHandler

        handler = RotatingFileHandler(file, maxBytes=10_000_000, backupCount=3, encoding="utf-8")
        file.chmod(0o600)
    else:
        handler = logging.StreamHandler(stream or sys.stderr)
    formatter = Redacted()
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_ours_or_urgent)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    _out.setLevel(level.upper())


def info(event: str, **fields: Any) -> None:
    _out.info(event, extra={"fields": fields})


def warning(event: str, **fields: Any) -> None:
    _out.warning(event, extra={"fields": fields})


def error(event: str, **fields: Any) -> None:
    _out.error(event, extra={"fields": fields})


def crash(event: str, problem: BaseException, **fields: Any) -> None:
    """An error nobody foresaw, at the edge of a task, with its trace."""
    _out.error(event, extra={"fields": fields}, exc_info=problem)
