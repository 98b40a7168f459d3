"""A gateway with its commands, as people meet it: a chat on a platform, a group, and the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.access import Policy
from gateway.calls import Call
from gateway.commands.table import Right, Table
from gateway.manager import Generated, SessionManager
from gateway.progress import Options
from gateway.protocols.tool import Tool
from gateway.roster import Roster
from gateway.types.inbound import Kind, Lane, Waiting
from gateway.types.outbound import Chunk
from gateway.types.people import Sender
from gateway.types.places import Conversation, Place
from storage import Store
from tests.conftest import Clock
from tests.fakes.channel import contains
from tests.fakes.model import ScriptedModel
from tests.path import ANN, BOB, Path, path

ZONE = "Europe/Berlin"
GROUP = "-500"
ROOM = Place(chat_id=GROUP, kind="group")


@dataclass
class Chat:
    """A gateway with its commands, a chat on a platform and the terminal."""

    path: Path
    manager: SessionManager
    table: Table

    async def told(self, text: str, *answers: str, user: str = ANN, **more: object) -> str:
        """Say it in the chat; gives the new message that the last of *answers* is in, the others right before it.

        Others may come behind: what a job says, that a conversation was shortened.
        """
        before = self._newest(user)
        await self.path.says(text, user=user, **more)
        async with asyncio.timeout(20):
            while (found := self._answered(user, answers, before)) is None:
                await asyncio.sleep(0.005)
        return found

    def _answered(self, chat: str, answers: tuple[str, ...], before: int) -> str | None:
        shown = list(self.path.channel.messages.get(chat, {}).items())
        for end in range(max(len(answers), 1), len(shown) + 1):
            id, said = shown[end - 1]
            last = [text for _, text in shown[end - len(answers) : end]]
            if int(id) > before and all(map(contains, last, answers)):
                return said
        return None

    def _newest(self, chat: str) -> int:
        """The number of the last message there; 0 for none."""
        return max(map(int, self.path.channel.messages.get(chat, ())), default=0)

    async def sees(self, *parts: str, user: str = ANN) -> None:
        """Wait until each of them is in one of the messages, in whatever order they came."""
        async with asyncio.timeout(5):
            while not all(any(part in text for text in self.path.channel.texts(user)) for part in parts):
                await asyncio.sleep(0.005)

    async def local(self, text: str, **more: str) -> str:
        """Say it in the terminal; gives the reply."""
        return (await self.generated(text, **more)).text

    async def generated(self, text: str, **more: str) -> Generated:
        async for event in self.manager.say(text, **more):
            if isinstance(event, Generated):
                return event
        raise AssertionError("no answer")

    async def group(self, text: str, *answers: str, user: str = ANN, lang: str = "") -> str:
        """Say it in the group; gives the last of the messages that come of it there."""
        sender = Sender(user_id=user, name="Ann" if user == ANN else "Bob", lang=lang)
        await self.path.says(text, user=user, place=ROOM, sender=sender)
        return (await self.path.channel.until(GROUP, *answers))[-1]

    async def presses(self, label: str, *, user: str = ANN, place: Place | None = None) -> None:
        """Press the button of that label, of the last message that has any."""
        await self.path.says(
            "",
            user=user,
            kind=Kind.BUTTON,
            button=self.buttons()[label],
            press_id="p1",
            place=place or Place(chat_id=user),
        )

    def buttons(self) -> dict[str, str]:
        """Label -> token, of the last message that has any."""
        return [found for found in self.path.channel.buttons.values() if found][-1]

    async def allow(self, user: str, role: str) -> None:
        await self.table.roster.allow(f"telegram:{user}", role)  # type: ignore[arg-type]


@asynccontextmanager
async def chatting(
    store: Store,
    clock: Clock,
    model: ScriptedModel | None = None,
    *,
    others: tuple[ScriptedModel, ...] = (),
    tools: dict[str, Tool] | None = None,
    rights: Mapping[str, Right] | None = None,
    options: Options | None = None,
) -> AsyncIterator[Chat]:
    policy = Policy(allow={"telegram": frozenset({ANN, BOB, GROUP})}, owners={})
    async with path(
        store,
        clock=clock,
        model=model,
        others=others,
        tools=tools,
        options=options,
        placing="exact",
        policy=policy,
    ) as p:
        # One message a reply, however long: how a platform cuts is another test's.
        p.channel.render = lambda text: [Chunk(text=text)] if text else []  # type: ignore[method-assign]
        manager = SessionManager(p.core, zone=ZONE)
        table = Table(manager=manager, roster=Roster(store=store, clock=clock), rights=rights)
        p.core.dispatcher.commands = table
        yield Chat(p, manager, table)


def call(name: str, args: str = "", **more: object) -> Call:
    """A call as the dispatcher would make it, for what cannot come in through the gate."""
    row = Waiting(
        id=1, account=1, event_id="e", kind=Kind.COMMAND, lane=Lane.CONTROL, conversation=1, identity=None,
        session=None, message_id="", reply_to="", trigger=None, job_run=None, body={}, received=0, sent=None,
        state="waiting", turn=None, attempts=0,
    )  # fmt: skip
    place = Conversation(
        id=1, account=1, channel="telegram", chat_id="1", thread_id="", user_id="", kind="direct",
        current_session=None, settings={}, fence=0,
    )  # fmt: skip
    facts: dict[str, object] = {"row": row, "conversation": place, "identity": None, "role": "user"}
    return Call(name=name, args=args, **{**facts, **more})  # type: ignore[arg-type]
