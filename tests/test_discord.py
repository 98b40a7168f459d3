"""The Discord channel against a server that behaves, and misbehaves, like the real one."""

import asyncio
import logging
import subprocess
import sys

import pytest
from pydantic import SecretStr

from channels.discord import Discord
from gateway.errors import DeliveryError, DiskFull, StoreError
from gateway.types.inbound import Kind, Quote
from gateway.types.measures import MINUTE, SECOND
from gateway.types.outbound import Button, Chunk, MenuEntry
from gateway.types.places import Place
from tests.discord_bench import Bot, to
from tests.fakes.discord import TOKEN, FakeDiscord

MENU = [
    MenuEntry(name="new", description="Begin a new session", translated={"de": "Eine neue Sitzung beginnen"}),
    MenuEntry(name="cost", description="Show the bill"),
]


@pytest.fixture
async def dc():
    async with FakeDiscord() as server:
        yield server
        assert server.errors == []


@pytest.fixture
async def make(dc):
    """Makes bots that are stopped at the end."""
    bots = []

    def made(server=dc, **options):
        bots.append(Bot(server, **options))
        return bots[-1]

    yield made
    for each in bots:
        await each.stop()


@pytest.fixture
async def bot(make):
    return await make().runs()


@pytest.fixture
def ann(dc):
    return dc.add_user("ann")


@pytest.fixture
def dm(dc, ann):
    return dc.dm(ann)


@pytest.fixture
def hall(dc, ann):
    """A channel of a server."""
    return dc.add_channel(dc.add_guild(members=[ann]), "hall")


async def send(bot, chat, text="hello", *, nonce="n", tried=None, kind="direct", thread="", hint="", **chunk):
    address = to(chat, thread, kind, hint)
    return await bot.channel.send(address, Chunk(text=text, **chunk), nonce=nonce, tried=tried)


async def failure(coroutine):
    with pytest.raises(DeliveryError) as caught:
        await coroutine
    assert TOKEN not in str(caught.value)
    return caught.value


def mention(dc):
    return f"<@{dc.bot_id}>"


# --- taking in --------------------------------------------------------------------------------------


async def test_private_messages_come_in_order_with_their_cursor(dc, bot, ann, dm):
    ids = [dc.user_says(dm, text, ann) for text in ("one", "two", "three")]
    await dc.until(lambda: len(bot.inbox.events) == 3)
    assert bot.inbox.texts == ["one", "two", "three"]
    first = bot.inbox.events[0]
    assert (first.event_id, first.kind, first.addressed) == (f"m:{ids[0]}", Kind.MESSAGE, True)
    assert (first.place.kind, first.place.chat_id, first.place.server) == ("direct", str(dm), "")
    assert (first.sender.user_id, first.sender.name) == (str(ann), "Ann")
    assert bot.inbox.cursors == {f"direct:{dm}": str(ids[2])}
    assert bot.states == ["ok"]


async def test_a_burst_is_few_commits(dc, bot, ann, dm):
    bot.inbox.gate = asyncio.Event()
    for number in range(150):
        dc.user_says(dm, str(number), ann)
    bot.inbox.gate.set()
    await dc.until(lambda: len(bot.inbox.events) == 150)
    assert bot.inbox.texts == [str(number) for number in range(150)]
    assert len(bot.inbox.pages) < 20


async def test_in_a_server_a_mention_addresses_us_and_is_cut_off(dc, bot, ann, hall):
    dc.user_says(hall, "nobody in particular", ann)
    dc.user_says(hall, f"{mention(dc)}, what is it? <@{ann}>", ann)
    dc.user_says(hall, f"and {mention(dc)} in the middle", ann)
    await dc.until(lambda: len(bot.inbox.events) == 3)
    assert bot.inbox.addressed == ["what is it? @Ann", "and @parley_test_bot in the middle"]
    place = bot.inbox.events[1].place
    assert (place.kind, place.chat_id, place.thread_id) == ("group", str(hall), "")
    assert place.server == str(dc.world.channels[hall].guild_id)


async def test_text_that_only_looks_like_a_mention_addresses_nobody(dc, bot, ann, hall):
    dc.user_says(hall, f"`{mention(dc)}` in code, @parley_test_bot", ann)
    event = dc.world.event_message(dc.everything(hall)[0], visible=True)
    dc.gateway.push("MESSAGE_CREATE", event | {"id": "1", "mentions": []})
    await dc.until(lambda: len(bot.inbox.events) == 2)
    assert not bot.inbox.events[1].addressed


async def test_an_answer_to_us_addresses_us_and_quotes(dc, bot, ann, hall):
    sent = await send(bot, hall, "my words", kind="group")
    theirs = dc.user_says(hall, "their words", ann)
    dc.user_says(hall, "about yours", ann, reply_to=int(sent), ping=False)
    dc.user_says(hall, "about theirs", ann, reply_to=theirs)
    await dc.until(lambda: len(bot.inbox.events) == 3)
    ours, others = bot.inbox.events[1:]
    assert (ours.addressed, ours.reply_to) == (True, sent)
    assert ours.quotes == (Quote(origin="reply", text="my words", author="parley_test_bot", ours=True),)
    assert (others.addressed, others.reply_to) == (False, str(theirs))
    assert others.quotes == (Quote(origin="reply", text="their words", author="Ann"),)


async def test_where_always_says_so_every_message_is_meant_for_us(dc, make, ann):
    guild = dc.add_guild(members=[ann])
    all_of_it, other = dc.add_channel(guild, "bot"), dc.add_channel(guild, "other")
    bot = await make(always=(str(all_of_it),)).runs()
    thread = dc.add_thread(all_of_it, user_id=ann)
    for place in (all_of_it, other, thread):
        dc.user_says(place, f"in {place}", ann)
    await dc.until(lambda: len(bot.inbox.events) == 3)
    assert bot.inbox.addressed == [f"in {all_of_it}", f"in {thread}"]


