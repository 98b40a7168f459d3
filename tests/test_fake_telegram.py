"""The fake Bot API server, driven by the stock python-telegram-bot client."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from telegram import (
    Bot,
    BotCommand,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReactionTypeEmoji,
    ReplyParameters,
)
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from tests.fakes.telegram import TOKEN, FakeTelegram
from tests.fakes.telegram_files import picture
from tests.fakes.telegram_text import Refusal, formatted, settled, trimmed, units

ANN = 7001
GROUP = -1001234567890
ROOT = Path(__file__).parent.parent


@pytest.fixture
async def tg():
    async with FakeTelegram() as server:
        server.add_chat(ANN, first_name="Ann")
        yield server


def client(server, token=TOKEN, **times):
    times = {"read_timeout": 2.0, "connect_timeout": 2.0, "pool_timeout": 2.0} | times
    return Bot(
        token,
        base_url=f"{server.url}/bot",
        base_file_url=f"{server.url}/file/bot",
        request=HTTPXRequest(**times),
        get_updates_request=HTTPXRequest(**times),
    )


@pytest.fixture
async def bot(tg):
    async with client(tg) as stock:
        yield stock


async def post(server, method, *, token=TOKEN, **how):
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/bot{token}/{method}", **how) as answer,
    ):
        return answer.status, await answer.json()


# --- requests and answers ---------------------------------------------------------------------------


async def test_the_bot_is_the_one_of_the_token(bot):
    assert bot.bot.id == 123456
    assert bot.bot.username == "parley_test_bot"


async def test_another_token_is_unauthorized(tg):
    stranger = client(tg, token="123456:other")
    with pytest.raises(InvalidToken):
        await stranger.initialize()
    await stranger.shutdown()
    assert await post(tg, "getMe", token="1:x") == (
        401,
        {"ok": False, "error_code": 401, "description": "Unauthorized"},
    )


async def test_an_unknown_method_is_not_found(tg):
    status, body = await post(tg, "sendTelepathy")
    assert (status, body["error_code"], body["description"][:9]) == (404, 404, "Not Found")


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"chat_id": ANN, "text": "hi"}},
        {"data": {"chat_id": str(ANN), "text": "hi"}},
        {"params": {"chat_id": str(ANN), "text": "hi"}},
    ],
    ids=["json", "form", "query"],
)
async def test_parameters_come_in_every_documented_way(tg, how):
    status, body = await post(tg, "SENDmessage", **how)
    assert (status, body["ok"], body["result"]["text"]) == (200, True, "hi")
    assert tg.calls[-1].method == "sendMessage"


async def test_parameters_come_as_multipart_too(tg):
    with aiohttp.MultipartWriter("form-data") as writer:
        for name, value in (("chat_id", str(ANN)), ("text", "hi")):
            writer.append(value).set_content_disposition("form-data", name=name)
    status, body = await post(tg, "sendMessage", data=writer)
    assert (status, body["result"]["text"]) == (200, "hi")


async def test_a_get_request_works(tg):
    async with aiohttp.ClientSession() as session, session.get(f"{tg.url}/bot{TOKEN}/getMe") as answer:
        assert (await answer.json())["result"]["id"] == 123456


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"chat_id": "\xff"}'])
async def test_a_body_that_is_no_json_object_is_refused(tg, body):
    status, answer = await post(tg, "sendMessage", data=body, headers={"content-type": "application/json"})
    assert (status, answer["ok"]) == (400, False)


# --- getUpdates -------------------------------------------------------------------------------------


async def test_updates_come_until_a_higher_offset_confirms_them(tg, bot):
    ids = [tg.user_says(ANN, text) for text in ("one", "two", "three")]
    assert ids == [ids[0], ids[0] + 1, ids[0] + 2]
    assert [update.message.text for update in await bot.get_updates()] == ["one", "two", "three"]
    assert len(await bot.get_updates(offset=ids[0])) == 3
    assert tg.confirmed is None
    assert [update.update_id for update in await bot.get_updates(offset=ids[1])] == ids[1:]
    assert [update.update_id for update in await bot.get_updates(offset=ids[0])] == ids[1:]
    assert (tg.confirmed, tg.pending) == (ids[0], 2)
    assert await bot.get_updates(offset=ids[2] + 1) == ()
    assert (tg.confirmed, tg.pending) == (ids[2], 0)


async def test_a_negative_offset_keeps_the_last_updates_only(tg, bot):
    for text in ("one", "two", "three"):
        tg.user_says(ANN, text)
    assert [update.message.text for update in await bot.get_updates(offset=-1)] == ["three"]
    assert [update.message.text for update in await bot.get_updates()] == ["three"]


async def test_a_batch_has_at_most_the_limit(tg, bot):
    for number in range(120):
        tg.user_says(ANN, str(number))
    assert len(await bot.get_updates(limit=7)) == 7
    assert len(await bot.get_updates()) == 100


async def test_a_long_poll_ends_with_the_first_update(tg, bot):
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await tg.until(lambda: tg.waiting)
    started = time.monotonic()
    tg.user_says(ANN, "hello")
    assert [update.message.text for update in await poll] == ["hello"]
    assert time.monotonic() - started < 1.0


async def test_a_long_poll_without_updates_ends_empty_after_its_time(tg, bot):
    started = time.monotonic()
    assert await bot.get_updates(timeout=1) == ()
    assert 0.9 < time.monotonic() - started < 2.5


async def test_a_second_poller_ends_the_first_with_a_conflict(tg, bot):
    first = asyncio.create_task(bot.get_updates(timeout=20))
    await tg.until(lambda: tg.waiting)
    assert await bot.get_updates() == ()
    with pytest.raises(Conflict, match="terminated by other getUpdates request"):
        await first


async def test_polling_conflicts_with_a_webhook(tg, bot):
    await bot.set_webhook("https://bot.example.org/hook", secret_token="s3cret")
    assert (await bot.get_webhook_info()).url == "https://bot.example.org/hook"
    with pytest.raises(Conflict, match="webhook is active"):
        await bot.get_updates()
    tg.user_says(ANN, "old")
    await bot.delete_webhook(drop_pending_updates=True)
    assert await bot.get_updates() == ()


async def receiver(handler):
    """A web server of a bot's; its url."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_updates_are_delivered_with_the_secret_until_they_are_answered_well(tg, bot):
    got, answers = [], [500, 302, 200]

    async def handler(request):
        got.append((request.path, request.headers["X-Telegram-Bot-Api-Secret-Token"], await request.json()))
        return web.Response(status=answers.pop(0) if answers else 204)

    runner, url = await receiver(handler)
    tg.courier.reach = {"https://bot.example.org": url}
    await bot.set_webhook(
        "https://bot.example.org/hook", secret_token="s3cret", max_connections=3, allowed_updates=["message"]
    )
    first = tg.user_says(ANN, "one")
    await tg.until(lambda: got)
    info = await bot.get_webhook_info()
    assert (info.pending_update_count, info.max_connections, info.allowed_updates) == (1, 3, ("message",))
    await tg.until(lambda: tg.confirmed == first)
    second = tg.user_says(ANN, "two")
    await tg.until(lambda: tg.confirmed == second)
    assert [(path, secret, body["update_id"]) for path, secret, body in got] == [
        ("/hook", "s3cret", first)
    ] * 3 + [("/hook", "s3cret", second)]
    info = await bot.get_webhook_info()
    assert (info.pending_update_count, info.last_error_message) == (
        0,
        "Wrong response from the webhook: 302 Found",
    )
    await runner.cleanup()


