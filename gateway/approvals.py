"""A person's yes before a tool does something: asked with two buttons, on disk, carried out once.

The call itself only asks; whoever asked (or an admin) decides, and a yes runs the tool. waiting → approved is on disk
before the tool begins: what a crash cuts off is told as unknown and never begun again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import log, marking, transcript
from gateway.codes import ALPHABET
from gateway.delivery import Delivery
from gateway.errors import Refused
from gateway.failpoints import Point, passing
from gateway.linking import named
from gateway.notices import put, under
from gateway.protocols.clock import Clock
from gateway.protocols.tool import Consented, Tool, ToolContext, ToolFailed
from gateway.texts import say
from gateway.types.json import Json
from gateway.types.measures import DAY
from gateway.types.outbound import Button, Chunk, OutboxRow
from gateway.types.people import Identity, Role
from gateway.types.places import Conversation
from gateway.types.turns import Turn

if TYPE_CHECKING:
    from storage import Store, Unit
    from storage.approvals import Approval, ApprovalState

EXPIRES = DAY
TOKEN = 5  # characters; it only tells apart what waits in one conversation
TIMEOUT = 60.0  # seconds for the tool
NO = "The person said no: it was not done."
ASKED = (
    "NOT DONE YET. The person was shown this and asked for a yes or no: {action}\n"
    "Do not repeat it or ask again; tell them in a few words that it waits for their answer."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a press or /approve came to. *key* of the text for whoever pressed; *outcome* of the tool, if it ran."""

    key: str
    outcome: str = ""
    early: bool = False  # nothing has changed: a line on the button is enough


