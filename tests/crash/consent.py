"""A gateway that is asked for a yes and gets it, killed on the way: python -m tests.crash.consent FOLDER."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.commands.table import Table
from gateway.manager import SessionManager
from gateway.roster import Roster
from gateway.transcript import ToolUse
from gateway.types.inbound import Kind
from storage import open_store
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.fakes.wishes import Paint
from tests.path import ANN, path


async def main(folder: Path) -> None:
    clock = Clock()
    store = await open_store(folder / "parley.db")
    paint = Paint(folder / "painted")
    model = ScriptedModel(
        queue=[Script(tool=ToolUse("c1", "paint", '{"colour": "red"}')), Script("I asked.")]
    )
    async with path(store, clock=clock, model=model, tools={"paint": paint}) as p:
        manager = SessionManager(p.core)
        p.core.dispatcher.commands = Table(manager=manager, roster=Roster(store=store, clock=clock))
        await p.says("Paint it.")
        await p.channel.until(ANN, "Shall I", "I asked")
        (buttons,) = [found for found in p.channel.buttons.values() if found]
        await p.says("", kind=Kind.BUTTON, button=buttons["Yes"], press_id="p1")
        await p.channel.until(ANN, "The shed is red")
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
