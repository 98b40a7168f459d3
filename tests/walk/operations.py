"""What people do with sessions, and how often each of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from hypothesis import strategies as st

from gateway.manager.documents import parsed
from gateway.views import Generated
from tests.walk.book import Row
from tests.walk.sessions import Sessions

KINDS = ("short", "short", "medium", "tool", "tools", "silent", "cut", "refused", "busy")


@dataclass(frozen=True)
class New:
    async def happen(self, world: Sessions) -> None:
        await world.does("new", lambda m: m.create_session("main", f"key{world.said}"))


@dataclass(frozen=True)
class Ask:
    """*wait*: for the answer; else it is under way while the next things happen."""

    which: int
    kind: str
    wait: bool

    async def happen(self, world: Sessions) -> None:
        found = world.pick(self.which)
        if found is None:
            return
        world.said += 1
        task = world.ask(world.manager.generate(found[1], f"sx{world.said:04d} {self.kind}"))
        if self.wait:
            await asyncio.wait([task], timeout=60)
        else:
            await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Wait:
    seconds: float

    async def happen(self, world: Sessions) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Rewind:
    """*n* None: undo."""

    which: int
    n: int | None
    dies: int | None

    async def happen(self, world: Sessions) -> None:
        found = world.pick(self.which)
        if found is None:
            return
        id, code = found
        n = self.n if self.n is None else self.n % (len(world.book[id].turns()) + 2)
        done = await world.does(
            "undo" if n is None else "rewind",
            lambda m: m.undo(code) if n is None else m.rewind(code, n),
            n=n,
            dies=self.dies,
        )
        if done is not None and done.left != len(world.book[id].turns()):  # type: ignore[attr-defined]
            world.wrong.append(f"{code}: {done} leaves {len(world.book[id].turns())}")


@dataclass(frozen=True)
class Redo:
    which: int
    dies: int | None

    async def happen(self, world: Sessions) -> None:
        found = world.pick(self.which)
        if found is not None:
            await world.does("redo", lambda m: m.redo(found[1]), dies=self.dies)


@dataclass(frozen=True)
class UndoRedo:
    """One after the other, with nothing in between: what stood stands, byte for byte, and so does the prompt."""

    which: int

    async def happen(self, world: Sessions) -> None:
        found = world.pick(self.which)
        if found is None:
            return
        id, code = found
        await world.rest()
        await world.look()
        before = list(world.book[id].stand), await world.manager.history(code)
        if await world.does("undo", lambda m: m.undo(code)) is not None:
            await world.does("redo", lambda m: m.redo(code))
            after = list(world.book[id].stand), await world.manager.history(code)
            if before != after:
                world.wrong.append(f"{code}: there was {before}, undone and redone it is {after}")


@dataclass(frozen=True)
class Retry:
    which: int
    dies: int | None

    async def happen(self, world: Sessions) -> None:
        found = world.pick(self.which)
        if found is None:
            return
        await world.rest()
        await world.look()
        asked = [
            json.loads(row[3])["text"]
            for turn in world.book[found[0]].turns()[-1:]
            for row in turn
            if row[2] == "user"
        ]
        done = await world.does("retry", lambda m: m.retry(found[1]), dies=self.dies)
        if isinstance(done, Generated):
            again = [
                json.loads(row[3])["text"] for row in world.book[found[0]].turns()[-1] if row[2] == "user"
            ]
            if again != asked:
                world.wrong.append(f"{found[1]}: {asked} was asked again as {again}")


@dataclass(frozen=True)
class Fork:
    """*n* None: all of it."""

    which: int
    n: int | None
    dies: int | None

    async def happen(self, world: Sessions) -> None:
        found = world.pick(self.which)
        if found is None:
            return
        id, code = found
        await world.rest()
        await world.look()
        known = world.book[id]
        turns = known.turns()
        n = None if self.n is None else self.n % (len(turns) + 2)
        end = turns[n][0][0] if n is not None and n < len(turns) else 2**40
        made: list[Row] = [row for row in known.stand if row[0] < end]
        await world.does("fork", lambda m: m.fork(code, n), makes=made, dies=self.dies)


@dataclass(frozen=True)
class Clear:
    which: int
    dies: int | None

    async def happen(self, world: Sessions) -> None:
        if found := world.pick(self.which):
            await world.does("clear", lambda m: m.clear(found[1]), dies=self.dies)


@dataclass(frozen=True)
class Compact:
    which: int
    dies: int | None

    async def happen(self, world: Sessions) -> None:
        if found := world.pick(self.which):
            await world.does("compact", lambda m: m.compact(found[1]), dies=self.dies)


@dataclass(frozen=True)
class Copy:
    """Written out as JSON and read in again."""

    which: int
    dies: int | None

    async def happen(self, world: Sessions) -> None:
        found = world.pick(self.which)
        if found is None:
            return
        await world.rest()
        await world.look()
        told = parsed(await world.manager.export_session(found[1], "json"))
        made = list(world.book[found[0]].rows)
        await world.does("import", lambda m: m.import_session(told), makes=made, dies=self.dies)


@dataclass(frozen=True)
class Delete:
    which: int
    dies: int | None

    async def happen(self, world: Sessions) -> None:
        if found := world.pick(self.which):
            await world.does("delete", lambda m: m.delete(found[1]), dooms=found[0], dies=self.dies)


@dataclass(frozen=True)
class Pause:
    which: int
    on: bool

    async def happen(self, world: Sessions) -> None:
        found = world.pick(self.which)
        if found is not None:
            code = found[1]
            await world.does("pause", lambda m: m.pause_session(code) if self.on else m.resume_session(code))


@dataclass(frozen=True)
class Stop:
    which: int

    async def happen(self, world: Sessions) -> None:
        if found := world.pick(self.which):
            await world.does("stop", lambda m: m.cancel_operation(found[1]))


@dataclass(frozen=True)
class Crash:
    ticks: int

    async def happen(self, world: Sessions) -> None:
        for _ in range(self.ticks):
            await asyncio.sleep(0)
        await world.crash()


Step = (
    New
    | Ask
    | Wait
    | Rewind
    | Redo
    | UndoRedo
    | Retry
    | Fork
    | Clear
    | Compact
    | Copy
    | Delete
    | Pause
    | Stop
    | Crash
)
WHICH = st.integers(0, 2)
N = st.one_of(st.none(), st.none(), st.integers(0, 6))
DIES = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 12))
ASK = st.builds(Ask, WHICH, st.sampled_from(KINDS), st.sampled_from([True, True, False]))

# So that there is something to operate on.
FIRST = (New(), *[Ask(0, kind, True) for kind in ("short", "tool", "short")], New(), Ask(1, "medium", True))

STEPS: st.SearchStrategy[Step] = st.one_of(
    ASK, ASK, ASK, ASK, ASK, ASK, ASK,
    st.builds(Rewind, WHICH, N, DIES), st.builds(Rewind, WHICH, N, DIES),
    st.builds(Redo, WHICH, DIES), st.builds(UndoRedo, WHICH),
    st.builds(Retry, WHICH, DIES), st.builds(Fork, WHICH, N, DIES),
    st.builds(Compact, WHICH, DIES), st.builds(Copy, WHICH, DIES),
    st.one_of(st.builds(Clear, WHICH, DIES), st.builds(Stop, WHICH)),
    st.one_of(st.builds(Delete, WHICH, DIES), st.builds(Pause, WHICH, st.booleans())),
    st.builds(Crash, st.integers(0, 12)),
    st.builds(Wait, st.sampled_from([0.05, 0.5])),
)  # fmt: skip