async def test_each_chats_updates_are_delivered_in_order_and_one_chat_does_not_wait_for_another(tg, bot):
    got, stuck = [], asyncio.Event()

    async def handler(request):
        update = await request.json()
        if update["message"]["chat"]["id"] == ANN:
            await stuck.wait()
        got.append(update["message"]["text"])
        return web.Response()

    runner, url = await receiver(handler)
    tg.courier.reach = {"https://bot.example.org": url}
    for number in range(3):
        tg.user_says(ANN, f"a{number}")
        tg.user_says(8, f"b{number}")
    await bot.set_webhook("https://bot.example.org/hook")
    await tg.until(lambda: "b0" in got)
    stuck.set()
    await tg.until(lambda: tg.pending == 0)
    assert [text for text in got if text[0] == "a"] == ["a0", "a1", "a2"]
    assert [text for text in got if text[0] == "b"] == ["b0", "b1", "b2"]
    await runner.cleanup()


async def test_a_webhook_must_be_https_but_for_a_server_of_ones_own(tg, bot):
    with pytest.raises(BadRequest, match=r"(?i)https url must be provided"):
        await bot.set_webhook("http://127.0.0.1/hook")
    tg.world.local = True
    assert await bot.set_webhook("http://127.0.0.1:1/hook")
    with pytest.raises(BadRequest, match="unallowed characters"):
        await bot.set_webhook("https://bot.example.org/hook", secret_token="two words")


async def test_members_of_a_group_are_told_by_their_status(tg, bot):
    tg.add_chat(GROUP, "supergroup", members={5: "creator", 6: "left"})
    async with aiohttp.ClientSession() as session:
        url = f"{tg.url}/bot{TOKEN}/getChatMember"
        async with session.get(url, params={"chat_id": GROUP, "user_id": 5}) as answer:
            assert (await answer.json())["result"]["status"] == "creator"
        async with session.get(url, params={"chat_id": GROUP, "user_id": 7}) as answer:
            assert (answer.status, (await answer.json())["description"]) == (
                400,
                "Bad Request: user not found",
            )


async def test_a_group_that_moves_says_so_in_both_chats(tg, bot):
    tg.add_chat(-55, "group")
    tg.migrate(-55, GROUP)
    tg.announce_migration(-55, ANN)
    there, here = [update.message for update in await bot.get_updates()]
    assert (there.chat.id, there.migrate_to_chat_id) == (-55, GROUP)
    assert (here.chat.id, here.migrate_from_chat_id) == (GROUP, -55)


