"""The fake Discord server, driven by the stock discord.py client and by plain HTTP."""

import asyncio
import contextlib
from pathlib import Path

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
