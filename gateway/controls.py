"""Commands and buttons: carried out, answered, and done, whatever becomes of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway import log
from gateway.calls import Call, Commands, Reply
from gateway.delivery import Delivery
from gateway.errors import DeliveryError, ModelError, Refused, StoreError
from gateway.failpoints import Point
from gateway.hub import Hub, Seen
from gateway.lanes import command_of
from gateway.notices import put, under
from gateway.protocols.clock import Clock
from gateway.texts import say
from gateway.types.inbound import Kind, Waiting
from gateway.types.outbound import Button, Chunk, OutboxRow
from gateway.types.people import Identity, Role
from gateway.types.places import Conversation, Place

if TYPE_CHECKING:
    from storage import Store, Unit

DECIDED_ONCE = frozenset({"approval-yes", "approval-no"})


class Controls:
    """What is not a prompt. *commands* is set by whoever wires the gateway."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        hub: Hub,
        clock: Clock,
        on_trouble: Callable[[str, str], None],
        role: Callable[[Conversation, Identity | None], Role],
        language: Callable[[], str] = lambda: "",
        zone: Callable[[], str] = lambda: "UTC",
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._hub = hub
        self._clock = clock
        self._on_trouble = on_trouble
        self._role = role
        self._language = language
        self._zone = zone
        self.commands: Commands | None = None

    async def carry_out(self, id: int) -> None:
        """A row that never waits: a command, a button, or something we can only answer with a line."""
        row = await self._store.read(lambda unit: unit.inbox.get(id))
        if row is None or row.state != "waiting":
            return
        if row.kind is Kind.COMMAND:
            await self.command(row)
        elif row.kind is Kind.BUTTON:
            await self._press(row)
        else:
            # Whoever said something and still comes here said too much.
            key = "message.too_long" if row.text.strip() else "message.no_text"
            await self._reply(row, Reply(text=say(key, (await self._call(row, "", "")).lang)))

    async def command(self, row: Waiting) -> None:
        call = await self._call(row, *command_of(row.text))
        reply, _ = await self._done(row, call, self._run(call))
        await self._reply(row, reply)

    async def _run(self, call: Call) -> Reply:
        if self.commands is None:
            raise Refused(key="command.unknown")
        return await self.commands.run(call)

    async def _done(self, row: Waiting, call: Call, work: Coroutine[Any, Any, Reply]) -> tuple[Reply, bool]:
        """What there is to tell, and whether it was done. Raises StoreError."""
        try:
            return await work, True
        except (Refused, ModelError) as error:
            return Reply(text=error.told(call.lang)), False
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a command: its fault must not leave whoever gave it waiting
            log.crash("command.failed", error, row=row.id)
            self._on_trouble("internal", f"command {row.id}: {type(error).__name__}: {error}")
            return Reply(text=say("message.internal", call.lang)), False

    async def _press(self, row: Waiting) -> None:
        token = str(row.body.get("button", ""))
        found = await self._store.read(lambda unit: unit.outbox.pressed(token))
        now = self._clock()
        call = await self._call(row, "", "")
        reply = Reply(toast=say("button.stale", call.lang))
        if found is not None and self.commands is not None:
            action, args, conversation, person, expires, _ = found
            presser = call.identity.person if call.identity else None
            # The same answer for a forged, foreign, old or used button: it must not tell them apart.
            here = conversation == row.conversation or (
                bool(args.get("chat")) and await self._same_chat(conversation, call.conversation)
            )
            valid = here and (expires is None or now < expires)
            valid = valid and (person is None or person == presser)
            # What is decided once sees to that itself: whoever may not decide must not use the button up.
            if valid and (
                action in DECIDED_ONCE or await self._store.commit(Point.CONTROL, _use, token, row.id)
            ):
                pressed = self.commands.press(action, args, replace(call, name=action))
                reply, done = await self._done(row, call, pressed)
                if not done:  # whoever may not press has not used it up for those who may
                    await self._store.commit(Point.CONTROL, _free, token, row.id)
        await self._ack(row, reply.toast)
        await self._reply(row, reply)

    async def _same_chat(self, conversation: int, here: Conversation) -> bool:
        """Whether both are parts of one chat: each member may have one of their own."""
        there = await self._store.read(lambda unit: unit.places.get(conversation))
        parts = [(each.account, each.chat_id, each.thread_id) for each in (there, here)]
        return parts[0] == parts[1]

    async def _ack(self, row: Waiting, toast: str) -> None:
        line = self._delivery.line(row.account)
        if line is None or not row.body.get("press"):
            return
        try:
            await line.channel.ack(str(row.body["press"]), toast)
        except DeliveryError as error:
            log.warning("button.ack", error=str(error))

    async def _call(self, row: Waiting, name: str, args: str) -> Call:
        async def work(unit: Unit) -> Call:
            assert row.conversation is not None
            identity = await unit.people.identity_by_id(row.identity) if row.identity else None
            place = await unit.places.get(row.conversation)
            role = self._role(place, identity)
            return Call(
                name=name,
                args=args,
                row=row,
                conversation=place,
                identity=replace(identity, role=role) if identity else None,
                role=role,
                lang=(identity.lang if identity else "") or self._language(),
                zone=(identity.zone if identity else "") or self._zone(),
            )

        return await self._store.read(work)

    async def _reply(self, row: Waiting, reply: Reply) -> None:
        """The row is done and its reply is on its way, in one commit."""
        assert row.conversation is not None
        here = await self._store.read(lambda unit: unit.places.get(row.conversation or 0))
        album = row.body.get("album")
        # An album without a word gets one line, not one for each of its pictures.
        origin = f"album:{here.id}:{album}" if album else f"reply:{row.id}"
        chunks = self._delivery.render(row.account, reply.text) if reply.text else []
        buttons = [(secrets.token_urlsafe(16), offer) for offer in reply.offers]
        if chunks and buttons:
            shown = tuple(Button(label=offer.label, token=token) for token, offer in buttons)
            chunks = under(chunks, shown)
        if chunks:
            chunks = [*chunks, *(Chunk(text="", file=file) for file in reply.files)]
        private = say("reply.private", await self._lang(row)) if reply.private and here.shared else ""
        chunks, elsewhere = await self._addressed(row, here, reply, chunks, private)
        now = self._clock()

        async def work(unit: Unit) -> list[OutboxRow]:
            await unit.inbox.settle(row.id, "done")
            target = here
            if elsewhere is not None:
                account = await unit.people.account_by_id(row.account)
                assert account is not None
                target = await unit.places.at(account, Place(chat_id=elsewhere, kind="direct"))
            for token, offer in buttons if chunks else ():
                await unit.outbox.button(token, action=offer.action, args=offer.args, conversation=target.id)
            rows = await put(
                unit, account=row.account, conversation=target.id, origin=origin, chunks=chunks, now=now
            )
            if elsewhere is not None:
                told = self._delivery.render(row.account, private)
                rows += await put(
                    unit,
                    account=row.account,
                    conversation=here.id,
                    origin=f"{origin}:here",
                    chunks=told,
                    now=now,
                )
            return rows

        self._delivery.enqueue(await self._store.commit(Point.CONTROL, work))
        self._hub.publish(
            Seen(kind="done", conversation=here.id, text=reply.text, state="command", inbox=(row.id,))
        )

    async def _addressed(
        self, row: Waiting, here: Conversation, reply: Reply, chunks: list[Chunk], private: str
    ) -> tuple[list[Chunk], str | None]:
        """The chunks as the answer to what was pressed or called, and the private chat they go to instead, if any."""
        line = self._delivery.line(row.account)
        if line is None or not chunks:
            return chunks, None
        press = str(row.body.get("press", ""))
        secret = reply.private and here.shared
        if press and (line.channel.can.whisper or not secret):
            whisper = secret and line.channel.can.whisper
            return [line.channel.answering(chunk, press, whisper=whisper) for chunk in chunks], None
        if not secret:
            return chunks, None
        who = await self._who(row)
        if who is None:
            return chunks, None
        try:
            return chunks, await line.channel.direct(who.user_id)
        except DeliveryError as error:
            log.info("reply.private", kind=error.kind, error=str(error))
            return self._delivery.render(row.account, private), None

    async def _who(self, row: Waiting) -> Identity | None:
        async def work(unit: Unit) -> Identity | None:
            return await unit.people.identity_by_id(row.identity) if row.identity else None

        return await self._store.read(work)

    async def _lang(self, row: Waiting) -> str:
        who = await self._who(row)
        return (who.lang if who else "") or self._language()


async def _free(unit: Unit, token: str, row: int) -> None:
    await unit.outbox.free_button(token, row=row)


async def _use(unit: Unit, token: str, row: int) -> bool:
    return await unit.outbox.use_button(token, row=row)