async def test_a_bot_that_is_put_out_of_a_group_is_told_and_can_write_no_more(tg, bot):
    tg.add_chat(GROUP, "supergroup")
    tg.membership(GROUP, "kicked", ANN)
    (update,) = await bot.get_updates()
    assert update.my_chat_member.new_chat_member.status == "kicked"
    with pytest.raises(Forbidden):
        await bot.send_message(GROUP, "hi")


async def test_a_closed_topic_and_a_muted_bot_are_refused(tg, bot):
    tg.add_chat(GROUP, "supergroup", threads=[7], closed={7})
    with pytest.raises(BadRequest, match=r"(?i)topic_closed"):
        await bot.send_message(GROUP, "hi", message_thread_id=7)
    tg.world.chats[GROUP].mute = "not enough rights to send text messages to the chat"
    with pytest.raises(BadRequest, match=r"(?i)not enough rights"):
        await bot.send_message(GROUP, "hi")


async def test_only_asked_for_kinds_of_updates_come_and_the_wish_is_remembered(tg, bot):
    message = await bot.send_message(ANN, "hi")
    assert tg.user_reacts(ANN, message.id, "👍") is None
    await bot.get_updates(allowed_updates=["message_reaction"])
    assert tg.user_says(ANN, "not asked for") is None
    await bot.get_updates()
    assert tg.user_reacts(ANN, message.id, "👍") is not None
    assert (await bot.get_updates())[0].message_reaction.new_reaction[0].emoji == "👍"


async def test_broken_and_unknown_updates_are_delivered_as_they_are(tg):
    first = tg.push_raw({"telepathy": {"thought": 1}})
    tg.push_raw({"update_id": first, "message": {"date": "never"}})
    tg.push_raw("not even an object")
    _, body = await post(tg, "getUpdates")
    assert body["result"] == [
        {"telepathy": {"thought": 1}, "update_id": first},
        {"update_id": first, "message": {"date": "never"}},
        "not even an object",
    ]
    _, body = await post(tg, "getUpdates", json={"offset": first + 1})
    assert body["result"] == ["not even an object"]


async def test_update_ids_may_begin_anew_below_the_old_ones(tg):
    old = tg.user_says(ANN, "old")
    tg.restart_update_ids(500)
    assert tg.user_says(ANN, "new") == 500
    _, body = await post(tg, "getUpdates", json={"offset": 500})
    assert [update["update_id"] for update in body["result"]] == [500, old]


async def test_a_message_arrives_with_its_person_chat_topic_and_command(tg, bot):
    tg.user_says(GROUP, "/new@parley_test_bot 🏟 @ann_x", 42, "ann_x", thread_id=9, chat_type="supergroup")
    (update,) = await bot.get_updates()
    message = update.message
    assert (message.from_user.id, message.from_user.username, message.chat.type) == (
        42,
        "ann_x",
        "supergroup",
    )
    assert (message.message_thread_id, message.is_topic_message, message.chat.is_forum) == (9, True, True)
    assert message.parse_entities() == dict(
        zip(message.entities, ["/new@parley_test_bot", "@ann_x"], strict=True)
    )
    assert message.entities[0].type == "bot_command"


async def test_a_person_replies_edits_and_presses(tg, bot):
    sent = await bot.send_message(
        ANN, "sure?", reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="y:1")]])
    )
    said = tg.user_says(ANN, "hm", reply_to=sent.id)
    tg.user_edits(ANN, tg.message_id_of(said), "hm!")
    pressed = tg.user_presses(ANN, sent.id, "y:1")
    reply, edit, press = await bot.get_updates()
    assert reply.message.reply_to_message.text == "sure?"
    assert (edit.edited_message.text, edit.edited_message.message_id) == ("hm!", reply.message.message_id)
    assert (press.callback_query.data, press.callback_query.message.message_id) == ("y:1", sent.id)
    assert tg.callback_answer(pressed) is None
    await press.callback_query.answer("done")
    assert tg.callback_answer(pressed)["text"] == "done"
    with pytest.raises(BadRequest, match=r"(?i)query ID is invalid"):
        await bot.answer_callback_query("999")
    with pytest.raises(LookupError):
        tg.user_presses(ANN, sent.id, "n:1")
    assert tg.user_presses(ANN, sent.id, "n:1", forged=True) is not None


# --- sending ----------------------------------------------------------------------------------------