async def test_a_thread_is_a_place_of_its_own(dc, bot, ann, hall):
    thread = dc.add_thread(hall, user_id=ann)
    dc.user_says(thread, f"{mention(dc)} here", ann)
    dc.user_says(thread, "and without", ann)
    await dc.until(lambda: len(bot.inbox.events) == 2)
    first, second = bot.inbox.events
    assert (first.place.kind, first.place.chat_id, first.place.thread_id) == (
        "thread",
        str(hall),
        str(thread),
    )
    assert first.cursor == (str(thread), first.message_id)
    assert (first.addressed, second.addressed) == (True, False)


async def test_a_thread_nobody_told_us_of_is_asked_for(dc, bot, ann, hall):
    thread = dc.add_thread(hall, user_id=ann)
    bot.channel._places.forget({"id": str(thread)})
    dc.user_says(thread, f"{mention(dc)} here", ann)
    await dc.until(lambda: bot.inbox.events)
    assert bot.inbox.events[0].place.thread_id == str(thread)


async def test_what_bots_webhooks_and_the_server_itself_say_is_left_out(dc, bot, ann, dm, hall):
    robot = dc.add_user("robot", bot=True)
    dc.user_says(hall, f"{mention(dc)} beep", robot)
    dc.user_says(hall, "pinned", ann, type=6)
    await send(bot, dm, "our own")
    dc.user_says(dm, "a person", ann)
    await dc.until(lambda: bot.inbox.events)
    assert bot.inbox.texts == ["a person"]


async def test_a_slash_in_a_message_is_a_command(dc, bot, ann, dm, hall):
    dc.user_says(dm, "/new now", ann)
    dc.user_says(hall, f"{mention(dc)} /new", ann)
    dc.user_says(hall, "/new", ann)
    await dc.until(lambda: len(bot.inbox.events) == 3)
    assert [(each.kind, each.text, each.addressed) for each in bot.inbox.events] == [
        (Kind.COMMAND, "/new now", True), (Kind.COMMAND, "/new", True), (Kind.MESSAGE, "/new", False)
    ]  # fmt: skip


async def test_an_edit_is_an_event_and_a_preview_of_links_is_none(dc, bot, ann, dm):
    said = dc.user_says(dm, "see https://example.com", ann)
    dc.unfurl(said)
    dc.user_edits(said, "see nothing")
    dc.unfurl(said)
    await dc.until(lambda: len(bot.inbox.events) == 2)
    dc.user_says(dm, "last", ann)
    await dc.until(lambda: "last" in bot.inbox.texts)
    assert [each.kind for each in bot.inbox.events] == [Kind.MESSAGE, Kind.EDIT, Kind.MESSAGE]
    edit = bot.inbox.events[1]
    assert (edit.text, edit.message_id, edit.cursor) == ("see nothing", str(said), None)


async def test_without_the_intent_only_what_mentions_us_has_words(make, ann):
    async with FakeDiscord(privileged=()) as blind:
        bot = await make(blind).runs()
        hall = blind.add_channel(blind.add_guild(members=[ann]))
        blind.user_says(hall, "not for you", ann)
        blind.user_says(hall, f"{mention(blind)} for you", ann)
        await blind.until(lambda: bot.inbox.events)
        assert bot.inbox.texts == ["for you"]
        assert bot.states == ["ok"]
        await bot.stop()


async def test_what_cannot_be_read_is_put_aside_and_keeps_nothing(dc, bot, ann, dm):
    for data in (
        {"channel_id": "x"},
        ["no object"],
        {"id": 5, "author": 7, "channel_id": "1"},
        None,
        {"type": []},
    ):
        dc.gateway.push("MESSAGE_CREATE", data)
        dc.gateway.push("MESSAGE_UPDATE", data)
        dc.gateway.push("INTERACTION_CREATE", data)
        dc.gateway.push("GUILD_CREATE", data)
        dc.gateway.push("THREAD_LIST_SYNC", data)
        dc.gateway.push("CHANNEL_DELETE", data)
        dc.gateway.push("NEVER_HEARD_OF", data)
    dc.user_says(dm, "a person", ann)
    await dc.until(lambda: "a person" in bot.inbox.texts)
    assert all(each.error and each.place is None for each in bot.inbox.events[:-1])
    assert bot.states == ["ok"]


@pytest.mark.parametrize("error, state", [(StoreError("locked"), "down"), (DiskFull("no space"), "disk")])
async def test_what_could_not_be_stored_comes_again_and_is_told(dc, bot, ann, dm, error, state):
    bot.inbox.failures = [error] * 3
    dc.user_says(dm, "one", ann)
    dc.user_says(dm, "two", ann)
    await dc.until(lambda: len(bot.inbox.events) == 2)
    assert bot.inbox.texts == ["one", "two"]
    await dc.until(lambda: bot.states == ["ok", state, "ok"])
    assert "not stored" in bot.health[1][1]


async def test_an_error_that_is_not_the_stores_ends_the_run(dc, bot, ann, dm):
    bot.inbox.failures = [ZeroDivisionError()]
    dc.user_says(dm, "hello", ann)
    with pytest.raises(ZeroDivisionError):
        await bot.task


# --- interactions -----------------------------------------------------------------------------------


@pytest.fixture
async def called(dc, make):
    """A bot whose commands are registered."""
    bot = await make(commands=MENU).runs()
    await dc.until(lambda: dc.commands)
    return bot


async def test_a_command_is_deferred_after_it_was_accepted_and_answered_in_its_place(dc, called, ann, dm):
    called.inbox.gate = asyncio.Event()
    given = dc.user_commands("new", {"text": "now"}, channel_id=dm, user_id=ann)
    await asyncio.sleep(0.05)
    assert dc.interactions[given].answer is None
    called.inbox.gate.set()
    await dc.until(lambda: dc.interactions[given].answer == 5)
    event = called.inbox.events[0]
    assert (event.event_id, event.kind, event.text) == (f"i:{given}", Kind.COMMAND, "/new now")
    assert (event.sender.lang, event.hint, event.cursor) == ("en-US", "", None)
    reply = called.channel.answering(Chunk(text="Done."), event.press_id, whisper=False)
    first = await called.channel.send(to(dm), reply, nonce="a")
    assert await called.channel.send(to(dm), reply, nonce="a", tried=0) == first
    more = called.channel.answering(Chunk(text="More."), event.press_id, whisper=False)
    dc.fault("create_message", "lost")
    await failure(called.channel.send(to(dm), more, nonce="b"))
    await called.channel.send(to(dm), more, nonce="b")  # an ordinary message: it has a nonce
    assert [each.content for each in dc.answers(given)] == ["Done."]
    await called.channel.edit(to(dm), first, Chunk(text="Done!"))
    assert dc.texts(dm) == ["Done!", "More."]
    assert dc.interactions[given].answer_ms < 3000


