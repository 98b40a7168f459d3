"""All channels, each against its fake server, in the tests that they have in common."""

import json
import time

import pytest

from channels.discord import Discord
from channels.telegram import Telegram
from gateway.types.outbound import MenuEntry
from gateway.types.places import Address
from tests.fakes.discord import FakeDiscord
from tests.fakes.telegram import FakeTelegram

pytest.register_assert_rewrite("tests.channel_suite")
from tests.channel_suite import ChannelSuite, Driver, Shown  # noqa: E402

ANN, GROUP = 7001, -1001234567890


MENU = (MenuEntry(name="status", description="How it goes"),)


class OnTelegram(Driver):
    async def open(self):
        self.server = FakeTelegram()
        await self.server.start()
        self.server.add_chat(ANN, first_name="Ann")
        self.server.add_chat(GROUP, "supergroup", title="The group")
        self.person = str(ANN)
        self.direct = Address(account=1, conversation=1, chat_id=str(ANN))
        self.group = Address(account=1, conversation=2, chat_id=str(GROUP), kind="group")
        self.updates = {}
        self.channel = self.made()

    async def shut(self):
        await self.server.close()

    def made(self):
        return Telegram(
            token=self.server.token, api_url=self.server.url, poll_seconds=5, clock=self.now,
            on_health=lambda *told: self.health.append(told), sleep=self._sleep,
        )  # fmt: skip

    def now(self):
        return time.time_ns() // 1000

    def says(self, where, text, *, reply_to=None, mention=False):
        if mention:
            text = f"@{self.server.world.bot['username']} {text}"
        answered = int(reply_to) if reply_to else None
        kind = "private" if where is self.direct else "supergroup"
        update = self.server.user_says(int(where.chat_id), text, ANN, reply_to=answered, chat_type=kind)
        self.last = self.server.updates[update]
        return str(self.server.message_id_of(update))

    def shares(self, where, name, content, text=""):
        update = self.server.user_sends_document(int(where.chat_id), content, name, caption=text)
        return str(self.server.message_id_of(update))

    def files(self, where):
        sent = [each.extra["document"] for each in self.server.messages(int(where.chat_id))]
        return [(each["file_name"], self.server.world.files[each["file_id"]][1]) for each in sent]

    def edits(self, where, message_id, text):
        self.server.user_edits(int(where.chat_id), int(message_id), text)

    def commands(self, where, text):
        return self.server.user_says(int(where.chat_id), text, ANN)

    def presses(self, where, message_id, token):
        return self.server.user_presses(int(where.chat_id), int(message_id), token, ANN)

    def acknowledged(self, handle):
        return self.server.confirmed is not None and self.server.confirmed >= handle

    def again(self):
        self.server.restart_update_ids(self.last["update_id"])
        self.server.push_raw({name: value for name, value in self.last.items() if name != "update_id"})

    def shown(self, where):
        found = []
        for each in self.server.messages(int(where.chat_id)):
            rows = (each.reply_markup or {}).get("inline_keyboard", [])
            buttons = tuple(button["callback_data"] for row in rows for button in row)
            found.append(Shown(str(each.id), each.text or each.extra.get("caption", ""), buttons))
        return found

    def toasts(self):
        return [call.params["text"] for call in self.server.calls_of("answerCallbackQuery")]

    def reactions(self, where, message_id):
        found = self.server.world.chats[int(where.chat_id)].messages[int(message_id)].reactions
        return [each["emoji"] for each in found]

    def typed(self, where):
        return len(self.server.typing(int(where.chat_id)))

    def trouble(self, call, kind, *, seconds=0):
        method = {"send": "sendMessage", "edit": "editMessageText"}[call]
        described = {"format": "Bad Request: can't parse entities", "refused": "Bad Request: who knows"}
        if kind in described:
            self.server.fault(method, "error", status=400, description=described[kind])
        elif kind == "flood":
            self.server.flood(method, retry_after=seconds)
        else:
            self.server.fault(method, kind, applied=True)

    def leave(self, where):
        self.server.block(int(where.chat_id))


