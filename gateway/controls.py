"""Commands and buttons: carried out, answered, and done, whatever becomes of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway import intake, log, wording
from gateway.calls import Call, Commands, Reply
from gateway.delivery import Delivery, nonce
from gateway.errors import DeliveryError, ModelError, Refused, StoreError
from gateway.failpoints import Point
from gateway.hub import Hub, Seen
from gateway.protocols import Clock
from gateway.types import Button, Conversation, Identity, Kind, Role, Waiting

if TYPE_CHECKING:
    from storage import Store, Unit


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
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._hub = hub
        self._clock = clock
        self._on_trouble = on_trouble
        self._role = role
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
            await self._reply(row, Reply(text=wording.TOO_LONG if row.text.strip() else wording.NO_TEXT))

    async def command(self, row: Waiting) -> None:
        name, args = intake.command_of(row.text)
        try:
            if self.commands is None:
                raise Refused(wording.UNKNOWN_COMMAND)
            reply = await self.commands.run(await self._call(row, name, args))
        except Refused as error:
            reply = Reply(text=str(error))
        except ModelError as error:
            reply = Reply(text=wording.FAILED[error.kind])
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - a command's fault must not leave whoever gave it waiting
            log.crash("command.failed", error, row=row.id)
            self._on_trouble("internal", f"command {row.id}: {type(error).__name__}: {error}")
            reply = Reply(text=wording.INTERNAL)
        await self._reply(row, reply)

    async def _press(self, row: Waiting) -> None:
        token = str(row.body.get("button", ""))
        found = await self._store.read(lambda unit: unit.outbox.pressed(token))
        now = self._clock()
        reply = Reply(toast=wording.STALE_BUTTON)
        if found is not None and self.commands is not None:
            action, args, conversation, person, expires, _ = found
            call = await self._call(row, action, "")
            presser = call.identity.person if call.identity else None
            # The same answer for a forged, foreign, old or used button: it must not tell them apart.
            valid = conversation == row.conversation and (expires is None or now < expires)
            valid = valid and (person is None or person == presser)
            if valid and await self._store.commit(Point.CONTROL, _use, token, row.id):
                try:
                    reply = await self.commands.press(action, args, call)
                except Refused as error:
                    reply = Reply(text=str(error))
        await self._ack(row, reply.toast)
        await self._reply(row, reply)

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
            )

        return await self._store.read(work)

    async def _reply(self, row: Waiting, reply: Reply) -> None:
        """The row is done and its reply is on its way, in one commit."""
        assert row.conversation is not None
        conversation = row.conversation
        origin = f"reply:{row.id}"
        chunks = self._delivery.render(row.account, reply.text) if reply.text else []
        buttons = [(secrets.token_urlsafe(16), offer) for offer in reply.offers]
        if chunks and buttons:
            shown = tuple(Button(label=offer.label, token=token) for token, offer in buttons)
            chunks[-1] = replace(chunks[-1], buttons=shown)
        now = self._clock()

        async def work(unit: Unit) -> list[Any]:
            await unit.inbox.settle(row.id, "done")
            for token, offer in buttons if chunks else ():
                await unit.outbox.button(
                    token, action=offer.action, args=offer.args, conversation=conversation
                )
            rows = []
            for part, chunk in enumerate(chunks):
                rows.append(
                    await unit.outbox.add(
                        origin=origin,
                        part=part,
                        account=row.account,
                        conversation=conversation,
                        session=None,
                        kind="notice",
                        payload_=chunk,
                        nonce=nonce(origin, part),
                        now=now,
                    )
                )
            return [found for found in rows if found is not None]

        self._delivery.enqueue(await self._store.commit(Point.CONTROL, work))
        self._hub.publish(
            Seen(kind="done", conversation=conversation, text=reply.text, state="command", inbox=(row.id,))
        )


async def _use(unit: Unit, token: str, row: int) -> bool:
    return await unit.outbox.use_button(token, row=row)