async def test_a_reply_that_is_quicker_than_its_acknowledgement_waits_for_it(dc, called, ann, dm):
    dc.fault("answer_interaction", "delay", seconds=0.2)
    given = dc.user_commands("new", channel_id=dm, user_id=ann)
    await dc.until(lambda: called.inbox.events)
    press = called.inbox.events[0].press_id
    await called.channel.send(
        to(dm), called.channel.answering(Chunk(text="Done."), press, whisper=False), nonce="a"
    )
    assert [each.content for each in dc.answers(given)] == ["Done."]
    assert dc.texts(dm) == ["Done."]


async def test_a_command_that_answers_in_private_is_deferred_so(dc, make, ann, hall):
    menu = [MenuEntry(name="cost", description="Show the bill", private=True)]
    bot = await make(commands=menu).runs()
    await dc.until(lambda: dc.commands)
    given = dc.user_commands("cost", channel_id=hall, user_id=ann)
    await dc.until(lambda: dc.interactions[given].answer == 5)
    press = bot.inbox.events[0].press_id
    await bot.channel.send(
        to(hall, kind="group"), bot.channel.answering(Chunk(text="$1"), press, whisper=True), nonce="a"
    )
    assert [each.content for each in dc.ephemeral(hall, ann)] == ["$1"]
    assert dc.texts(hall) == []


async def test_a_whisper_is_hidden_also_where_the_answer_was_promised_to_all(dc, called, ann, hall):
    given = dc.user_commands("cost", channel_id=hall, user_id=ann)
    await dc.until(lambda: dc.interactions[given].answer == 5)
    reply = called.channel.answering(Chunk(text="$1"), called.inbox.events[0].press_id, whisper=True)
    await called.channel.send(to(hall, kind="group"), reply, nonce="a")
    assert [each.content for each in dc.ephemeral(hall, ann)] == ["$1"]
    assert dc.texts(hall) == []


async def test_a_late_answer_is_a_message_and_a_late_whisper_a_private_one(dc, called, ann, hall):
    dc.user_commands("cost", channel_id=hall, user_id=ann)
    await dc.until(lambda: called.inbox.events)
    press = called.inbox.events[0].press_id
    called.ahead = 20 * MINUTE
    open_, hidden = (
        called.channel.answering(Chunk(text=text), press, whisper=text == "hidden")
        for text in ("open", "hidden")
    )
    await called.channel.send(to(hall, kind="group"), open_, nonce="a")
    await called.channel.send(to(hall, kind="group"), hidden, nonce="b")
    assert dc.texts(hall)[-1:] == ["open"]
    assert dc.texts(dc.dm(ann)) == ["hidden"]


async def test_a_token_that_died_early_is_no_reason_to_say_nothing(dc, called, ann, dm):
    given = dc.user_commands("new", channel_id=dm, user_id=ann)
    await dc.until(lambda: dc.interactions[given].answer == 5)
    dc.world.token_life = 0.0
    reply = called.channel.answering(Chunk(text="Done."), called.inbox.events[0].press_id, whisper=False)
    await called.channel.send(to(dm), reply, nonce="a")
    assert dc.texts(dm)[-1] == "Done."


async def test_an_answer_after_a_restart_finds_its_place(dc, make, called, ann, dm):
    given = dc.user_commands("new", channel_id=dm, user_id=ann)
    await dc.until(lambda: dc.interactions[given].answer == 5)
    press = called.inbox.events[0].press_id
    await called.stop()
    for _ in range(2):  # the second time it has been said already
        again = await make().runs()
        reply = again.channel.answering(Chunk(text="Done."), press, whisper=False)
        await again.channel.send(to(dm), reply, nonce="a", tried=again.channel._clock())
        await again.stop()
    assert dc.texts(dm) == ["Done."]


async def test_who_may_not_gets_a_line_that_only_they_see(dc, called, ann, hall):
    called.inbox.refusing.add(str(ann))
    given = dc.user_commands("new", channel_id=hall, user_id=ann)
    await dc.until(lambda: dc.interactions[given].answer == 4)
    assert dc.texts(hall) == []
    assert str(ann) in dc.ephemeral(hall, ann)[0].content


async def test_ask_is_a_prompt_and_its_answer_is_owed_to_it(dc, called, ann, hall):
    given = dc.user_commands("ask", {"text": "why?"}, channel_id=hall, user_id=ann)
    await dc.until(lambda: dc.interactions[given].answer == 5)
    event = called.inbox.events[0]
    assert (event.kind, event.text, event.addressed) == (Kind.MESSAGE, "why?", True)
    first = await send(called, hall, "Because", kind="group", hint=event.hint, nonce="a")
    await called.channel.edit(to(hall, kind="group"), first, Chunk(text="Because so."))
    await send(called, hall, "Something else", kind="group", hint=event.hint, nonce="b")
    assert [each.content for each in dc.answers(given)] == ["Because so."]
    assert dc.texts(hall) == ["Because so.", "Something else"]


async def test_two_prompts_are_each_answered_in_their_own_place(dc, called, ann, hall):
    one, two = (
        dc.user_commands("ask", {"text": text}, channel_id=hall, user_id=ann) for text in ("1?", "2?")
    )
    await dc.until(lambda: dc.interactions[two].answer == 5 and dc.interactions[one].answer == 5)
    hint = called.inbox.events[0].hint  # an address can be older than the latest prompt
    await send(called, hall, "1!", kind="group", hint=hint, nonce="a")
    await send(called, hall, "2!", kind="group", hint=hint, nonce="b")
    assert [[each.content for each in dc.answers(given)] for given in (one, two)] == [["1!"], ["2!"]]