class Approvals:
    """*tools* are those that a yes can run, by name."""

    def __init__(self, *, store: Store, delivery: Delivery, tools: Mapping[str, Tool], clock: Clock) -> None:
        self._store = store
        self._delivery = delivery
        self._tools = tools
        self._clock = clock

    async def ask(
        self,
        tool: Consented,
        args: Json,
        context: ToolContext,
        *,
        turn: Turn,
        step: int,
        place: Conversation,
        local: bool,
    ) -> str:
        """The result for the model. Asking again for the same call changes nothing. Raises ToolFailed."""
        if turn.trigger is not None:
            raise ToolFailed(
                "this needs a person's yes, and nobody is here to give it: say what should be done instead"
            )
        action = log.veiled(await tool.proposal(args, context))
        digest = hashlib.sha256(
            json.dumps([tool.spec.name, args], sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")
        ).hexdigest()
        token = "".join(secrets.choice(ALPHABET) for _ in range(TOKEN))
        labels = {word: secrets.token_urlsafe(16) for word in ("yes", "no")}
        chunks = (
            [] if local else self._question(place, action, token, labels, context.lang, shared=place.shared)
        )
        if not chunks and not local:
            raise ToolFailed("the person cannot be asked at the moment; try again later")

        async def work(unit: Unit) -> list[OutboxRow]:
            waiting = await unit.approvals.waiting(place.id, now=context.now)
            if any(each.action_hash == digest and each.session == context.session for each in waiting):
                return []
            id = await unit.approvals.add(
                token=token,
                turn=turn.id,
                step=step,
                call_id=context.call,
                session=context.session,
                conversation=place.id,
                identity=context.identity,
                tool=tool.spec.name,
                args=args,
                action=action,
                action_hash=digest,
                lang=context.lang,
                zone=context.zone,
                now=context.now,
                expires=context.now + EXPIRES,
            )
            if id is None or not chunks:
                return []
            for word, button in labels.items():
                await unit.outbox.button(
                    button, action=f"approval-{word}", args={"v": 1, "approval": id}, conversation=place.id
                )
            return await put(
                unit,
                account=place.account,
                conversation=place.id,
                origin=f"approval:{id}",
                chunks=chunks,
                now=context.now,
                session=context.session,
            )

        self._delivery.enqueue(await self._store.commit(Point.NOTICE, work))
        return ASKED.format(action=action)

    def _question(
        self,
        place: Conversation,
        action: str,
        token: str,
        labels: Mapping[str, str],
        lang: str,
        *,
        shared: bool,
    ) -> list[Chunk]:
        line = self._delivery.line(place.account)
        with_buttons = line is not None and line.channel.can.button
        text = asked(action, token, lang, typed=not with_buttons, shared=shared)
        chunks = self._delivery.render(place.account, text)
        if not with_buttons:
            return chunks
        buttons = [Button(label=say(f"approval.{word}", lang), token=of) for word, of in labels.items()]
        return under(chunks, buttons)

    async def questions(self, turn: Turn, lang: str) -> str:
        """What a turn has asked and nobody has decided, for where only its answer is shown; '' for nothing."""
        now = self._clock()
        waiting = await self._store.read(lambda unit: unit.approvals.waiting(turn.conversation, now=now))
        texts = [
            asked(each.action, each.token, lang, typed=True, shared=False)
            for each in waiting
            if each.turn == turn.id
        ]
        return "\n\n".join(texts)

    async def waiting(self, conversation: int) -> list[Approval]:
        now = self._clock()
        return await self._store.read(lambda unit: unit.approvals.waiting(conversation, now=now))

    async def typed(self, conversation: int, token: str) -> Approval:
        """Raises Refused when there is none of that token."""
        found = await self._store.read(lambda unit: unit.approvals.typed(conversation, token.upper()))
        if found is None:
            raise Refused(key="approval.none_such")
        return found

    async def decide(
        self, id: int, yes: bool, *, conversation: int, who: Identity | None, role: Role, row: int
    ) -> Decided:
        """What a person answers, once; *row* is the inbox row it came in, which may be taken up again after a crash.

        Raises Refused where it is not theirs to decide.
        """
        now = self._clock()

        async def work(unit: Unit) -> tuple[Approval, bool]:
            found = await unit.approvals.get(id)
            if found is None or found.conversation != conversation:
                raise Refused(key="button.stale")
            asker = await unit.people.identity_by_id(found.identity) if found.identity else None
            if not _may(asker, who, role):
                raise Refused(key="approval.not_yours")
            if found.state != "waiting":
                if found.state == "approved" and found.row == row:
                    # This very answer was cut off by the end of the process, with the tool perhaps half way.
                    text = say("approval.unknown", found.lang)
                    await unit.approvals.end(id, "unknown", outcome=text, now=now)
                    await _note(unit, found, text, now)
                    return await _again(unit, id), False
                return found, False
            state: ApprovalState = "expired" if now >= found.expires else "approved" if yes else "denied"
            await unit.approvals.decide(id, state, by=who.id if who else None, row=row, now=now)
            if state == "denied":
                await _note(unit, found, NO, now)
            return await _again(unit, id), True

        found, fresh = await self._store.commit(Point.CONTROL, work)
        if fresh and found.state == "approved":
            found = await self._carried_out(found)
        return _decided(found, mine=fresh or found.row == row)

    async def mark(self, id: int) -> None:
        """The message that asked says what was decided and has no buttons any more, where it can be edited."""

        async def work(unit: Unit) -> tuple[Approval, bool, str]:
            found = await _again(unit, id)
            who = await unit.people.identity_by_id(found.decided_by) if found.decided_by is not None else None
            return (
                found,
                (await unit.places.get(found.conversation)).shared,
                named(who) if who is not None else "",
            )

        found, shared, name = await self._store.read(work)
        if found.state == "waiting":
            return
        said = {"denied": "said_no", "expired": "said_nothing"}.get(found.state, "said_yes")
        told = say(f"approval.{said}", found.lang, name=name or say("command.somebody", found.lang))
        text = asked(found.action, found.token, found.lang, typed=False, shared=shared)
        await marking.mark(self._store, self._delivery, f"approval:{id}", text, told)

    async def _carried_out(self, approval: Approval) -> Approval:
        tool = self._tools.get(approval.tool)
        context = ToolContext(
            session=approval.session,
            turn=approval.turn,
            call=approval.call_id,
            conversation=approval.conversation,
            identity=approval.identity,
            zone=approval.zone,
            now=self._clock(),
            lang=approval.lang,
            asked=approval.expires - EXPIRES,
        )
        state: ApprovalState
        passing(Point.TOOL, "before")
        try:
            if tool is None:
                raise ToolFailed(f"there is no tool named {approval.tool} any more")
            async with asyncio.timeout(TIMEOUT):
                state, outcome = "done", log.veiled(await tool.call(approval.args, context))
        except ToolFailed as error:
            state, outcome = "failed", log.veiled(str(error))
        except TimeoutError:
            state, outcome = "unknown", say("approval.unknown", approval.lang)
        passing(Point.TOOL, "after")
        now = self._clock()

        async def work(unit: Unit) -> Approval:
            await unit.approvals.end(approval.id, state, outcome=outcome, now=now)
            await _note(unit, approval, f"The person said yes. {state}: {outcome}", now)
            return await _again(unit, approval.id)

        return await self._store.commit(Point.CONTROL, work)


def asked(action: str, token: str, lang: str, *, typed: bool, shared: bool) -> str:
    """The question; *typed*: it is answered by text."""
    lines = [action, "", say("approval.question", lang)]
    if shared:
        lines[-1] += " " + say("approval.who", lang)
    if typed:
        lines.append(say("approval.typed", lang, yes=f"`/approve {token}`", no=f"`/deny {token}`"))
    return "\n".join(lines)


def _may(asker: Identity | None, who: Identity | None, role: Role) -> bool:
    """Who asked, on whatever platform, or an admin; nobody known may what nobody known has asked for."""
    if role in ("admin", "owner"):
        return True
    if asker is None or who is None:
        return asker is who
    return asker.id == who.id or (asker.person is not None and asker.person == who.person)


async def denied(unit: Unit, session: int, now: int) -> int:
    """No to everything that waits in a session; gives how much that was."""
    waiting = await unit.approvals.in_session(session)
    for each in waiting:
        await unit.approvals.deny(each.id, now=now)
        await _note(unit, each, NO, now)
    return len(waiting)


async def _note(unit: Unit, approval: Approval, text: str, now: int) -> None:
    """The model reads with the next message what became of what it had proposed, unless that session is deleted."""
    session = await unit.sessions.get(approval.session)
    if session is None or session.deleted is not None:
        return
    body = transcript.note(f"What you proposed ({approval.tool}: {approval.action}): {text}")
    await unit.transcript.add(approval.session, "note", body, now=now)


async def _again(unit: Unit, id: int) -> Approval:
    found = await unit.approvals.get(id)
    assert found is not None
    return found


def _decided(approval: Approval, *, mine: bool) -> Decided:
    if not mine:
        key = "expired" if approval.state == "expired" else "decided"
        return Decided(key=f"approval.{key}", early=True)
    return Decided(key=f"approval.{approval.state}", outcome=approval.outcome or "")
