"""Telegram's files: what comes in, what is fetched, what goes out."""

import asyncio
import logging
import time
from dataclasses import replace

import pytest

from channels.filenames import cleaned
from channels.telegram import Telegram
from channels.telegram.inbound import to_inbound
from gateway.errors import DeliveryError
from gateway.types.inbound import Attachment, Kind
from gateway.types.outbound import Button, Chunk, File
from gateway.types.places import Account, Address
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram_files import picture
from tests.inbox import Inbox

ANN, GROUP, BOT, NAME = 7001, -1001234567890, 42, "parley_bot"
DIRECT, ROOM = {"id": ANN, "type": "private"}, {"id": GROUP, "type": "supergroup"}
PDF = File(name="report.pdf", type="application/pdf", media=1)
NO_DOCUMENTS = "Bad Request: not enough rights to send documents to the chat"
PNG = File(name="chart.png", type="image/png", media=2)


def message(chat=DIRECT, **fields):
    sender = {"id": ANN, "is_bot": False, "first_name": "Ann"}
    return {"update_id": 9, "message": {"message_id": 5, "from": sender, "chat": chat, "date": 1} | fields}


def read(update):
    return to_inbound(update, bot_id=BOT, bot_username=NAME)


def sized(side, number):
    return {"file_id": f"p{number}", "file_unique_id": "u", "width": side, "height": 10, "file_size": side}


# --- reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sides, taken",
    [([90, 320, 1280], "p2"), ([90, 2560], "p1"), ([90, 1280, 4000], "p1"), ([4000, 5000], "p0"), ([1280, 90], "p0")],
)  # fmt: skip
def test_of_a_photo_the_largest_size_that_is_not_too_large_is_taken(sides, taken):
    event = read(message(photo=[sized(side, place) for place, side in enumerate(sides)]))
    (file,) = event.files
    assert (file.ref, file.kind, file.type, file.name) == (taken, "image", "image/jpeg", "")


@pytest.mark.parametrize(
    "field, facts, expected",
    [
        (
            "document",
            {"file_name": "n.txt", "mime_type": "text/plain", "file_size": 7},
            Attachment(kind="file", ref="F", name="n.txt", type="text/plain", size=7),
        ),
        (
            "document",
            {"mime_type": "image/png"},
            Attachment(kind="image", ref="F", type="image/png"),
        ),
        (
            "voice",
            {"mime_type": "audio/ogg", "duration": 4, "file_size": 9},
            Attachment(kind="voice", ref="F", type="audio/ogg", size=9, seconds=4),
        ),
        ("audio", {"duration": 200}, Attachment(kind="audio", ref="F", seconds=200)),
        ("video", {"duration": 0}, Attachment(kind="video", ref="F", seconds=0)),
        ("video_note", {"duration": 2}, Attachment(kind="video", ref="F", seconds=2)),
        ("animation", {}, Attachment(kind="video", ref="F")),
        ("document", {"file_size": "7", "file_name": 3, "duration": True}, Attachment(kind="file", ref="F")),
        ("document", {"file_size": -1}, Attachment(kind="file", ref="F")),
    ],
)
def test_each_kind_of_file_is_described(field, facts, expected):
    event = read(message(**{field: {"file_id": "F", "file_unique_id": "u"} | facts}))
    assert (event.files, event.text) == ((expected,), "")


def test_an_animation_is_one_file_though_it_comes_as_a_document_too():
    event = read(message(animation={"file_id": "A"}, document={"file_id": "D"}))
    assert [file.ref for file in event.files] == ["A"]


def test_a_live_photo_is_its_picture():
    event = read(message(live_photo={"file_id": "L", "photo": [sized(800, 1)]}))
    assert [(file.kind, file.ref) for file in event.files] == [("image", "p1")]