async def test_where_we_are_no_member_the_interaction_is_all_we_have(dc, called, ann):
    guild = dc.add_guild(members=[ann], installed=False)
    hall = dc.add_channel(guild)
    given = dc.user_commands("ask", {"text": "why?"}, channel_id=hall, user_id=ann, installed="user")
    await dc.until(lambda: dc.interactions[given].answer == 5)
    event = called.inbox.events[0]
    assert event.place.server == str(guild)
    address = to(hall, kind="group", hint=event.hint)
    await called.channel.typing(address)  # says nothing, and asks nothing that would be refused
    first = await called.channel.send(address, Chunk(text="Because"), nonce="a")
    second = await called.channel.send(address, Chunk(text="so."), nonce="b")
    await called.channel.edit(address, first, Chunk(text="Because,"))
    await called.channel.edit(address, second, Chunk(text="so!"))
    assert [each.content for each in dc.answers(given)] == ["Because,", "so!"]
    called.ahead = 20 * MINUTE
    assert (await failure(called.channel.send(address, Chunk(text="too late"), nonce="c"))).kind == "gone"


async def test_a_private_channel_of_others_is_answered_by_interaction(dc, called, ann):
    between = dc.add_private(ann, dc.add_user("bo"))
    given = dc.user_commands("ask", {"text": "why?"}, channel_id=between, user_id=ann, installed="user")
    await dc.until(lambda: dc.interactions[given].answer == 5)
    event = called.inbox.events[0]
    assert event.place.kind == "group"  # others read along
    await called.channel.send(to(between, kind="group", hint=event.hint), Chunk(text="So."), nonce="a")
    assert [each.content for each in dc.answers(given)] == ["So."]


async def test_a_button_works_after_a_restart_and_its_toast_is_a_whisper(dc, make, bot, ann, hall):
    sent = await send(bot, hall, "Sure?", kind="group", buttons=(Button(label="Yes", token="t0ken"),))
    await bot.stop()
    again = await make().runs()
    pressed = dc.user_presses(int(sent), "p:t0ken", ann)
    await dc.until(lambda: dc.interactions[pressed].answer == 6)
    event = again.inbox.events[0]
    assert (event.kind, event.button, event.message_id) == (Kind.BUTTON, "t0ken", sent)
    await again.channel.ack(event.press_id)
    await again.channel.ack(event.press_id, "Noted.")
    reply = again.channel.answering(Chunk(text="It is done."), event.press_id, whisper=False)
    await again.channel.send(to(hall, kind="group"), reply, nonce="r")
    assert dc.texts(hall) == ["Sure?", "It is done."]
    assert [each.content for each in dc.ephemeral(hall, ann)] == ["Noted."]


async def test_many_commands_at_once_are_all_acknowledged_in_time(dc, called, ann, dm):
    given = [
        dc.user_commands("new", {"text": str(number)}, channel_id=dm, user_id=ann) for number in range(60)
    ]
    await dc.until(lambda: all(dc.interactions[each].answer == 5 for each in given))
    assert [each.text for each in called.inbox.events] == [f"/new {number}" for number in range(60)]
    assert max(dc.interactions[each].answer_ms for each in given) < 3000


async def test_commands_are_registered_once_and_again_only_when_they_change(dc, make):
    for menu, puts in ((MENU, 1), (MENU, 1), (MENU[:1], 2), ((), 2)):
        bot = await make(commands=menu).runs()
        if menu:
            await dc.until(lambda: dc.calls_of("get_commands"))
        await asyncio.sleep(0.1)
        assert dc.world.command_puts == puts
        await bot.stop()
        dc.calls.clear()
    assert [each["name"] for each in dc.commands] == ["ask", "new"]
    assert all(each["integration_types"] == [0, 1] and each["contexts"] == [0, 1, 2] for each in dc.commands)


# --- sending ----------------------------------------------------------------------------------------


async def test_a_message_pings_nobody_and_shows_no_previews(dc, bot, ann, hall):
    text = f"@everyone @here <@{ann}> https://example.com"
    sent = await send(bot, hall, text, kind="group", nonce="abc")
    await bot.channel.edit(to(hall, kind="group"), sent, Chunk(text=text + " <@&1>"))
    (shown,) = dc.messages(hall)
    assert (shown.content, dc.pings, shown.links) == (text + " <@&1>", 0, [])
    params = dc.calls_of("create_message")[0].params
    assert (params["nonce"], params["enforce_nonce"]) == ("abc", True)


async def test_2001_characters_are_two_messages_and_more_is_refused(dc, bot, dm):
    parts = bot.channel.render("x" * 2001)
    for number, part in enumerate(parts):
        await bot.channel.send(to(dm), part, nonce=str(number))
    assert [len(text) for text in dc.texts(dm)] == [2000, 1]
    error = await failure(send(bot, dm, "x" * 2001))
    assert (error.kind, error.code) == ("rejected", 50035)
    assert "2000 or fewer" in str(error)


async def test_buttons_that_are_refused_are_left_out_of_the_plain_message(dc, bot, dm):
    chunk = Chunk(text="Sure?", buttons=(Button(label="Yes", token="x" * 200),))
    assert (await failure(bot.channel.send(to(dm), chunk, nonce="n"))).kind == "format"
    await bot.channel.send(to(dm), bot.channel.plain(chunk), nonce="n")
    assert dc.texts(dm) == ["Sure?"]


async def test_an_edit_without_buttons_takes_them_away(dc, bot, dm):
    sent = await send(bot, dm, "Sure?", buttons=tuple(Button(label=str(n), token=str(n)) for n in range(7)))
    assert [len(row["components"]) for row in dc.messages(dm)[0].components] == [5, 2]
    await bot.channel.edit(to(dm), sent, Chunk(text="Done"))
    assert dc.messages(dm)[0].components == []


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_server_error_is_repeated_by_the_sdk_and_sent_once(dc, bot, dm, status):
    dc.fault("create_message", "status", status=status, applied=True)
    await send(bot, dm)
    assert dc.texts(dm) == ["hello"]
    assert len(dc.calls_of("create_message")) == 2