async def test_a_message_is_kept_with_its_text_entities_and_keyboard(tg, bot):
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Go", url="https://example.org")]])
    sent = await bot.send_message(
        ANN,
        "  🏟 bold  ",
        entities=[MessageEntity("bold", 5, 4)],
        reply_markup=keyboard,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )
    assert (sent.text, sent.entities[0].offset, sent.parse_entity(sent.entities[0])) == ("🏟 bold", 3, "bold")
    (kept,) = tg.messages(ANN)
    assert (kept.id, kept.text, kept.edits, kept.history) == (sent.id, "🏟 bold", 0, ["🏟 bold"])
    assert kept.entities == [{"type": "bold", "offset": 3, "length": 4}]
    assert kept.reply_markup == keyboard.to_dict()
    assert kept.link_preview_options == {"is_disabled": True}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"text": ""}, "[Mm]essage text is empty"),
        ({"text": " \n\u200b "}, "[Tt]ext must be non-empty"),
        ({"text": "x" * 4097}, "[Mm]essage is too long"),
        ({"text": "🏟" * 2049}, "[Mm]essage is too long"),
        ({"text": "x", "chat_id": 5}, "[Cc]hat not found"),
        ({"text": "x", "message_thread_id": 3}, "[Mm]essage thread not found"),
        ({"text": "x", "reply_parameters": ReplyParameters(99)}, "[Mm]essage to be replied not found"),
        ({"text": "<b>x", "parse_mode": "HTML"}, "[Cc]an't parse entities"),
        ({"text": "a.b", "parse_mode": "MarkdownV2"}, "is reserved and must be escaped"),
        ({"text": "x", "parse_mode": "Klingon"}, "[Uu]nsupported parse_mode"),
    ],
)
async def test_a_wrong_message_is_refused_and_leaves_no_trace(tg, bot, arguments, reason):
    with pytest.raises(BadRequest, match=reason):
        await bot.send_message(**({"chat_id": ANN} | arguments))
    assert tg.messages(ANN) == []


@pytest.mark.parametrize("text", ["x" * 4096, "🏟" * 2048, " " * 50 + "x" * 4096, "<b>" + "x" * 4096 + "</b>"])
async def test_the_limit_counts_what_is_left_after_parsing(tg, bot, text):
    await bot.send_message(ANN, text, parse_mode="HTML")
    assert units(tg.messages(ANN)[0].text) == 4096


async def test_a_reply_may_do_without_its_message_if_it_says_so(tg, bot):
    said = tg.message_id_of(tg.user_says(ANN, "hi"))
    sent = await bot.send_message(ANN, "x", reply_parameters=ReplyParameters(said))
    assert sent.reply_to_message.text == "hi"
    sent = await bot.send_message(
        ANN, "x", reply_parameters=ReplyParameters(99, allow_sending_without_reply=True)
    )
    assert sent.reply_to_message is None


@pytest.mark.parametrize(
    ("button", "reason"),
    [
        ({"text": "a", "callback_data": "x" * 65}, "BUTTON_DATA_INVALID"),
        ({"text": "a", "callback_data": "é" * 33}, "BUTTON_DATA_INVALID"),
        ({"text": "a", "callback_data": ""}, "BUTTON_DATA_INVALID"),
        ({"text": "a"}, "Text buttons are unallowed"),
        ({"text": "a", "url": "nowhere"}, "Wrong HTTP URL"),
    ],
)
async def test_a_wrong_button_is_refused(tg, button, reason):
    body = {"chat_id": ANN, "text": "x", "reply_markup": {"inline_keyboard": [[button]]}}
    status, answer = await post(tg, "sendMessage", json=body)
    assert status == 400
    assert reason in answer["description"]
    assert tg.messages(ANN) == []


async def test_a_topic_takes_messages_once_it_exists(tg, bot):
    tg.add_chat(GROUP, "supergroup", threads=[4])
    sent = await bot.send_message(GROUP, "x", message_thread_id=4)
    assert (sent.message_thread_id, sent.id) == (4, 1)


async def test_a_person_who_blocked_the_bot_gets_nothing(tg, bot):
    tg.block(ANN)
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(ANN, "x")
    tg.unblock(ANN)
    await bot.send_message(ANN, "x")


async def test_a_group_that_became_a_supergroup_says_where_it_went(tg, bot):
    tg.add_chat(-5, "group")
    tg.migrate(-5, GROUP)
    with pytest.raises(ChatMigrated) as caught:
        await bot.send_message(-5, "x")
    assert caught.value.new_chat_id == GROUP
    await bot.send_message(GROUP, "x")


async def test_text_is_edited_but_not_into_itself(tg, bot):
    sent = await bot.send_message(ANN, "one", entities=[MessageEntity("bold", 0, 3)])
    edited = await bot.edit_message_text("two", ANN, sent.id)
    assert (edited.text, edited.edit_date is None, edited.entities) == ("two", False, ())
    with pytest.raises(BadRequest, match=r"[Mm]essage is not modified"):
        await bot.edit_message_text(" two ", ANN, sent.id)
    (kept,) = tg.messages(ANN)
    assert (kept.edits, kept.history) == (1, ["one", "two"])


async def test_an_edit_without_a_keyboard_takes_it_away(tg, bot):
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="y")]])
    sent = await bot.send_message(ANN, "one", reply_markup=keyboard)
    await bot.edit_message_text("one", ANN, sent.id)
    assert tg.messages(ANN)[0].reply_markup is None
    await bot.edit_message_reply_markup(ANN, sent.id, reply_markup=keyboard)
    assert tg.messages(ANN)[0].reply_markup == keyboard.to_dict()
    with pytest.raises(BadRequest, match="not modified"):
        await bot.edit_message_reply_markup(ANN, sent.id, reply_markup=keyboard)


