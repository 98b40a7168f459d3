"""The Telegram channel against a server that behaves, and misbehaves, like the real one."""

import asyncio
import contextlib
import json
import logging
import subprocess
import sys

import pytest
from pydantic import SecretStr

from channels.backoff import Backoff
from channels.telegram import Telegram, poll, request
from channels.telegram.channel import REACTIONS
from channels.telegram.keyboard import keyboard
from channels.telegram.refusal import refusal
from gateway.errors import DeliveryError, DiskFull, StoreError
from gateway.types.inbound import Kind, Lane, Receipt
from gateway.types.outbound import Button, Chunk, MenuEntry
from gateway.types.places import Account, Address, Place
from tests.fakes.telegram import TOKEN, FakeTelegram

ANN = 7001
GROUP = -1001234567890
NOW = 1_760_000_000_000_000


class Inbox:
    """The dispatcher's side of accept: keeps what came, refuses while *failures* are left."""

    def __init__(self, tg):
        self.tg = tg
        self.events = []
        self.pages = 0
        self.failures = []
        self.confirmed_before = []  # what the server had confirmed while a page was being stored

    async def __call__(self, account, events):
        self.confirmed_before.append(self.tg.confirmed)
        self.pages += 1
        if self.failures:
            raise self.failures.pop(0)
        await asyncio.sleep(0)
        self.events.extend(events)
        return [
            Receipt(event_id=e.event_id, inbox_id=1, state="waiting", lane=Lane.TURN, conversation=1)
            for e in events
        ]

    @property
    def texts(self):
        return [event.text for event in self.events]


class Bot:
    """A channel with what it was told, what it reported and how long it waited."""

    def __init__(self, tg, **options):
        self.tg = tg
        self.health = []
        self.pauses = []
        self.inbox = Inbox(tg)
        settings = {"token": tg.token, "api_url": tg.url, "poll_seconds": 20} | options
        self.channel = Telegram(
            **settings, clock=lambda: NOW, on_health=lambda *told: self.health.append(told), sleep=self._sleep
        )
        self.task = None

    async def _sleep(self, seconds):
        """A pause a hundred times shorter."""
        self.pauses.append(seconds)
        await asyncio.sleep(seconds / 100)

    @property
    def states(self):
        return [state for state, _ in self.health]

    async def runs(self):
        number, name = await self.channel.start()
        account = Account(id=1, channel="telegram", platform_id=number, name=name)
        self.task = asyncio.create_task(self.channel.run(account, self.inbox))

    async def stop(self):
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self.channel.close()


@pytest.fixture
async def tg():
    async with FakeTelegram() as server:
        server.add_chat(ANN, first_name="Ann")
        yield server


@pytest.fixture
async def make(tg):
    """Makes bots that are stopped at the end."""
    bots = []

    def made(**options):
        bots.append(Bot(tg, **options))
        return bots[-1]

    yield made
    for each in bots:
        await each.stop()


@pytest.fixture
def bot(make):
    return make()


def to(chat_id=ANN, thread_id=""):
    kind = "direct" if chat_id > 0 else "group"
    return Address(account=1, conversation=1, chat_id=str(chat_id), thread_id=thread_id, kind=kind)


async def send(bot, text="hello", address=None, **chunk):
    return await bot.channel.send(address or to(), Chunk(text=text, **chunk), nonce="n")


async def failure(coroutine):
    with pytest.raises(DeliveryError) as caught:
        await coroutine
    assert TOKEN not in str(caught.value)
    return caught.value


# --- taking in --------------------------------------------------------------------------------------


async def test_what_people_say_comes_in_order_and_is_confirmed_afterwards(tg, bot):
    await bot.runs()
    ids = [tg.user_says(ANN, text) for text in ("one", "two", "three")]
    await tg.until(lambda: tg.confirmed == ids[-1])
    assert bot.inbox.texts == ["one", "two", "three"]
    assert bot.states == ["ok"]


async def test_nothing_is_confirmed_before_it_was_accepted(tg, bot):
    ids = [tg.user_says(ANN, str(number)) for number in range(250)]
    await bot.runs()
    await tg.until(lambda: tg.confirmed == ids[-1])
    assert bot.inbox.texts == [str(number) for number in range(250)]
    assert bot.inbox.confirmed_before == [None, ids[99], ids[199]]


async def test_a_page_that_is_still_being_stored_is_not_confirmed_when_we_are_killed(tg, make, bot):
    stuck = asyncio.Event()

    async def accept(account, events):
        stuck.set()
        await asyncio.sleep(60)

    bot.inbox = accept
    tg.user_says(ANN, "do not lose me")
    await bot.runs()
    await stuck.wait()
    bot.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await bot.task
    assert (tg.confirmed, tg.pending) == (None, 1)
    again = make()
    await again.runs()
    await tg.until(lambda: tg.confirmed)
    assert again.inbox.texts == ["do not lose me"]


async def test_the_first_poll_has_no_offset_and_asks_only_for_what_is_used(tg, bot):
    await bot.runs()
    await tg.until(lambda: tg.waiting)
    params = tg.calls_of("getUpdates")[0].params
    assert "offset" not in params
    wanted = ["message", "edited_message", "callback_query", "my_chat_member"]
    assert json.loads(params["allowed_updates"]) == wanted