async def test_a_server_error_that_the_sdk_does_not_repeat_is_told(dc, bot, dm):
    dc.fault("create_message", "status", status=503)
    assert (await failure(send(bot, dm))).kind == "server"


async def test_a_short_flood_is_waited_for_and_a_long_one_told(dc, bot, dm):
    dc.flood("create_message", retry_after=0.2)
    await send(bot, dm)
    assert dc.texts(dm) == ["hello"]
    dc.flood("create_message", retry_after=120.0)
    error = await failure(send(bot, dm, nonce="m"))
    assert (error.kind, error.retry_after) == ("flood", 120.0)


@pytest.mark.parametrize("kind", ["lost", "drop", "garbage"])
async def test_a_lost_answer_is_told_and_the_repeat_is_recognised(dc, bot, dm, kind):
    dc.fault("create_message", kind, applied=kind == "garbage")
    begun = bot.channel._clock()
    assert (await failure(send(bot, dm))).kind == "lost"
    sent = await send(bot, dm, tried=begun)
    assert dc.texts(dm) == ["hello"]
    assert sent == str(dc.messages(dm)[0].id)


async def test_a_repeat_with_more_text_completes_what_an_earlier_try_said(dc, bot, dm):
    dc.fault("create_message", "lost")
    await failure(send(bot, dm, "It beg"))
    sent = await send(bot, dm, "It begins and ends.", tried=bot.channel._clock())
    assert dc.texts(dm) == ["It begins and ends."]
    assert sent == str(dc.messages(dm)[0].id)


async def test_after_the_nonce_window_the_history_tells_whether_it_was_said(dc, bot, ann, dm):
    begun = bot.channel._clock()
    dc.fault("create_message", "lost")
    await failure(send(bot, dm, "once"))
    for number in range(120):
        dc.user_says(dm, f"between {number}", ann)
    dc.world.nonce_window = 0.0
    bot.ahead = 5 * MINUTE
    sent = await send(bot, dm, "once", tried=begun)
    assert dc.texts(dm) == ["once"]
    assert sent == str(dc.messages(dm)[0].id)
    await send(bot, dm, "never said", nonce="other", tried=begun)
    assert dc.texts(dm) == ["once", "never said"]


async def test_after_the_nonce_window_a_beginning_is_known_and_completed(dc, bot, ann, dm):
    begun = bot.channel._clock()
    beginning = "What a preview had said before its answer was lost"
    dc.fault("create_message", "lost")
    await failure(send(bot, dm, beginning))
    dc.world.nonce_window = 0.0
    bot.ahead = 5 * MINUTE
    await send(bot, dm, f"{beginning}, and the rest of it.", tried=begun)
    assert dc.texts(dm) == [f"{beginning}, and the rest of it."]


async def test_the_same_words_of_others_or_of_long_ago_are_not_ours_now(dc, bot, ann, dm):
    await send(bot, dm, "yes", nonce="old")
    dc.world.nonce_window = 0.0
    dc.user_says(dm, "yes", ann)
    bot.ahead = 10 * MINUTE
    await send(bot, dm, "yes", nonce="new", tried=bot.channel._clock() - 2 * MINUTE)
    assert dc.texts(dm) == ["yes", "yes"]


async def test_nothing_was_sent_where_there_is_no_connection(dc, bot, dm):
    await dc.close()
    assert (await failure(send(bot, dm))).kind == "connect"
    await dc.start()


async def test_before_it_is_connected_nothing_can_be_sent(make, dm):
    assert (await failure(send(make(), dm))).kind == "connect"


@pytest.mark.parametrize(
    "trouble, kind",
    [
        (lambda dc, ann, hall: dc.block(ann), "gone"),
        (lambda dc, ann, hall: dc.kick(dc.world.channels[hall].guild_id), "gone"),
        (lambda dc, ann, hall: dc.deny(hall, "SEND_MESSAGES"), "gone"),
        (lambda dc, ann, hall: dc.delete_channel(hall), "gone"),
    ],
    ids=["blocked", "kicked", "denied", "deleted"],
)
async def test_where_we_may_no_longer_speak_it_is_told_for_good(dc, bot, ann, dm, hall, trouble, kind):
    trouble(dc, ann, hall)
    assert kind in {
        (await failure(send(bot, place))).kind for place in ((dm,) if dc.world.users[ann].closed else (hall,))
    }


async def test_a_message_that_is_gone_is_missing_to_edits_and_no_error_to_delete(dc, bot, dm):
    sent = await send(bot, dm)
    await bot.channel.delete(to(dm), sent)
    await bot.channel.delete(to(dm), sent)
    assert (await failure(bot.channel.edit(to(dm), sent, Chunk(text="x")))).kind == "missing"
    assert dc.texts(dm) == []


async def test_one_reaction_of_ours_at_a_time(dc, bot, make, ann, dm):
    said = dc.user_says(dm, "hello", ann)
    for reaction, shown in (
        ("seen", ["👀"]),
        ("done", ["✅"]),
        ("done", ["✅"]),
        (None, []),
        ("failed", ["⚠️"]),
    ):
        await bot.channel.react(to(dm), str(said), reaction)
        assert list(dc.message(said).reactions) == shown
    dc.user_reacts(said, "✅", ann)
    again = make()
    again.ahead = MINUTE  # so that the message is from before it came
    await again.runs()
    await again.channel.react(to(dm), str(said), "done")
    assert dc.message(said).reactions == {"✅": [ann, dc.bot_id]}


async def test_typing_is_shown(dc, bot, dm):
    await bot.channel.typing(to(dm))
    assert len(dc.typing(dm)) == 1


async def test_who_manages_the_server_administers_its_channels(dc, bot, dm, hall, ann):
    bo = dc.add_user("bo")
    guild = dc.world.channels[hall].guild_id
    dc.world.guilds[guild].members.add(bo)
    address = to(hall, kind="group")
    assert await bot.channel.administers(address, str(ann))  # its owner
    assert not await bot.channel.administers(address, str(bo))
    assert not await bot.channel.administers(to(dm), str(ann))
    assert (await failure(bot.channel.administers(address, "12345"))).kind in ("rejected", "gone")


