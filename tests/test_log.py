"""The log: no secret, no word of what people said, one line for one event."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import log
from gateway.errors import DeliveryError
from gateway.progress import Options
from gateway.protocols.tool import ToolContext, ToolSpec
from gateway.texts import say
from gateway.transcript import ToolUse
from gateway.types.json import Json
from storage import Store
from tests.conftest import Clock
from tests.fakes.llm import Pace, Reply
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, path
from tests.wires import LONG, MINI, CountingLLM, Wired, wired

KEY = "sk-live-c4n4ry-0123456789abcdefghijklmnopqrstuvwxyz"
BOT = "1234567890:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1"
SAID = "marzipan-submarine"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error|critical) +\S")


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the log says from here on; afterwards everything is as it was."""
    root, ours = logging.getLogger(), logging.getLogger("parley")
    handlers, level, our_level = list(root.handlers), root.level, ours.level
    monkeypatch.setattr(log, "_secrets", [])
    for handler in handlers:  # so that set_up does not close what belongs to the test runner
        root.removeHandler(handler)
    stream = io.StringIO()
    log.set_up(level="debug", stream=stream)
    yield stream
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    ours.setLevel(our_level)


def lines(out: io.StringIO) -> list[str]:
    """As any program reads them: nothing may look like an end of line that is none."""
    found = out.getvalue().splitlines()
    assert all(LINE.match(line) for line in found), found
    return found


# ---- secrets ----


def test_a_configured_secret_never_appears(out: io.StringIO) -> None:
    log.hide([KEY, "", "abc"])
    log.info(f"event {KEY}", field=KEY, inside=f"a {KEY} b", listed=[KEY], nothing=None)
    try:
        raise ValueError(f"the key {KEY} is wrong") from KeyError(KEY)
    except ValueError as error:
        log.crash("failed", error, given=KEY)
    assert KEY not in out.getvalue() and KEY[8:30] not in out.getvalue()
    assert len(lines(out)) == 2 and "trace=" in lines(out)[1]
    assert "abc" in "abcdef" and out.getvalue().count("***") >= 5


def test_of_two_secrets_where_one_is_within_the_other_no_tail_is_left(out: io.StringIO) -> None:
    log.hide(["hunter2", "hunter2-and-more"])
    log.hide(["hunter2-and-more-yet"])
    log.info("x", a="hunter2-and-more-yet", b="hunter2-and-more", c="hunter2")
    assert "a=*** b=*** c=***" in lines(out)[0]


@pytest.mark.parametrize(
    "text",
    [
        f"https://api.telegram.org/bot{BOT}/getUpdates",
        f"HTTP Request: POST https://api.telegram.org/bot{BOT}/sendMessage",
        f"https://api.telegram.org/file/bot{BOT}/documents/file_1.pdf",
        f"token={BOT}",
        f"'{BOT}'",
        f"({BOT})",
        f"bot{BOT}",
        f"\n{BOT}\n",
    ],
)
def test_a_bot_token_never_appears_even_if_nobody_named_it(out: io.StringIO, text: str) -> None:
    log.info("x", url=text)
    logging.getLogger("aiohttp.client").warning("cannot connect to %s", text)
    log.crash("x", RuntimeError(text))
    assert BOT not in out.getvalue() and BOT.partition(":")[2] not in out.getvalue()
    assert len(lines(out)) == 3


def test_what_looks_a_little_like_a_token_is_left(out: io.StringIO) -> None:
    log.info("x", at="12:34:56", ratio="100000:1", code="7K2M9QX4TD")
    assert "12:34:56" in lines(out)[0] and "100000:1" in lines(out)[0]


def test_what_libraries_say_passes_the_same_door(out: io.StringIO) -> None:
    log.hide([KEY])
    library = logging.getLogger("some.library")
    library.warning("retrying with %s", KEY)
    library.error("headers: %r", {"x-api-key": KEY})
    try:
        raise OSError(f"cannot reach https://x/?key={KEY}")
    except OSError:
        library.exception("gave up on %s\n%s", KEY, "second line")
    assert KEY not in out.getvalue()
    assert len(lines(out)) == 3