async def test_a_quiet_start_is_known_to_be_well_before_anybody_writes(tg, bot):
    await bot.runs()
    await tg.until(lambda: bot.states == ["ok"], timeout=2)
    await tg.until(lambda: tg.waiting)
    assert [int(call.params["timeout"]) for call in tg.calls_of("getUpdates")] == [0, 20]


@pytest.mark.parametrize(
    "error, state", [(StoreError("locked"), "down"), (DiskFull("no space"), "disk")], ids=["store", "disk"]
)
async def test_what_could_not_be_stored_comes_again_and_is_told(tg, bot, error, state):
    bot.inbox.failures = [error] * 3
    update = tg.user_says(ANN, "hello")
    await bot.runs()
    await tg.until(lambda: tg.confirmed == update)
    assert bot.inbox.confirmed_before == [None] * 4
    assert bot.inbox.texts == ["hello"]
    assert bot.states == [state, "ok"]
    assert "not stored" in bot.health[0][1]
    assert len(bot.pauses) == 3


async def test_an_error_that_is_not_the_stores_ends_the_loop_unconfirmed(tg, bot):
    bot.inbox.failures = [ZeroDivisionError()]
    tg.user_says(ANN, "hello")
    await bot.runs()
    with pytest.raises(ZeroDivisionError):
        await bot.task
    assert tg.confirmed is None


async def test_a_broken_update_does_not_keep_the_others_of_its_page(tg, bot):
    tg.user_says(ANN, "before")
    tg.push_raw({"message": {"chat": "nowhere", "text": "\ud800"}})
    tg.push_raw({"unheard_of": {}})
    tg.push_raw(["no", "object"])
    last = tg.user_says(ANN, "after")
    await bot.runs()
    await tg.until(lambda: tg.confirmed == last)
    assert [event.kind for event in bot.inbox.events] == [Kind.MESSAGE, *[Kind.UNKNOWN] * 3, Kind.MESSAGE]
    assert bot.inbox.texts == ["before", "", "", "", "after"]
    assert all(event.error and event.raw and event.place is None for event in bot.inbox.events[1:4])


async def test_an_update_without_a_number_does_not_make_the_loop_spin_and_goes_with_the_next(tg, bot):
    tg.push_raw("rubbish")
    await bot.runs()
    await tg.until(lambda: len(bot.pauses) >= 4)
    assert bot.states == ["down"]
    assert bot.pauses[3] > 3
    assert len({event.event_id for event in bot.inbox.events}) == 1
    last = tg.user_says(ANN, "hello")
    await tg.until(lambda: tg.confirmed == last and bot.states[-1] == "ok")
    assert tg.pending == 0


async def test_update_ids_that_begin_anew_lower_lose_no_message(tg, make):
    bot = make(poll_seconds=0)
    first = tg.user_says(ANN, "before the quiet week")
    await bot.runs()
    await tg.until(lambda: tg.confirmed == first)
    await tg.until(lambda: tg.calls and "offset" not in tg.calls[-1].params)
    tg.restart_update_ids(500)
    tg.user_says(ANN, "after it")
    await tg.until(lambda: "after it" in bot.inbox.texts)


async def test_the_age_of_the_last_poll_counts_completed_polls_only(tg, make):
    bot = make(poll_seconds=0)
    for kind in ("status", "garbage", "lost"):
        tg.fault("getUpdates", kind)
    assert (bot.channel.poll_age(), bot.channel.last_poll) == (None, None)
    await bot.runs()
    await tg.until(lambda: len(bot.pauses) == 3)
    assert bot.channel.poll_age() is None
    await tg.until(lambda: bot.states[-1] == "ok")
    assert 0 <= bot.channel.poll_age() < 1
    assert bot.channel.last_poll == NOW


async def test_a_server_that_neither_waits_nor_says_much_is_enough_and_is_not_besieged(make):
    async with FakeTelegram(sparse=True) as emulator:
        emulator.add_chat(ANN)
        bot = make(api_url=emulator.url)
        await bot.runs()
        await emulator.until(lambda: bot.pauses[:3] == [0.5, 0.5, 0.5])  # a pause behind each empty answer
        emulator.user_says(ANN, "hello")
        await emulator.until(lambda: bot.inbox.texts == ["hello"])
        number = await send(bot, "hello")
        await bot.channel.edit(to(), number, Chunk(text="hello again"))
        assert emulator.texts(ANN)[-1] == "hello again"
        assert bot.states == ["ok"]


# --- when the server or the network misbehaves ------------------------------------------------------


@pytest.mark.parametrize(
    "kind, details",
    [
        ("status", {"status": 502}), ("status", {"status": 504}), ("status", {"status": 500}), ("garbage", {}),
        ("drop", {}), ("lost", {}), ("error", {"status": 400, "description": "Bad Request: who knows"}),
    ],
)  # fmt: skip
async def test_a_poll_that_fails_is_repeated_and_loses_nothing(tg, bot, kind, details):
    tg.fault("getUpdates", kind, times=3, **details)
    update = tg.user_says(ANN, "hello")
    await bot.runs()
    await tg.until(lambda: tg.confirmed == update)
    assert bot.inbox.texts == ["hello"]
    assert bot.states == ["down", "ok"]
    assert [0.4 <= bot.pauses[0] <= 0.5, 0.8 <= bot.pauses[1] <= 1, 1.6 <= bot.pauses[2] <= 2] == [True] * 3


