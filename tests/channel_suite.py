"""What every channel must do, whatever the platform: each has a driver, and all the tests here are run on it."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass

import pytest

from gateway.errors import DeliveryError, DiskFull, StoreError
from gateway.types.inbound import Kind, Quote
from gateway.types.outbound import Button, Chunk, File
from gateway.types.places import Account, Address
from tests.inbox import Inbox


@dataclass(frozen=True)
class Shown:
    """A message of the bot's as people see it; *buttons* are tokens."""

    id: str
    text: str
    buttons: tuple[str, ...] = ()


class Driver(ABC):
    """A platform with one person on it, their private chat with the bot, and a group with both of them in it.

    Pauses of the channel are cut short.
    """

    server = None
    channel = None
    person = ""  # the person's id
    direct: Address
    group: Address

    def __init__(self):
        self.inbox = Inbox()
        self.health = []
        self.pauses = []
        self.task = None

    @abstractmethod
    async def open(self):
        """Starts the platform and makes the channel."""

    @abstractmethod
    async def shut(self):
        """Ends the platform."""

    @abstractmethod
    def made(self):
        """A channel as after a restart."""

    @abstractmethod
    def says(self, where, text, *, reply_to=None, mention=False):
        """A message of the person; its id. *mention*: it begins with one of the bot."""

    @abstractmethod
    def shares(self, where, name, content, text=""):
        """The person sends a file; the id of the message."""

    @abstractmethod
    def files(self, where):
        """(name, content) of the files in the bot's messages there, oldest first."""

    @abstractmethod
    def edits(self, where, message_id, text):
        """The person changes a message."""

    @abstractmethod
    def commands(self, where, text):
        """The person gives a command, in the platform's own way; a handle for `acknowledged`."""

    @abstractmethod
    def presses(self, where, message_id, token):
        """The person presses a button; a handle for `acknowledged`."""

    @abstractmethod
    def acknowledged(self, handle):
        """Whether the platform was told that it arrived."""

    @abstractmethod
    def again(self):
        """The platform delivers the last message once more."""

    @abstractmethod
    def shown(self, where):
        """The bot's messages there, oldest first."""

    @abstractmethod
    def toasts(self):
        """What people were told on pressing buttons."""

    @abstractmethod
    def reactions(self, where, message_id):
        """The emoji of the bot under a message."""

    @abstractmethod
    def typed(self, where):
        """How often the bot was shown as typing."""

    @abstractmethod
    def trouble(self, call, kind, **details):
        """The next *call* (send, edit) goes wrong: drop, lost, garbage, format, gone, server, flood, refused."""

    @abstractmethod
    def leave(self, where):
        """The bot is blocked or thrown out."""

    async def _sleep(self, seconds):
        self.pauses.append(seconds)
        await asyncio.sleep(min(seconds / 100, 0.1))

    async def runs(self):
        number, name = await self.channel.start()
        account = Account(id=1, channel=self.channel.name, platform_id=number, name=name)
        self.task = asyncio.create_task(self.channel.run(account, self.inbox))
        await self.until(lambda: self.health)

    async def stop(self):
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self.channel.close()

    async def restart(self):
        await self.stop()
        self.health.clear()
        self.channel = self.made()
        await self.runs()

    async def until(self, condition):
        await self.server.until(condition)

    async def heard(self, many):
        """The events, when there are so many of them."""
        await self.until(lambda: len(self.inbox.events) >= many)
        assert len(self.inbox.events) == many
        return self.inbox.events

    async def send(self, where, text="hello", *, nonce="n", tried=None, content=None, **chunk):
        said = Chunk(text=text, **chunk)
        return await self.channel.send(where, said, nonce=nonce, tried=tried, content=content)

    async def fetched(self, ref, most=1_000_000):
        pieces = []
        await self.channel.fetch(ref, pieces.append, most=most)
        return b"".join(pieces)

    def texts(self, where):
        return [each.text for each in self.shown(where)]

    @property
    def states(self):
        return [state for state, _ in self.health]


async def failure(driver, work):
    with pytest.raises(DeliveryError) as caught:
        await work
    assert driver.server.token not in str(caught.value)
    return caught.value


