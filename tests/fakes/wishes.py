"""A tool that needs a person's yes, and leaves a line for each time it really ran."""

from __future__ import annotations

from pathlib import Path

from gateway.protocols.tool import ToolContext, ToolFailed, ToolSpec
from gateway.types.json import Json


class Paint:
    """Paints the shed; *log* holds what was painted."""

    spec = ToolSpec(
        name="paint",
        description="Paint the shed.",
        parameters={"type": "object", "properties": {"colour": {"type": "string"}}},
    )

    def __init__(self, log: Path) -> None:
        self.log = log

    async def proposal(self, args: Json, context: ToolContext) -> str:
        if not args.get("colour"):
            raise ToolFailed("which colour?")
        return f"Paint the shed {args['colour']}."

    async def call(self, args: Json, context: ToolContext) -> str:
        if args["colour"] == "plaid":
            raise ToolFailed("no brush paints plaid")
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{args['colour']}\n")
        return f"The shed is {args['colour']}."

    @property
    def painted(self) -> list[str]:
        return self.log.read_text("utf-8").splitlines() if self.log.exists() else []