class OnDiscord(Driver):
    async def open(self):
        self.server = FakeDiscord()
        await self.server.start()
        ann = self.server.add_user("ann")
        self.person = str(ann)
        self.hall = self.server.add_channel(self.server.add_guild(members=[ann]))
        self.direct = Address(account=1, conversation=1, chat_id=str(self.server.dm(ann)))
        self.group = Address(account=1, conversation=2, chat_id=str(self.hall), kind="group")
        self.channel = self.made()

    async def shut(self):
        await self.server.close()

    def made(self):
        return Discord(
            token=self.server.token, api_url=self.server.api_url, cursors=self._cursors, clock=self.now,
            commands=MENU, on_health=lambda *told: self.health.append(told), sleep=self._sleep,
        )  # fmt: skip

    async def _cursors(self, account):
        return dict(self.inbox.cursors)

    async def runs(self):
        await super().runs()
        await self.until(lambda: self.server.commands)

    def now(self):
        return time.time_ns() // 1000

    def says(self, where, text, *, reply_to=None, mention=False):
        if mention:
            text = f"<@{self.server.bot_id}> {text}"
        answered = int(reply_to) if reply_to else None
        return str(self.server.user_says(int(where.chat_id), text, int(self.person), reply_to=answered))

    def shares(self, where, name, content, text=""):
        said = self.server.user_says(
            int(where.chat_id), text, int(self.person), attachments=[[name, content]]
        )
        return str(said)

    def files(self, where):
        sent = [one for each in self.server.messages(int(where.chat_id)) for one in each.attachments]
        return [(each["filename"], self.server.world.files[int(each["id"])][1]) for each in sent]

    def edits(self, where, message_id, text):
        self.server.user_edits(int(message_id), text)

    def commands(self, where, text):
        name, _, rest = text.removeprefix("/").partition(" ")
        options = {"text": rest} if rest else {}
        return self.server.user_commands(
            name, options, channel_id=int(where.chat_id), user_id=int(self.person)
        )

    def presses(self, where, message_id, token):
        return self.server.user_presses(int(message_id), f"p:{token}", int(self.person))

    def acknowledged(self, handle):
        return self.server.interactions[handle].answer is not None

    def again(self):
        last = self.inbox.events[-1]
        self.server.gateway.push("MESSAGE_CREATE", json.loads(last.raw))

    def shown(self, where):
        found = []
        for each in self.server.messages(int(where.chat_id)):
            buttons = tuple(
                one["custom_id"].removeprefix("p:") for row in each.components for one in row["components"]
            )
            found.append(Shown(str(each.id), each.content, buttons))
        return found

    def toasts(self):
        return [each.content for each in self.server.ephemeral(int(self.direct.chat_id))]

    def reactions(self, where, message_id):
        found = self.server.message(int(message_id)).reactions
        return [emoji for emoji, who in found.items() if self.server.bot_id in who]

    def typed(self, where):
        return len(self.server.typing(int(where.chat_id)))

    def trouble(self, call, kind, *, seconds=0):
        method = {"send": "create_message", "edit": "edit_message"}[call]
        said = {
            "format": "In components.0.components.0.custom_id: Must be 100 or fewer.",
            "refused": "Who knows",
        }
        if kind in said:
            self.server.fault(method, "error", status=400, code=50035, message=said[kind])
        elif kind == "flood":
            self.server.flood(method, retry_after=float(seconds))
        else:
            self.server.fault(method, kind, applied=True)

    def leave(self, where):
        if where is self.direct:
            self.server.block(int(self.person))
        else:
            self.server.kick(self.server.world.channels[self.hall].guild_id)


@pytest.fixture(params=[OnTelegram, OnDiscord], ids=["telegram", "discord"])
async def on(request):
    driver = request.param()
    await driver.open()
    yield driver
    await driver.stop()
    await driver.shut()
    assert driver.server.errors == []


@pytest.fixture
async def run(on):
    await on.runs()
    return on


class TestChannels(ChannelSuite):
    pass
