"""Discord's files: what comes in, what is fetched, what goes out."""

import logging

import pytest

from channels.discord.files import Ref, files
from channels.discord.inbound import Manner, to_inbound
from channels.discord.words import Me
from gateway.errors import DeliveryError
from gateway.types.inbound import Kind
from gateway.types.measures import MINUTE
from gateway.types.outbound import Button, Chunk, File, MenuEntry
from tests.discord_bench import Bot, to
from tests.fakes.discord import TOKEN, FakeDiscord

PDF = File(name="report.pdf", type="application/pdf", media=1)
MENU = [MenuEntry(name="cost", description="Show the bill")]
ME = Me("1")


def message(**fields):
    author = {"id": "7", "username": "ann"}
    return {"id": "900", "channel_id": "50", "type": 0, "author": author, "content": ""} | fields


def attached(**fields):
    return {"id": "31", "filename": "a.bin", "size": 3, "url": "https://cdn.discordapp.com/x"} | fields


def read(data, name="MESSAGE_CREATE"):
    return to_inbound(name, data, Manner(ME), None)


# --- reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"content_type": "image/png"}, ("image", "image/png", None)),
        ({"content_type": "video/mp4"}, ("video", "video/mp4", None)),
        ({"content_type": "audio/mpeg", "duration_secs": 2.6}, ("audio", "audio/mpeg", 3)),
        ({"content_type": "application/pdf"}, ("file", "application/pdf", None)),
        ({}, ("file", "", None)),
        ({"content_type": 3, "duration_secs": "x"}, ("file", "", None)),
        ({"duration_secs": float("inf")}, ("file", "", None)),
    ],
)
def test_each_kind_of_file_is_described(fields, expected):
    (file,) = files(message(attachments=[attached(**fields)]))
    assert (file.kind, file.type, file.seconds) == expected
    assert (file.name, file.size) == ("a.bin", 3)
    assert Ref.read(file.ref) == Ref("50", "900", "31", "https://cdn.discordapp.com/x")


def test_a_voice_message_is_one():
    (file,) = files(message(flags=8192, attachments=[attached(content_type="audio/ogg", duration_secs=4)]))
    assert (file.kind, file.seconds) == ("voice", 4)


@pytest.mark.parametrize(
    "listed", [None, 3, [3], [{}], [attached(id="x")], [attached(id=3)], [attached(url=None)], {}]
)
def test_what_is_no_file_is_not_taken_for_one(listed):
    event = read(message(attachments=listed))
    assert (event.kind, event.files) == (Kind.MESSAGE, ())


@pytest.mark.parametrize(
    "ref", ["", "{}", "[]", "[1,2,3,4]", '["1","2","3"]', '["a","2","3","u"]', "[" * 5000, "null"]
)
def test_what_is_no_ref_is_not_taken_for_one(ref):
    assert Ref.read(ref) is None


def test_a_name_is_data_whatever_it_says():
    for name in ("../../etc/passwd", "a\u202egpj.exe", "x" * 5000, 'a"; rm -rf /'):
        assert files(message(attachments=[attached(filename=name)]))[0].name == name[:400]


def test_stickers_and_polls_are_told_in_a_line():
    poll = {
        "question": {"text": "Where?"},
        "answers": [{"poll_media": {"text": "A"}}, {"poll_media": {"text": "B\nC"}}],
    }
    assert (
        read(message(content="hi", sticker_items=[{"name": "Wave"}, {}])).text
        == "hi\n[sticker Wave]\n[sticker]"
    )
    assert read(message(poll=poll)).text == '[poll "Where?" A / B C]'
    assert read(message(poll={}, sticker_items=3)).text == '[poll "" ]'


def test_what_is_passed_on_or_asked_about_comes_with_its_files():
    source = {"content": "theirs", "attachments": [attached(id="32")]}
    where = {"type": 1, "channel_id": "51", "message_id": "800"}
    event = read(message(message_reference=where, message_snapshots=[{"message": source}]))
    assert event.text == "theirs"
    assert [Ref.read(file.ref) for file in event.files] == [
        Ref("50", "900", "32", "https://cdn.discordapp.com/x")
    ]
    asked = message(id="800", attachments=[attached(id="33")])
    event = read(
        message(type=19, content="what is this?", referenced_message=asked, attachments=[attached()])
    )
    assert [Ref.read(file.ref).attachment for file in event.files] == ["31", "33"]
    assert Ref.read(event.files[1].ref).message == "800"
    here = {"guild_id": "60"}
    event = read(message(type=19, content="what is this?", referenced_message=asked, **here))
    assert (event.addressed, event.files) == (False, ())


