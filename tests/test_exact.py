"""A channel that recognises repeats by their nonce: texts grow by edits and nothing is ever there twice."""

from __future__ import annotations

import asyncio

from gateway.errors import DeliveryError
from gateway.failpoints import Point
from gateway.notices import put
from gateway.types.outbound import Chunk
from gateway.types.places import Address, Place
from storage import Store
from tests.conftest import Clock
from tests.fakes.channel import FakeChannel
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, path


def recognising(channel: FakeChannel) -> list[int | None]:
    """Makes the channel give the same message for the same nonce; returns when each call said it had been tried."""
    channel.limits = type(channel.limits)(placing="exact", stream=True, preview_direct=0.05)
    known: dict[str, str] = {}
    tried_at: list[int | None] = []
    plain = channel.send

    async def send(
        address: Address, chunk: Chunk, *, nonce: str, tried: int | None = None, content: bytes | None = None
    ) -> str:
        tried_at.append(tried)
        if nonce in known:
            await channel._call("send", address, chunk)
            return known[nonce]
        try:
            known[nonce] = await plain(address, chunk, nonce=nonce)
        except DeliveryError as error:
            if error.kind == "lost":  # it arrived all the same
                known[nonce] = await plain(address, chunk, nonce=nonce)
            raise
        return known[nonce]

    channel.send = send  # type: ignore[method-assign]
    return tried_at


async def test_an_answer_begins_early_and_grows_by_edits(store: Store, clock: Clock) -> None:
    text = " ".join(f"word{n}" for n in range(50))
    model = ScriptedModel(queue=[Script(text=text, pause=0.02)])
    async with path(store, clock=clock, model=model) as gw:
        recognising(gw.channel)
        await gw.says("tell me")
        await gw.channel.until(ANN, "word20")
        assert not gw.channel.texts(ANN)[0].endswith("word49")
        await gw.channel.until(ANN, "word49")
        assert gw.channel.texts(ANN) == [text]
        assert len([call for call in gw.channel.calls if call[0] == "send"]) == 1


async def test_a_lost_answer_of_the_platform_makes_no_second_message(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        tried = recognising(gw.channel)
        gw.channel.fail["send"] = [DeliveryError("cut", kind="lost")]
        await gw.says("hello")
        async with asyncio.timeout(5):
            while await gw.value("SELECT count(*) FROM outbox WHERE state = 'sent'") != 1:
                await asyncio.sleep(0.02)
        assert gw.channel.texts(ANN) == ["You said: hello"]
        assert tried[-1] is not None  # so that a channel can look for it where the nonce is too old


async def test_a_message_that_a_preview_had_begun_before_a_crash_ends_with_the_whole_text(
    store: Store, clock: Clock
) -> None:
    """The platform gives back what it knows by that nonce, which is the beginning; the edit makes it whole."""
    async with path(store, clock=clock) as gw:
        recognising(gw.channel)
        place = await store.commit(Point.PEOPLE, lambda unit: unit.places.at(gw.account, Place(chat_id=ANN)))
        nonce = "n1"
        await gw.channel.send(place.address, Chunk(text="The beginning"), nonce=nonce)

        async def begun(unit):
            return await unit.outbox.put(
                origin="turn:77", part=0, account=gw.account.id, conversation=place.id, session=None,
                kind="answer", payload_=Chunk(text="The beginning and the end"), nonce=nonce,
                state="placing", now=clock(),
            )  # fmt: skip

        row = await store.commit(Point.PLACING, begun)
        gw.core.delivery.enqueue([row])
        await gw.channel.until(ANN, "The beginning and the end")
        assert gw.channel.texts(ANN) == ["The beginning and the end"]


async def test_it_is_tried_for_as_long_as_any_other_fault(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        recognising(gw.channel)
        clock_step = [DeliveryError("cut", kind="lost")] * 7
        gw.channel.fail["send"] = clock_step
        await gw.says("hello")
        async with asyncio.timeout(20):
            while await gw.value("SELECT count(*) FROM outbox WHERE state = 'sent'") != 1:
                clock.forward(seconds=30)
                await asyncio.sleep(0.05)
        assert gw.channel.texts(ANN) == ["You said: hello"]
        assert await gw.value("SELECT count(*) FROM outbox WHERE state = 'dead'") == 0


async def test_a_chat_that_moved_gets_the_answer_at_its_new_place(store: Store, clock: Clock) -> None:
    group = Place(chat_id="-500", kind="group")
    async with path(store, clock=clock, allow=frozenset({ANN, "-500", "-100500"})) as gw:
        gw.channel.fail["send"] = [DeliveryError("migrated", kind="moved", moved_to="-100500")]
        await gw.says("hello", place=group)
        await gw.channel.until("-100500", "hello")
        assert await gw.rows("SELECT chat_id FROM conversation") == [("-100500",)]


async def test_what_two_find_on_disk_at_once_goes_out_once(store: Store, clock: Clock) -> None:
    """Whoever has just committed a line, and the start of an account that looks for what was left, both have it."""
    async with path(store, clock=clock) as gw:
        place = await store.commit(Point.PEOPLE, lambda unit: unit.places.at(gw.account, Place(chat_id=ANN)))
        rows = await store.commit(
            Point.NOTICE,
            lambda unit: put(
                unit,
                account=gw.account.id,
                conversation=place.id,
                origin="notice:1",
                chunks=[Chunk(text="only once")],
                now=clock(),
            ),
        )
        await gw.core.delivery.recover(gw.account.id)
        gw.core.delivery.enqueue(rows)
        await gw.channel.until(ANN, "only once")
        gw.core.delivery.enqueue(rows)  # also when the first of them has finished
        await asyncio.sleep(0.1)
        assert gw.channel.texts(ANN) == ["only once"]
