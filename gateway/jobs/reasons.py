"""Why a run was left out, put off or has failed, in the language of whoever reads it; pure.

A row keeps it in English, as the API gives it. What a provider or a platform has said stays as they have said it.
"""

from __future__ import annotations

from gateway.texts import say

STILL_RUNNING = "still running"
MISSED = "missed"
ONLY_LATEST = "missed; only the latest is made up for, within 2 hours"
ONLY_THREE = "missed; only the latest 3 are made up for"
ONLY_DIGEST = "missed; only the latest digest is made up for"
TOO_MANY = "10 runs are waiting already"
REMOVED = "the job was removed"
DROPPED = "its message was taken away before it began"
STOPPED = "stopped"
TOO_LONG = "it took too long"
TOO_MANY_STEPS = "it needed too many steps"
CRASHED = "crashed too often"
NOT_FOUND_YET = "its chat could not be found yet"
UNREACHED = "its chat could not be found for a day"
FILE_EMPTY = "its file is empty"
FILE_MISSING = "its file is missing"
ASLEEP = "outside its active hours"

_KEYS = {
    STILL_RUNNING: "still_running",
    MISSED: "missed",
    ONLY_LATEST: "only_latest",
    ONLY_THREE: "only_three",
    ONLY_DIGEST: "only_digest",
    TOO_MANY: "too_many",
    REMOVED: "removed",
    DROPPED: "dropped",
    STOPPED: "stopped",
    TOO_LONG: "too_long",
    TOO_MANY_STEPS: "too_many_steps",
    CRASHED: "crashed",
    NOT_FOUND_YET: "not_found_yet",
    UNREACHED: "unreached",
    FILE_EMPTY: "file_empty",
    FILE_MISSING: "file_missing",
    ASLEEP: "asleep",
}


def reason(kept: str, lang: str = "") -> str:
    """*kept*: as it stands in the row of a run."""
    return say(f"job_reason.{_KEYS[kept]}", lang) if kept in _KEYS else kept