@pytest.mark.parametrize(
    "value", [None, 3, "x", [], [3], {}, {"file_id": 3}, [{"file_id": ""}], [{"width": "x"}]]
)
@pytest.mark.parametrize(
    "field", ["photo", "document", "voice", "live_photo", "sticker", "poll", "venue", "dice"]
)
def test_what_is_no_file_is_not_taken_for_one_and_not_silent(field, value):
    event = read(message(**{field: value}))
    assert (event.kind, event.files) == (Kind.MESSAGE, ())
    assert event.text.startswith(f"[{field.replace('_', ' ')}")


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"location": {"latitude": 52.52, "longitude": 13.405}}, "[location 52.52000, 13.40500]"),
        (
            {
                "venue": {
                    "title": "Café", "address": "Main St 1", "location": {"latitude": 1, "longitude": -2.5}
                },
                "location": {"latitude": 1, "longitude": -2.5},
            },
            "[venue Café, Main St 1, 1.00000, -2.50000]",
        ),
        (
            {"contact": {"first_name": "Ann", "last_name": "Lee", "phone_number": "+49 30 123456"}},
            "[contact Ann Lee, +49 30 123456]",
        ),
        (
            {"poll": {"question": "Question?", "options": [{"text": "A"}, {"text": "B\nC"}]}},
            '[poll "Question?" A / B C]',
        ),
        ({"sticker": {"file_id": "S", "emoji": "😀"}}, "[sticker 😀]"),
        ({"sticker": {"file_id": "S"}}, "[sticker]"),
        ({"dice": {"emoji": "🎲", "value": 4}}, "[dice 🎲 4]"),
        ({"game": {"title": "Chess"}}, "[game Chess]"),
        ({"checklist": {"title": "Buy", "tasks": [{"text": "milk"}]}}, '[checklist "Buy" milk]'),
        ({"story": {"id": 1}}, "[story]"),
        ({"paid_media": {}, "caption": "look"}, "look\n[paid media]"),
    ],
)  # fmt: skip
def test_what_is_no_file_is_told_in_a_line(fields, text):
    event = read(message(**fields))
    assert (event.text, event.files, event.addressed) == (text, (), True)


def test_a_name_is_data_whatever_it_says():
    for name in ("../../etc/passwd", "a\u202egpj.exe", "x" * 5000, 'a"; rm -rf /', "a\x00b"):
        (file,) = read(message(document={"file_id": "F", "file_name": name})).files
        assert file.name == name.replace("\x00", "\ufffd")[:400]


def test_what_is_asked_about_comes_behind_what_the_question_has():
    asked = {"message_id": 3, "chat": DIRECT, "date": 1, "photo": [sized(800, 7)]}
    event = read(message(text="what is this?", reply_to_message=asked))
    assert [file.ref for file in event.files] == ["p7"]
    event = read(message(document={"file_id": "D"}, caption="and this?", reply_to_message=asked))
    assert [file.ref for file in event.files] == ["D", "p7"]
    event = read(message(text="what is this?", external_reply={"document": {"file_id": "E"}}))
    assert [file.ref for file in event.files] == ["E"]


def test_in_a_group_only_who_asks_us_brings_what_is_asked_about():
    asked = {"message_id": 3, "chat": ROOM, "date": 1, "voice": {"file_id": "V"}}
    mention = [{"type": "mention", "offset": 0, "length": len(NAME) + 1}]
    ours = read(message(ROOM, text=f"@{NAME} what is this?", entities=mention, reply_to_message=asked))
    assert ([file.ref for file in ours.files], ours.addressed) == (["V"], True)
    theirs = read(message(ROOM, text="what is this?", reply_to_message=asked))
    assert (theirs.files, theirs.addressed) == ((), False)


def test_a_caption_that_mentions_us_is_for_us_with_its_file():
    mention = [{"type": "mention", "offset": 0, "length": len(NAME) + 1}]
    fields = {"caption": f"@{NAME} look", "caption_entities": mention, "photo": [sized(800, 1)]}
    event = read(message(ROOM, **fields))
    assert (event.text, event.addressed, len(event.files)) == ("look", True, 1)
    event = read(message(ROOM, photo=[sized(800, 1)]))
    assert (event.text, event.addressed, len(event.files)) == ("", False, 1)


def test_another_photo_in_a_message_is_an_edit_with_its_file():
    body = message(photo=[sized(800, 1)], caption="new", edit_date=5)["message"]
    event = read({"update_id": 10, "edited_message": body})
    assert (event.kind, event.text, [file.ref for file in event.files]) == (Kind.EDIT, "new", ["p1"])


# --- with a server ---------------------------------------------------------------------------------------


