"""The fake Discord server, driven by the stock discord.py client and by plain HTTP."""

import asyncio
import contextlib
import io
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import discord
import pytest
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.fakes.discord import TOKEN, FakeDiscord

ANN, BOB = 7001, 7002
GUILD, GENERAL = 9001, 9101
ROOT = Path(__file__).parent.parent


@pytest.fixture
async def server():
    async with FakeDiscord() as fake:
        fake.add_user("ann", id=ANN)
        fake.add_user("bob", id=BOB)
        fake.add_guild("Home", id=GUILD, members=[ANN, BOB])
        fake.add_channel(GUILD, "general", id=GENERAL)
        yield fake


class Bot(discord.Client):
    """The stock client, keeping what it is told."""

    def __init__(self, **options):
        wanted = discord.Intents.default()
        wanted.message_content = options.pop("content", True)
        options = {
            "max_messages": None, "chunk_guilds_at_startup": False, "guild_ready_timeout": 0.0,
            "member_cache_flags": discord.MemberCacheFlags.none(),
        } | options  # fmt: skip
        super().__init__(intents=options.pop("intents", wanted), **options)
        self.tree = app_commands.CommandTree(self)
        self.seen = []
        self.interactions = []
        self.events = []

    def names(self):
        return [name for name, _ in self.events]

    def dispatch(self, event, /, *args, **kwargs):
        if not event.startswith("socket"):
            self.events.append((event, args))
        super().dispatch(event, *args, **kwargs)

    async def on_message(self, message):
        if message.author.id != self.user.id:
            self.seen.append(message)

    async def on_interaction(self, interaction):
        self.interactions.append(interaction)

    async def before_identify_hook(self, shard_id, *, initial=False):
        """The stock one waits five seconds before any IDENTIFY but the first."""

    def texts(self):
        return [message.content for message in self.seen]


@pytest.fixture
def point(monkeypatch):
    def at(fake):
        monkeypatch.setattr(Route, "BASE", fake.api_url)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(fake.gateway_url))

    return at


@contextlib.asynccontextmanager
async def running(fake, token=TOKEN, **options):
    """A client that has logged in and is connected."""
    bot = Bot(**options)
    task = asyncio.create_task(bot.start(token))
    try:
        await fake.until(lambda: "ready" in bot.names() or task.done())
        if task.done():
            await task
        yield bot
    finally:
        await bot.close()
        with contextlib.suppress(discord.DiscordException, discord.ConnectionClosed):
            await task


@pytest.fixture
async def bot(server, point):
    point(server)
    async with running(server) as client:
        yield client


async def api(server, method, path, body=None, *, token=TOKEN, **how):
    """A plain request: status and JSON."""
    if body is not None:
        how["json"] = body
    headers = {"Authorization": f"Bot {token}"} if token else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{server.api_url}{path}", **how) as answer,
    ):
        return answer.status, await answer.json() if answer.status != 204 else None


def messages(channel=GENERAL):
    return f"/channels/{channel}/messages"


def codes(errors):
    """The error codes of a nested errors object, by dotted path."""
    found = {}
    for name, below in errors.items():
        if name == "_errors":
            found[""] = [each["code"] for each in below]
        else:
            found |= {f"{name}.{path}".rstrip("."): code for path, code in codes(below).items()}
    return found


async def refused(server, body, path=None, method="POST"):
    """What a body is refused for: the JSON code and the nested codes."""
    status, answer = await api(server, method, path or messages(), body)
    assert status >= 400, answer
    return answer["code"], codes(answer.get("errors", {}))


