"""The tool `now`: what time it is, since a model cannot know."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.protocols.tool import ToolContext, ToolFailed, ToolSpec
from gateway.types.json import Json
from gateway.types.measures import SECOND


class Now:
    """Date and time in a zone."""

    spec = ToolSpec(
        name="now",
        description="The current date, weekday and time. Call it whenever the answer depends on the present time.",
        parameters={
            "type": "object",
            "properties": {
                "zone": {"type": "string", "description": "IANA time zone; default: the person's"}
            },
            "additionalProperties": False,
        },
    )

    async def call(self, args: Json, context: ToolContext) -> str:
        name = str(args.get("zone") or context.zone)
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ToolFailed(
                f"there is no time zone {name!r}; use an IANA name such as Europe/Berlin"
            ) from error
        return (
            datetime.fromtimestamp(context.now / SECOND, zone).strftime("%A %Y-%m-%d %H:%M:%S %Z")
            + f" ({name})"
        )