async def test_a_server_that_goes_away_and_comes_back_is_found_again(tg, bot):
    await bot.runs()
    await tg.until(lambda: tg.waiting)
    await tg.close()
    await tg.until(lambda: "down" in bot.states and len(bot.pauses) > 3)
    await tg.start()
    update = tg.user_says(ANN, "there again")
    await tg.until(lambda: tg.confirmed == update)
    assert bot.states[-2:] == ["down", "ok"]


async def test_a_poll_that_is_never_answered_is_given_up_and_made_anew(tg, make, monkeypatch):
    monkeypatch.setattr(poll, "GRACE", 0.3)
    bot = make(poll_seconds=0)
    tg.fault("getUpdates", "hang")
    update = tg.user_says(ANN, "hello")
    await bot.runs()
    await tg.until(lambda: tg.confirmed == update)
    assert bot.states == ["down", "ok"]
    assert bot.health[0][1] == "getUpdates: no answer, not even an empty one"
    assert bot.inbox.texts == ["hello"]


@contextlib.asynccontextmanager
async def answering(status_line, headers=""):
    """A server that answers every request the same way and keeps the connection; its url and all peers it had."""
    peers = []

    async def answer(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                peers.append(writer.get_extra_info("peername"))
                writer.write(f"HTTP/1.1 {status_line}\r\n{headers}Content-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", peers
        server.close()


async def test_a_poll_that_failed_is_repeated_over_a_new_connection(make):
    async with answering("502 Bad Gateway") as (url, peers):
        bot = make(api_url=url)
        account = Account(id=1, channel="telegram", platform_id="1", name="x")
        bot.task = asyncio.create_task(bot.channel.run(account, bot.inbox))
        while len(peers) < 4:
            await asyncio.sleep(0.005)
        assert len(set(peers)) == len(peers)
        await bot.stop()


async def test_a_redirect_does_not_carry_the_token_elsewhere(tg, make):
    async with answering("307 Temporary Redirect", f"Location: {tg.url}/bot{TOKEN}/sendMessage\r\n") as (
        url,
        _,
    ):
        bot = make(api_url=url)
        assert (await failure(send(bot))).kind == "lost"
        assert tg.calls == []
        await bot.stop()


async def test_a_poll_waits_out_what_flood_control_says(tg, bot):
    tg.flood("getUpdates", retry_after=7)
    update = tg.user_says(ANN, "hello")
    await bot.runs()
    await tg.until(lambda: tg.confirmed == update)
    assert bot.pauses == [7]


async def test_two_pollers_report_the_conflict_and_both_go_on(tg, make, bot):
    other = make()
    await bot.runs()
    await tg.until(lambda: tg.waiting)
    await other.runs()
    await tg.until(lambda: "conflict" in bot.states)
    assert "terminated by other getUpdates" in bot.health[-1][1]
    assert 4 <= bot.pauses[0] <= 5
    await other.stop()
    update = tg.user_says(ANN, "still here?")
    await tg.until(lambda: tg.confirmed == update)
    assert "still here?" in bot.inbox.texts + other.inbox.texts
    await tg.until(lambda: bot.states[-1] == "ok")


async def test_a_lasting_conflict_is_told_once_and_tried_ever_more_seldom(tg, bot):
    tg.fault("getUpdates", "error", status=409, description="Conflict: terminated by other", times=6)
    await bot.runs()
    await tg.until(lambda: len(bot.pauses) == 6)
    assert bot.states == ["conflict"]
    for pause, most in zip(bot.pauses, [5, 10, 20, 40, 60, 60], strict=True):
        assert 0.8 * most <= pause <= most


async def test_pauses_and_strikes_begin_anew_after_a_good_poll(tg, make):
    bot = make(poll_seconds=0)
    await bot.runs()
    for _ in range(2):
        tg.fault("getUpdates", "error", status=409, description="Conflict: other", times=2)
        last = tg.fault("getUpdates", "error", status=401, description="Unauthorized", times=2)
        await tg.until(lambda last=last: last.times == 0 and bot.states[-1] == "ok")
    for pause, most in zip(bot.pauses, [5, 10, 0.5, 1] * 2, strict=True):
        assert 0.8 * most <= pause <= most
    assert "auth" not in bot.states


async def test_a_webhook_left_behind_is_removed_and_what_waits_there_is_kept(tg, bot):
    tg.world.webhook = {"url": "https://old.example.org/hook"}
    update = tg.user_says(ANN, "hello")
    await bot.runs()
    await tg.until(lambda: tg.confirmed == update)
    assert bot.inbox.texts == ["hello"]
    assert "conflict" not in bot.states


async def test_a_webhook_that_comes_back_is_a_conflict(tg, bot):
    reason = "Conflict: can't use getUpdates method while webhook is active"
    tg.fault("getUpdates", "error", status=409, description=reason, times=3)
    await bot.runs()
    await tg.until(lambda: tg.waiting)
    assert len(tg.calls_of("deleteWebhook")) == 1
    assert bot.states == ["conflict"]


@pytest.mark.parametrize("status, description", [(401, "Unauthorized"), (404, "Not Found")])
async def test_a_refused_token_ends_the_loop_after_three_calls(tg, bot, status, description):
    tg.fault("getUpdates", "error", status=status, description=description, times=99)
    await bot.runs()
    error = await failure(bot.task)
    assert error.kind == "auth"
    assert len(tg.calls_of("getUpdates")) == 3
    assert bot.states == ["auth"]


async def test_one_refusal_of_the_token_is_not_believed(tg, bot):
    tg.fault("getUpdates", "error", status=401, description="Unauthorized", times=2)
    update = tg.user_says(ANN, "hello")
    await bot.runs()
    await tg.until(lambda: tg.confirmed == update)
    assert bot.inbox.texts == ["hello"]


def test_pauses_double_up_to_their_limit_and_begin_anew_after_a_reset():
    pauses = Backoff(0.5, 30.0)
    found = [pauses.next() for _ in range(9)]
    for pause, most in zip(found, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], strict=True):
        assert 0.8 * most <= pause <= most
    pauses.reset()
    assert pauses.next() <= 0.5


# --- starting and ending ----------------------------------------------------------------------------


async def test_starting_says_who_we_are(tg, bot):
    assert await bot.channel.start() == ("123456", "parley_test_bot")


@pytest.mark.parametrize("token", [SecretStr(TOKEN), TOKEN + "\n"], ids=["secret", "a line of a file"])
async def test_a_token_may_be_a_secret_or_a_line_of_a_file(tg, make, token):
    bot = make(token=token)
    assert (await bot.channel.start())[0] == "123456"


def test_an_empty_token_is_refused_at_once():
    with pytest.raises(ValueError, match="token"):
        Telegram(token=SecretStr(" "), clock=lambda: NOW, on_health=None)


@pytest.mark.parametrize("token", ["123456:wrong", "no token/../at all?#"])
async def test_a_wrong_token_is_refused_at_the_start(tg, make, token):
    bot = make(token=token)
    error = await failure(bot.channel.start())
    assert (error.kind, bot.states) == ("auth", ["auth"])
    assert token not in str(error)


async def test_the_menu_of_commands_is_set(tg, make):
    bot = make(
        commands=[
            MenuEntry(name="new", description="Start afresh"),
            MenuEntry(name="stop", description="Stop the answer"),
        ]
    )
    await bot.runs()
    await tg.until(lambda: tg.commands)
    assert [each["command"] for each in next(iter(tg.commands.values()))] == ["new", "stop"]


async def test_a_menu_that_is_not_answered_does_not_delay_the_first_poll(tg, make):
    bot = make(commands=[MenuEntry(name="new", description="Start afresh")])
    tg.fault("setMyCommands", "hang")
    await bot.runs()
    await tg.until(lambda: tg.waiting, timeout=2)


async def test_a_refused_menu_is_logged_and_changes_nothing(tg, make, caplog):
    bot = make(commands=[MenuEntry(name="Not A Command", description="x")])
    await bot.runs()
    update = tg.user_says(ANN, "hello")
    await tg.until(lambda: tg.confirmed == update)
    await tg.until(lambda: "telegram.commands_not_set" in caplog.messages)


async def test_a_closed_channel_leaves_nothing_open(tg, make):
    bot = make(commands=[MenuEntry(name="new", description="Start afresh")])
    tg.fault("setMyCommands", "hang")
    before = asyncio.all_tasks()
    await bot.runs()
    await send(bot)
    await bot.stop()
    await bot.channel.close()
    assert {task for task in asyncio.all_tasks() - before if task.get_name().startswith("telegram")} == set()


# --- sending ----------------------------------------------------------------------------------------


async def test_a_message_is_sent_with_its_entities_and_gives_its_id(tg, bot):
    entities = [{"type": "bold", "offset": 0, "length": 5}]
    number = await send(bot, "hello world", extra={"entities": entities})
    (message,) = tg.messages(ANN)
    assert (str(message.id), message.text, message.entities) == (number, "hello world", entities)
    assert message.link_preview_options == {"is_disabled": True}


async def test_what_render_makes_is_what_arrives(tg, bot):
    markdown = (
        "# Plan\n\nDo **this** first, then `that`.\n\n" + "word " * 2000 + "\n\n[end](https://example.org)"
    )
    chunks = bot.channel.render(markdown)
    assert len(chunks) > 2
    for chunk in chunks:
        await bot.channel.send(to(), chunk, nonce="n")
    assert tg.texts(ANN) == [chunk.text for chunk in chunks]
    kinds = [entity["type"] for message in tg.messages(ANN) for entity in message.entities]
    assert kinds == ["bold", "bold", "code", "text_link"]


def test_nothing_to_see_is_no_message():
    assert Telegram(token=TOKEN, clock=lambda: NOW, on_health=None).render(" \n") == []


def test_plain_drops_the_formatting_only():
    chunk = Chunk(text="hi", extra={"entities": [{}]}, buttons=(Button(label="Yes", token="t"),))
    plain = Telegram(token=TOKEN, clock=lambda: NOW, on_health=None).plain(chunk)
    assert plain == Chunk(text="hi", buttons=chunk.buttons)


def test_an_opening_is_how_the_text_begins_and_its_buttons_come_with_the_whole():
    channel = Telegram(token=TOKEN, clock=lambda: NOW, on_health=None)
    button = Button(label="Yes", token="t")
    bold = {"type": "bold", "offset": 0, "length": 5}
    long = Chunk(text="Hello there. " + "More " * 50, extra={"entities": [bold]}, buttons=(button,))
    assert channel.opening(long) == Chunk(text="Hello there.", extra={"entities": [bold]})
    short = Chunk(text="Hello", buttons=(button,))
    assert channel.opening(short) == short


async def test_buttons_are_a_keyboard_whose_press_comes_back_with_its_token(tg, bot):
    await bot.runs()
    token = "t" * 64
    number = await send(
        bot, "sure?", buttons=(Button(label="Yes", token=token), Button(label="No", token="n"))
    )
    press = tg.user_presses(ANN, int(number), token)
    await tg.until(lambda: bot.inbox.events)
    (event,) = bot.inbox.events
    assert (event.kind, event.button, event.message_id) == (Kind.BUTTON, token, number)
    await bot.channel.ack(event.press_id, "x" * 300)
    assert tg.callback_answer(press)["text"] == "x" * 200


async def test_an_edit_replaces_the_text_and_takes_old_buttons_away(tg, bot):
    number = await send(bot, "sure?", buttons=(Button(label="Yes", token="t"),))
    bold = {"type": "bold", "offset": 0, "length": 4}
    await bot.channel.edit(to(), number, Chunk(text="done", extra={"entities": [bold]}))
    (message,) = tg.messages(ANN)
    assert (message.text, message.entities, message.reply_markup) == ("done", [bold], None)
    options = json.loads(tg.calls_of("editMessageText")[0].params["link_preview_options"])
    assert options == {"is_disabled": True}


async def test_a_topic_gets_messages_and_typing_of_its_own(tg, bot):
    tg.add_chat(GROUP, "supergroup", is_forum=True, threads=[9])
    await send(bot, "in the topic", to(GROUP, "9"))
    await bot.channel.typing(to(GROUP, "9"))
    assert tg.messages(GROUP)[0].thread_id == 9
    assert [thread for _, _, thread in tg.world.chats[GROUP].actions] == [9]


async def test_typing_is_shown(tg, bot):
    await bot.channel.typing(to())
    assert len(tg.typing(ANN)) == 1


def labels(*texts):
    rows = keyboard([Button(label=text, token=text) for text in texts])["inline_keyboard"]
    return [[each["text"] for each in row] for row in rows]


def test_short_labels_share_a_row_and_long_ones_do_not():
    assert labels("Yes", "No") == [["Yes", "No"]]
    assert labels("1", "2", "3", "4") == [["1", "2", "3"], ["4"]]
    assert labels("a" * 40, "b" * 40, "No") == [["a" * 40], ["b" * 40], ["No"]]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, ("opening", True, False)),
        ({"delivery": "draft"}, ("draft", True, False)),
        ({"delivery": "placeholder", "stream": False, "rate": "strict"}, ("placeholder", False, True)),
    ],
)
def test_the_limits_are_what_was_configured(options, expected):
    limits = Telegram(token=TOKEN, clock=lambda: NOW, on_health=None, **options).limits
    assert (limits.placing, limits.stream, limits.strict) == expected