async def test_an_id_is_a_channel_a_thread_or_a_persons_private_chat(dc, bot, ann, hall):
    thread = dc.add_thread(hall, user_id=ann)
    guild = str(dc.world.channels[hall].guild_id)
    found = {id: await bot.channel.place(str(id)) for id in (hall, thread, ann)}
    assert found[hall] == Place(chat_id=str(hall), kind="group", server=guild)
    assert found[thread] == Place(chat_id=str(hall), thread_id=str(thread), kind="thread", server=guild)
    assert (found[ann].kind, found[ann].chat_id) == ("direct", await bot.channel.direct(str(ann)))
    assert (await failure(bot.channel.place("123456"))).kind in ("gone", "rejected")


async def test_a_private_chat_can_be_opened(dc, bot, ann, dm):
    assert await bot.channel.direct(str(ann)) == str(dm)


# --- threads ----------------------------------------------------------------------------------------


async def test_with_threads_each_conversation_gets_one_when_it_is_answered(dc, make, ann, hall):
    bot = await make(threads=True).runs()
    said = dc.user_says(hall, f"{mention(dc)} tell me about\nthreads", ann)
    await dc.until(lambda: bot.inbox.events)
    place, hint = bot.inbox.events[0].place, bot.inbox.events[0].hint
    assert (place.kind, place.chat_id, place.thread_id) == ("thread", str(hall), str(said))
    address = to(hall, said, "thread", hint)
    await bot.channel.typing(address)
    await bot.channel.react(address, str(said), "seen")
    sent = await bot.channel.send(address, Chunk(text="Here."), nonce="a")
    await bot.channel.edit(address, sent, Chunk(text="Here!"))
    await bot.channel.send(address, Chunk(text="More."), nonce="b")
    assert (dc.texts(hall), dc.texts(said)) == ([], ["Here!", "More."])
    assert dc.world.channels[said].name == "tell me about threads"
    assert len(dc.calls_of("start_thread_from_message")) == 1
    dc.user_says(said, "without a mention", ann)
    await dc.until(lambda: len(bot.inbox.events) == 2)
    assert (bot.inbox.events[1].addressed, bot.inbox.events[1].place) == (True, place)


async def test_a_thread_that_was_begun_meanwhile_is_used(dc, make, ann, hall):
    bot = await make(threads=True).runs()
    said = dc.user_says(hall, f"{mention(dc)} hello", ann)
    dc.fault("start_thread_from_message", "lost")
    address = to(hall, said, "thread")
    assert (await failure(bot.channel.send(address, Chunk(text="Here."), nonce="a"))).kind == "lost"
    dc.fault("create_message", "error", status=404, code=10003, message="Unknown Channel")
    await bot.channel.send(address, Chunk(text="Here."), nonce="a")
    assert dc.texts(said) == ["Here."]


# --- the connection -----------------------------------------------------------------------------------


async def test_a_cut_connection_is_resumed_and_nothing_is_missed(dc, bot, ann, dm):
    for number in range(3):
        dc.gateway.drop()
        dc.user_says(dm, str(number), ann)
        await dc.until(lambda number=number: str(number) in bot.inbox.texts)
    assert (dc.gateway.counts["resumed"], dc.gateway.counts["identifies"]) == (3, 1)
    assert bot.inbox.texts == ["0", "1", "2"]
    assert set(bot.states) == {"ok"}


async def test_reconnect_is_followed(dc, bot, ann, dm):
    dc.gateway.reconnect()
    await dc.until(lambda: dc.gateway.counts["resumed"])
    dc.user_says(dm, "after", ann)
    await dc.until(lambda: bot.inbox.texts == ["after"])


@pytest.mark.parametrize("resumable", [True, False])
async def test_an_invalid_session_begins_anew_and_catches_up(dc, bot, ann, dm, resumable):
    dc.user_says(dm, "before", ann)
    await dc.until(lambda: bot.inbox.events)
    dc.gateway.invalidate(resumable=resumable)
    if not resumable:
        dc.user_says(dm, "between", ann)
    await dc.until(lambda: dc.gateway.counts["resumed"] or dc.gateway.counts["identifies"] == 2)
    dc.user_says(dm, "after", ann)
    wanted = ["before", "after"] if resumable else ["before", "between", "after"]
    await dc.until(lambda: bot.inbox.texts == wanted)
    assert resumable or max(bot.pauses) > 1  # between two IDENTIFYs


async def test_a_session_that_was_lost_while_we_were_away_is_begun_anew(dc, bot, ann, dm):
    dc.user_says(dm, "before", ann)
    await dc.until(lambda: bot.inbox.events)
    dc.gateway.drop(lose=True)
    dc.user_says(dm, "between", ann)
    await dc.until(lambda: bot.inbox.texts == ["before", "between"])
    assert dc.gateway.counts["identifies"] == 2


async def test_a_silent_connection_is_given_up(dc, make, ann, dm):
    bot = await make(silence=0.5).runs()
    dc.gateway.mute()
    dc.user_says(dm, "hello", ann)
    await dc.until(lambda: bot.inbox.texts == ["hello"], timeout=15)
    assert dc.gateway.counts["resumed"] >= 1


async def test_a_server_that_goes_away_and_comes_back_is_found_again(dc, bot, ann, dm):
    dc.user_says(dm, "before", ann)
    await dc.until(lambda: bot.inbox.events)
    await dc.close()
    await dc.until(lambda: bot.states[-1] == "down" and len(bot.pauses) > 3)
    await dc.start()
    dc.user_says(dm, "there again", ann)
    await dc.until(lambda: "there again" in bot.inbox.texts)
    await dc.until(lambda: bot.states[-1] == "ok")
    assert bot.inbox.texts == ["before", "there again"]