def test_what_libraries_say_for_their_own_makers_stays_out_at_any_level(out: io.StringIO) -> None:
    # SDKs write whole requests there, with what people said.
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger("anthropic._base_client").debug("Request options: %s", {"content": SAID})
    logging.getLogger("openai").info("HTTP Request: POST %s", SAID)
    log.info("ours")
    assert SAID not in out.getvalue()
    assert len(lines(out)) == 1


# ---- one event, one line ----


@pytest.mark.parametrize(
    "text",
    [
        "a\n2026-01-01T00:00:00.000Z info    turn.finished cost_nano=0",
        "a\r\nb",
        "a\rb",
        "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g",
        "a\u2028b\u2029c",
        "\x1b[2K\x1b[1A\x1b[31mred",
        "\x9b31mred",
        "\u202egnihtemos\u202c \u2066x\u2069",
        "\u200e\u200f\u061c",
        "\x00\x07\x08\x7f",
    ],
)
def test_no_field_can_forge_a_line_or_steer_a_terminal(out: io.StringIO, text: str) -> None:
    log.info(text, field=text, other="end")
    logging.getLogger("lib").warning(text)
    log.crash("x", ValueError(text))
    found = lines(out)
    assert len(found) == 3
    assert "other=end" in found[0]
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", out.getvalue()
    )


def test_no_field_can_pass_for_another(out: io.StringIO) -> None:
    log.info("x", name='Ann" state=done cost="0', state="failed", empty="")
    (line,) = lines(out)
    fields = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line)
    assert [name for name, _ in fields] == ["name", "state", "empty"]
    assert ("state", "failed") in fields


def test_a_field_without_end_is_cut(out: io.StringIO) -> None:
    log.info("x", long="y" * 1_000_000)
    assert len(lines(out)[0]) < 2200


def test_half_a_character_does_not_break_the_log(tmp_path: Path, out: io.StringIO) -> None:
    log.set_up(file=tmp_path / "logs" / "parley.log")
    log.info("x", name="\ud83d")
    text = (tmp_path / "logs" / "parley.log").read_text("utf-8", "strict")
    assert "x name=" in text and text.endswith("\n")


def test_the_file_is_for_this_user_alone(tmp_path: Path, out: io.StringIO) -> None:
    file = tmp_path / "logs" / "parley.log"
    log.set_up(file=file)
    log.info("x")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


# ---- a whole conversation ----


async def test_a_turn_is_one_line_without_a_word_of_it(store: Store, clock: Clock, out: io.StringIO) -> None:
    async with CountingLLM() as llm, wired(store, llm, clock=clock) as p:
        await p.says(f"{SAID} one")
        await p.channel.until(ANN, f"You said: {SAID} one")
        while p.core.dispatcher.turns_running:
            await asyncio.sleep(0.01)
    (line,) = lines(out)
    for part in ("turn.finished", "channel=telegram", "state=done", "model=claude-sonnet-5", "requests=1"):
        assert part in line
    assert re.search(r"output_tokens=\d+ cost_nano=\d+ messages=1 queued_ms=\d+ turn_ms=\d+", line)
    assert SAID not in line


async def trouble(p: Wired) -> None:
    """A conversation in which everything goes wrong once."""
    llm, chat = p.llm, p.channel
    for reply in (
        Reply(status=529, retry_after=0.01),
        Reply(status=429, retry_after=0.01, message=f"slow down, {KEY}"),
        Reply(status=400, message=f"what is {KEY}?"),
        Reply(status=403, message=f"{KEY} may not"),
        Reply(text=f"{SAID} " * 20, cut_after=5),
        Reply(text=f"{SAID} " * 20, error_after=5),
        Reply(text=f"{SAID} " * 20, stall_after=5),
    ):
        before = len(chat.texts(ANN))
        llm.queue.clear()
        llm.reply(reply)
        await p.says(f"{SAID} again")
        async with asyncio.timeout(5):
            while len(chat.texts(ANN)) <= before:
                await asyncio.sleep(0.01)
        if reply.status == 403:
            p.core.clock.forward(seconds=61)  # type: ignore[attr-defined]
    llm.call_tool("now", {"zone": SAID}, then=SAID)
    chat.fail["send"] = [
        DeliveryError(f"https://api.telegram.org/bot{BOT}/sendMessage", kind="server"),
        DeliveryError(f"bot{BOT} was blocked", kind="rejected"),
    ]
    await p.says(f"{SAID} and a tool")
    await asyncio.sleep(1.5)
    await p.manager.compact(await p.session())


