"""Speech to text: over real HTTP against the fake of OpenAI's server, and on the bill whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path as File

import pytest

from gateway.billing import Biller, Booking
from gateway.errors import ModelError, Refused
from gateway.halt import Halt
from gateway.models.catalogue import Catalogue, ProviderConfig
from gateway.price import Overrides, Rates
from gateway.pricing import Pricing
from gateway.protocols.hearing import Hearing, Transcript
from gateway.types.measures import DOLLAR
from gateway.types.usage import Tokens
from gateway.usage import longest
from storage import Store
from tests.conftest import Clock
from tests.fakes.hearing import Said
from tests.fakes.llm import KEY, FakeLLM

MINI = "gpt-4o-mini-transcribe"
BOOKING = Booking(purpose="transcription", channel="telegram")
ROWS = """
SELECT purpose, provider, model_asked, state, tok_in, tok_out, units, cost, cost_state, ended IS NULL FROM usage
 ORDER BY id"""
OURS: Overrides = {"openai/*": Rates(uncached=Decimal(2), output=Decimal(4))}


@pytest.fixture
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as server:
        yield server


def catalogue(url: str, *, key: str = KEY, silence: float = 5.0) -> Catalogue:
    configs = {
        "openai": ProviderConfig("openai", "openai", key, url + "/v1"),
        "anthropic": ProviderConfig("anthropic", "anthropic", key, url),
    }
    return Catalogue(providers=configs, default="openai:gpt-5-mini", silence=silence)


def biller(store: Store, clock: Clock, prices: Overrides = OURS) -> Biller:
    return Biller(store=store, pricing=Pricing(prices), halt=Halt(store), clock=clock)


async def rows(store: Store) -> list[tuple[object, ...]]:
    return await store.read(lambda unit: unit.tx.all(ROWS))


async def heard(hearing: Hearing, audio: bytes | File = b"sound") -> Transcript:
    return await hearing.transcribe(audio, name="voice.ogg", type="audio/ogg")


# ---- the request ----


async def test_a_recording_is_sent_whole_and_comes_back_as_text(llm: FakeLLM, tmp_path: File) -> None:
    models = catalogue(llm.url)
    (tmp_path / "voice").write_bytes(b"sound" * 1000)
    found = await heard(models.hearing("openai", MINI, "de"), tmp_path / "voice")
    await models.close()
    assert found == Transcript(text="What was said.", tokens=Tokens(uncached=140, output=45))
    (request,) = llm.ears.heard
    assert request.fields == {"model": MINI, "response_format": "json", "language": "de"}
    assert (request.name, request.type, request.data) == ("voice.ogg", "audio/ogg", b"sound" * 1000)


async def test_whisper_tells_how_long_it_has_listened(llm: FakeLLM) -> None:
    models = catalogue(llm.url)
    found = await heard(models.hearing("openai", "whisper-1"))
    await models.close()
    assert found == Transcript(text="What was said.", seconds=9.0, language="english")
    assert llm.ears.heard[0].fields == {"model": "whisper-1", "response_format": "verbose_json"}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said(status=500, text="oops"), "overloaded"),
        (Said(status=429, text="Please try again in 3s."), "rate_limited"),
        (Said(status=404, text="no such model"), "not_found"),
        (Said(status=400, text="The audio file could not be decoded."), "refused"),
        (Said(body={"no": "text"}), "cut"),
        (Said(raw=b"<html>"), "cut"),
        (Said(raw=b" " * (4 * 2**20 + 1)), "cut"),
    ],
)
async def test_what_goes_wrong_is_told_by_kind_and_asked_once(llm: FakeLLM, said: Said, kind: str) -> None:
    llm.ears.queue.append(said)
    models = catalogue(llm.url)
    with pytest.raises(ModelError) as caught:
        await heard(models.hearing("openai", MINI))
    await models.close()
    assert caught.value.kind == kind
    assert len(llm.ears.heard) == 1


async def test_a_refused_key_is_told_without_the_key(llm: FakeLLM) -> None:
    models = catalogue(llm.url, key="sk-secret")
    with pytest.raises(ModelError) as caught:
        await heard(models.hearing("openai", MINI))
    await models.close()
    assert caught.value.kind == "auth" and "secret" not in str(caught.value)


async def test_a_server_that_says_nothing_is_a_timeout_and_one_that_is_not_there_was_never_asked(
    llm: FakeLLM,
) -> None:
    llm.ears.queue.append(Said(hold=True))
    for url, kind in ((llm.url, "timeout"), ("http://127.0.0.1:9", "connect")):
        models = catalogue(url, silence=0.2)
        with pytest.raises(ModelError) as caught:
            await heard(models.hearing("openai", MINI))
        await models.close()
        assert caught.value.kind == kind


def test_who_cannot_transcribe_is_refused(llm: FakeLLM) -> None:
    with pytest.raises(Refused, match="does not transcribe"):
        catalogue("http://h").hearing("anthropic", MINI)
    with pytest.raises(Refused, match="no provider"):
        catalogue("http://h").hearing("work", MINI)


# ---- the bill ----


async def test_its_row_is_there_before_it_is_asked_and_says_what_it_came_to(
    store: Store, llm: FakeLLM, clock: Clock
) -> None:
    llm.ears.queue.append(Said(hold=True))
    models = catalogue(llm.url)
    hearing = models.hearing("openai", MINI)
    asking = asyncio.create_task(
        biller(store, clock).transcribe(hearing, b"x" * 7500, BOOKING, name="a.ogg", type="audio/ogg")
    )
    async with asyncio.timeout(5):
        await llm.ears.arrived.wait()
    ((purpose, *_, state, _, _, units, _, _, open_),) = await rows(store)
    assert (purpose, state, units, open_) == ("transcription", "open", 10, 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await biller(store, clock).transcribe(hearing, b"x", BOOKING, name="a.ogg", type="audio/ogg", seconds=14)
    await models.close()
    cancelled, known = await rows(store)
    # Whoever cancels is charged from above: 10 tokens a second, and all that could have been written.
    assert cancelled[3:9] == ("estimated", 10 * 10 + 1024, 2000, 10, 2 * 1124_000 + 4 * 2_000_000, "priced")
    assert known[3:9] == ("known", 140, 45, 14, 2 * 140_000 + 4 * 45_000, "priced")


@pytest.mark.parametrize(
    ("said", "state", "cost"),
    [
        (Said(status=500, text="oops"), "failed", 0),
        (Said(status=429, text="slow down"), "failed", 0),
        (Said(raw=b"<html>"), "estimated", 2 * 1034_000 + 4 * 2_000_000),
        (Said(body={"text": "hi"}), "estimated", 2 * 1034_000 + 4 * 2_000_000),
    ],
)
async def test_whatever_becomes_of_it_is_settled(
    store: Store, llm: FakeLLM, clock: Clock, said: Said, state: str, cost: int
) -> None:
    llm.ears.queue.append(said)
    models = catalogue(llm.url)
    asking = biller(store, clock).transcribe(
        models.hearing("openai", MINI), b"x", BOOKING, name="a.ogg", type="audio/ogg", seconds=1
    )
    if said.body is None:
        with pytest.raises(ModelError):
            await asking
    else:
        assert (await asking).text == "hi"
    await models.close()
    ((*_, settled, _, _, units, charged, _, _),) = await rows(store)
    assert (settled, units, charged) == (state, 1, cost)


async def test_by_the_hour_it_costs_what_the_public_list_says(
    store: Store, llm: FakeLLM, clock: Clock
) -> None:
    models = catalogue(llm.url)
    hearing = models.hearing("openai", "whisper-1")
    hearing.base_url = "https://api.openai.com/v1"  # for the price alone
    asked = hearing.transcribe

    async def elsewhere(audio: File | bytes, *, name: str, type: str) -> Transcript:
        hearing.base_url = llm.url + "/v1"
        found = await asked(audio, name=name, type=type)
        hearing.base_url = "https://api.openai.com/v1"
        return found

    hearing.transcribe = elsewhere  # type: ignore[method-assign]
    await biller(store, clock, {}).transcribe(
        hearing, b"x", BOOKING, name="a.ogg", type="audio/ogg", seconds=60
    )
    await models.close()
    ((*_, state, sent, _, units, cost, priced, _),) = await rows(store)
    assert (state, sent, units, priced) == ("known", 0, 9, "priced")
    assert cost == round(Decimal("0.36") * 9 / 3600 * DOLLAR)


async def test_a_price_that_nobody_knows_is_null(store: Store, llm: FakeLLM, clock: Clock) -> None:
    models = catalogue(llm.url)
    hearing = models.hearing("openai", "whisper-1")
    # A rate by the token says nothing where seconds were counted.
    for prices in ({}, OURS):
        await biller(store, clock, prices).transcribe(
            hearing, b"x", BOOKING, name="a.ogg", type="audio/ogg", seconds=1
        )
    await models.close()
    assert [row[7:9] for row in await rows(store)] == [(None, "unpriced")] * 2


async def test_a_row_that_a_crash_left_open_is_charged_as_an_estimate(
    store: Store, llm: FakeLLM, clock: Clock
) -> None:
    llm.ears.queue.append(Said(hold=True))
    models = catalogue(llm.url)
    asking = asyncio.create_task(
        biller(store, clock).transcribe(
            models.hearing("openai", MINI), b"x", BOOKING, name="a.ogg", type="audio/ogg", seconds=20
        )
    )
    async with asyncio.timeout(5):
        await llm.ears.arrived.wait()
    (row,) = await store.read(lambda unit: unit.ledger.open_rows())
    uid, settled = biller(store, clock).recover(row, kind="openai", base_url=llm.url)
    assert uid == row[0]
    assert (settled.state, settled.tokens, settled.units) == (
        "estimated",
        Tokens(uncached=20 * 10 + 1024, output=2000),
        20,
    )
    assert settled.cost == 2 * 1224_000 + 4 * 2_000_000
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await models.close()


def test_a_recording_of_unknown_length_is_bounded_by_its_size() -> None:
    assert longest(0) == 0
    assert longest(1) == 1
    assert longest(60 * 6_000 // 8) == 60  # a minute at Opus's least