def test_other_files_in_a_message_are_an_edit():
    event = read(
        message(edited_timestamp="2026-01-01T00:00:00+00:00", attachments=[attached()]), "MESSAGE_UPDATE"
    )
    assert (event.kind, [file.name for file in event.files]) == (Kind.EDIT, ["a.bin"])


# --- with a server ---------------------------------------------------------------------------------------


@pytest.fixture
async def dc():
    async with FakeDiscord() as server:
        yield server
        assert server.errors == []


@pytest.fixture
async def make(dc):
    bots = []

    def made(**options):
        bots.append(Bot(dc, **options))
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
    return dc.add_channel(dc.add_guild(members=[ann]), "hall")


async def failure(work):
    with pytest.raises(DeliveryError) as caught:
        await work
    assert TOKEN not in str(caught.value) and "hm=" not in str(caught.value)
    return caught.value


async def got(bot, ref, most=1_000_000):
    pieces = []
    await bot.channel.fetch(ref, pieces.append, most=most)
    return b"".join(pieces)


async def heard(dc, bot, many=1):
    await dc.until(lambda: len(bot.inbox.events) >= many)
    return bot.inbox.events


async def test_what_people_send_can_be_fetched(dc, bot, ann, dm):
    dc.user_says(dm, "look", ann, attachments=[["Grüße & mehr.txt", b"notes" * 50_000], ["b.png", b"PNG"]])
    dc.user_sends_voice(dm, b"OggS" * 9, 2.6, ann)
    first, second = await heard(dc, bot, 2)
    text, picture = first.files
    assert (text.name, text.size, text.kind, picture.kind) == ("Grüße & mehr.txt", 250_000, "file", "image")
    assert await got(bot, text.ref) == b"notes" * 50_000
    (voice,) = second.files
    assert (voice.kind, voice.seconds, second.text) == ("voice", 3, "")
    assert await got(bot, voice.ref) == b"OggS" * 9


async def test_a_file_alone_is_a_message_where_we_are_meant_also_without_the_intent(dc, ann, dm, hall, make):
    dc.world.privileged.clear()
    bot = await make().runs()
    dc.user_says(dm, "", ann, attachments=["a.txt"])
    dc.user_says(hall, "", ann, attachments=["hidden.txt"])
    dc.user_says(hall, f"<@{dc.bot_id}>", ann, attachments=["b.txt"])
    await dc.until(lambda: len(bot.inbox.events) == 2)
    assert [(event.text, event.files[0].name) for event in bot.inbox.events] == [("", "a.txt"), ("", "b.txt")]


async def test_with_the_intent_a_file_in_a_server_is_overheard(dc, bot, ann, hall):
    dc.user_says(hall, "", ann, attachments=["a.txt"])
    (event,) = await heard(dc, bot)
    assert (event.addressed, event.files[0].name) == (False, "a.txt")


async def test_an_address_that_has_expired_is_asked_for_anew(dc, bot, ann, dm):
    dc.user_says(dm, "", ann, attachments=[["a.txt", b"once"]])
    said = dc.user_says(dm, "", ann, attachments=[["b.txt", b"passed on"]])
    dc.user_forwards(said, dm, ann)
    events = await heard(dc, bot, 3)
    dc.world.cdn.expire()
    assert await got(bot, events[0].files[0].ref) == b"once"
    assert await got(bot, events[2].files[0].ref) == b"passed on"
    assert [call.status for call in dc.calls_of("download")] == [404, 200, 404, 200]


async def test_what_is_there_no_longer_is_missing(dc, bot, ann, dm):
    said = dc.user_says(dm, "", ann, attachments=[["a.txt", b"once"]])
    (event,) = await heard(dc, bot)
    ref = event.files[0].ref
    dc.world.files.clear()
    assert (await failure(got(bot, ref))).kind == "missing"
    assert dc.counts["get_message"] == 1
    dc.user_deletes(said)
    assert (await failure(got(bot, ref))).kind == "missing"
    assert (await failure(got(bot, "who knows"))).kind == "missing"


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data/", "https://example.com/x", "http://10.0.0.1/", "file:///etc/passwd",
     "https://cdn.discordapp.com.evil.test/x", "https://user@cdn.discordapp.com/x", "https://cdn.discordapp.com:8443/x"],
)  # fmt: skip
async def test_nothing_is_fetched_from_elsewhere(dc, bot, dm, url):
    assert (await failure(got(bot, str(Ref(str(dm), "1", "1", url))))).kind == "missing"
    assert dc.counts["get_message"] == 0