async def test_a_whole_conversation_with_its_errors_leaves_no_key_and_no_word_in_the_log(
    tmp_path: Path, store: Store, clock: Clock, out: io.StringIO
) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    for name in ("anthropic", "openai", "httpx2", "aiohttp", "aiosqlite", "asyncio", "pydantic_ai"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    log.hide([KEY])
    try:
        async with CountingLLM(api_key=KEY, pace=Pace(chunk=8)) as llm:
            options = Options(system_prompt=LONG, retries=1)
            async with wired(
                store, llm, clock=clock, key=KEY, fallbacks=[MINI], options=options, silence=0.3
            ) as p:
                await trouble(p)
                llm.api_key = "another"
                await p.says(f"{SAID} with a key that is refused")
                await p.channel.until(ANN, say("turn.kept"))
                assert any(record.status == 401 for record in llm.requests)
                told = "\n".join(p.channel.texts(ANN))
        assert await store.read(lambda unit: unit.tx.one("SELECT count(*) FROM usage WHERE state = 'failed'"))
    finally:
        for name in ("anthropic", "openai", "httpx2", "aiohttp", "aiosqlite", "asyncio", "pydantic_ai"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    await store.close()
    said = out.getvalue()
    assert len(lines(out)) > 10 and "model.failed" in said and "delivery.dead" in said
    written = b"".join(each.read_bytes() for each in tmp_path.iterdir() if each.is_file())
    assert SAID.encode() in written  # it is the file that the conversation is in
    for secret in (KEY, KEY[8:], BOT):
        assert said.count(secret) == 0
        assert written.count(secret.encode()) == 0
        assert told.count(secret) == 0
    assert said.count(SAID) == 0
    assert said.count(LONG[:40]) == 0


async def test_no_secret_leaves_in_an_answer_whoever_has_put_it_there(store: Store, clock: Clock) -> None:
    """Neither to people, who would open a link with it, nor into the transcript, nor from a tool to the model."""
    secret = "sk-canary-0123456789"
    log.hide([secret])
    answer = f"See https://evil.example/?q={secret} and [here](https://evil.example/{secret}) now."
    model = ScriptedModel(
        queue=[
            Script(tool=ToolUse("c", "leak", "{}")),
            Script(text=answer, pause=0.05),
            Script(text=answer, pause=0.3),
        ]
    )

    class Leak:
        spec = ToolSpec(name="leak", description="Tells.", parameters={"type": "object"})

        async def call(self, args: Json, context: ToolContext) -> str:
            return f"the key is {secret}"

    async with path(store, clock=clock, model=model, tools={"leak": Leak()}) as p:
        await p.says("Go")
        await p.channel.until(ANN, "q=*** and [here](https://evil.example/***) now.", within=10)
        await p.says("Again")
        await asyncio.sleep(1.2)
        await p.core.dispatcher.cancel(1)
        await p.channel.until(ANN, say("turn.stopped"), within=10)
        assert "sk-canary" not in str(model.asked)
        assert not any("sk-canary" in text for _, _, text in p.channel.calls)
        for table in ("entry", "outbox", "inbox"):
            assert "sk-canary" not in str(await p.rows(f"SELECT * FROM {table}"))


def test_the_beginning_of_a_secret_waits_for_its_end() -> None:
    log.hide(["sk-growing-secret"])
    for cut in range(4, len("sk-growing-secret")):
        assert log.veiled("Key: " + "sk-growing-secret"[:cut], growing=True) == "Key: "
    assert log.veiled("Key: sk-", growing=False) == "Key: sk-"
    assert log.veiled("Key: sk-growing-secret!", growing=True) == "Key: ***!"