async def test_what_is_not_there_or_not_the_bots_cannot_be_edited(tg, bot):
    said = tg.message_id_of(tg.user_says(ANN, "mine"))
    with pytest.raises(BadRequest, match="can't be edited"):
        await bot.edit_message_text("x", ANN, said)
    with pytest.raises(BadRequest, match=r"[Mm]essage to edit not found"):
        await bot.edit_message_text("x", ANN, 99)
    sent = await bot.send_message(ANN, "gone soon")
    await bot.delete_message(ANN, sent.id)
    with pytest.raises(BadRequest, match=r"[Mm]essage to edit not found"):
        await bot.edit_message_text("x", ANN, sent.id)
    with pytest.raises(BadRequest, match=r"[Mm]essage to delete not found"):
        await bot.delete_message(ANN, sent.id)
    assert tg.messages(ANN) == []
    assert [message.text for message in tg.everything(ANN)] == ["mine", "gone soon"]


async def test_typing_drafts_reactions_and_commands_are_seen(tg, bot):
    said = tg.message_id_of(tg.user_says(ANN, "hi"))
    await bot.send_chat_action(ANN, "typing")
    assert len(tg.typing(ANN)) == 1
    with pytest.raises(BadRequest, match=r"[Ww]rong parameter action"):
        await bot.send_chat_action(ANN, "juggling")
    await bot.send_message_draft(ANN, 5, "so f")
    await bot.send_message_draft(ANN, 5, "so far")
    assert tg.drafts(ANN) == [(5, "so f"), (5, "so far")]
    assert tg.messages(ANN) == []
    tg.add_chat(GROUP, "supergroup")
    with pytest.raises(BadRequest, match=r"(?i)TEXTDRAFT_PEER_INVALID"):
        await bot.send_message_draft(GROUP, 5, "x")
    await bot.set_message_reaction(ANN, said, ReactionTypeEmoji("👀"))
    assert tg.everything(ANN)[0].reactions == [{"type": "emoji", "emoji": "👀"}]
    with pytest.raises(BadRequest, match=r"(?i)REACTION_INVALID"):
        await bot.set_message_reaction(ANN, said, ReactionTypeEmoji("🥒"))
    await bot.set_my_commands([BotCommand("new", "Start anew")])
    assert [command.command for command in await bot.get_my_commands()] == ["new"]
    with pytest.raises(BadRequest, match=r"(?i)BOT_COMMAND_INVALID"):
        await bot.set_my_commands([BotCommand("New!", "Start anew")])
    await bot.delete_my_commands()
    assert await bot.get_my_commands() == ()
    assert (await bot.get_chat(ANN)).first_name == "Ann"


async def test_files_go_both_ways(tg, bot):
    sent = await bot.send_document(
        ANN, b"a,b\n", filename="t.csv", caption="a *table*", parse_mode="MarkdownV2"
    )
    assert (sent.document.file_name, sent.caption, sent.caption_entities[0].type) == (
        "t.csv",
        "a table",
        "bold",
    )
    tg.user_says(ANN, None, document={"file_id": tg.add_file(b"notes", "n.txt"), "file_unique_id": "u"})
    (update,) = await bot.get_updates()
    file = await bot.get_file(update.message.document.file_id)
    assert bytes(await file.download_as_bytearray()) == b"notes"
    with pytest.raises(BadRequest, match=r"[Ww]rong file"):
        await bot.get_file("nope")


async def test_a_photo_comes_in_sizes_and_a_picture_of_any_other_shape_is_refused(tg, bot):
    tg.user_sends_photo(ANN, picture(1600, 900), "look")
    (update,) = await bot.get_updates()
    sizes = update.message.photo
    assert [(each.width, each.height) for each in sizes] == [
        (90, 51), (320, 180), (800, 450), (1280, 720), (1600, 900),
    ]  # fmt: skip
    assert len({each.file_unique_id for each in sizes}) == 5 and update.message.caption == "look"
    assert (await bot.send_photo(ANN, picture(40, 30))).photo
    for content, said in ((picture(9999, 20), "PHOTO_INVALID"), (b"no picture", "IMAGE_PROCESS_FAILED")):
        with pytest.raises(BadRequest, match=f"(?i){said}"):
            await bot.send_photo(ANN, content)


# --- entities ---------------------------------------------------------------------------------------


def entity(kind, offset, length, **details):
    return {"type": kind, "offset": offset, "length": length, **details}


def stored(text, entities=None, parse_mode=None):
    bare, found, unchecked = formatted(text, parse_mode, entities)
    return settled(bare, found, unchecked=unchecked)


@pytest.mark.parametrize(
    "entities",
    [
        [entity("bold", 0, 7)],
        [entity("bold", -1, 2)],
        [entity("bold", 0, 0)],
        [entity("bold", 1, 2)],
        [entity("bold", 0, 1)],
        [entity("bold", 0, 4), entity("italic", 2, 4)],
        [entity("bold", 0, 6), entity("code", 2, 2)],
        [entity("pre", 0, 6), entity("italic", 2, 2)],
        [entity("blockquote", 0, 6), entity("expandable_blockquote", 2, 2)],
        [entity("text_link", 0, 2, url="localhost")],
        [entity("text_link", 0, 2)],
        [entity("glitter", 0, 2)],
        [{"type": "bold"}],
        ["bold"],
    ],
)
def test_a_broken_entity_is_refused(entities):
    with pytest.raises(Refusal) as caught:
        stored("🏟abcd", entities)
    assert caught.value.code == 400