@pytest.mark.parametrize("code", [4000, 4007, 4008, 4009, 1000, 1001])
async def test_other_close_codes_are_no_end(dc, bot, ann, dm, code):
    dc.user_says(dm, "before", ann)
    await dc.until(lambda: bot.inbox.events)
    dc.gateway.close(code)
    await dc.until(lambda: dc.gateway.counts["connects"] >= 2 and dc.gateway.connections)
    dc.user_says(dm, "after", ann)
    await dc.until(lambda: bot.inbox.texts == ["before", "after"])


async def test_a_gateway_that_refuses_every_resume_gets_a_new_session(dc, bot, ann, dm):
    dc.gateway.resume_window = 0.0
    dc.gateway.drop()
    await dc.until(lambda: dc.gateway.counts["identifies"] == 2)
    dc.user_says(dm, "after", ann)
    await dc.until(lambda: bot.inbox.texts == ["after"])


async def test_a_refused_token_ends_the_run(dc, make, bot):
    wrong = make(token="wrong." + "x" * 30)
    error = await failure(wrong.channel.start())
    assert (error.kind, wrong.states) == ("auth", ["auth"])
    dc.gateway.close(4004)
    error = await failure(bot.task)
    assert (error.kind, bot.states[-1]) == ("auth", "auth")


async def test_a_refused_intent_is_explained_and_done_without(dc, make, ann, hall):
    bot = make()
    await bot.channel.start()
    dc.world.privileged = set()
    type(dc.world).application_flags  # noqa: B018 - what the application says of itself can be old
    dc.world.__class__ = type(
        "Stale", (type(dc.world),), {"application_flags": property(lambda self: 1 << 18)}
    )
    await bot.runs()
    assert [state for state, _ in bot.health] == ["down", "ok"]
    for _, text in bot.health:
        assert "message_content" in text and "Message Content Intent" in text and "developer portal" in text
    dc.user_says(hall, f"{mention(dc)} for you", ann)
    await dc.until(lambda: bot.inbox.texts == ["for you"])


async def test_an_intent_that_must_be_is_waited_for(dc, make):
    dc.world.privileged = set()
    bot = make(message_content="on")
    await bot.channel.start()
    running = asyncio.create_task(bot.runs())
    await dc.until(lambda: "down" in bot.states)
    assert "Message Content Intent" in bot.health[0][1]
    dc.world.privileged = {"message_content"}
    await running
    assert max(bot.pauses) >= 600


@pytest.mark.parametrize("content, bit", [("off", 0), ("auto", 1), ("on", 1)])
async def test_no_more_intents_than_needed(dc, make, content, bit):
    await make(message_content=content).runs()
    (identify,) = dc.calls_of("gateway_identify")
    assert identify.params["intents"] == (1 << 0) | (1 << 9) | (1 << 12) | (bit << 15)


async def test_when_no_more_sessions_may_be_begun_we_wait(dc, make):
    dc.world.starts_left = 0
    bot = make()
    await bot.channel.start()
    running = asyncio.create_task(bot.runs())
    await dc.until(lambda: bot.pauses)
    assert (bot.pauses[0], dc.gateway.counts["identifies"]) == (86_400.0, 0)
    running.cancel()


async def test_a_gateway_of_our_choice_is_used(dc, make):
    bot = await make(gateway_url=dc.gateway_url).runs()
    assert bot.states == ["ok"]
    assert dc.calls_of("get_gateway_bot") == []


async def test_two_bots_on_two_servers_side_by_side(dc, make, ann, dm):
    async with FakeDiscord("b3RoZXI.x.another-token-of-the-tests") as other:
        one, two = await make().runs(), await make(other).runs()
        bo = other.add_user("bo")
        there = other.dm(bo)
        dc.user_says(dm, "here", ann)
        other.user_says(there, "there", bo)
        await dc.until(lambda: one.inbox.texts == ["here"] and two.inbox.texts == ["there"])
        await send(one, dm, "from one")
        await send(two, there, "from two")
        dc.gateway.drop(lose=True)
        other.gateway.drop(lose=True)
        await dc.until(lambda: dc.gateway.counts["identifies"] == other.gateway.counts["identifies"] == 2)
        assert (dc.texts(dm), other.texts(there)) == (["from one"], ["from two"])
        await two.stop()


# --- catching up ---------------------------------------------------------------------------------------


async def away(dc, make, bot, talk, **options):
    """What a bot takes in that comes back after *talk*, with the same database."""
    await bot.stop()
    talk()
    again = make(inbox=bot.inbox, **options)
    await again.runs()
    return again


async def test_what_was_said_meanwhile_is_taken_in_before_what_is_said_now(dc, make, bot, ann, dm, hall):
    thread = dc.add_thread(hall, user_id=ann)
    for place in (dm, hall, thread):
        dc.user_says(place, f"{mention(dc)} before", ann)
    await dc.until(lambda: len(bot.inbox.events) == 3)
    await send(bot, dm, "answer")

    def talk():
        for number in range(130):
            dc.user_says(hall, f"hall {number}", ann)
        dc.user_says(dm, "dm", ann)
        dc.user_says(thread, "thread", ann)

    await bot.stop()
    talk()
    dc.fault("get_messages", "delay", times=20, seconds=0.1)
    again = make(inbox=bot.inbox, catch_up_messages=1000)
    running = asyncio.create_task(again.runs())
    await dc.until(lambda: dc.calls_of("get_messages"))
    for place in (dm, hall, thread):
        dc.user_says(place, "now", ann)
    await running
    await dc.until(lambda: len(bot.inbox.events) == 3 + 132 + 3)
    by_place = {}
    for event in bot.inbox.events[3:]:
        by_place.setdefault(event.cursor[0], []).append(event.text)
    assert by_place[str(hall)] == [*(f"hall {number}" for number in range(130)), "now"]
    assert by_place[f"direct:{dm}"] == ["dm", "now"]
    assert by_place[str(thread)] == ["thread", "now"]
    threads = [event.place for event in bot.inbox.events if event.cursor[0] == str(thread)]
    assert {place.kind for place in threads} == {"thread"}