# --- reactions, deletion, administrators ------------------------------------------------------------


async def test_every_reaction_of_ours_is_one_that_bots_may_use_and_none_takes_it_away(tg, bot):
    theirs = tg.message_id_of(tg.user_says(ANN, "hello"))
    message = tg.world.chats[ANN].messages[theirs]
    for reaction, emoji in REACTIONS.items():
        await bot.channel.react(to(), str(theirs), reaction)
        assert message.reactions == [{"type": "emoji", "emoji": emoji}]
    await bot.channel.react(to(), str(theirs), None)
    assert message.reactions == []


async def test_a_refused_reaction_is_no_more_than_that(tg, bot):
    theirs = str(tg.message_id_of(tg.user_says(ANN, "hello")))
    tg.fault("setMessageReaction", "error", status=400, description="Bad Request: REACTION_INVALID")
    assert (await failure(bot.channel.react(to(), theirs, "seen"))).kind == "rejected"
    tg.world.unknown.add("setMessageReaction")  # an older server of one's own
    assert (await failure(bot.channel.react(to(), theirs, "seen"))).kind == "rejected"
    assert (await failure(bot.channel.react(to(), "999", "seen"))).kind in ("rejected", "missing")
    assert bot.health == []


async def test_a_message_of_ours_is_taken_back_and_one_that_is_gone_is_no_error(tg, bot):
    number = await send(bot)
    await bot.channel.delete(to(), number)
    assert tg.texts(ANN) == []
    await bot.channel.delete(to(), number)