async def test_what_is_larger_than_wanted_is_too_big(dc, bot, ann, dm):
    dc.user_says(dm, "", ann, attachments=[["a.txt", b"x" * 1001]])
    (event,) = await heard(dc, bot)
    assert (await failure(got(bot, event.files[0].ref, most=1000))).kind == "too_big"
    assert len(await got(bot, event.files[0].ref, most=1001)) == 1001


@pytest.mark.parametrize("status, kind", [(429, "flood"), (503, "server")])
async def test_a_fetch_that_goes_wrong_can_be_tried_again(dc, bot, ann, dm, status, kind):
    dc.user_says(dm, "", ann, attachments=[["a.txt", b"all of it"]])
    (event,) = await heard(dc, bot)
    dc.fault("download", "status", status=status)
    assert (await failure(got(bot, event.files[0].ref))).kind == kind
    assert await got(bot, event.files[0].ref) == b"all of it"


# --- sending ---------------------------------------------------------------------------------------------


async def send(bot, chat, text="", *, file=PDF, content=b"%PDF", nonce="n", tried=None, **more):
    chunk = Chunk(text=text, file=file, **more)
    return await bot.channel.send(to(chat), chunk, nonce=nonce, tried=tried, content=content)


def stored(dc, shown):
    return [(each["filename"], dc.world.files[int(each["id"])][1]) for each in shown.attachments]


async def test_a_file_is_sent_with_its_text_and_buttons(dc, bot, dm):
    file = File(name="../Grüße «2026».pdf", type="application/pdf", media=1)
    button = Button(label="Ok", token="t")
    sent = await send(bot, dm, "Here it is", file=file, content=b"%PDF" * 500_000, buttons=(button,))
    (shown,) = dc.messages(dm)
    assert (sent, shown.content) == (str(shown.id), "Here it is")
    assert stored(dc, shown) == [("Grüße «2026».pdf", b"%PDF" * 500_000)]
    assert shown.attachments[0]["content_type"] == "application/pdf"
    assert shown.components and shown.nonce == "n" and not dc.pings


async def test_a_file_needs_no_text_and_a_repeat_is_known(dc, bot, dm):
    dc.fault("create_message", "lost")
    assert (await failure(send(bot, dm))).kind == "lost"
    await send(bot, dm)
    (shown,) = dc.messages(dm)
    assert (shown.content, stored(dc, shown)) == ("", [("report.pdf", b"%PDF")])


async def test_what_discord_py_repeats_has_the_file_again(dc, bot, dm):
    dc.fault("create_message", "status", status=502)
    await send(bot, dm, content=b"x" * 2_000_000)
    (shown,) = dc.messages(dm)
    assert stored(dc, shown) == [("report.pdf", b"x" * 2_000_000)]


@pytest.mark.parametrize("nonces", [True, False])
async def test_after_the_nonce_window_a_file_is_known_in_the_history(dc, bot, ann, dm, nonces):
    begun = bot.channel._clock()
    await send(bot, dm, content=b"another", nonce="before")
    dc.fault("create_message", "lost")
    await failure(send(bot, dm))
    dc.world.nonce_window = 0.0
    if not nonces:
        for each in dc.messages(dm):
            each.nonce = None
    bot.ahead = 5 * MINUTE
    sent = await send(bot, dm, tried=begun)
    assert [each.id for each in dc.messages(dm)][1:] == [int(sent)]
    await send(bot, dm, content=b"never sent", nonce="other", tried=begun)
    await bot.channel.send(to(dm), Chunk(text="words"), nonce="third", tried=begun)
    assert len(dc.messages(dm)) == 4


async def test_what_is_too_big_is_told(dc, bot, dm):
    assert (await failure(send(bot, dm, content=bytes(10 * 1024 * 1024 + 1)))).kind == "too_big"
    assert len(dc.messages(dm)) == 0
    dc.fault("create_message", "error", status=413, message="")
    assert (await failure(send(bot, dm))).kind == "too_big"


