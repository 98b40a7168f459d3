"""The tables of parley.toml about what we do by the clock ourselves: the digests and the heartbeat."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway import heartbeat
from gateway.config_tables import Mistake, Model, Table, Targets, Zone


def _hours(text: str) -> str:
    if text:
        try:
            heartbeat.hours(text)
        except ValueError:
            raise Mistake(
                f"{text!r} are no hours", 'write them as in "08:00-22:00", or leave it empty'
            ) from None
    return text


class DigestSettings(Table):
    model: Model = ""  # that writes a line for each conversation; '': they are quoted


class HeartbeatSettings(Table):
    file: str = ""  # what it is asked, relative to the configuration's folder; '': there is no heartbeat
    every_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    active_hours: Annotated[str, AfterValidator(_hours)] = ""  # as 08:00-22:00; '': always
    zone: Zone | None = None  # None: [gateway] timezone
    deliver_to: Targets = ("main",)  # (): kept in the session only
    model: Model = ""  # '': [agent] model