async def test_who_administers_a_group_is_asked_of_the_server_each_time(tg, bot):
    members = {1: "creator", 2: "administrator", 3: "member", 4: "restricted", 5: "left", 6: "kicked"}
    tg.add_chat(GROUP, "supergroup", members=members)
    found = [number for number in range(1, 9) if await bot.channel.administers(to(GROUP), str(number))]
    assert found == [1, 2]
    tg.world.chats[GROUP].members[2] = "member"
    assert not await bot.channel.administers(to(GROUP), "2")


async def test_nobody_administers_a_private_chat_nor_by_a_name(tg, bot):
    tg.add_chat(GROUP, "supergroup", members={1: "creator"})
    assert not await bot.channel.administers(to(), str(ANN))
    for odd in ("", "ann", "@ann", "-1", "1.0"):
        assert not await bot.channel.administers(to(GROUP), odd)
    assert tg.calls_of("getChatMember") == []


async def test_an_unanswered_question_for_administrators_is_an_error_not_a_no(tg, bot):
    tg.add_chat(GROUP, "supergroup", members={1: "creator"})
    tg.fault("getChatMember", "garbage")
    assert (await failure(bot.channel.administers(to(GROUP), "1"))).kind == "lost"
    tg.fault("getChatMember", "error", status=400, description="Bad Request: CHAT_ADMIN_REQUIRED")
    assert (await failure(bot.channel.administers(to(GROUP), "1"))).kind == "rejected"