@pytest.fixture
async def tg():
    async with FakeTelegram(token=f"{BOT}:TEST-fake-token-of-the-tests", username=NAME) as server:
        server.add_chat(ANN, first_name="Ann")
        server.add_chat(GROUP, "supergroup", title="The group")
        yield server


@pytest.fixture
async def bot(tg):
    channel = Telegram(token=tg.token, api_url=tg.url, poll_seconds=5, clock=lambda: time.time_ns() // 1000)
    yield channel
    await channel.close()


@pytest.fixture
async def inbox(tg, bot):
    taken = Inbox()
    number, name = await bot.start()
    account = Account(id=1, channel="telegram", platform_id=number, name=name)
    task = asyncio.create_task(bot.run(account, taken))
    yield taken
    task.cancel()
    await asyncio.wait([task])


TO_ANN = Address(account=1, conversation=1, chat_id=str(ANN))


async def failure(work, tg):
    with pytest.raises(DeliveryError) as caught:
        await work
    assert tg.token not in str(caught.value)
    return caught.value


async def got(bot, ref, most=1_000_000):
    pieces = []
    await bot.fetch(ref, pieces.append, most=most)
    return b"".join(pieces)


async def test_what_people_send_can_be_fetched(tg, bot, inbox):
    photo = picture(1600, 900)
    tg.user_sends_photo(ANN, photo, "look")
    tg.user_sends_document(ANN, b"notes" * 50_000, "Grüße.txt")
    tg.user_sends_voice(ANN, b"OggS" + b"v" * 50, 7)
    await tg.until(lambda: len(inbox.events) == 3)
    first, second, third = inbox.events
    assert [first.text, second.text, third.text] == ["look", "", ""]
    assert await got(bot, first.files[0].ref) == photo
    assert (second.files[0].name, second.files[0].size) == ("Grüße.txt", 250_000)
    assert await got(bot, second.files[0].ref) == b"notes" * 50_000
    assert (third.files[0].kind, third.files[0].seconds) == ("voice", 7)


async def test_a_photo_that_is_larger_than_a_model_needs_comes_smaller(tg, bot, inbox):
    tg.user_sends_photo(ANN, picture(3000, 10))
    await tg.until(lambda: inbox.events)
    sizes = tg.updates[max(tg.updates)]["message"]["photo"]
    (file,) = inbox.events[0].files
    assert max(each["width"] for each in sizes if each["file_id"] == file.ref) <= 2560


async def test_an_album_whose_caption_is_for_us_is_for_us_from_there_on(tg, bot, inbox):
    said = {"user_id": ANN, "chat_type": "supergroup"}
    tg.user_sends_album(GROUP, [picture()] * 3, f"@{NAME} look", **said)
    tg.user_sends_album(GROUP, [picture()] * 3, f"@{NAME} look", at=1, **said)
    tg.user_sends_album(GROUP, [picture()] * 2, "look", **said)
    await tg.until(lambda: len(inbox.events) == 8)
    addressed = [event.addressed for event in inbox.events]
    assert addressed == [True, True, True, False, True, True, False, False]
    assert len({event.album for event in inbox.events}) == 3
    assert all(event.files for event in inbox.events)


async def test_what_is_larger_than_wanted_is_too_big(tg, bot):
    ref = tg.add_file(b"x" * 1001)
    assert (await failure(got(bot, ref, most=1000), tg)).kind == "too_big"
    assert tg.calls_of("downloadFile") == []
    assert len(await got(bot, ref, most=1001)) == 1001
    huge = tg.add_file(b"x" * (20 * 1024 * 1024 + 1))
    assert (await failure(got(bot, huge, most=10**9), tg)).kind == "too_big"


async def test_a_server_that_lies_about_the_size_is_stopped(tg, bot):
    ref = tg.add_file(b"x" * 300_000)
    tg.world.told_size = 10  # and the answer does not say any
    pieces = []
    error = await failure(bot.fetch(ref, pieces.append, most=1000), tg)
    assert error.kind == "too_big" and sum(map(len, pieces)) <= 1000


async def test_what_is_not_there_is_missing(tg, bot):
    assert (await failure(got(bot, "no such file"), tg)).kind == "missing"
    ref = tg.add_file(b"x")
    tg.fault("downloadFile", "error", status=404, description="Not Found")
    assert (await failure(got(bot, ref), tg)).kind == "missing"


@pytest.mark.parametrize(
    "path",
    ["/var/lib/telegram-bot-api/{token}/photos/1.jpg", "files/../../etc/passwd", "http://evil.test/x",
     "a\\b", "", "a\nb"],
)  # fmt: skip
async def test_a_path_that_leads_elsewhere_is_not_followed(tg, bot, path):
    ref = tg.add_file(b"x")
    tg.world.told_path = path.format(token=tg.token)
    error = await failure(got(bot, ref), tg)
    assert error.kind == "missing" and "404" not in str(error)  # by ourselves, not by the server


@pytest.mark.parametrize("kind, expected", [("drop", "lost"), ("status", "server"), ("flood", "flood")])
async def test_a_fetch_that_goes_wrong_can_be_tried_again(tg, bot, kind, expected):
    ref = tg.add_file(b"all of it")
    tg.fault("downloadFile", kind, times=2 if kind == "drop" else 1)  # a GET is repeated once by itself
    assert (await failure(got(bot, ref), tg)).kind == expected
    assert await got(bot, ref) == b"all of it"


async def test_a_document_is_sent_with_its_caption_and_buttons(tg, bot):
    (chunk,) = bot.render("The **report** is here")
    chunk = replace(
        chunk, file=replace(PDF, name="../Grüße «2026».pdf"), buttons=(Button(label="Ok", token="t"),)
    )
    sent = await bot.send(TO_ANN, chunk, nonce="n", content=b"%PDF" * 100)
    (shown,) = tg.messages(ANN)
    assert sent == str(shown.id)
    document = shown.extra["document"]
    assert document["file_name"] == "Grüße «2026».pdf" and document["mime_type"] == "application/pdf"
    assert tg.world.files[document["file_id"]][1] == b"%PDF" * 100
    assert shown.extra["caption"] == "The report is here"
    assert shown.extra["caption_entities"][0]["type"] == "bold"
    assert shown.reply_markup["inline_keyboard"][0][0]["callback_data"] == "t"


async def test_a_file_goes_into_its_topic_and_needs_no_caption(tg, bot):
    tg.add_thread(GROUP, 9)
    where = Address(account=1, conversation=1, chat_id=str(GROUP), thread_id="9", kind="group")
    await bot.send(where, Chunk(text="", file=PDF), nonce="n", content=b"x")
    (shown,) = tg.messages(GROUP)
    assert shown.thread_id == 9 and "caption" not in shown.extra


@pytest.mark.parametrize("type", ["image/png", "image/jpeg", "image/webp"])
async def test_a_picture_is_a_photo(tg, bot, type):
    content = picture(40, 30, type.split("/")[1].upper())
    await bot.send(TO_ANN, Chunk(text="", file=replace(PNG, type=type)), nonce="n", content=content)
    (shown,) = tg.messages(ANN)
    assert tg.world.files[shown.extra["photo"][0]["file_id"]][1] == content


@pytest.mark.parametrize(
    "file, content",
    [
        (PNG, picture(9000, 10)),  # too long for a photo
        (PNG, b"no picture at all"),
        (replace(PNG, type="image/gif"), picture(4, 4, "GIF")),
        (replace(PNG, type="image/svg+xml"), b"<svg/>"),
        (PNG, b"x" * 10_000_001),
    ],
)
async def test_what_is_no_photo_is_a_document(tg, bot, file, content):
    await bot.send(TO_ANN, Chunk(text="here", file=file), nonce="n", content=content)
    (shown,) = tg.messages(ANN)
    assert tg.world.files[shown.extra["document"]["file_id"]][1] == content
    assert shown.extra["caption"] == "here"


async def test_what_is_too_big_is_not_even_sent(tg, bot):
    big = bytes(50_000_001)
    assert (
        await failure(bot.send(TO_ANN, Chunk(text="", file=PDF), nonce="n", content=big), tg)
    ).kind == "too_big"
    assert tg.calls_of("sendDocument") == []
    tg.fault("sendDocument", "error", status=413, description="Request Entity Too Large")
    work = bot.send(TO_ANN, Chunk(text="", file=PDF), nonce="n", content=b"x")
    assert (await failure(work, tg)).kind == "too_big"


@pytest.mark.parametrize(
    "kind, more, expected",
    [
        ("lost", {}, "lost"),
        ("garbage", {"applied": True}, "lost"),
        ("status", {"status": 502}, "lost"),
        ("flood", {"retry_after": 7}, "flood"),
        ("error", {"status": 400, "description": "Bad Request: can't parse entities"}, "format"),
        ("error", {"status": 400, "description": "Bad Request: chat not found"}, "gone"),
        ("error", {"status": 403, "description": "Forbidden: bot was blocked by the user"}, "gone"),
        ("error", {"status": 400, "description": NO_DOCUMENTS}, "rejected"),
        ("error", {"status": 400, "description": "Bad Request: not enough rights to send text messages"}, "gone"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_is_told_as_for_texts(tg, bot, kind, more, expected):
    tg.fault("sendDocument", kind, **more)
    work = bot.send(TO_ANN, Chunk(text="", file=PDF), nonce="n", content=b"x")
    assert (await failure(work, tg)).kind == expected


@pytest.mark.parametrize(
    "name, sent",
    [
        ("report.pdf", "report.pdf"),
        ('a"; filename="b\r\nX: y.txt', "a_; filename=_bX_ y.txt".replace(";", "_")),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.txt", "a.txt"),
        ('a"b\r\nContent-Type: text/html.txt', "html.txt"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("日本語 Grüße.txt", "日本語 Grüße.txt"),
        ("x" * 300 + ".tar", "x" * 96 + ".tar"),
        ("x" * 300, "x" * 100),
        ("...", "file"),
        ("", "file"),
        ("a/", "file"),
        (" .hidden ", "hidden"),
        ("\ud800x", "\ufffdx"),
    ],
)
def test_a_name_is_cleaned_on_the_way_out(name, sent):
    assert cleaned(name) == sent


# --- seen equals stored --------------------------------------------------------------------------------


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [(each.getMessage(), each.fields) for each in caplog.records if hasattr(each, "fields")]


async def test_a_text_that_the_server_has_changed_is_put_right_once(tg, bot, warnings):
    texts = iter([lambda text: text.upper()])
    tg.world.alter = lambda text: next(texts, str)(text)
    sent = await bot.send(TO_ANN, Chunk(text="hello"), nonce="n")
    assert tg.texts(ANN) == ["hello"] and tg.counts["editMessageText"] == 1
    texts = iter([lambda text: text.upper()])
    await bot.edit(TO_ANN, sent, Chunk(text="good bye"))
    assert tg.texts(ANN) == ["good bye"] and tg.counts["editMessageText"] == 3
    assert warnings() == []


async def test_what_the_server_changes_again_is_told_without_its_text(tg, bot, warnings):
    tg.world.alter = str.upper
    sent = await bot.send(TO_ANN, Chunk(text="hello"), nonce="n")
    told = ("delivery.altered", {"channel": "telegram", "chat": str(ANN), "message": sent})
    assert warnings() == [told] and tg.counts["editMessageText"] == 1


async def test_blanks_at_the_ends_are_no_difference(tg, bot, warnings):
    await bot.send(TO_ANN, Chunk(text="  hello\n"), nonce="n")
    assert tg.counts["editMessageText"] == 0 and warnings() == []


# --- drafts ----------------------------------------------------------------------------------------------


async def test_a_draft_is_shown_and_a_server_without_them_is_not_asked_again(tg, warnings):
    bot = Telegram(token=tg.token, api_url=tg.url, delivery="draft", clock=lambda: 0)
    try:
        assert bot.can.draft and bot.limits.placing == "draft" and not Telegram.can.draft
        (chunk,) = bot.render("**so** far")
        await bot.draft(TO_ANN, 5, chunk)
        assert tg.drafts(ANN) == [(5, "so far")] and tg.messages(ANN) == []
        tg.fault("sendMessageDraft", "status")
        assert (await failure(bot.draft(TO_ANN, 5, chunk), tg)).kind == "server"
        assert bot.limits.placing == "draft"
        tg.world.unknown.add("sendMessageDraft")
        for _ in range(2):
            assert (await failure(bot.draft(TO_ANN, 5, chunk), tg)).kind == "rejected"
            assert (bot.limits.placing, bot.can.draft) == ("opening", False)
        assert [event for event, _ in warnings()] == ["telegram.no_drafts"]
    finally:
        await bot.close()
