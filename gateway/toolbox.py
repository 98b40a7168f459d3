"""The tools a model may use, and the calls of one step: each begins once, whatever crashes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gateway import log, transcript, verbose
from gateway.access import LOCAL
from gateway.approvals import Approvals
from gateway.failpoints import Point, passing
from gateway.journal import check, whole
from gateway.progress import Options, Progress, Started
from gateway.protocols.clock import Clock
from gateway.protocols.tool import Consented, Tool, ToolContext, ToolFailed, ToolSpec
from gateway.transcript import ToolResult, ToolUse
from gateway.types.json import Json
from gateway.types.turns import Entry

if TYPE_CHECKING:
    from storage import Store, Unit

TOOL_TIMEOUT = 60.0  # seconds


class Toolbox:
    """Tools by name, in the order in which every prompt has them."""

    def __init__(
        self,
        *,
        store: Store,
        approvals: Approvals,
        tools: Mapping[str, Tool],
        options: Options,
        clock: Clock,
    ) -> None:
        self._store = store
        self._approvals = approvals
        self._tools = tools
        self.options = options
        self._clock = clock

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """As a prompt has them."""
        return tuple(tool.spec for tool in self._tools.values())

    async def run(
        self, started: Started, progress: Progress, calls: Sequence[ToolUse], show: Callable[[str], None]
    ) -> None:
        """Each call once. One that had started when the process died is reported as interrupted, never repeated."""
        turn, step = started.turn, progress.step
        now = self._clock()

        async def begin(unit: Unit) -> dict[str, tuple[str, int | None]]:
            await check(unit, turn)
            known = {id: (state, at) for id, _, state, at in await unit.turns.calls(turn.id, step)}
            for call in calls:
                if known.get(call.id, ("", None))[1] is None:
                    await unit.turns.call_started(turn.id, step, call.id, now=now)
            return known

        known = await self._store.commit(Point.TOOLS_STARTED, begin)
        # Asking for a yes has no effect that could be had twice: it is taken up again.
        fresh = [
            call
            for call in calls
            if known.get(call.id, ("", None))[1] is None or isinstance(self._tools.get(call.name), Consented)
        ]
        given = dict(
            zip(
                (c.id for c in fresh),
                await asyncio.gather(*(self._call(started, step, c) for c in fresh)),
                strict=True,
            )
        )
        results = [
            given.get(call.id)
            or ToolResult(
                call.id,
                call.name,
                "interrupted by a restart: it may or may not have taken effect; not repeated",
                True,
            )
            for call in calls
        ]
        progress.tool_calls += len(calls)
        body = transcript.results(results)
        done = self._clock()

        async def finish(unit: Unit) -> Entry:
            await check(unit, turn)
            for result in results:
                state = "unknown" if result.id not in given else "failed" if result.error else "done"
                await unit.turns.call_ended(
                    turn.id, step, result.id, state=state, is_error=result.error, now=done
                )
            seq = await unit.transcript.add(turn.session, "results", body, now=done, turn=turn.id)
            return Entry(seq=seq, turn=turn.id, kind="results", body=body, created=done)

        await whole(self._store.commit(Point.RESULTS, finish), progress.entries.append)
        if lines := verbose.lines(
            started.conversation.settings.get("verbose"), calls, results, progress.lang
        ):
            progress.shown += lines + "\n\n"
            show(progress.shown)

    async def _call(self, started: Started, step: int, call: ToolUse) -> ToolResult:
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolResult(call.id, call.name, f"there is no tool named {call.name}", True)
        try:
            args: Json = json.loads(call.args or "{}")
            if not isinstance(args, dict):
                raise ToolFailed("the arguments must be a JSON object")
            passing(Point.TOOL, "before")
            context = ToolContext(
                session=started.turn.session,
                turn=started.turn.id,
                call=call.id,
                conversation=started.conversation.id,
                identity=started.turn.identity,
                zone=started.zone or self.options.zone,
                now=self._clock(),
                lang=started.lang,
            )
            async with asyncio.timeout(TOOL_TIMEOUT):
                if isinstance(tool, Consented):
                    place, local = started.conversation, started.conversation.channel in LOCAL
                    text = await self._approvals.ask(
                        tool, args, context, turn=started.turn, step=step, place=place, local=local
                    )
                else:
                    text = await tool.call(args, context)
            passing(Point.TOOL, "after")
        except json.JSONDecodeError as error:
            return ToolResult(call.id, call.name, f"the arguments are not JSON: {error}", True)
        except TimeoutError:
            return ToolResult(call.id, call.name, f"timed out after {TOOL_TIMEOUT:.0f} s", True)
        except ToolFailed as error:
            return ToolResult(call.id, call.name, log.veiled(str(error)), True)
        return ToolResult(call.id, call.name, log.veiled(text))