# --- two bots ---------------------------------------------------------------------------------------


async def test_two_bots_of_two_servers_have_nothing_in_common(tg, make):
    async with FakeTelegram("77:other-token", username="second_bot") as other:
        other.add_chat(ANN, first_name="Ann")
        first, second = make(), make(token=other.token, api_url=other.url)
        second.inbox = Inbox(other)
        await first.runs()
        await second.runs()
        one, two = tg.user_says(ANN, "to the first"), other.user_says(ANN, "to the second")
        await tg.until(lambda: (tg.confirmed, other.confirmed) == (one, two))
        assert (first.inbox.texts, second.inbox.texts) == (["to the first"], ["to the second"])
        await asyncio.gather(*(send(each, f"{name} {n}") for n in range(5)
                               for name, each in (("first", first), ("second", second))))  # fmt: skip
        assert sorted(tg.texts(ANN)) == [f"first {n}" for n in range(5)]
        assert sorted(other.texts(ANN)) == [f"second {n}" for n in range(5)]
        await first.stop()
        assert await send(second, "still here")
        await second.stop()


# --- what can go wrong with a call ------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost", "drop", "garbage"])
async def test_a_send_whose_answer_is_lost_may_have_arrived(tg, bot, fault):
    await send(bot, "over a connection that is kept")
    tg.fault("sendMessage", fault)
    assert (await failure(send(bot))).kind == "lost"
    # A repeat would be answered: nobody below us makes one.
    assert len(tg.texts(ANN)) == 1 + (fault == "lost")


async def test_a_send_that_is_never_answered_may_have_arrived(tg, make, monkeypatch):
    from channels.telegram import api

    monkeypatch.setattr(api, "CALL_SECONDS", 0.3)
    bot = make()
    tg.fault("sendMessage", "hang")
    assert (await failure(send(bot))).kind == "lost"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failing_server_may_have_sent_a_message_but_an_edit_can_be_repeated(tg, bot, status):
    number = await send(bot)
    tg.fault("*", "status", status=status, times=3)
    assert (await failure(send(bot))).kind == "lost"
    assert (await failure(bot.channel.edit(to(), number, Chunk(text="new")))).kind == "server"
    assert (await failure(bot.channel.typing(to()))).kind == "server"


async def test_a_server_that_is_not_there_has_got_nothing(tg, bot):
    await tg.close()
    assert (await failure(send(bot))).kind == "connect"


@pytest.mark.parametrize(
    "url", ["http://nowhere.invalid", "http://127.0.0.1:1", "https://127.0.0.1:{port}", "not a url"]
)
async def test_no_connection_is_told_apart_from_a_lost_answer(tg, make, url):
    bot = make(api_url=url.format(port=tg.port))
    assert (await failure(send(bot))).kind == "connect"


async def test_a_server_that_hangs_up_after_the_request_may_have_taken_it():
    def answer(reader, writer):
        writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    channel = Telegram(
        token=TOKEN,
        api_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        clock=lambda: NOW,
        on_health=None,
    )
    assert (await failure(channel.send(to(), Chunk(text="hi"), nonce="n"))).kind == "lost"
    await channel.close()
    server.close()


async def test_flood_control_says_how_long_to_wait(tg, bot):
    number = await send(bot)
    tg.flood("sendMessage", retry_after=35)
    tg.flood("editMessageText", retry_after=1000)
    sending = await failure(send(bot))
    editing = await failure(bot.channel.edit(to(), number, Chunk(text="new")))
    assert [(error.kind, error.retry_after) for error in (sending, editing)] == [
        ("flood", 35),
        ("flood", 1000),
    ]
    assert len(tg.calls_of("sendMessage")) == 2


async def test_refused_formatting_is_told_so_that_it_can_be_sent_plain(tg, bot):
    chunk = Chunk(text="hello", extra={"entities": [{"type": "bold", "offset": 3, "length": 99}]})
    assert (await failure(bot.channel.send(to(), chunk, nonce="n"))).kind == "format"
    await bot.channel.send(to(), bot.channel.plain(chunk), nonce="n")
    assert tg.texts(ANN) == ["hello"]


async def test_an_edit_that_changes_nothing_is_unchanged(tg, bot):
    number = await send(bot, "same")
    assert (await failure(bot.channel.edit(to(), number, Chunk(text="same")))).kind == "unchanged"