def test_entities_nest_in_order_and_detected_ones_are_left_to_the_server():
    entities = [
        entity("italic", 2, 2),
        entity("bold", 0, 6),
        entity("text_link", 2, 2, url="https://a.org/x"),
        entity("url", 0, 1),
        entity("pre", 7, 2, language="py"),
        entity("blockquote", 7, 2),
    ]
    _, kept = stored("abcdef gh", entities)
    assert [each["type"] for each in kept] == ["bold", "italic", "text_link", "blockquote", "pre"]


def test_the_first_hundred_entities_are_kept():
    _, kept = stored("x " * 120, [entity("bold", 2 * place, 1) for place in range(120)])
    assert len(kept) == 100
    assert kept[-1]["offset"] == 198


def test_trimming_moves_entities_and_drops_those_of_white_space():
    entities = [entity("bold", 0, 2), entity("italic", 1, 3), entity("code", 6, 2)]
    assert trimmed("  ab c  ", entities) == ("ab c", [entity("italic", 0, 2)])


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("<b>a<i>b</i></b> &lt;&amp;&#128512;", "ab <&😀", [entity("bold", 0, 2), entity("italic", 1, 1)]),
        ('<a href="https://a.org">x</a>', "x", [entity("text_link", 0, 1, url="https://a.org")]),
        ('<pre><code class="language-py">x=1</code></pre>', "x=1", [entity("pre", 0, 3, language="py")]),
        ("😀<code>x</code>", "😀x", [entity("code", 2, 1)]),
        ("<blockquote expandable>q</blockquote>", "q", [entity("expandable_blockquote", 0, 1)]),
        ('<span class="tg-spoiler">q</span> & <u></u>x', "q & x", [entity("spoiler", 0, 1)]),
    ],
)
def test_html_is_read(source, text, entities):
    assert stored(source, parse_mode="HTML") == (text, entities)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("🏟 🏟&lt;<abac>", 'Unsupported start tag "abac" at byte offset 13'),
        ("a < b", "Unclosed start tag at byte offset 2"),
        ("a <> b", 'Unsupported start tag "" at byte offset 2'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_broken_html_is_refused_with_the_place(source, reason):
    with pytest.raises(Refusal) as caught:
        stored(source, parse_mode="HTML")
    assert caught.value.description == f"Bad Request: can't parse entities: {reason}"


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("*a _b_*", "a b", [entity("bold", 0, 3), entity("italic", 2, 1)]),
        ("__u__ ~s~ ||p||", "u s p", [
            entity("underline", 0, 1), entity("strikethrough", 2, 1), entity("spoiler", 4, 1)]),
        ("```py\nx=1\n```", "x=1", [entity("pre", 0, 3, language="py")]),
        (r"`a\`b` 1\.5", "a`b 1.5", [entity("code", 0, 3)]),
        (r"[x](https://a.org/\))", "x", [entity("text_link", 0, 1, url="https://a.org/)")]),
        (">one\n>two\nthree", "one\ntwo\nthree", [entity("blockquote", 0, 8)]),
    ],
)  # fmt: skip
def test_markdown_v2_is_read(source, text, entities):
    assert stored(source, parse_mode="MarkdownV2") == (text, entities)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1.0", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("a-b", "Character '-' is reserved and must be escaped with the preceding '\\'"),
        ("🏟 🏟_abacaba", "Can't find end of Italic entity at byte offset 9"),
        ("🏟 🏟_abac * asd ", "Can't find end of Bold entity at byte offset 15"),
        ("🏟 🏟`", "Can't find end of Code entity at byte offset 9"),
        ("🏟 🏟```a", "Can't find end of Pre entity at byte offset 9"),
    ],
)
def test_broken_markdown_v2_is_refused_with_the_place(source, reason):
    with pytest.raises(Refusal) as caught:
        stored(source, parse_mode="MarkdownV2")
    assert caught.value.description == f"Bad Request: can't parse entities: {reason}"


# --- floods -----------------------------------------------------------------------------------------


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def strict():
    clock = Clock()
    async with FakeTelegram(limits="documented", clock=clock) as server:
        server.clock = clock
        yield server


async def send(server, chat_id, text="x"):
    status, body = await post(server, "sendMessage", json={"chat_id": chat_id, "text": text})
    return status, body.get("parameters", {}).get("retry_after")


async def test_a_chat_takes_a_short_burst_then_one_a_second(strict):
    strict.add_chat(ANN)
    assert [(await send(strict, ANN))[0] for _ in range(3)] == [200, 200, 200]
    assert await send(strict, ANN) == (429, 3)
    assert strict.penalty_calls == 0
    strict.clock.now += 3.5
    assert [(await send(strict, ANN))[0] for _ in range(3)] == [200, 200, 200]
    for _ in range(5):
        strict.clock.now += 1.0
        assert (await send(strict, ANN))[0] == 200