class Clock:
    """A clock that is turned by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


# --- first light --------------------------------------------------------------------------------------


async def test_the_client_logs_in_and_hears_of_its_guilds(server, bot):
    assert (bot.user.id, bot.user.name, bot.application_id) == (
        server.bot_id,
        "parley_test_bot",
        server.application_id,
    )
    assert [guild.name for guild in bot.guilds] == ["Home"]
    assert bot.get_channel(GENERAL).name == "general"
    assert server.gateway.counts["identifies"] == 1


async def test_messages_come_and_go_in_a_guild_and_in_a_dm(server, bot):
    dm = server.dm(ANN)
    server.user_says(GENERAL, "in the guild", BOB)
    server.user_says(dm, "in private")
    await server.until(lambda: len(bot.seen) == 2)
    guild, private = bot.seen
    assert (guild.content, guild.author.id, guild.guild.id) == ("in the guild", BOB, GUILD)
    assert (private.content, private.author.id, private.guild) == ("in private", ANN, None)
    await guild.reply("to the guild", mention_author=False)
    sent = await private.channel.send("to ann")
    await sent.edit(content="to Ann")
    assert server.texts(GENERAL) == ["to the guild"]
    assert server.messages(dm)[0].history == ["to ann", "to Ann"]


async def test_a_command_and_a_press_are_answered(server, bot):
    @bot.tree.command(description="Say it again")
    async def echo(interaction: discord.Interaction, text: str):
        view = discord.ui.View()
        view.add_item(discord.ui.Button(label="Go", custom_id="go:1"))
        await interaction.response.send_message(text, view=view, ephemeral=True)

    await bot.tree.sync()
    asked = server.user_commands("echo", {"text": "hello"}, channel_id=GENERAL, user_id=ANN)
    await server.until(lambda: server.interactions[asked].answered_at)
    assert server.messages(GENERAL) == []
    (answer,) = server.ephemeral(GENERAL, ANN)
    assert answer.content == "hello"
    pressed = server.user_presses(answer.id, "go:1")
    await server.until(lambda: len(bot.interactions) == 2)
    await bot.interactions[-1].response.edit_message(content="gone", view=None)
    assert (server.message(answer.id).content, server.interactions[pressed].answer) == ("gone", 7)
    assert server.interactions[pressed].answer_ms < 1000


async def test_history_typing_and_a_thread(server, bot):
    first = server.user_says(GENERAL, "one", ANN)
    server.user_says(GENERAL, "two", ANN)
    channel = bot.get_channel(GENERAL)
    assert [each.content async for each in channel.history()] == ["two", "one"]
    assert [each.content async for each in channel.history(after=discord.Object(first))] == ["two"]
    async with channel.typing():
        pass
    assert len(server.typing(GENERAL)) == 1
    thread = await (await channel.fetch_message(first)).create_thread(name="about one")
    assert thread.id == first
    await thread.send("inside")
    assert server.texts(first) == ["inside"]


# --- requests -----------------------------------------------------------------------------------------


async def test_another_token_is_unauthorized(server, point):
    point(server)
    with pytest.raises(discord.LoginFailure):
        async with running(server, token="MTI.x.y"):
            pass
    assert await api(server, "GET", "/users/@me", token="") == (
        401,
        {"message": "401: Unauthorized", "code": 0},
    )


async def test_unknown_places_and_methods_are_told_apart(server):
    assert await api(server, "GET", "/telepathy") == (404, {"message": "404: Not Found", "code": 0})
    assert await api(server, "PUT", messages(), {}) == (
        405,
        {"message": "405: Method Not Allowed", "code": 0},
    )


async def test_a_body_that_is_no_json_is_refused(server):
    how = {"data": b"{", "headers": {"content-type": "application/json"}}
    assert (await api(server, "POST", messages(), **how))[1]["code"] == 50109
    status, answer = await api(server, "POST", messages(), data={"content": "hi"})
    assert (status, codes(answer["errors"])) == (400, {"": ["CONTENT_TYPE_INVALID"]})
    assert (await api(server, "GET", "/channels/abc"))[1]["errors"]["channel_id"]


@pytest.mark.parametrize(
    ("privileged", "flag"), [(["message_content"], 1 << 19), (["members"], 1 << 15), ([], 0)]
)
async def test_the_application_tells_which_intents_it_has(privileged, flag):
    async with FakeDiscord(privileged=privileged) as server:
        for path in ("/applications/@me", "/oauth2/applications/@me"):
            assert (await api(server, "GET", path))[1]["flags"] == flag


async def test_the_gateway_is_told_with_the_starts_left(server, bot):
    status, body = await api(server, "GET", "/gateway/bot")
    assert (status, body["url"], body["session_start_limit"]["remaining"]) == (200, server.gateway_url, 999)


# --- messages -----------------------------------------------------------------------------------------


async def test_content_has_2000_characters_at_most_counted_by_code_points(server, bot):
    channel = bot.get_channel(GENERAL)
    await channel.send("🏟" * 2000)
    with pytest.raises(discord.HTTPException) as refusal:
        await channel.send("x" * 2001)
    assert (refusal.value.status, refusal.value.code) == (400, 50035)
    assert await refused(server, {"content": "x" * 2001}) == (50035, {"content": ["BASE_TYPE_MAX_LENGTH"]})


@pytest.mark.parametrize(
    "body", [{}, {"content": ""}, {"content": " \n"}, {"content": None, "components": []}]
)
async def test_an_empty_message_is_refused(server, body):
    assert await refused(server, body) == (50006, {})


async def test_blanks_around_a_content_are_gone(server):
    await api(server, "POST", messages(), {"content": "  a b\n"})
    assert server.texts(GENERAL) == ["a b"]


async def test_a_nonce_that_is_enforced_gives_the_same_message_for_some_minutes():
    clock = Clock()
    async with FakeDiscord(clock=clock) as server:
        server.add_channel(server.add_guild(id=GUILD), id=GENERAL)
        body = {"content": "once", "nonce": "n1", "enforce_nonce": True}
        first = (await api(server, "POST", messages(), body))[1]
        clock.now += 170.0
        again = (await api(server, "POST", messages(), body | {"content": "other"}))[1]
        assert (again["id"], again["content"], again["nonce"]) == (first["id"], "once", "n1")
        clock.now += 20.0
        assert (await api(server, "POST", messages(), body))[1]["id"] != first["id"]
        assert server.texts(GENERAL) == ["once", "once"]


async def test_a_nonce_alone_hinders_nothing_and_has_25_characters_at_most(server):
    for _ in range(2):
        await api(server, "POST", messages(), {"content": "twice", "nonce": "n1"})
    assert server.texts(GENERAL) == ["twice", "twice"]
    assert await refused(server, {"content": "x", "nonce": "n" * 26}) == (
        50035,
        {"nonce": ["NONCE_TYPE_TOO_LONG"]},
    )
    assert "nonce" not in (await api(server, "GET", messages()))[1][0]


async def test_the_client_enforces_a_nonce_of_its_own(server, bot):
    await bot.get_channel(GENERAL).send("hi")
    assert server.calls_of("create_message")[0].params["enforce_nonce"] is True


@pytest.mark.parametrize(
    ("allowed", "users", "roles", "everyone"),
    [
        (None, [ANN], True, True),
        ({"parse": []}, [], False, False),
        ({"parse": ["users"]}, [ANN], False, False),
        ({"users": [str(ANN), str(BOB)]}, [ANN], False, False),
        ({"parse": ["roles"], "users": []}, [], True, False),
        ({"parse": ["everyone"]}, [], False, True),
    ],
)
async def test_allowed_mentions_say_who_is_pinged(server, allowed, users, roles, everyone):
    role = server.add_role(GUILD, "staff", members=[BOB])
    body = {"content": f"@everyone <@{ANN}> <@&{role}> <@123>"}
    answer = (
        await api(server, "POST", messages(), body | ({"allowed_mentions": allowed} if allowed else {}))
    )[1]
    (message,) = server.messages(GENERAL)
    assert (message.pings.users, bool(message.pings.roles), message.pings.everyone) == (
        users,
        roles,
        everyone,
    )
    assert (answer["mention_everyone"], [int(each["id"]) for each in answer["mentions"]]) == (everyone, users)
    assert server.pings == len(users) + roles + everyone


async def test_parse_and_a_list_exclude_each_other(server):
    body = {"content": "x", "allowed_mentions": {"parse": ["users"], "users": [str(ANN)]}}
    assert await refused(server, body) == (
        50035,
        {"allowed_mentions": ["MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE"]},
    )
    body["allowed_mentions"] = {"parse": ["all"]}
    assert await refused(server, body) == (50035, {"allowed_mentions.parse.0": ["BASE_TYPE_CHOICES"]})


async def test_the_clients_allowed_mentions_none_pings_nobody(server, point):
    point(server)
    asked = server.user_says(GENERAL, "hello", ANN)
    async with running(server, allowed_mentions=discord.AllowedMentions.none()) as bot:
        message = await bot.get_channel(GENERAL).fetch_message(asked)
        await message.reply(f"@everyone @here <@{ANN}> <@!{BOB}>")
        await message.reply("to you", mention_author=True)
    assert [each.pings.users for each in server.messages(GENERAL)] == [[], [ANN]]
    assert server.pings == 1


async def test_an_edit_renews_mentions_and_pings_nobody_anew(server):
    number = (await api(server, "POST", messages(), {"content": "x"}))[1]["id"]
    answer = (await api(server, "PATCH", f"{messages()}/{number}", {"content": f"<@{ANN}>"}))[1]
    assert [each["id"] for each in answer["mentions"]] == [str(ANN)]
    assert answer["edited_timestamp"] is not None
    assert server.pings == 0


async def test_links_are_previewed_unless_suppressed(server, bot):
    channel = bot.get_channel(GENERAL)
    text = "see https://a.example/x and <https://b.example> and `https://c.example`."
    sent = await channel.send(text)
    await channel.send(text, suppress_embeds=True)
    await channel.send("plain")
    assert [each.links for each in server.messages(GENERAL)] == [["https://a.example/x"], [], []]
    server.unfurl(sent.id)
    await server.until(lambda: "raw_message_edit" in bot.names())
    update = bot.events[-1][1][0].data
    assert (update["edited_timestamp"], update["embeds"][0]["url"]) == (None, "https://a.example/x")


async def test_only_some_flags_can_be_set(server):
    for flags, code in (
        (64, "MESSAGE_FLAGS_INVALID"),
        ("4", "MESSAGE_FLAGS_INVALID"),
        (1 << 15, "NOT_MODELLED"),
    ):
        assert await refused(server, {"content": "x", "flags": flags}) == (50035, {"flags": [code]})


def row(*parts):
    return {"type": 1, "components": list(parts)}


def button(**facts):
    return {"type": 2, "style": 1, "label": "Yes", "custom_id": "y"} | facts


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([row(button(custom_id=str(n))) for n in range(6)], {"components": ["BASE_TYPE_BAD_LENGTH"]}),
        (
            [row(*(button(custom_id=str(n)) for n in range(6)))],
            {"components.0.components": ["BASE_TYPE_BAD_LENGTH"]},
        ),
        ([row(button(label="x" * 81))], {"components.0.components.0.label": ["BASE_TYPE_MAX_LENGTH"]}),
        (
            [row(button(custom_id="x" * 101))],
            {"components.0.components.0.custom_id": ["BASE_TYPE_BAD_LENGTH"]},
        ),
        (
            [row(button()), row(button())],
            {"components.1.components.0.custom_id": ["COMPONENT_CUSTOM_ID_DUPLICATED"]},
        ),
        ([row(button(style=7))], {"components.0.components.0.style": ["BASE_TYPE_CHOICES"]}),
        ([row(button(label=None))], {"components.0.components.0": ["BUTTON_COMPONENT_INVALID_LABEL"]}),
        (
            [row({"type": 2, "style": 1, "label": "x"})],
            {"components.0.components.0.custom_id": ["BASE_TYPE_REQUIRED"]},
        ),
        ([row(button(style=5))], {"components.0.components.0": ["BUTTON_COMPONENT_CUSTOM_ID_OR_URL"]}),
        ([button()], {"components.0.type": ["UNION_TYPE_CHOICES"]}),
        ([row({"type": 4, "custom_id": "t"})], {"components.0.components.0.type": ["UNION_TYPE_CHOICES"]}),
        (
            [row(button(), {"type": 3, "custom_id": "s", "options": [{"label": "a", "value": "a"}]})],
            {"components.0.components.1": ["COMPONENT_LAYOUT_WIDTH_EXCEEDED"]},
        ),
    ],
)
async def test_components_are_checked(server, rows, wrong):
    assert await refused(server, {"content": "x", "components": rows}) == (50035, wrong)


async def test_five_rows_of_five_buttons_are_accepted(server, bot):
    view = discord.ui.View()
    for number in range(25):
        view.add_item(discord.ui.Button(label="x" * 80, custom_id=f"{number:0100}"))
    await bot.get_channel(GENERAL).send("x", view=view)
    assert len(server.messages(GENERAL)[0].components) == 5


async def test_a_reply_refers_to_its_message_and_to_none_when_that_is_gone(server, bot):
    asked = server.user_says(GENERAL, "question", ANN)
    answer = server.user_says(GENERAL, "answer", BOB, reply_to=asked)
    await server.until(lambda: len(bot.seen) == 2)
    reply = bot.seen[1]
    assert (reply.type, reply.reference.resolved.content) == (discord.MessageType.reply, "question")
    assert [each.id for each in reply.mentions] == [ANN]
    server.user_deletes(asked)
    body = (await api(server, "GET", f"{messages()}/{answer}"))[1]
    assert (body["referenced_message"], body["message_reference"]["message_id"]) == (None, str(asked))


async def test_a_reply_to_nothing_is_refused_unless_it_may_fail(server):
    body = {"content": "x", "message_reference": {"message_id": "123"}}
    assert await refused(server, body) == (50035, {"message_reference": ["REPLIES_UNKNOWN_MESSAGE"]})
    body["message_reference"]["fail_if_not_exists"] = False
    status, answer = await api(server, "POST", messages(), body)
    assert (status, answer["type"]) == (200, 0)


async def test_only_own_messages_are_edited_and_only_known_ones_found(server):
    theirs = server.user_says(GENERAL, "mine", ANN)
    path = f"{messages()}/{theirs}"
    assert await refused(server, {"content": "x"}, path, "PATCH") == (50005, {})
    assert await refused(server, {"content": "x"}, f"{messages()}/5", "PATCH") == (10008, {})
    assert await refused(server, None, path, "DELETE") == (50013, {})
    theirs = server.user_says(server.dm(ANN), "mine")
    assert await refused(server, None, f"{messages(server.dm(ANN))}/{theirs}", "DELETE") == (50003, {})


async def test_deleted_messages_are_gone_from_everywhere(server, bot):
    sent = await bot.get_channel(GENERAL).send("x")
    await sent.delete()
    assert (server.messages(GENERAL), server.everything(GENERAL)[0].deleted) == ([], True)
    assert (await api(server, "GET", messages()))[1] == []
    await server.until(lambda: "raw_message_delete" in bot.names())
    with pytest.raises(discord.NotFound):
        await sent.edit(content="y")


async def test_history_is_newest_first_and_after_gives_what_follows_at_once(server):
    ids = [server.user_says(GENERAL, str(number), ANN) for number in range(120)]

    async def asked(**query):
        return [each["content"] for each in (await api(server, "GET", messages(), params=query))[1]]

    assert await asked() == [str(number) for number in range(119, 69, -1)]
    assert len(await asked(limit=100)) == 100
    assert await asked(before=ids[2], limit=10) == ["1", "0"]
    assert await asked(after=ids[2], limit=3) == ["5", "4", "3"]
    assert await asked(after=ids[119]) == []
    assert await asked(around=ids[50], limit=5) == ["52", "51", "50", "49", "48"]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"limit": 101}, {"limit": ["NUMBER_TYPE_MAX"]}),
        ({"limit": 0}, {"limit": ["NUMBER_TYPE_MIN"]}),
        ({"before": "x"}, {"before": ["NUMBER_TYPE_COERCE"]}),
        ({"before": 5, "after": 5}, {"before": ["MUTUALLY_EXCLUSIVE"]}),
    ],
)
async def test_history_refuses_a_wrong_query(server, query, wrong):
    _, answer = await api(server, "GET", messages(), params=query)
    found = codes(answer["errors"])
    assert list(found.values()) == list(wrong.values())


async def test_files_go_both_ways(server, bot):
    channel = bot.get_channel(GENERAL)
    await channel.send("look", file=discord.File(io.BytesIO(b"hello"), "a.txt"))
    (mine,) = server.messages(GENERAL)
    assert (mine.content, mine.attachments[0]["filename"], mine.attachments[0]["size"]) == (
        "look",
        "a.txt",
        5,
    )
    server.user_says(GENERAL, "", ANN, attachments=["b.png", ["c.txt", "text"]])
    await server.until(lambda: bot.seen)
    first, second = bot.seen[0].attachments
    assert (first.content_type, await second.read()) == ("image/png", b"text")


async def test_a_file_may_have_10_mib(server):
    form = aiohttp.FormData()
    form.add_field("files[0]", io.BytesIO(b"x" * (10 * 1024 * 1024 + 1)), filename="big")
    assert (await api(server, "POST", messages(), data=form))[1]["code"] == 40005


# --- channels, threads, people ------------------------------------------------------------------------


async def test_what_the_bot_may_not_is_refused_with_its_code(server):
    server.deny(GENERAL, "SEND_MESSAGES", "ADD_REACTIONS")
    said = server.user_says(GENERAL, "x", ANN)
    assert await refused(server, {"content": "x"}) == (50013, {})
    assert await refused(server, None, f"{messages()}/{said}/reactions/%F0%9F%91%8D/@me", "PUT") == (
        50013,
        {},
    )
    server.deny(GENERAL, "READ_MESSAGE_HISTORY")
    assert await api(server, "GET", messages()) == (200, [])
    reply = {"content": "x", "message_reference": {"message_id": str(said)}}
    assert await refused(server, reply) == (160002, {})
    server.deny(GENERAL, "VIEW_CHANNEL")
    assert await refused(server, {"content": "x"}) == (50001, {})
    assert await refused(server, {"content": "x"}, messages(5)) == (10003, {})


async def test_a_dm_is_opened_once_and_refused_by_those_who_block(server, bot):
    user = await bot.fetch_user(ANN)
    dm = await user.create_dm()
    assert dm.id == server.dm(ANN)
    await user.send("hi")
    server.block(ANN)
    with pytest.raises(discord.Forbidden) as refusal:
        await user.send("again")
    assert refusal.value.code == 50007
    server.block(ANN, 50278)
    assert await refused(server, {"content": "x"}, messages(dm.id)) == (50278, {})
    server.unblock(ANN)
    await user.send("well")
    assert server.texts(dm.id) == ["hi", "well"]
    assert await refused(server, {"recipient_id": "5"}, "/users/@me/channels") == (50033, {})


async def test_a_thread_has_its_messages_id_and_begins_with_a_pointer_to_it(server, bot):
    said = server.user_says(GENERAL, "topic", ANN)
    server.user_says(GENERAL, "later", ANN)
    message = await bot.get_channel(GENERAL).fetch_message(said)
    thread = await message.create_thread(name="about")
    assert (thread.id, thread.parent_id, thread.name) == (said, GENERAL, "about")
    body = {"name": "again"}
    assert await refused(server, body, f"{messages()}/{said}/threads") == (160004, {})
    await server.until(lambda: "thread_create" in bot.names())
    assert server.everything(said)[0].type == 21
    assert server.everything(GENERAL)[-1].type == 18
    assert (await api(server, "GET", f"{messages()}/{said}"))[1]["thread"]["id"] == str(said)
    async for first in thread.history(oldest_first=True):
        assert (first.type, first.reference.message_id) == (discord.MessageType.thread_starter_message, said)


async def test_a_thread_of_its_own_and_its_events(server, bot):
    thread = await bot.get_channel(GENERAL).create_thread(name="free", type=discord.ChannelType.public_thread)
    inside = server.user_says(thread.id, "in there", ANN)
    await server.until(lambda: bot.texts() == ["in there"])
    assert isinstance(bot.seen[0].channel, discord.Thread)
    assert await refused(server, {"name": "x"}, f"{messages(thread.id)}/{inside}/threads") == (50024, {})
    assert await refused(server, {"name": "", "type": 11}, f"/channels/{GENERAL}/threads") == (
        50035,
        {"name": ["BASE_TYPE_BAD_LENGTH"]},
    )
    theirs = server.add_thread(GENERAL, "theirs", user_id=ANN, type=12)
    assert await refused(server, {"content": "x"}, messages(theirs)) == (50001, {})


async def test_a_message_wakes_an_archived_thread_but_not_a_locked_one(server, bot):
    thread = server.add_thread(GENERAL, "old", user_id=ANN)
    mine = (await api(server, "POST", messages(thread), {"content": "x"}))[1]["id"]
    server.archive(thread)
    path = f"{messages(thread)}/{mine}"
    assert await refused(server, {"content": "y"}, path, "PATCH") == (50083, {})
    assert await refused(server, None, f"/channels/{thread}/thread-members/@me", "PUT") == (50083, {})
    found = [each.id async for each in bot.get_channel(GENERAL).archived_threads()]
    assert found == [thread]
    assert (await api(server, "POST", messages(thread), {"content": "y"}))[0] == 200
    assert not server.world.channels[thread].archived
    server.archive(thread, locked=True)
    assert await refused(server, {"content": "z"}, messages(thread)) == (160005, {})
    assert await refused(server, {"archived": True}, f"/channels/{thread}", "PATCH") == (50013, {})


async def test_the_bot_archives_its_own_thread(server, bot):
    thread = await bot.get_channel(GENERAL).create_thread(name="mine", type=discord.ChannelType.public_thread)
    assert [each.id for each in await bot.get_guild(GUILD).active_threads()] == [thread.id]
    await thread.edit(archived=True, name="done")
    assert (server.world.channels[thread.id].archived, server.world.channels[thread.id].name) == (
        True,
        "done",
    )
    assert (await api(server, "GET", f"/guilds/{GUILD}/threads/active"))[1]["threads"] == []


async def test_reactions_come_and_go(server, bot):
    said = server.user_says(GENERAL, "x", ANN)
    message = await bot.get_channel(GENERAL).fetch_message(said)
    await message.add_reaction("👍")
    await message.add_reaction("👍")
    server.user_reacts(said, "👍", BOB)
    await server.until(lambda: bot.names().count("raw_reaction_add") == 2)
    assert server.message(said).reactions == {"👍": [server.bot_id, BOB]}
    shown = (await api(server, "GET", f"{messages()}/{said}"))[1]["reactions"][0]
    assert (shown["count"], shown["me"]) == (2, True)
    await message.remove_reaction("👍", bot.user)
    server.user_reacts(said, "👍", BOB, remove=True)
    assert server.message(said).reactions == {}
    assert await refused(server, None, f"{messages()}/{said}/reactions/thumbsup/@me", "PUT") == (10014, {})


async def test_messages_of_other_bots_webhooks_and_the_system_come_too(server, bot):
    robot = server.add_user("robot", bot=True)
    server.user_says(GENERAL, "beep", robot)
    server.user_says(GENERAL, "hook", ANN, extra={"webhook_id": "5"})
    server.user_says(GENERAL, "", ANN, type=7)
    server.user_says(
        GENERAL, "", ANN, extra={"sticker_items": [{"id": "6", "name": "wave", "format_type": 1}]}
    )
    await server.until(lambda: len(bot.seen) == 4)
    beep, hook, joined, sticker = bot.seen
    assert (beep.author.bot, hook.webhook_id, joined.is_system()) == (True, 5, True)
    assert sticker.stickers[0].name == "wave"


async def test_people_edit_delete_and_type(server, bot):
    said = server.user_says(GENERAL, "before", ANN)
    server.user_edits(said, "after")
    server.user_types(GENERAL, ANN)
    server.user_deletes(said)
    await server.until(lambda: "raw_message_delete" in bot.names())
    edit = next(args[0] for name, args in bot.events if name == "raw_message_edit")
    assert (edit.message.content, edit.message.edited_at is None) == ("after", False)
    assert "raw_typing" in bot.names() or "typing" in bot.names()
    assert server.everything(GENERAL)[0].history == ["before", "after"]


async def test_guilds_and_channels_come_and_go(server, bot):
    other = server.add_guild("Other", members=[BOB])
    await server.until(lambda: "guild_join" in bot.names())
    channel = server.add_channel(other, "new")
    await server.until(lambda: bot.get_channel(channel))
    server.delete_channel(channel)
    server.guild_outage(other)
    await server.until(lambda: "guild_unavailable" in bot.names())
    server.guild_outage(other, over=True)
    server.kick(GUILD)
    await server.until(lambda: "guild_remove" in bot.names())
    assert await refused(server, {"content": "x"}) == (50001, {})
    server.invite(GUILD)
    assert (await api(server, "POST", messages(), {"content": "x"}))[0] == 200


# --- contents and the intent --------------------------------------------------------------------------


async def test_without_the_intent_only_some_contents_are_seen(point):
    async with FakeDiscord(privileged=[]) as server:
        point(server)
        server.add_guild("Home", id=GUILD, members=[ANN, BOB])
        server.add_channel(GUILD, "general", id=GENERAL)
        async with running(server, content=False) as bot:
            hidden = server.user_says(GENERAL, "secret", ANN, attachments=["a.txt"])
            server.user_says(GENERAL, f"<@{server.bot_id}> open", ANN)
            server.user_says(server.dm(ANN), "private")
            sent = await bot.get_channel(GENERAL).send("mine")
            server.user_says(GENERAL, "reply", BOB, reply_to=sent.id)
            server.user_says(GENERAL, "quiet reply", BOB, reply_to=sent.id, ping=False)
            await server.until(lambda: len(bot.seen) == 5)
            assert bot.texts() == ["", f"<@{server.bot_id}> open", "private", "reply", ""]
            assert bot.seen[0].attachments == []
            body = (await api(server, "GET", f"{messages()}/{hidden}"))[1]
            assert (body["content"], body["attachments"]) == ("", [])


async def test_a_client_that_did_not_ask_for_contents_gets_none(server, point):
    point(server)
    async with running(server, content=False) as bot:
        said = server.user_says(GENERAL, "secret", ANN)
        await server.until(lambda: bot.seen)
        assert bot.texts() == [""]
        assert (await bot.get_channel(GENERAL).fetch_message(said)).content == "secret"


# --- commands and interactions ------------------------------------------------------------------------


def commands(server):
    return f"/applications/{server.application_id}/commands"


def command(**facts):
    return {"name": "new", "description": "A new session"} | facts


@pytest.mark.parametrize(
    ("bad", "wrong"),
    [
        ([command(name="New")], {"0.name": ["APPLICATION_COMMAND_INVALID_NAME"]}),
        ([command(name="a b")], {"0.name": ["APPLICATION_COMMAND_INVALID_NAME"]}),
        ([command(name="x" * 33)], {"0.name": ["APPLICATION_COMMAND_INVALID_NAME"]}),
        ([command(description="")], {"0.description": ["BASE_TYPE_BAD_LENGTH"]}),
        ([command(description="x" * 101)], {"0.description": ["BASE_TYPE_BAD_LENGTH"]}),
        ([command(), command()], {"1.name": ["APPLICATION_COMMANDS_DUPLICATE_NAME"]}),
        ([command(options=[command(type=12)])], {"0.options.0.type": ["BASE_TYPE_CHOICES"]}),
        (
            [command(options=[command(type=3, name="a"), command(type=3, name="b", required=True)])],
            {"0.options.1": ["APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID"]},
        ),
        (
            [command(options=[command(type=3, name=f"o{n}", description="x" * 100) for n in range(26)])],
            {"0.options": ["BASE_TYPE_MAX_LENGTH"]},
        ),
    ],
)
async def test_commands_are_checked(server, bad, wrong):
    assert await refused(server, bad, commands(server), "PUT") == (50035, wrong)
    assert (server.commands, server.world.command_puts) == ([], 0)


async def test_commands_are_overwritten_and_those_that_stay_keep_their_ids(server):
    path = commands(server)
    first = (await api(server, "PUT", path, [command(), command(name="stop")]))[1]
    second = (await api(server, "PUT", path, [command(description="other")]))[1]
    assert (second[0]["id"], second[0]["description"]) == (first[0]["id"], "other")
    assert (await api(server, "GET", path))[1] == second == server.commands
    assert server.world.command_puts == 2
    assert await refused(server, [command(name=f"c{n}") for n in range(101)], path, "PUT") == (30032, {})
    assert await refused(server, [], "/applications/5/commands", "PUT") == (20012, {})


async def asked(server, bot, **facts):
    """A command /new from Ann, as the client got it."""
    if not server.commands:
        every = command(integration_types=[0, 1], contexts=[0, 1, 2])
        await api(server, "PUT", commands(server), [every])
    facts = {"channel_id": GENERAL, "user_id": ANN} | facts
    number = server.user_commands("new", **facts)
    await server.until(lambda: any(each.id == number for each in bot.interactions))
    return server.interactions[number], bot.interactions[-1]


async def test_a_command_has_its_options_typed_and_nested(server, bot):
    options = [
        {"type": 1, "name": "add", "description": "x", "options": [
            {"type": 4, "name": "count", "description": "x", "required": True},
            {"type": 6, "name": "who", "description": "x"},
        ]}
    ]  # fmt: skip
    await api(server, "PUT", commands(server), [command(name="cron", options=options)])
    with pytest.raises(LookupError):
        server.user_commands("cron add", channel_id=GENERAL, user_id=ANN)
    with pytest.raises(LookupError):
        server.user_commands("unknown", channel_id=GENERAL, user_id=ANN)
    server.user_commands("cron add", {"count": 3, "who": BOB}, channel_id=GENERAL, user_id=ANN)
    server.user_commands("unknown", {"text": "x"}, channel_id=GENERAL, user_id=ANN, forged=True)
    await server.until(lambda: len(bot.interactions) == 2)
    (add,) = bot.interactions[0].data["options"]
    assert add["options"] == [
        {"name": "count", "type": 4, "value": 3},
        {"name": "who", "type": 6, "value": str(BOB)},
    ]
    assert bot.interactions[0].data["resolved"]["users"][str(BOB)]["username"] == "bob"


@pytest.mark.parametrize(
    ("where", "installed", "context", "owners"),
    [
        ("guild", "guild", 0, lambda: {0: GUILD}),
        ("guild", "user", 0, lambda: {1: ANN}),
        ("guild", "both", 0, lambda: {0: GUILD, 1: ANN}),
        ("dm", "guild", 1, lambda: {0: 0}),
        ("dm", "user", 1, lambda: {1: ANN}),
        ("private", "user", 2, lambda: {1: ANN}),
    ],
)
async def test_an_interaction_tells_where_it_comes_from(server, bot, where, installed, context, owners):
    place = {
        "guild": lambda: GENERAL,
        "dm": lambda: server.dm(ANN),
        "private": lambda: server.add_private(ANN, BOB),
    }
    made, seen = await asked(server, bot, channel_id=place[where](), installed=installed)
    assert (seen.user.id, seen.context.guild) == (ANN, context == 0)
    assert (
        {int(kind): int(owner) for kind, owner in made.owners.items()} == owners() == seen._integration_owners
    )
    assert (seen.context.dm_channel, seen.context.private_channel) == (context == 1, context == 2)


async def test_a_user_installed_app_is_asked_where_its_bot_is_not(server, bot):
    abroad = server.add_channel(server.add_guild("Abroad", installed=False), "there")
    with pytest.raises(LookupError):
        await asked(server, bot, channel_id=abroad)
    made, seen = await asked(server, bot, channel_id=abroad, installed="user")
    await seen.response.send_message("here")
    assert server.texts(abroad) == ["here"]
    assert await refused(server, {"content": "x"}, messages(abroad)) == (50001, {})
    for number in range(5):
        await seen.followup.send(f"more {number}")
    with pytest.raises(discord.HTTPException) as refusal:
        await seen.followup.send("too many")
    assert (refusal.value.code, len(made.followups)) == (40094, 5)


async def test_a_deferred_answer_is_filled_in_later(server, bot):
    made, seen = await asked(server, bot)
    await seen.response.defer(thinking=True)
    (loading,) = server.messages(GENERAL)
    assert (loading.content, loading.flags, loading.type) == ("", 128, 20)
    await seen.edit_original_response(content="ready")
    assert (loading.content, loading.flags, made.original) == ("ready", 0, loading.id)
    await seen.followup.send("and more")
    assert [each.content for each in server.answers(made.id)] == ["ready", "and more"]
    body = (await api(server, "GET", messages()))[1]
    assert body[1]["interaction_metadata"]["user"]["id"] == str(ANN)
    await seen.delete_original_response()
    assert server.texts(GENERAL) == ["and more"]


async def test_a_followup_right_after_a_deferral_fills_it_in(server, bot):
    made, seen = await asked(server, bot)
    await seen.response.defer(ephemeral=True, thinking=True)
    await seen.followup.send("ready")
    (answer,) = server.ephemeral(GENERAL, ANN)
    assert (answer.content, made.followups) == ("ready", [])


async def test_only_the_asker_sees_an_ephemeral_answer(server, bot):
    _, seen = await asked(server, bot)
    await seen.response.send_message("for you", ephemeral=True)
    (answer,) = server.ephemeral(GENERAL)
    assert (server.messages(GENERAL), server.ephemeral(GENERAL, BOB), answer.ephemeral_to) == ([], [], ANN)
    assert await api(server, "GET", messages()) == (200, [])
    assert await refused(server, {"content": "x"}, f"{messages()}/{answer.id}", "PATCH") == (10008, {})
    assert (await seen.original_response()).content == "for you"
    with pytest.raises(LookupError):
        server.user_presses(answer.id, "x", BOB)


async def test_the_first_answer_must_come_in_three_seconds_and_once(point):
    clock = Clock()
    async with FakeDiscord(clock=clock) as server:
        server.add_channel(server.add_guild(id=GUILD, members=[ANN]), id=GENERAL)
        late, good = (server.user_commands("x", channel_id=GENERAL, forged=True) for _ in range(2))
        clock.now += 2.9

        def answer(number):
            path = f"/interactions/{number}/{server.interactions[number].token}/callback"
            return api(server, "POST", path, {"type": 4, "data": {"content": "x"}}, token="")

        assert (await answer(good))[0] == 204
        status, body = await answer(good)
        assert (status, body["code"]) == (400, 40060)
        clock.now += 0.2
        status, body = await answer(late)
        assert (status, body["code"]) == (404, 10062)
        assert server.interactions[good].answer_ms == pytest.approx(2900.0)
        assert (server.interactions[late].answer_ms, server.interactions[late].refused) == (None, [10062])
        hook = f"/webhooks/{server.application_id}/{server.interactions[late].token}"
        assert await refused(server, {"content": "x"}, hook) == (10015, {})
        hook = f"/webhooks/{server.application_id}/{server.interactions[good].token}"
        assert (await api(server, "POST", hook, {"content": "x"}, token=""))[0] == 200
        clock.now += 900.0
        assert await refused(server, {"content": "x"}, hook) == (50027, {})
        assert (await api(server, "POST", "/interactions/5/x/callback", {"type": 4}))[1]["code"] == 10062


async def test_the_kind_of_answer_must_fit(server, bot):
    made, _ = await asked(server, bot)
    path = f"/interactions/{made.id}/{made.token}/callback"
    assert await refused(server, {"type": 7}, path) == (50035, {"type": ["BASE_TYPE_CHOICES"]})
    assert await refused(server, {"type": 4, "data": {}}, path) == (50006, {})
    status, body = await api(server, "POST", path, {"type": 4, "data": {"content": f"<@{BOB}> @everyone"}},
                             params={"with_response": "true"})  # fmt: skip
    assert (status, body["resource"]["message"]["content"]) == (200, f"<@{BOB}> @everyone")
    (message,) = server.messages(GENERAL)
    assert (message.pings.users, message.pings.everyone) == ([BOB], False)


async def test_a_press_changes_the_message_or_is_just_taken(server, bot):
    rows = [row(button(), button(custom_id="n", disabled=True))]
    number = int((await api(server, "POST", messages(), {"content": "sure?", "components": rows}))[1]["id"])
    for custom_id in ("n", "unknown"):
        with pytest.raises(LookupError):
            server.user_presses(number, custom_id, ANN)
    first, second = server.user_presses(number, "y", ANN), server.user_presses(number, "y", BOB)
    await server.until(lambda: len(bot.interactions) == 2)
    assert bot.interactions[0].message.content == "sure?"
    await bot.interactions[0].response.defer()
    await bot.interactions[1].response.edit_message(content="yes", view=None)
    assert [server.interactions[each].answer for each in (first, second)] == [6, 7]
    assert (server.message(number).content, server.message(number).components) == ("yes", [])
    forged = server.user_presses(number, "y", ANN, forged=True)
    await server.until(lambda: len(bot.interactions) == 3)
    await bot.interactions[2].response.send_message("too late", ephemeral=True)
    assert server.answers(forged)[0].content == "too late"


async def test_a_modal_is_shown_and_sent_off(server, bot):
    class Form(discord.ui.Modal, title="Ask"):
        name = discord.ui.TextInput(label="Name")

    made, seen = await asked(server, bot)
    form = Form()
    await seen.response.send_modal(form)
    sent = server.user_submits(made.id, {form.name.custom_id: "Ann"})
    await server.until(lambda: len(bot.interactions) == 2)
    assert (form.name.value, bot.interactions[1].id) == ("Ann", sent)


# --- limits -------------------------------------------------------------------------------------------


async def test_five_messages_in_five_seconds_and_edits_share_them():
    clock = Clock()
    async with FakeDiscord(clock=clock, limits="documented") as server:
        server.add_channel(server.add_guild(id=GUILD), id=GENERAL)
        other = server.add_channel(GUILD, "other")
        url = f"{server.api_url}{messages()}"
        async with aiohttp.ClientSession(headers={"Authorization": f"Bot {TOKEN}"}) as session:
            for left in range(4, 0, -1):
                async with session.post(url, json={"content": "x"}) as answer:
                    assert answer.headers["X-RateLimit-Remaining"] == str(left)
                    number = (await answer.json())["id"]
            async with session.patch(f"{url}/{number}", json={"content": "y"}) as answer:
                assert answer.headers["X-RateLimit-Remaining"] == "0"
                assert answer.headers["X-RateLimit-Bucket"]
            clock.now += 2.0
            async with session.post(url, json={"content": "x"}) as answer:
                body = await answer.json()
                assert (answer.status, answer.headers["Retry-After"], body["retry_after"]) == (429, "3", 3.0)
                assert (answer.headers["X-RateLimit-Scope"], body["global"]) == ("user", False)
                assert answer.headers["Via"]
        assert (await api(server, "POST", messages(other), {"content": "x"}))[0] == 200
        assert (server.limits.refused, server.limits.invalid, server.limits.early) == (1, 1, 0)
        assert (await api(server, "POST", messages(), {"content": "x"}))[0] == 429
        assert server.limits.early == 1
        clock.now += 3.0
        assert (await api(server, "POST", messages(), {"content": "x"}))[0] == 200


async def test_the_stock_client_keeps_to_the_limits(point):
    async with FakeDiscord(limits="documented") as server:
        server.limits.sizes["messages"] = (5, 0.5)
        server.add_channel(server.add_guild(id=GUILD), id=GENERAL)
        point(server)
        async with running(server) as bot:
            await asyncio.gather(*(bot.get_channel(GENERAL).send(str(number)) for number in range(12)))
        assert (len(server.texts(GENERAL)), server.limits.refused) == (12, 0)


async def test_fifty_requests_a_second_in_all_but_interactions_do_not_count():
    clock = Clock()
    async with FakeDiscord(clock=clock, limits="documented") as server:
        server.add_channel(server.add_guild(id=GUILD, members=[ANN]), id=GENERAL)
        for _ in range(50):
            assert (await api(server, "GET", "/users/@me"))[0] == 200
        status, body = await api(server, "GET", "/users/@me")
        assert (status, body["global"]) == (429, True)
        made = server.interactions[server.user_commands("x", channel_id=GENERAL, forged=True)]
        answer = {"type": 4, "data": {"content": "x"}}
        path = f"/interactions/{made.id}/{made.token}/callback"
        assert (await api(server, "POST", path, answer))[0] == 204
        clock.now += 1.0
        assert (await api(server, "GET", "/users/@me"))[0] == 200


async def test_too_many_invalid_requests_ban_the_address(server, point):
    server.limits.invalid_limit = (3, 600.0)
    server.deny(GENERAL, "SEND_MESSAGES")
    server.flood("get_messages", scope="shared")
    assert (await api(server, "GET", messages()))[0] == 429
    assert server.limits.invalid == 0
    for token in ("", "x", TOKEN):
        assert not server.limits.banned
        await api(server, "POST", messages(), {"content": "x"}, token=token)
    assert server.limits.banned
    point(server)
    with pytest.raises(discord.HTTPException) as refusal:
        async with running(server):
            pass
    assert (refusal.value.status, "1015" in refusal.value.text) == (429, True)


# --- faults -------------------------------------------------------------------------------------------


async def test_a_flood_is_told_and_the_client_waits(server, bot):
    server.flood("create_message", GENERAL, retry_after=0.2)
    started = time.monotonic()
    await bot.get_channel(GENERAL).send("x")
    assert time.monotonic() - started >= 0.2
    assert [call.status for call in server.calls_of("create_message")] == [429, 200]
    assert (server.texts(GENERAL), server.limits.early) == (["x"], 0)


async def test_a_page_of_html_with_a_5xx(server):
    server.fault("create_message", "status", status=503, times=2, skip=1)
    statuses = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {TOKEN}"}) as session:
        for _ in range(4):
            async with session.post(f"{server.api_url}{messages()}", json={"content": "x"}) as answer:
                statuses.append((answer.status, answer.content_type))
    html = (503, "text/html")
    assert statuses == [(200, "application/json"), html, html, (200, "application/json")]
    assert len(server.texts(GENERAL)) == 2


async def test_an_error_of_ones_own_choice(server, bot):
    server.fault("create_message", "error", status=403, code=50013, message="Missing Permissions")
    with pytest.raises(discord.Forbidden) as refusal:
        await bot.get_channel(GENERAL).send("x")
    assert (refusal.value.code, refusal.value.text) == (50013, "Missing Permissions")


async def test_an_answer_lost_behind_a_502_is_asked_for_again_and_the_nonce_keeps_it_one(server, bot):
    server.fault("create_message", "status", applied=True)
    sent = await bot.get_channel(GENERAL).send("x")
    assert [call.status for call in server.calls_of("create_message")] == [502, 200]
    assert [each.id for each in server.messages(GENERAL)] == [sent.id]


@pytest.mark.parametrize(("kind", "said"), [("drop", []), ("lost", ["x"])])
async def test_a_connection_is_cut_before_or_after_the_effect(server, bot, kind, said):
    server.fault("create_message", kind, channel_id=GENERAL)
    with pytest.raises((aiohttp.ClientError, OSError)):
        await bot.get_channel(GENERAL).send("x")
    assert server.texts(GENERAL) == said
    assert [call.fault for call in server.calls_of("create_message")] == [kind]


async def test_garbage_hanging_and_delay(server):
    server.fault("get_current_user", "garbage")
    with pytest.raises(json.JSONDecodeError):
        await api(server, "GET", "/users/@me")
    server.fault("get_current_user", "hang")
    with pytest.raises(TimeoutError):
        await api(server, "GET", "/users/@me", timeout=aiohttp.ClientTimeout(0.1))
    server.fault("get_current_user", "delay", seconds=0.1)
    started = time.monotonic()
    assert (await api(server, "GET", "/users/@me"))[0] == 200
    assert time.monotonic() - started >= 0.1


async def test_a_fault_is_for_its_channel_and_can_be_healed(server):
    other = server.add_channel(GUILD, "other")
    server.fault("*", "status", channel_id=other, times=9)
    assert (await api(server, "POST", messages(), {"content": "x"}))[0] == 200
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bot {TOKEN}"}) as session,
        session.get(f"{server.api_url}{messages(other)}") as answer,
    ):
        assert answer.status == 502
    server.heal()
    assert (await api(server, "GET", messages(other)))[0] == 200
    for wrong in (("create_message", "telepathy"), ("telepathy", "drop")):
        with pytest.raises(ValueError, match="no "):
            server.fault(*wrong)


async def test_the_server_stops_and_comes_back_with_its_state(server, bot):
    await bot.get_channel(GENERAL).send("x")
    port = server.port
    await server.close()
    with pytest.raises(aiohttp.ClientError):
        await bot.get_channel(GENERAL).send("y")
    await server.start()
    assert (server.port, server.texts(GENERAL)) == (port, ["x"])
    await server.until(lambda: server.gateway.counts["resumed"], 10.0)


# --- the gateway --------------------------------------------------------------------------------------


class Wire:
    """A plain client of the gateway."""

    def __init__(self, ws):
        self.ws = ws

    async def get(self):
        message = await self.ws.receive(timeout=3.0)
        return json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else message

    async def put(self, operation, data):
        await self.ws.send_json({"op": operation, "d": data})

    async def identify(self, **facts):
        data = {"token": TOKEN, "intents": 1 << 9, "properties": {}} | facts
        await self.put(2, data)
        return await self.get()

    async def closed(self):
        """The close code that ends it."""
        while (message := await self.ws.receive(timeout=3.0)).type is aiohttp.WSMsgType.TEXT:
            pass
        return self.ws.close_code or message.data


@contextlib.asynccontextmanager
async def wire(server, query="v=10&encoding=json"):
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.gateway_url}/?{query}") as ws:
        yield Wire(ws)


async def test_a_plain_client_is_greeted_and_heard(server):
    async with wire(server) as client:
        hello = await client.get()
        assert (hello["op"], hello["d"]["heartbeat_interval"]) == (10, 41250)
        await client.put(1, None)
        assert (await client.get())["op"] == 11
        ready = await client.identify(intents=1 | 1 << 9)
        assert (ready["op"], ready["t"], ready["s"]) == (0, "READY", 1)
        assert ready["d"]["guilds"] == [{"id": str(GUILD), "unavailable": True}]
        assert ready["d"]["resume_gateway_url"] == server.gateway_url
        create = await client.get()
        assert (create["t"], create["s"], create["d"]["channels"][0]["id"]) == (
            "GUILD_CREATE",
            2,
            str(GENERAL),
        )


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"token": "x"}, 4004),
        ({"intents": 1 << 30}, 4013),
        ({"intents": "all"}, 4013),
        ({"intents": 1 << 1}, 4014),
        ({"shard": [2, 2]}, 4010),
        ({"properties": None}, 4002),
    ],
)
async def test_a_wrong_identify_closes_the_connection(server, facts, code):
    async with wire(server) as client:
        await client.get()
        await client.put(2, {"token": TOKEN, "intents": 0, "properties": {}} | facts)
        assert await client.closed() == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("{", 4002),
        ("[]", 4002),
        ('{"op": 5, "d": 1}', 4001),
        ('{"op": 3, "d": {}}', 4003),
        (json.dumps({"op": 3, "d": "x" * 4096}), 4002),
    ],
)
async def test_a_wrong_payload_closes_the_connection(server, payload, code):
    async with wire(server) as client:
        await client.get()
        await client.ws.send_str(payload)
        assert await client.closed() == code


async def test_a_second_identify_and_a_wrong_version_close_the_connection(server):
    async with wire(server) as client:
        await client.get()
        await client.identify()
        await client.put(2, {"token": TOKEN, "intents": 0, "properties": {}})
        assert await client.closed() == 4005
    async with wire(server, "v=6&encoding=json") as client:
        assert await client.closed() == 4012


async def test_the_stock_client_stops_at_codes_that_are_final(server, point):
    point(server)
    wanted = discord.Intents.default()
    wanted.members = True
    with pytest.raises(discord.PrivilegedIntentsRequired):
        async with running(server, intents=wanted):
            pass
    assert server.gateway.closes == [(4014, "server")]


async def test_events_come_only_with_their_intents(server):
    async with wire(server) as client:
        await client.get()
        await client.identify(intents=1 << 12)
        said = server.user_says(GENERAL, "guild", ANN)
        server.user_reacts(said, "👍", ANN)
        server.user_types(GENERAL, ANN)
        server.add_channel(GUILD, "new")
        server.user_commands("x", channel_id=GENERAL, user_id=ANN, forged=True)
        server.user_says(server.dm(ANN), "private")
        assert [(await client.get())["t"] for _ in range(2)] == ["INTERACTION_CREATE", "MESSAGE_CREATE"]


async def test_a_shard_hears_of_its_guilds_only_and_the_first_of_dms(server):
    mine, other = 1 << 22, 2 << 22
    for guild in (mine, other):
        server.add_channel(server.add_guild(id=guild, members=[ANN]), id=guild + 1)
    async with wire(server) as client:
        await client.get()
        ready = await client.identify(shard=[1, 2], intents=1 << 9 | 1 << 12)
        assert [each["id"] for each in ready["d"]["guilds"]] == [str(mine)]
        server.user_says(server.dm(ANN), "private")
        server.user_says(other + 1, "not mine")
        server.user_says(mine + 1, "mine")
        assert (await client.get())["d"]["guild_id"] == str(mine)


@pytest.mark.parametrize(
    "leave",
    [
        lambda gateway: gateway.drop(),
        lambda gateway: gateway.close(4000),
        lambda gateway: gateway.reconnect(),
        lambda gateway: gateway.invalidate(resumable=True),
    ],
    ids=["drop", "close", "reconnect", "invalidate"],
)
async def test_a_client_that_was_cut_off_resumes_and_misses_nothing(server, bot, leave):
    server.user_says(GENERAL, "before", ANN)
    await server.until(lambda: bot.seen)
    leave(server.gateway)
    server.user_says(GENERAL, "meanwhile", ANN)
    await server.until(lambda: server.gateway.counts["resumed"], 10.0)
    server.user_says(GENERAL, "after", ANN)
    await server.until(lambda: len(bot.seen) == 3)
    assert bot.texts() == ["before", "meanwhile", "after"]
    assert (server.gateway.counts["identifies"], bot.names().count("resumed")) == (1, 1)


@pytest.mark.parametrize(
    "leave",
    [
        lambda gateway: gateway.drop(lose=True),
        lambda gateway: gateway.close(4009),
        lambda gateway: gateway.invalidate(),
    ],
    ids=["drop", "close", "invalidate"],
)
async def test_what_is_said_while_a_session_is_lost_is_in_the_history_only(server, bot, leave):
    leave(server.gateway)
    server.user_says(GENERAL, "meanwhile", ANN)
    await server.until(lambda: server.gateway.counts["identifies"] == 2, 15.0)
    await server.until(lambda: bot.names().count("ready") == 2)
    server.user_says(GENERAL, "after", ANN)
    await server.until(lambda: bot.seen)
    assert bot.texts() == ["after"]
    assert [each.content async for each in bot.get_channel(GENERAL).history()] == ["after", "meanwhile"]


async def test_a_session_ends_with_its_client_or_when_it_has_been_away_for_long():
    clock = Clock()
    async with FakeDiscord(clock=clock) as server:
        server.add_channel(server.add_guild(id=GUILD), id=GENERAL)

        async def resumed(ready, token=TOKEN, seq=1):
            async with wire(server) as client:
                await client.get()
                await client.put(6, {"token": token, "session_id": ready["d"]["session_id"], "seq": seq})
                message = await client.get()
                if isinstance(message, dict):
                    await client.ws.close(code=4000)
                    return message["op"], message["t"]
                return message.data

        async def left(code):
            async with wire(server) as client:
                await client.get()
                ready = await client.identify()
                await client.ws.close(code=code)
                await server.until(lambda: not server.gateway.connections)
                return ready

        assert await resumed(await left(1000)) == (9, None)
        ready = await left(4000)
        assert await resumed(ready, token="x") == 4004
        assert await resumed(ready, seq=99) == 4007
        assert await resumed(ready) == (0, "RESUMED")
        await server.until(lambda: not server.gateway.connections)
        clock.now += 181.0
        assert await resumed(ready) == (9, None)


async def test_heartbeats_are_answered_asked_for_and_missed(server):
    server.gateway.heartbeat_interval = 0.05
    async with wire(server) as client:
        await client.get()
        await client.identify()
        server.gateway.ask_heartbeat()
        assert (await client.get())["op"] == 1
        assert await client.closed() == 4000


async def test_the_stock_client_leaves_a_silent_connection_and_resumes(server, point):
    point(server)
    server.gateway.heartbeat_interval = 0.1
    async with running(server, heartbeat_timeout=0.5) as bot:
        await server.until(lambda: server.gateway.counts["heartbeats"] > 3)
        assert bot.latency < 5.0  # infinite without acknowledgements
        server.gateway.mute()
        server.user_says(GENERAL, "unheard", ANN)
        await server.until(lambda: server.gateway.counts["resumed"])
        await server.until(lambda: bot.texts() == ["unheard"])
        assert (4000, "client") in server.gateway.closes


async def test_a_zombie_gets_no_acknowledgement(server):
    server.gateway.zombie = True
    async with wire(server) as client:
        await client.get()
        await client.put(1, None)
        ready = await client.identify()
        assert ready["t"] == "READY"


async def test_starts_are_limited_to_one_in_five_seconds():
    clock = Clock()
    async with FakeDiscord(clock=clock, limits="documented") as server:
        for expected in (0, 9):
            async with wire(server) as client:
                await client.get()
                assert (await client.identify())["op"] == expected
        clock.now += 5.0
        async with wire(server) as client:
            await client.get()
            assert (await client.identify())["op"] == 0
            for _ in range(120):
                await client.put(1, None)
            assert await client.closed() == 4008


async def test_two_sessions_both_hear_everything(server, point):
    point(server)
    async with running(server) as one:
        other = Bot()
        task = asyncio.create_task(other.start(TOKEN))
        await server.until(lambda: "ready" in other.names())
        server.user_says(GENERAL, "to both", ANN)
        await server.until(lambda: one.seen and other.seen)
        await other.close()
        await task


async def test_unknown_and_broken_events_are_delivered_as_they_are(server):
    async with wire(server) as client:
        await client.get()
        await client.identify()
        server.gateway.push("TELEPATHY", {"thought": 1})
        server.gateway.push("MESSAGE_CREATE", {})
        assert [(event["t"], event["d"]) for event in [await client.get(), await client.get()]] == [
            ("TELEPATHY", {"thought": 1}),
            ("MESSAGE_CREATE", {}),
        ]


async def test_members_are_asked_for_over_the_gateway(server, bot):
    (ann,) = await bot.get_guild(GUILD).query_members("ann")
    assert ann.id == ANN
    await bot.change_presence(status=discord.Status.idle)
    await server.until(lambda: (server.gateway.presence or {}).get("status") == "idle")


async def test_a_gateway_that_is_down_refuses_connections(server, point):
    server.gateway.down = True
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with wire(server):
            pass
    assert server.counts["gateway_connect"] == 1


# --- a process of its own -----------------------------------------------------------------------------


async def test_it_runs_as_a_process_and_is_steered_over_http(tmp_path, point):
    log = tmp_path / "calls.jsonl"
    arguments = ("--log", str(log), "--reply-delay", "0.01")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.discord", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        told = json.loads(process.stdout.readline())
        async with aiohttp.ClientSession() as session:

            async def control(what, body=None):
                method = "GET" if body is None else "POST"
                async with session.request(method, f"{told['url']}/control/{what}", json=body) as answer:
                    return await answer.json()

            guild = (await control("guild", {"name": "Home", "members": [ANN]}))["result"]
            channel = (await control("channel", {"guild_id": guild}))["result"]
            async with session.post(
                f"{told['api_url']}{messages(channel)}",
                json={"content": "hi"},
                headers={"Authorization": f"Bot {TOKEN}"},
            ) as answer:
                assert answer.status == 200
            said = await control("say", [{"channel_id": channel, "text": text} for text in ("a", "b")])
            assert said["results"][1] > said["results"][0]
            assert "error" in await control("say", {"channel_id": 5, "text": "x"})
            assert "error" in await control("telepathy", {})
            await control("options", {"limits": "documented", "nonce_window": 5})
            state = await control("state")
            shown = state["channels"][str(channel)]
            assert [each["content"] for each in shown["messages"]] == ["hi"]
            assert [each["content"] for each in shown["said"]] == ["a", "b"]
            assert (state["counts"], state["errors"]) == ({"create_message": 1}, [])
            assert [call["method"] for call in await control("calls?since=0")] == ["create_message"]
        (line,) = [json.loads(line) for line in log.read_text().splitlines()]
        assert (line["method"], line["params"]["content"], line["at"] > 1e9) == ("create_message", "hi", True)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        process.stdout.close()


async def test_everything_can_be_steered_over_http(server, bot):
    said = server.user_says(GENERAL, "https://a.example", ANN)
    rows = [row(button())]
    sent = int((await api(server, "POST", messages(), {"content": "x", "components": rows}))[1]["id"])
    await api(server, "PUT", commands(server), [command()])
    actions = {
        "user": {"username": "eve"}, "guild": {"name": "Other"}, "channel": {"guild_id": GUILD, "name": "c"},
        "role": {"guild_id": GUILD, "name": "r"}, "thread": {"channel_id": GENERAL, "user_id": ANN},
        "dm": {"user_id": 7100, "id": 7200}, "private": {"user_ids": [ANN, BOB]},
        "react": {"message_id": said, "emoji": "👍"},
        "edit": {"message_id": said, "text": "y"}, "unfurl": {"message_id": said}, "delete": {"message_id": said},
        "type": {"channel_id": GENERAL}, "command": {"name": "new", "channel_id": GENERAL},
        "press": {"message_id": sent, "custom_id": "y"}, "block": {"user_id": ANN}, "unblock": {"user_id": ANN},
        "deny": {"channel_id": GENERAL, "permissions": ["SEND_MESSAGES"]}, "push": {"name": "X", "body": 1},
        "fault": {"method": "get_channel", "kind": "error"}, "flood": {"method": "get_channel"}, "heal": {},
        "outage": {"guild_id": GUILD}, "kick": {"guild_id": GUILD}, "invite": {"guild_id": GUILD}, "mute": {},
        "drop": {}, "close": {"code": 4000}, "reconnect": {}, "invalidate": {"resumable": True}, "forget": {},
        "options": {"zombie": True, "down": True, "privileged": [], "invalid_limit": 9, "heartbeat_interval": 1},
        "ban": {"seconds": 1},
    }  # fmt: skip
    async with aiohttp.ClientSession() as session:
        for what, body in actions.items():
            async with session.post(f"{server.url}/control/{what}", json=body) as answer:
                assert (what, answer.status) == (what, 200), await answer.text()
        async with session.post(f"{server.url}/control/options", json={"limits": "some"}) as answer:
            assert answer.status == 400
        async with session.get(f"{server.url}/control/state") as answer:
            state = await answer.json()
    assert state["channels"]["7200"]["recipients"] == [7100, server.bot_id]
    assert [made["kind"] for made in state["interactions"]] == [2, 3]
    assert state["gateway"]["counts"]["identifies"] == 1


async def test_an_attachment_is_fetched_by_an_address_that_expires(server):
    said = server.user_says(GENERAL, "", ANN, attachments=[["c.txt", "text"]])

    async def address():
        _, body = await api(server, "GET", f"/channels/{GENERAL}/messages/{said}")
        return body["attachments"][0]["url"]

    async def status(url):
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status

    first = await address()
    assert {"ex", "is", "hm"} <= set(re.findall(r"(\w+)=", first))
    assert [await status(first), await status(first.replace("ex=", "ex=1"))] == [200, 404]
    server.world.cdn.expire()
    assert [await status(first), await status(await address())] == [404, 200]