async def test_an_edit_of_a_message_that_is_gone_or_not_ours_is_missing(tg, bot):
    number = await send(bot)
    tg.world.chats[ANN].messages[int(number)].deleted = True
    assert (await failure(bot.channel.edit(to(), number, Chunk(text="new")))).kind == "missing"
    theirs = tg.message_id_of(tg.user_says(ANN, "mine"))
    assert (await failure(bot.channel.edit(to(), str(theirs), Chunk(text="new")))).kind == "missing"


async def test_who_blocked_us_is_gone(tg, bot):
    tg.block(ANN)
    assert (await failure(send(bot))).kind == "gone"
    assert (await failure(bot.channel.typing(to()))).kind == "gone"


async def test_a_chat_or_topic_that_is_not_there_is_gone(tg, bot):
    assert (await failure(send(bot, address=to(999)))).kind == "gone"
    tg.add_chat(GROUP, "supergroup", is_forum=True, threads=[9])
    assert (await failure(send(bot, address=to(GROUP, "77")))).kind == "gone"
    tg.world.chats[GROUP].closed.add(9)
    assert (await failure(send(bot, address=to(GROUP, "9")))).kind == "gone"
    await send(bot, "in the general topic", to(GROUP))


@pytest.mark.parametrize(
    "reason",
    [
        "not enough rights to send text messages to the chat",
        "have no rights to send a message",
        "CHAT_WRITE_FORBIDDEN",
    ],
)
async def test_a_group_in_which_we_may_not_write_is_not_tried_again(tg, bot, reason):
    tg.add_chat(GROUP, "supergroup", mute=reason)
    assert (await failure(send(bot, address=to(GROUP)))).kind == "gone"
    assert (await failure(bot.channel.typing(to(GROUP)))).kind == "gone"


async def test_slow_mode_is_waited_out(tg, bot):
    tg.add_chat(GROUP, "supergroup", mute="SLOWMODE_WAIT_9")
    error = await failure(send(bot, address=to(GROUP)))
    assert (error.kind, error.retry_after) == ("flood", 9)


async def test_a_method_that_an_older_server_does_not_know_is_no_refused_token(tg, bot):
    tg.world.unknown |= {"answerCallbackQuery", "deleteMessage", "getChatMember", "setMyCommands"}
    await bot.runs()
    calls = (
        bot.channel.ack("1"), bot.channel.delete(to(), "1"), bot.channel.administers(to(GROUP), "1"),
    )  # fmt: skip
    tg.add_chat(GROUP, "supergroup")
    for call in calls:
        assert (await failure(call)).kind == "rejected"
    await tg.until(lambda: bot.states == ["ok"])


async def test_a_group_that_became_a_supergroup_is_told_with_its_new_id(tg, bot):
    tg.add_chat(-55, "group")
    number = await send(bot, address=to(-55))
    tg.migrate(-55, GROUP)
    calls = (
        send(bot, address=to(-55)),
        bot.channel.edit(to(-55), number, Chunk(text="new")),
        bot.channel.typing(to(-55)),
    )
    for call in calls:
        error = await failure(call)
        assert (error.kind, error.moved_to) == ("moved", str(GROUP))
    await send(bot, "there again", to(int(error.moved_to)))
    assert tg.texts(GROUP) == ["there again"]


async def test_a_message_that_is_too_long_or_empty_is_rejected(tg, bot):
    assert (await failure(send(bot, "x" * 5000))).kind == "rejected"
    assert (await failure(send(bot, " "))).kind == "rejected"


async def test_an_old_press_is_rejected(tg, bot):
    assert (await failure(bot.channel.ack("nobody's"))).kind == "rejected"


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (400, '{"description":"Bad Request: can\'t parse entities: unsupported start tag"}', "format"),
        (400, '{"description":"Bad Request: ENTITY_BOUNDS_INVALID"}', "format"),
        (400, '{"description":"Bad Request: message is not modified: specified new ..."}', "unchanged"),
        (400, '{"description":"Bad Request: MESSAGE_ID_INVALID"}', "missing"),
        (400, '{"description":"Bad Request: message can\'t be edited"}', "missing"),
        (400, '{"description":"Bad Request: chat not found"}', "gone"),
        (400, '{"description":"Bad Request: message thread not found"}', "gone"),
        (400, '{"description":"Bad Request: BUTTON_DATA_INVALID"}', "rejected"),
        (400, "<html>", "rejected"),
        (401, '{"description":"Unauthorized"}', "auth"),
        (403, '{"description":"Forbidden: user is deactivated"}', "gone"),
        (404, "", "server"),
        (400, '{"description":"Bad Request: not enough rights to send text messages to the chat"}', "gone"),
        (400, '{"description":"Bad Request: CHAT_WRITE_FORBIDDEN"}', "gone"),
        (400, '{"description":"Bad Request: have no rights to send a message"}', "gone"),
        (400, '{"description":"Bad Request: need administrator rights in the channel chat"}', "gone"),
        (400, '{"description":"Bad Request: CHAT_RESTRICTED"}', "gone"),
        (400, '{"description":"Bad Request: TOPIC_CLOSED"}', "gone"),
        (400, '{"description":"Bad Request: TOPIC_DELETED"}', "gone"),
        (400, '{"description":"Bad Request: group chat was upgraded to a supergroup chat"}', "gone"),
        (400, '{"description":"Bad Request: the group has been migrated to a supergroup"}', "gone"),
        (403, '{"description":"Forbidden: bot is not a member of the supergroup chat"}', "gone"),
        (403, "", "gone"),
        (400, '{"description":"Bad Request: SLOWMODE_WAIT_12"}', "flood"),
        (400, '{"parameters":{"migrate_to_chat_id":-100}}', "moved"),
        (400, '{"parameters":{"migrate_to_chat_id":"nowhere"}}', "rejected"),
        (413, "<html>Request Entity Too Large</html>", "rejected"),
        (413, '{"description":"Request Entity Too Large"}', "rejected"),
        (429, "<html>", "flood"),
        (302, "", "lost"),
        (502, "[" * 100_000, "lost"),
    ],
)  # fmt: skip
def test_each_refusal_has_a_kind(status, body, kind):
    error = refusal("sendMessage", status, body)
    assert (error.kind, error.status) == (kind, status)