async def test_a_call_during_the_penalty_is_counted_and_makes_it_longer(strict):
    strict.add_chat(ANN)
    for _ in range(4):
        await send(strict, ANN)
    strict.clock.now += 1.0
    assert await send(strict, ANN) == (429, 3)
    assert await send(strict, ANN) == (429, 4)
    assert strict.penalty_calls == 2
    strict.clock.now += 4.5
    assert await send(strict, ANN) == (200, None)
    assert strict.penalty_calls == 2


async def test_a_group_takes_twenty_a_minute(strict):
    strict.add_chat(GROUP, "supergroup")
    for _ in range(20):
        strict.clock.now += 0.5
        assert await send(strict, GROUP) == (200, None)
    assert await send(strict, GROUP) == (429, 51)


async def test_all_chats_together_take_thirty_a_second(strict):
    for chat_id in range(1, 32):
        strict.add_chat(chat_id)
    assert {(await send(strict, chat_id))[0] for chat_id in range(1, 31)} == {200}
    assert await send(strict, 31) == (429, 1)
    strict.clock.now += 1.0
    assert await send(strict, 31) == (200, None)


async def test_a_scripted_flood_is_over_after_its_calls(tg, bot, monkeypatch):
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    tg.add_chat(8)
    tg.flood("sendMessage", ANN, times=2, retry_after=7)
    for _ in range(2):
        with pytest.raises(RetryAfter) as caught:
            await bot.send_message(ANN, "x")
        assert caught.value.retry_after.total_seconds() == 7
    assert tg.penalty_calls == 1
    await bot.send_message(8, "another chat")
    await bot.send_message(ANN, "x")
    assert tg.penalty_calls == 2


# --- faults -----------------------------------------------------------------------------------------


async def test_a_gateway_error_has_an_html_page_and_no_effect(tg, bot):
    tg.fault("sendMessage", "status", status=502)
    with pytest.raises(NetworkError):
        await bot.send_message(ANN, "x")
    assert (tg.messages(ANN), tg.calls[-1].status, tg.calls[-1].fault) == ([], 502, "status")
    await bot.send_message(ANN, "x")


async def test_a_dropped_call_has_no_effect(tg, bot):
    tg.fault("sendMessage", "drop")
    with pytest.raises(NetworkError):
        await bot.send_message(ANN, "x")
    assert (tg.messages(ANN), tg.calls[-1].status) == ([], 0)


async def test_a_lost_answer_has_its_effect(tg, bot):
    tg.fault("sendMessage", "lost", chat_id=ANN)
    with pytest.raises(NetworkError):
        await bot.send_message(ANN, "x")
    assert (tg.texts(ANN), tg.calls[-1].status) == (["x"], 0)


@pytest.mark.parametrize("applied", [False, True])
async def test_a_half_open_connection_never_answers(tg, applied):
    tg.fault("sendMessage", "hang", applied=applied)
    async with client(tg, read_timeout=0.2) as bot:
        with pytest.raises(TimedOut):
            await bot.send_message(ANN, "x")
    assert tg.texts(ANN) == (["x"] if applied else [])


async def test_a_delayed_answer_has_its_effect_at_once(tg, bot):
    tg.fault("sendMessage", "delay", seconds=0.3)
    started = time.monotonic()
    sending = asyncio.create_task(bot.send_message(ANN, "x"))
    await tg.until(lambda: tg.messages(ANN))
    assert not sending.done()
    await sending
    assert time.monotonic() - started >= 0.29


async def test_a_garbled_answer_cannot_be_read(tg, bot):
    tg.fault("sendMessage", "garbage", applied=True)
    with pytest.raises(TelegramError, match=r"[Ii]nvalid"):
        await bot.send_message(ANN, "x")
    assert tg.texts(ANN) == ["x"]


async def test_a_fault_may_wait_for_its_turn_and_chat(tg, bot):
    tg.add_chat(8)
    tg.fault("sendMessage", "error", chat_id=ANN, skip=1, status=400, description="Bad Request: no")
    await bot.send_message(8, "x")
    await bot.send_message(ANN, "x")
    await bot.send_message(8, "x")
    with pytest.raises(BadRequest, match=r"[Nn]o"):
        await bot.send_message(ANN, "x")
    await bot.send_message(ANN, "x")
    tg.fault("*", "error", times=9, status=500, description="Internal Server Error")
    tg.heal()
    await bot.send_message(ANN, "x")


def test_a_fault_that_does_not_exist_is_told_at_once():
    with pytest.raises(ValueError, match="no fault 'typo'"):
        FakeTelegram().fault("sendMessage", "typo")
    with pytest.raises(ValueError, match="no method 'sendMesage'"):
        FakeTelegram().fault("sendMesage", "drop")