async def test_where_no_files_are_allowed_words_still_are(dc, bot, hall):
    dc.deny(hall, "ATTACH_FILES")
    assert (await failure(send(bot, hall))).kind == "rejected"
    assert await bot.channel.send(to(hall), Chunk(text="words"), nonce="w")


async def test_a_command_is_answered_with_files(dc, make, ann, dm):
    bot = await make(commands=MENU).runs()
    await dc.until(lambda: dc.commands)
    given = dc.user_commands("cost", channel_id=dm, user_id=ann)
    (event,) = await heard(dc, bot)
    for number, content in enumerate((b"one", b"two")):
        chunk = bot.channel.answering(Chunk(text="", file=PDF), event.press_id, whisper=False)
        await bot.channel.send(to(dm), chunk, nonce=str(number), content=content)
    first, second = dc.messages(dm)
    assert [stored(dc, each) for each in (first, second)] == [
        [("report.pdf", b"one")], [("report.pdf", b"two")],
    ]  # fmt: skip
    assert dc.answers(given)[0].id == first.id


async def test_a_file_is_whispered(dc, make, ann, hall):
    bot = await make(commands=MENU).runs()
    await dc.until(lambda: dc.commands)
    dc.user_commands("cost", channel_id=hall, user_id=ann)
    (event,) = await heard(dc, bot)
    chunk = bot.channel.answering(Chunk(text="yours", file=PDF), event.press_id, whisper=True)
    await bot.channel.send(to(hall, kind="group"), chunk, nonce="n", content=b"x")
    (shown,) = dc.ephemeral(hall, ann)
    assert (shown.content, stored(dc, shown)) == ("yours", [("report.pdf", b"x")])
    assert dc.texts(hall) == []


async def test_one_whispered_file_does_not_take_the_place_of_another(dc, make, ann, hall):
    bot = await make(commands=MENU).runs()
    await dc.until(lambda: dc.commands)
    dc.user_commands("cost", channel_id=hall, user_id=ann)
    (event,) = await heard(dc, bot)
    for number, content in enumerate((b"one", b"two")):
        chunk = bot.channel.answering(Chunk(text="", file=PDF), event.press_id, whisper=True)
        await bot.channel.send(to(hall, kind="group"), chunk, nonce=str(number), content=content)
    assert [stored(dc, each)[0][1] for each in dc.ephemeral(hall, ann)] == [b"one", b"two"]


# --- seen equals stored --------------------------------------------------------------------------------


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [(each.getMessage(), each.fields) for each in caplog.records if hasattr(each, "fields")]


async def test_a_text_that_the_server_has_changed_is_put_right_once(dc, bot, dm, warnings):
    texts = iter([str.upper])
    dc.world.alter = lambda text: next(texts, str)(text)
    sent = await bot.channel.send(to(dm), Chunk(text="hello"), nonce="n")
    assert dc.texts(dm) == ["hello"] and dc.counts["edit_message"] == 1
    texts = iter([str.upper])
    await bot.channel.edit(to(dm), sent, Chunk(text="good bye"))
    assert dc.texts(dm) == ["good bye"] and dc.counts["edit_message"] == 3
    assert warnings() == []


async def test_what_the_server_changes_again_is_told_without_its_text(dc, bot, dm, warnings):
    dc.world.alter = str.upper
    sent = await bot.channel.send(to(dm), Chunk(text="hello"), nonce="n")
    told = ("delivery.altered", {"channel": "discord", "chat": str(dm), "message": sent})
    assert warnings() == [told] and dc.counts["edit_message"] == 1


async def test_an_answer_to_a_command_is_looked_at_too(dc, make, ann, dm, warnings):
    bot = await make(commands=MENU).runs()
    await dc.until(lambda: dc.commands)
    dc.user_commands("cost", channel_id=dm, user_id=ann)
    (event,) = await heard(dc, bot)
    chunks = [
        bot.channel.answering(Chunk(text=text), event.press_id, whisper=True) for text in ("one", "two")
    ]
    texts = iter([str.upper, str, str.upper])
    dc.world.alter = lambda text: next(texts, str)(text)
    for number, chunk in enumerate(chunks):
        await bot.channel.send(to(dm), chunk, nonce=str(number))
    shown = [each for each in dc.everything(dm) if not each.deleted]
    assert [each.content for each in shown if each.author.id == dc.bot_id][-1] == "two"
    assert warnings() == []