@pytest.mark.parametrize(
    "parameters, seconds",
    [
        ('{"retry_after":35}', 35), ('{"retry_after":"soon"}', 5.0), ("null", 5.0), ("[]", 5.0),
        ('{"retry_after":1e300}', 86_400), ('{"retry_after":NaN}', 5.0),
    ],
)  # fmt: skip
def test_a_flood_without_a_time_still_has_one(parameters, seconds):
    assert refusal("sendMessage", 429, f'{{"parameters":{parameters}}}').retry_after == seconds


@pytest.mark.parametrize(
    "status, description",
    [
        (429, "Too Many Requests: retry after 12"),
        (420, "FLOOD_WAIT_12"),
        (400, "Bad Request: SLOWMODE_WAIT_12"),
    ],
)
def test_a_time_that_is_said_in_words_only_is_kept_to(status, description):
    error = refusal("sendMessage", status, json.dumps({"description": description}))
    assert (error.kind, error.retry_after) == ("flood", 12)


@pytest.mark.parametrize(
    "method, kind",
    [
        ("getMe", "auth"), ("getUpdates", "auth"), ("sendMessage", "server"), ("setMessageReaction", "rejected"),
        ("getChatMember", "rejected"), ("setMyCommands", "rejected"), ("deleteMessage", "rejected"),
        ("setWebhook", "rejected"), ("answerCallbackQuery", "rejected"),
    ],
)  # fmt: skip
def test_a_method_that_is_not_found_is_no_refused_token_but_where_every_server_has_it(method, kind):
    assert refusal(method, 404, '{"description":"Not Found: method not found"}').kind == kind


@pytest.mark.parametrize("method", ["deleteMessage", "setMessageReaction", "getChatMember"])
def test_to_have_no_right_to_something_else_is_not_to_be_gone(method):
    assert refusal(method, 400, '{"description":"Bad Request: CHAT_ADMIN_REQUIRED"}').kind == "rejected"


# --- the token and the start ------------------------------------------------------------------------


async def test_neither_token_nor_text_is_in_a_log_line_or_an_error(tg, make, caplog):
    caplog.set_level(logging.DEBUG)
    bot = make(commands=[MenuEntry(name="new", description="x")])
    for fault in ("status", "garbage", "drop", "error"):
        tg.fault("getUpdates", fault, status=502)
        tg.fault("sendMessage", fault, status=400, description=f"Bad Request: no such path /bot{TOKEN}/x")
    await bot.runs()
    for _ in range(4):
        assert TOKEN not in repr(await failure(send(bot, "a very private text")))
    await tg.until(lambda: bot.states[-1:] == ["ok"])
    await bot.stop()
    assert caplog.records
    told = caplog.text + str([record.__dict__ for record in caplog.records]) + str(bot.health)
    assert TOKEN not in told
    assert "a very private text" not in told


def test_importing_the_channel_loads_no_sdk():
    code = "import sys, channels.telegram as c; print(sorted({'telegram', 'aiohttp'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_many_sends_at_once_all_arrive(tg, bot):
    await asyncio.gather(*(send(bot, f"number {number}") for number in range(80)))
    assert sorted(tg.texts(ANN)) == sorted(f"number {number}" for number in range(80))


async def test_a_sent_message_that_the_sdk_cannot_read_is_still_known_by_its_number(tg, bot):
    odd = {"ok": True, "result": {"message_id": 77, "text": "hello"}}  # no date, no chat
    sender = bot.channel._api
    fetch = sender._requests[1].fetch

    async def bare(method, parameters):
        await fetch(method, parameters)
        request.last_answer.set(json.dumps(odd).encode())
        return json.dumps(odd).encode()

    sender._requests[1].fetch = bare
    assert await send(bot, "hello") == "77"
    await bot.channel.edit(to(), str(tg.messages(ANN)[0].id), Chunk(text="hello again"))


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("5", Place(chat_id="5")),
        ("-5", Place(chat_id="-5", kind="group")),
        ("-1005/7", Place(chat_id="-1005", thread_id="7", kind="group")),
    ],
)
async def test_an_id_tells_where_it_is(make, id, expected):
    assert await make().channel.place(id) == expected