async def test_catching_up_has_a_limit_and_takes_the_newest(dc, make, bot, ann, hall):
    dc.user_says(hall, "before", ann)
    await dc.until(lambda: bot.inbox.events)
    robot = dc.add_user("robot", bot=True)

    def talk():
        for number in range(30):
            dc.user_says(hall, str(number), ann)
            dc.user_says(hall, "beep", robot)

    await away(dc, make, bot, talk, catch_up_messages=10)
    await dc.until(lambda: len(bot.inbox.events) == 11)
    assert bot.inbox.texts[1:] == [str(number) for number in range(20, 30)]


async def test_what_is_too_old_is_not_looked_for(dc, make, bot, ann, dm):
    dc.user_says(dm, "before", ann)
    await dc.until(lambda: bot.inbox.events)
    await bot.stop()
    dc.user_says(dm, "long ago", ann)
    again = make(inbox=bot.inbox, catch_up_minutes=60)
    again.ahead = 61 * MINUTE
    await again.runs()
    dc.user_says(dm, "now", ann)
    await dc.until(lambda: "now" in bot.inbox.texts)
    assert bot.inbox.texts == ["before", "now"]


@pytest.mark.parametrize("off", [{"catch_up_minutes": 0}, {"catch_up_messages": 0}])
async def test_catching_up_can_be_switched_off(dc, make, bot, ann, dm, off):
    dc.user_says(dm, "before", ann)
    await dc.until(lambda: bot.inbox.events)
    await away(dc, make, bot, lambda: dc.user_says(dm, "missed", ann), **off)
    dc.user_says(dm, "now", ann)
    await dc.until(lambda: "now" in bot.inbox.texts)
    assert bot.inbox.texts == ["before", "now"]


async def test_a_channel_that_did_not_move_is_not_read(dc, make, bot, ann, hall):
    dc.user_says(hall, "before", ann)
    await dc.until(lambda: bot.inbox.events)
    again = await away(dc, make, bot, lambda: None)
    dc.user_says(hall, "now", ann)
    await dc.until(lambda: "now" in again.inbox.texts)
    assert dc.calls_of("get_messages") == []


async def test_where_nobody_had_spoken_yet_what_was_said_meanwhile_is_taken_in(dc, make, bot, ann, hall):
    await dc.until(lambda: bot.inbox.noted)
    again = await away(dc, make, bot, lambda: dc.user_says(hall, f"{mention(dc)} while away", ann))
    await dc.until(lambda: again.inbox.texts == ["while away"])
    third = await away(dc, make, again, lambda: dc.user_says(hall, f"{mention(dc)} and again", ann))
    await dc.until(lambda: third.inbox.texts == ["while away", "and again"])


async def test_the_first_start_takes_in_nothing_old(dc, make, ann, hall):
    dc.user_says(hall, "before us", ann)
    bot = await make().runs()
    dc.user_says(hall, "now", ann)
    await dc.until(lambda: bot.inbox.texts)
    assert bot.inbox.texts == ["now"]
    assert dc.calls_of("get_messages") == []


async def test_a_history_that_fails_is_read_later_and_holds_only_its_own_channel(
    dc, make, bot, ann, dm, hall
):
    for place in (dm, hall):
        dc.user_says(place, f"before {place}", ann)
    await dc.until(lambda: len(bot.inbox.events) == 2)
    await bot.stop()
    dc.user_says(dm, "missed", ann)
    dc.flood("get_messages", dm, times=1, retry_after=100.0)
    again = await make(inbox=bot.inbox).runs()
    dc.user_says(dm, "dm now", ann)
    dc.user_says(hall, "hall now", ann)
    await dc.until(lambda: len(bot.inbox.events) == 5)
    assert [text for text in bot.inbox.texts[2:] if text != "hall now"] == ["missed", "dm now"]
    assert 100.0 in again.pauses


async def test_a_server_we_left_is_no_obstacle(dc, make, bot, ann, dm, hall):
    dc.user_says(hall, "before", ann)
    dc.user_says(dm, "before", ann)
    await dc.until(lambda: len(bot.inbox.events) == 2)

    def talk():
        dc.kick(dc.world.channels[hall].guild_id)
        dc.user_says(dm, "meanwhile", ann)

    await away(dc, make, bot, talk)
    await dc.until(lambda: "meanwhile" in bot.inbox.texts)


# --- secrets, and what it costs -------------------------------------------------------------------------


def test_an_empty_token_is_refused():
    with pytest.raises(ValueError, match="token"):
        Discord(token="  ", clock=lambda: 0)


async def test_the_token_is_in_no_error_and_no_log(dc, make, dm, ann, caplog):
    caplog.set_level(logging.DEBUG)
    bot = await make(token=SecretStr(TOKEN), commands=MENU).runs()
    await dc.until(lambda: dc.commands)
    dc.user_says(dm, "a secret word", ann)
    given = dc.user_commands("new", channel_id=dm, user_id=ann)
    await dc.until(lambda: dc.interactions[given].answer)
    echo = f"Bot {TOKEN} and {dc.interactions[given].token}"
    dc.fault("create_message", "error", status=400, code=50035, message=echo)
    dc.fault("create_message", "error", status=403, code=50001, message=echo)
    dc.fault("create_message", "lost")
    for _ in range(3):
        await failure(send(bot, dm))
    dc.fault("create_followup", "error", status=400, code=1, message=echo)
    press = bot.inbox.events[-1].press_id
    with pytest.raises(DeliveryError) as caught:
        await bot.channel.ack(press, "hello")
    assert dc.interactions[given].token not in str(caught.value)
    assert TOKEN not in repr(bot.channel) and TOKEN not in caplog.text
    assert "a secret word" not in caplog.text


def test_the_sdk_is_not_imported_before_it_is_used():
    script = """
import sys
from channels import load_channel
made = load_channel("discord")(token="x", clock=lambda: 0)
made.render("**hi** [a](https://b.example)")
assert "discord" not in sys.modules and "aiohttp" not in sys.modules, sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_clock_of_an_id_is_its_own():
    from channels.discord.snowflake import first_at, made_at

    moment = 1_760_000_000 * SECOND
    assert made_at(first_at(moment)) == moment