class ChannelSuite:
    """*on*: a driver that is open; *run*: one whose channel runs."""

    # --- taking in

    async def test_messages_come_in_order_with_who_and_where(self, run):
        ids = [run.says(run.direct, text) for text in ("one", "two", "three")]
        events = await run.heard(3)
        assert [event.text for event in events] == ["one", "two", "three"]
        assert [event.message_id for event in events] == ids
        for event in events:
            assert (event.kind, event.addressed, event.error) == (Kind.MESSAGE, True, "")
            assert (event.place.kind, event.place.chat_id) == ("direct", run.direct.chat_id)
            assert event.sender.user_id == run.person and event.sender.name == "Ann"
            assert event.sent and event.raw
        assert len({event.event_id for event in events}) == 3

    async def test_any_text_arrives_as_it_is(self, run):
        texts = ["👩‍👩‍👧 Grüße\n\n  你好", "a\u0301", "<b>&amp;</b>", "x" * 1900]
        for text in texts:
            run.says(run.direct, text)
        assert [event.text for event in await run.heard(4)] == texts

    async def test_in_a_group_only_what_mentions_or_answers_the_bot_is_for_it(self, run):
        ours = await run.send(run.group, "ours")
        theirs = run.says(run.group, "to nobody")
        run.says(run.group, "to the bot", mention=True)
        run.says(run.group, "to ours", reply_to=ours)
        run.says(run.group, "to theirs", reply_to=theirs)
        events = await run.heard(4)
        assert [event.addressed for event in events] == [False, True, True, False]
        assert [event.text for event in events] == ["to nobody", "to the bot", "to ours", "to theirs"]
        assert {event.place.kind for event in events} == {"group"}

    async def test_what_is_answered_comes_as_a_quote(self, run):
        ours = await run.send(run.direct, "ours")
        run.says(run.direct, "why?", reply_to=ours)
        (event,) = await run.heard(1)
        (quote,) = event.quotes
        assert (event.reply_to, quote.origin, quote.text, quote.ours) == (ours, "reply", "ours", True)
        assert isinstance(quote, Quote)

    async def test_an_edit_is_an_event_of_its_own(self, run):
        said = run.says(run.direct, "one")
        await run.heard(1)
        run.edits(run.direct, said, "two")
        event = (await run.heard(2))[1]
        assert (event.kind, event.text, event.message_id) == (Kind.EDIT, "two", said)

    async def test_a_command_is_one(self, run):
        run.commands(run.direct, "/status now")
        (event,) = await run.heard(1)
        assert (event.kind, event.text, event.addressed) == (Kind.COMMAND, "/status now", True)

    async def test_what_comes_twice_has_the_same_id(self, run):
        run.says(run.direct, "once")
        await run.heard(1)
        first = len(run.inbox.pages)
        run.again()
        await run.until(lambda: len(run.inbox.pages) > first)
        assert {event.event_id for page in run.inbox.pages for event in page} == {
            run.inbox.events[0].event_id
        }

    async def test_nothing_is_acknowledged_before_it_is_on_disk(self, run):
        run.inbox.gate = asyncio.Event()
        handle = run.commands(run.direct, "/status")
        await asyncio.sleep(0.1)
        assert not run.acknowledged(handle)
        run.inbox.gate.set()
        await run.until(lambda: run.acknowledged(handle))
        assert len(run.inbox.events) == 1

    @pytest.mark.parametrize("error, state", [(StoreError("locked"), "down"), (DiskFull("full"), "disk")])
    async def test_what_could_not_be_stored_comes_again_in_order(self, run, error, state):
        run.inbox.failures = [error] * 3
        run.says(run.direct, "one")
        run.says(run.direct, "two")
        events = await run.heard(2)
        assert [event.text for event in events] == ["one", "two"]
        await run.until(lambda: run.states == ["ok", state, "ok"])

    async def test_what_was_said_while_the_process_was_down_is_taken_in(self, run):
        run.says(run.direct, "before")
        await run.heard(1)
        await run.stop()
        run.says(run.direct, "meanwhile")
        await run.restart()
        run.says(run.direct, "after")
        await run.heard(3)
        assert run.inbox.texts == ["before", "meanwhile", "after"]

    async def test_the_platform_may_go_away_and_come_back(self, run):
        run.says(run.direct, "before")
        await run.heard(1)
        await run.server.close()
        await run.until(lambda: run.states[-1] == "down")
        await run.server.start()
        run.says(run.direct, "after")
        await run.heard(2)
        await run.until(lambda: run.states[-1] == "ok")

    # --- buttons

    async def test_a_button_press_arrives_and_is_acknowledged_also_after_a_restart(self, run):
        sent = await run.send(run.direct, "Sure?", buttons=(Button(label="Yes", token="t0ken"),))
        assert run.shown(run.direct) == [Shown(sent, "Sure?", ("t0ken",))]
        await run.restart()
        pressed = run.presses(run.direct, sent, "t0ken")
        (event,) = await run.heard(1)
        assert (event.kind, event.button, event.message_id) == (Kind.BUTTON, "t0ken", sent)
        await run.channel.ack(event.press_id, "Noted.")
        assert run.acknowledged(pressed)
        assert run.toasts() == ["Noted."]
        reply = run.channel.answering(Chunk(text="Done."), event.press_id, whisper=False)
        await run.channel.send(run.direct, reply, nonce="r")
        assert run.texts(run.direct) == ["Sure?", "Done."]

    # --- sending

    async def test_a_message_is_sent_edited_and_taken_back(self, run):
        sent = await run.send(run.direct, "one")
        assert run.shown(run.direct) == [Shown(sent, "one")]
        await run.channel.edit(run.direct, sent, Chunk(text="two"))
        assert run.shown(run.direct) == [Shown(sent, "two")]
        if run.channel.can.delete:
            await run.channel.delete(run.direct, sent)
            await run.channel.delete(run.direct, sent)
            assert run.shown(run.direct) == []
            assert (await failure(run, run.channel.edit(run.direct, sent, Chunk(text="x")))).kind == "missing"

    async def test_an_edit_takes_buttons_away(self, run):
        sent = await run.send(run.direct, "Sure?", buttons=(Button(label="Yes", token="t"),))
        await run.channel.edit(run.direct, sent, Chunk(text="Done."))
        assert run.shown(run.direct) == [Shown(sent, "Done.")]

    async def test_the_opening_is_how_a_message_begins(self, run):
        (chunk,) = run.channel.render("This is how it begins. " + "More of it follows. " * 20)
        opening = run.channel.opening(chunk)
        assert opening.text == "This is how it begins."
        sent = await run.channel.send(run.direct, opening, nonce="n")
        await run.channel.edit(run.direct, sent, chunk)
        assert run.shown(run.direct) == [Shown(sent, chunk.text)]

    async def test_a_long_text_is_sent_in_parts_with_nothing_lost(self, run):
        words = [f"word{number}" for number in range(1000)]
        chunks = run.channel.render("**" + words[0] + "** 😀 " + " ".join(words[1:]))
        assert len(chunks) > 1
        for number, chunk in enumerate(chunks):
            await run.channel.send(run.direct, chunk, nonce=str(number))
        seen = " ".join(run.texts(run.direct)).replace("**", "").split()
        assert [word for word in seen if word != "😀"] == words

    async def test_code_that_is_cut_is_code_in_every_part(self, run):
        # Still growing: else so much of it would be a file.
        chunks = run.channel.render(
            "```py\n" + "\n".join(f"line{number} = 1" for number in range(600)) + "\n```", growing=True
        )
        assert len(chunks) > 1
        for number, chunk in enumerate(chunks):
            await run.channel.send(run.direct, chunk, nonce=str(number))
        assert sum(text.count("line") for text in run.texts(run.direct)) == 600

    async def test_there_is_one_reaction_of_ours_at_a_time(self, run):
        if not run.channel.can.reaction:
            return
        said = run.says(run.direct, "hello")
        shown = []
        for reaction in ("seen", "done", None):
            await run.channel.react(run.direct, said, reaction)
            shown.append(run.reactions(run.direct, said))
        assert [len(each) for each in shown] == [1, 1, 0]
        assert shown[0] != shown[1]

    async def test_typing_is_shown(self, run):
        await run.channel.typing(run.direct)
        await run.channel.typing(run.group)
        assert (run.typed(run.direct), run.typed(run.group)) == (1, 1)

    async def test_a_person_can_be_written_to_in_private(self, run):
        assert await run.channel.direct(run.person) == run.direct.chat_id

    async def test_nobody_administers_a_private_chat(self, run):
        assert await run.channel.administers(run.direct, run.person) is False

    # --- files

    async def test_a_file_comes_in_and_can_be_fetched_again_and_again(self, run):
        content = bytes(range(256)) * 1000
        run.shares(run.direct, "Grüße 2026.txt", content, "look")
        (event,) = await run.heard(1)
        (file,) = event.files
        assert (event.text, event.addressed, file.name) == ("look", True, "Grüße 2026.txt")
        assert (file.kind, file.type, file.size) == ("file", "text/plain", len(content))
        for _ in range(2):
            assert await run.fetched(file.ref) == content
        assert (await failure(run, run.fetched(file.ref, most=len(content) - 1))).kind == "too_big"

    async def test_a_file_without_words_is_a_message_too(self, run):
        run.shares(run.direct, "notes.txt", b"notes")
        (event,) = await run.heard(1)
        assert (event.text, event.addressed, len(event.files)) == ("", True, 1)

    async def test_what_never_was_there_is_missing(self, run):
        assert (await failure(run, run.fetched("nothing of the kind"))).kind == "missing"

    async def test_files_are_sent_with_and_without_words(self, run):
        if not run.channel.can.file:
            return
        file = File(name="../report «1».pdf", type="application/pdf", media=1)
        for number, text in enumerate(("Here it is", "")):
            content = f"{number}".encode() * 200_000
            await run.send(run.direct, text, nonce=str(number), file=file, content=content)
        assert run.files(run.direct) == [
            ("report «1».pdf", b"0" * 200_000),
            ("report «1».pdf", b"1" * 200_000),
        ]

    async def test_a_file_keeps_its_buttons_and_is_plain_or_whole_where_asked(self, run):
        file = File(name="a.txt", type="text/plain", text="a")
        chunk = Chunk(text="Long. " * 50, file=file, buttons=(Button(label="Ok", token="t0ken"),))
        assert run.channel.opening(chunk) == chunk
        assert run.channel.plain(chunk).file == file
        sent = await run.channel.send(run.direct, chunk, nonce="n", content=b"a")
        (shown,) = run.shown(run.direct)
        assert (shown.id, shown.buttons) == (sent, ("t0ken",))

    # --- what goes wrong

    async def test_a_refused_format_is_told_and_the_plain_message_goes_out(self, run):
        run.trouble("send", "format")
        (chunk,) = run.channel.render("**bold** and `code`")
        assert (await failure(run, run.channel.send(run.direct, chunk, nonce="n"))).kind == "format"
        await run.channel.send(run.direct, run.channel.plain(chunk), nonce="n")
        assert len(run.shown(run.direct)) == 1

    async def test_a_long_flood_says_how_long(self, run):
        run.trouble("send", "flood", seconds=90)
        error = await failure(run, run.send(run.direct))
        assert (error.kind, error.retry_after) == ("flood", 90)
        assert run.shown(run.direct) == []

    async def test_any_other_refusal_is_for_good(self, run):
        run.trouble("send", "refused")
        assert (await failure(run, run.send(run.direct))).kind == "rejected"

    async def test_where_the_bot_may_not_speak_it_is_gone(self, run):
        for where in (run.direct, run.group):
            run.leave(where)
            assert (await failure(run, run.send(where))).kind == "gone"

    @pytest.mark.parametrize("kind", ["lost", "garbage"])
    async def test_a_lost_answer_may_have_been_sent(self, run, kind):
        run.trouble("send", kind)
        assert (await failure(run, run.send(run.direct))).kind == "lost"
        if run.channel.limits.placing == "exact":
            await run.send(run.direct, tried=run.now())
            assert len(run.shown(run.direct)) == 1

    async def test_an_edit_that_is_lost_can_be_repeated(self, run):
        sent = await run.send(run.direct, "one")
        run.trouble("edit", "lost")
        assert (await failure(run, run.channel.edit(run.direct, sent, Chunk(text="two")))).kind == "lost"
        try:
            await run.channel.edit(run.direct, sent, Chunk(text="two"))
        except DeliveryError as error:
            assert error.kind == "unchanged"
        assert run.shown(run.direct) == [Shown(sent, "two")]

    async def test_without_a_connection_nothing_was_sent(self, run):
        await run.server.close()
        assert (await failure(run, run.send(run.direct))).kind == "connect"
        await run.server.start()

    async def test_a_refused_token_is_told(self, on):
        on.server.token, wrong = on.server.token[:-1] + "!", on.server.token
        with pytest.raises(DeliveryError) as caught:
            await on.channel.start()
        assert (caught.value.kind, on.states) == ("auth", ["auth"])
        assert wrong not in str(caught.value)