async def test_a_lost_poll_has_confirmed_but_delivers_again(tg, bot):
    first, second = tg.user_says(ANN, "one"), tg.user_says(ANN, "two")
    tg.fault("getUpdates", "lost")
    with pytest.raises(NetworkError):
        await bot.get_updates(offset=first + 1)
    assert tg.confirmed == first
    assert [update.update_id for update in await bot.get_updates()] == [second]


async def test_calls_are_logged_when_they_arrive_not_when_they_are_answered(tg, bot):
    tg.reply_delay = 0.3
    sending = asyncio.create_task(bot.send_message(ANN, "x"))
    await tg.until(lambda: tg.calls_of("sendMessage", ANN))
    assert not sending.done()
    await sending
    (call,) = tg.calls_of("sendMessage")
    assert (call.params["text"], call.status) == ("x", 200)
    assert time.monotonic() - call.at >= 0.29


async def test_the_server_may_go_away_and_come_back_with_its_state(tg, bot):
    await bot.send_message(ANN, "x")
    await tg.close()
    with pytest.raises(NetworkError):
        await bot.send_message(ANN, "y")
    await tg.start()
    await bot.send_message(ANN, "z")
    assert tg.texts(ANN) == ["x", "z"]


async def test_waiting_in_vain_names_the_last_calls(tg, bot):
    with pytest.raises(TimeoutError, match="getMe"):
        await tg.until(lambda: False, timeout=0.05)


async def raw_call(server, request):
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request.encode())
    await writer.drain()
    return writer


async def test_a_call_takes_effect_though_its_caller_dies_at_once(tg):
    body = json.dumps({"chat_id": ANN, "text": "last words"})
    head = f"POST /bot{TOKEN}/sendMessage HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer = await raw_call(tg, f"{head}Content-Length: {len(body)}\r\n\r\n{body}")
    writer.transport.abort()
    await tg.until(lambda: tg.texts(ANN) == ["last words"])


async def test_a_poller_that_dies_no_longer_waits(tg):
    writer = await raw_call(tg, f"GET /bot{TOKEN}/getUpdates?timeout=30 HTTP/1.1\r\nHost: x\r\n\r\n")
    await tg.until(lambda: tg.waiting == 1)
    writer.transport.abort()
    await tg.until(lambda: tg.waiting == 0)


# --- a process of its own ---------------------------------------------------------------------------


class Process:
    def __init__(self, log):
        command = [sys.executable, "-m", "tests.fakes.telegram", "--token", TOKEN, "--log", str(log)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stdout.readline())["url"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        self.process.stdout.close()
        return code


@contextlib.asynccontextmanager
async def process(log):
    server = Process(log)
    try:
        async with aiohttp.ClientSession(f"{server.url}/control/") as session:
            yield server, session
    finally:
        assert server.stop() == 0


async def test_its_own_process_is_steered_and_read_over_http(tmp_path):
    log = tmp_path / "calls.jsonl"
    async with process(log) as (server, control), client(server) as bot:
        async with control.post(
            "say", json=[{"chat_id": ANN, "text": text} for text in ("one", "two")]
        ) as told:
            ids = (await told.json())["results"]
        updates = await bot.get_updates()
        assert [update.update_id for update in updates] == ids
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="y")]])
        sent = await bot.send_message(ANN, "first", reply_markup=keyboard)
        await bot.edit_message_text("second", ANN, sent.id, reply_markup=keyboard)
        press = {"chat_id": ANN, "message_id": sent.id, "callback_data": "y"}
        async with control.post("press", json=press) as told:
            pressed = (await told.json())["result"]
        assert [update.update_id for update in await bot.get_updates(offset=ids[-1] + 1)] == [pressed]
        async with control.post("fault", json={"method": "sendMessage", "kind": "lost", "chat_id": ANN}):
            pass
        with pytest.raises(NetworkError):
            await bot.send_message(ANN, "third")
        async with control.get("state") as told:
            state = await told.json()
    chat = state["chats"][str(ANN)]
    assert [message["text"] for message in chat["messages"]] == ["second", "third"]
    assert chat["messages"][0]["history"] == ["first", "second"]
    assert [message["text"] for message in chat["said"]] == ["one", "two"]
    assert (state["confirmed"], state["pending"]) == (ids[-1], [pressed])
    assert (state["counts"]["sendMessage"], state["counts"]["getUpdates"]) == (2, 2)
    methods = [json.loads(line)["method"] for line in log.read_text().splitlines()]
    assert methods == ["getMe", "getUpdates", "sendMessage", "editMessageText", "getUpdates", "sendMessage"]


async def test_a_wrong_order_to_the_control_is_told(tg):
    async with aiohttp.ClientSession(f"{tg.url}/control/") as control:
        async with control.post("fault", json={"method": "sendMessage", "kind": "typo"}) as answer:
            assert (answer.status, "no fault" in (await answer.json())["error"]) == (400, True)
        async with control.post("dance", json={}) as answer:
            assert answer.status == 404
        async with control.post("options", json={"reply_delay": 0.5}) as answer:
            assert answer.status == 200
        async with control.get("calls") as answer:
            assert await answer.json() == []
    assert tg.reply_delay == 0.5
