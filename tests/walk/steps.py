"""What can happen on a walk; each step prints as the Python that brings it back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import strategies as st

from gateway.during import MODES, During
from gateway.errors import DeliveryError, DeliveryErrorKind
from gateway.types.inbound import Kind
from tests.walk.model import KINDS
from tests.walk.world import PLACES, World

COMMANDS = (
    "/new", "/reset", "/compact", "/compress", "/stop", "/stop all", "/status", "/usage", "/cost", "/context",
    "/resume", "/resume {code}", "/sessions", "/clear", "/whoami", "/help", "/queue steer", "/queue queue", "/model",
    "/think", "/gap off", "/nonsense",
)  # fmt: skip
WHERE = st.sampled_from([("ann", "ann"), ("ann", "ann"), ("bob", "bob"), ("group", "ann"), ("group", "bob")])
FAULTS: dict[str, tuple[DeliveryErrorKind, ...]] = {
    "send": ("flood", "connect", "server", "lost"),
    "edit": ("flood", "server", "lost"),
    "react": ("rejected",),
}


@dataclass(frozen=True)
class Say:
    place: str
    person: str
    kind: str

    async def happen(self, world: World) -> None:
        world.asks(self.place, self.person, self.kind)


@dataclass(frozen=True)
class Overheard:
    """In the group, and not to us."""

    person: str

    async def happen(self, world: World) -> None:
        world.asks("group", self.person, "short", addressed=False)


@dataclass(frozen=True)
class Stranger:
    async def happen(self, world: World) -> None:
        world.asks("eve", "eve", "short")


@dataclass(frozen=True)
class Edit:
    """The *back*-th last message of that person there gets another last word."""

    place: str
    person: str
    back: int
    kind: str

    async def happen(self, world: World) -> None:
        mine = [
            said.event
            for said in world.said
            if (said.place, said.person, said.event.kind) == (self.place, self.person, Kind.MESSAGE)
        ]
        if len(mine) > self.back:
            event = mine[-1 - self.back]
            text = f"{event.text.split()[0]} {self.kind}"
            world.send(self.place, self.person, text, kind=Kind.EDIT, message_id=event.message_id)


@dataclass(frozen=True)
class Reply:
    """In answer to the *back*-th last message of the bot there."""

    place: str
    person: str
    back: int
    kind: str

    async def happen(self, world: World) -> None:
        shown = list(world.screen.messages.get(PLACES[self.place].chat_id, ()))
        to = shown[-1 - self.back] if len(shown) > self.back else ""
        world.asks(self.place, self.person, self.kind, reply_to=to)


@dataclass(frozen=True)
class Command:
    """`{code}` stands for the code of the *back*-th last session."""

    place: str
    person: str
    text: str
    back: int = 0

    async def happen(self, world: World) -> None:
        assert world.life is not None
        codes = await world.life.store.read(
            lambda unit: unit.tx.all("SELECT code FROM session ORDER BY id DESC")
        )
        code = codes[self.back % len(codes)][0] if codes else "none"
        world.send(self.place, self.person, self.text.replace("{code}", code))


@dataclass(frozen=True)
class Press:
    """The *back*-th last button there."""

    place: str
    person: str
    back: int

    async def happen(self, world: World) -> None:
        chat = PLACES[self.place].chat_id
        shown = world.screen.messages.get(chat, {})
        tokens = [
            token for id, each in world.screen.buttons.items() if id in shown for token in each.values()
        ]
        if len(tokens) > self.back:
            token = tokens[-1 - self.back]
            world.send(self.place, self.person, "", kind=Kind.BUTTON, button=token, press_id="p")


@dataclass(frozen=True)
class Wait:
    seconds: float

    async def happen(self, world: World) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Hours:
    """Nobody does anything for so long."""

    hours: int

    async def happen(self, world: World) -> None:
        world.ahead += self.hours * 3600.0


@dataclass(frozen=True)
class Mode:
    mode: During

    async def happen(self, world: World) -> None:
        world.use(self.mode)


@dataclass(frozen=True)
class Fault:
    """The next call of that method."""

    method: str
    kind: DeliveryErrorKind

    async def happen(self, world: World) -> None:
        if self.method == "react":
            assert world.life is not None
            world.life.channel.fail.setdefault("react", []).append(DeliveryError("no", kind=self.kind))
            return
        world.screen.faults.append((self.method, DeliveryError("trouble", kind=self.kind, retry_after=2.0)))


@dataclass(frozen=True)
class Halt:
    pull: bool

    async def happen(self, world: World) -> None:
        await world.emergency(self.pull)


@dataclass(frozen=True)
class Crash:
    """In the middle of whatever is under way, so many steps of the loop from now."""

    ticks: int

    async def happen(self, world: World) -> None:
        for _ in range(self.ticks):
            await asyncio.sleep(0)
        await world.crash()


Step = (
    Say | Overheard | Stranger | Edit | Reply | Command | Press | Wait | Hours | Mode | Fault | Halt | Crash
)
BACK = st.integers(0, 4)
WAIT = st.builds(Wait, st.sampled_from([0.0, 0.05, 0.3, 0.3, 1.0, 1.0, 3.0]))


def _say() -> st.SearchStrategy[Step]:
    return st.tuples(WHERE, st.sampled_from(KINDS)).map(lambda drawn: Say(*drawn[0], drawn[1]))


STEPS: st.SearchStrategy[Step] = st.one_of(
    _say(), _say(), _say(), WAIT, WAIT, WAIT,
    st.builds(Crash, st.integers(0, 12)),
    st.tuples(WHERE, BACK, st.sampled_from(KINDS)).map(lambda drawn: Edit(*drawn[0], *drawn[1:])),
    st.tuples(WHERE, BACK, st.sampled_from(KINDS)).map(lambda drawn: Reply(*drawn[0], *drawn[1:])),
    st.tuples(WHERE, st.sampled_from(COMMANDS), BACK).map(lambda drawn: Command(*drawn[0], *drawn[1:])),
    st.tuples(WHERE, BACK).map(lambda drawn: Press(*drawn[0], drawn[1])),
    st.builds(Mode, st.sampled_from(MODES)),
    st.sampled_from([(method, kind) for method, kinds in FAULTS.items() for kind in kinds]).map(
        lambda drawn: Fault(*drawn)
    ),
    st.one_of(
        st.builds(Halt, st.booleans()),
        st.builds(Hours, st.sampled_from([1, 7])),
        st.builds(Overheard, st.sampled_from(["ann", "bob"])),
        st.builds(Stranger),
    ),
)  # fmt: skip
