"""Nothing to report: how the agent says it, and how it is recognised; pure."""

from __future__ import annotations

import re

MARKER = "NOTHING TO REPORT"
_ASKED = (
    f"If there is nothing to report, answer with exactly {MARKER} and nothing else: then nobody is disturbed."
)
_SAID = "".join(MARKER.split()).casefold()


def asked(prompt: str) -> str:
    """The prompt of a job that may stay silent."""
    return f"{prompt.rstrip()}\n\n{_ASKED}"


def nothing(text: str) -> bool:
    """Whether an answer says so: it is empty, or the marker in whatever dress, and nothing else."""
    return re.sub(r"[\W_]+", "", text).casefold() in ("", _SAID)
