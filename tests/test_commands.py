"""Commands and buttons, sent the way people send them: through the dispatcher, over a real store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from gateway import __version__, amounts, moments
from gateway.calls import Reply
from gateway.commands import cost, period, quote, window
from gateway.commands.table import Table
from gateway.errors import ModelError, Refused
from gateway.failpoints import Point
from gateway.manager import SessionManager, UsageRecord
from gateway.reports import CostOverview, DayCost, Share, UsageSummary
from gateway.roster import Roster
from gateway.texts import LANGUAGES, forms, say
from gateway.types.measures import DAY, HOUR, SECOND
from gateway.types.people import Identity
from gateway.types.usage import Tokens
from storage import Store
from tests.chats import ZONE, Chat, call, chatting
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB

ADMINS = ["system", "announce", "halt", "unhalt", "pair", "people", "block"]
NAMES = [
    "start", "help", "new", "resume", "sessions", "search", "session", "history", "title", "tag", "untag",
    "unread", "undo", "redo", "retry", "rewind", "fork", "close", "archive", "unarchive", "pause", "unpause", "export",
    "delete", "stop", "approve", "deny", "status", "usage", "cost", "budget",
    "job",
    "context", "compact", "compactions", "clear", "model", "think", "queue", "verbose", "footer", "gap", "overhear",
    "tools", "lang", "zone", "digest", "data", "whoami", "link",
]  # fmt: skip
BETWEEN = ("new", "resume", "compact", "clear", "model", "think", "undo", "redo", "retry",
           "rewind", "fork", "close", "archive", "system")  # fmt: skip
CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{10}")


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock) as found:
        yield found


@pytest.fixture
async def demo(tmp_path) -> AsyncIterator[Chat]:
    async with await SessionManager.open(f"sqlite:///{tmp_path / 'demo.db'}") as manager:
        table = Table(manager=manager, roster=Roster(store=manager.core.store, clock=manager.core.clock))
        manager.core.dispatcher.commands = table
        yield Chat(None, manager, table)  # type: ignore[arg-type]


# -- the table ------------------------------------------------------------------------------------------------


async def test_every_command_says_whether_it_waits_for_the_running_turn(demo: Chat) -> None:
    assert set(demo.table.commands) == {*NAMES, *ADMINS}
    for name in demo.table.commands:
        assert demo.table.mode(name) == ("between" if name in BETWEEN else "now")
    assert demo.table.mode("reset") == "between"
    assert demo.table.mode("nonsense") is None


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_the_menu_is_one_that_every_platform_takes(demo: Chat, lang: str) -> None:
    menu = demo.table.menu()
    assert [each.name for each in menu if not each.admin] == NAMES
    for name, description in ((each.name, each.translated.get(lang, each.description)) for each in menu):
        # Bot API, BotCommand; Discord, application commands.
        assert re.fullmatch(r"[a-z0-9_]{1,32}", name)
        assert 1 <= len(description) <= 100


async def test_a_command_that_does_not_exist_is_answered_with_where_to_look(demo: Chat) -> None:
    assert "/help" in await demo.local("/resumee")


async def test_a_misspelt_command_is_answered_with_the_nearest_one(demo: Chat) -> None:
    with pytest.raises(Refused, match=r"I do not know /stauts\. Did you mean /status\?"):
        await demo.table.run(call("stauts"))
    with pytest.raises(Refused) as refused:
        await demo.table.run(call("qqqqq"))
    assert "Did you mean" not in str(refused.value)


async def test_a_command_for_admins_says_so_to_users_and_is_in_no_list_of_theirs(demo: Chat) -> None:
    assert "Halted" in (await demo.table.run(call("halt", role="admin"))).text
    with pytest.raises(Refused, match="/unhalt is for admins of this gateway"):
        await demo.table.run(call("unhalt"))
    assert "/halt is for admins" in (await demo.table.run(call("help", "halt"))).text
    for name in ADMINS:
        assert [each.admin for each in demo.table.menu() if each.name == name] == [True]
        assert f"/{name} " not in (await demo.table.run(call("help"))).text
        assert f"/{name} " in (await demo.table.run(call("help", role="owner"))).text


async def test_a_button_of_another_version_says_that_it_no_longer_works(demo: Chat) -> None:
    with pytest.raises(Refused, match=re.escape(say("button.stale"))):
        await demo.table.press("nothing", {}, call("nothing"))
    with pytest.raises(Refused, match=re.escape(say("button.stale"))):
        await demo.table.press("continue-previous", {"previous": "1"}, call("continue-previous"))


async def test_a_button_that_fails_is_answered_and_can_be_pressed_again(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    await chat.told("hello", "You said: hello")
    await chat.told("/undo", "taken back")
    press = chat.table.press

    async def broken(*told: object) -> Reply:
        monkeypatch.setattr(chat.table, "press", press)
        raise ZeroDivisionError

    monkeypatch.setattr(chat.table, "press", broken)
    await chat.presses("Bring back")
    await chat.sees(say("message.internal"))
    assert chat.path.troubles[-1][0] == "internal"
    await chat.path.presses(chat.path.channel.buttons[_with_button(chat)]["Bring back"])
    await chat.sees("1 turn is back.")


def _with_button(chat: Chat) -> str:
    return next(id for id, labels in chat.path.channel.buttons.items() if "Bring back" in labels)


# -- about ----------------------------------------------------------------------------------------------------


async def test_start_greets_says_what_this_is_and_names_three_commands(chat: Chat) -> None:
    text = await chat.told("/start deep_link", "Hello, Ann!")
    assert "Parley" in text and "fake:one" in text
    assert all(command in text for command in ("/new", "/usage", "/help"))


async def test_help_lists_every_command_in_a_line(demo: Chat) -> None:
    text = await demo.local("/help")
    for entry in demo.table.menu():
        assert entry.admin or f"- /{entry.name} — {entry.description}" in text.splitlines()


async def test_help_explains_one_command_and_its_other_name(demo: Chat) -> None:
    for asked in ("/help new", "/help /new", "/help RESET"):
        text = await demo.local(asked)
        assert text.startswith("**/new**") and "/resume goes back" in text and "The same: /reset" in text


async def test_help_for_a_command_that_does_not_exist_suggests_one(demo: Chat) -> None:
    assert "Did you mean /compact?" in await demo.local("/help compacct")


async def test_whoami_says_everything_an_operator_asks_for(chat: Chat) -> None:
    text = await chat.told("/whoami", "role")
    assert text.splitlines() == [
        "- channel: telegram", "- id: 101", "- name: Ann", "- role: user", "- address: `telegram:101`",
    ]  # fmt: skip
    assert "- role: owner" in await chat.local("/whoami")


async def test_whoami_of_nobody_in_particular_is_refused(chat: Chat) -> None:
    with pytest.raises(Refused, match="who you are"):
        await chat.table.run(call("whoami"))


# -- sessions -------------------------------------------------------------------------------------------------


async def test_new_closes_the_session_names_the_way_back_and_the_next_message_opens_one(chat: Chat) -> None:
    await chat.told("about whales", "about whales")
    text = await chat.told("/new", "Closed “about whales”")
    code = CODE.search(text)[0]
    assert f"/resume {code}" in text
    meta = await chat.manager.get_session(code)
    assert meta.is_closed and meta.close_reason == "command"
    await chat.told("about crabs", "You said: about crabs")
    # The reply to /new was the notice: there is no second one.
    assert len(chat.path.channel.texts(ANN)) == 3
    assert "whales" not in str(chat.path.model.asked[-1].messages)
    assert await chat.path.value("SELECT count(*) FROM session") == 2


async def test_reset_is_the_same_as_new(demo: Chat) -> None:
    await demo.local("hello there")
    assert "Closed “hello there”" in await demo.local("/reset")


async def test_new_without_a_session_says_so_and_closes_nothing(demo: Chat) -> None:
    assert await demo.local("/new") == "Your next message begins a new session."
    assert await demo.manager.session_count() == 0


async def test_new_with_words_behind_it_is_refused_and_changes_nothing(demo: Chat) -> None:
    before = (await demo.generated("hello")).session_id
    assert "nothing was changed" in await demo.local("/new what is up?")
    assert (await demo.generated("still here")).session_id == before


async def test_new_after_a_pause_leaves_no_notice_for_the_next_message(chat: Chat, clock: Clock) -> None:
    await chat.told("about whales", "about whales")
    clock.forward(minutes=361)
    await chat.path.core.dispatcher.sweep()
    await chat.told("/new", "begins a new session")
    await chat.told("about crabs", "You said: about crabs")
    assert not any("nothing was written here" in text for text in chat.path.channel.texts(ANN))


async def test_new_waits_for_the_running_answer(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with chatting(store, clock, ScriptedModel(queue=[Script(text="at last", gate=gate)])) as chat:
        await chat.path.says("a hard one")
        await chat.path.says("/new")
        await asyncio.sleep(0.05)
        assert chat.path.channel.texts(ANN) in ([], ["…"])
        gate.set()
        await chat.path.channel.until(ANN, "at last", "Closed “a hard one”")


async def test_resume_lists_the_sessions_of_this_chat_with_buttons(chat: Chat) -> None:
    for number in range(6):
        await chat.told(f"topic_{number}", f"topic_{number}")
        await chat.told("/new", "Closed")
    await chat.told("topic_6", "You said: topic_6")
    await chat.told("elsewhere", "elsewhere", user=BOB)
    await chat.told("/resume", "goes back")
    text = "".join(chat.path.channel.texts(ANN)[13:])
    assert len(CODE.findall(text)) == 7 and "elsewhere" not in text
    assert re.search(r"topic\\_6 — today \d\d:\d\d, 1 message \(current\)", text)
    assert list(chat.buttons()) == ["topic_5", "topic_4", "topic_3", "topic_2"]


async def test_a_button_of_the_list_goes_back_to_that_session(chat: Chat) -> None:
    await chat.told("about whales", "about whales")
    await chat.told("/new", "Closed")
    await chat.told("about crabs", "about crabs")
    await chat.told("/resume", "goes back")
    await chat.path.presses(chat.buttons()["about whales"])
    await chat.path.channel.until(ANN, "Back in “about whales” (1 message)")
    await chat.told("and now?", "You said: and now?")
    assert "about whales" in str(chat.path.model.asked[-1].messages)
    assert await chat.path.rows("SELECT state, close_reason FROM session ORDER BY id") == [
        ("open", None), ("closed", "resumed"),
    ]  # fmt: skip


async def test_a_session_that_was_closed_for_a_pause_stays_open_after_resume(
    chat: Chat, clock: Clock
) -> None:
    await chat.told("about whales", "about whales")
    code = (await chat.manager.list_sessions())[0].id
    clock.forward(minutes=400)
    await chat.path.core.dispatcher.sweep()
    await chat.told(f"/resume {code.lower()}", "Back in “about whales”")
    clock.forward(minutes=359)
    await chat.told("and now?", "You said: and now?")
    assert await chat.path.value("SELECT count(*) FROM session") == 1
    assert "about whales" in str(chat.path.model.asked[-1].messages)


async def test_resuming_the_current_session_changes_nothing(demo: Chat) -> None:
    code = (await demo.generated("hello")).session_id
    assert await demo.local(f"/resume {code}") == "You are in “hello” already."
    assert not (await demo.manager.get_session(code)).is_closed


async def test_a_session_of_another_chat_is_refused_exactly_like_one_that_does_not_exist(chat: Chat) -> None:
    await chat.told("my secret", "my secret", user=BOB)
    code = (await chat.manager.list_sessions())[0].id
    await chat.allow(ANN, "owner")
    foreign = await chat.told(f"/resume {code}", "no such session")
    unknown = await chat.told("/resume 0000000000", "no such session", "no such session")
    assert foreign == unknown
    assert "secret" not in foreign and code not in foreign
    await chat.told("go on", "You said: go on", user=BOB)
    assert await chat.path.value("SELECT count(*) FROM session") == 1


async def test_the_terminal_resumes_any_session_and_the_chat_that_lost_it_is_told(chat: Chat) -> None:
    await chat.told("about whales", "about whales")
    code = (await chat.manager.list_sessions())[0].id
    assert "Back in “about whales”" in await chat.local(f"/resume {code}")
    text = (await chat.path.channel.until(ANN, "“about whales” goes on elsewhere"))[-1]
    assert f"/resume {code} takes it back" in text
    assert (await chat.generated("and now?")).session_id == code
    await chat.told(f"/resume {code}", "Back in “about whales” (2 messages)")
    assert (await chat.generated("hello?")).session_id != code


async def test_a_user_in_the_terminal_resumes_no_foreign_session(chat: Chat) -> None:
    await chat.told("about whales", "about whales")
    code = (await chat.manager.list_sessions())[0].id
    await chat.local("hello")
    await chat.path.store.commit(
        Point.PEOPLE, lambda unit: unit.tx.run("UPDATE person SET role = 'user' WHERE role = 'owner'")
    )
    assert "no such session" in await chat.local(f"/resume {code}")


async def test_a_session_that_is_answering_elsewhere_cannot_be_taken_away(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with chatting(store, clock, ScriptedModel(queue=[Script(text="at last", gate=gate)])) as chat:
        await chat.path.says("a hard one")
        while not chat.path.model.running:
            await asyncio.sleep(0.005)
        code = (await chat.manager.list_sessions())[0].id
        assert "An answer is being made" in await chat.local(f"/resume {code}")
        gate.set()
        await chat.path.channel.until(ANN, "at last")


async def test_resume_where_nothing_was_said_is_refused(demo: Chat) -> None:
    assert await demo.local("/resume") == "There is no session here to go back to."


# -- back to the one before a pause ---------------------------------------------------------------------------


async def test_the_button_moves_the_unanswered_message_to_the_previous_session(
    store: Store, clock: Clock
) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="the first"), Script(text="never seen", gate=gate)])
    async with chatting(store, clock, model) as chat:
        await chat.told("about whales", "the first")
        clock.forward(minutes=361)
        await chat.told("how big?", "/resume")
        await chat.path.presses(chat.buttons()["Continue the previous one"])
        await chat.sees("You said: how big?", "goes to “about whales”")
        assert "about whales" in str(model.asked[-1].messages)
        assert await chat.path.rows("SELECT state, close_reason, title FROM session ORDER BY id") == [
            ("open", None, "about whales"), ("closed", "moved", "how big?"),
        ]  # fmt: skip
        await chat.told("and old?", "You said: and old?")
        assert "the first" in str(model.asked[-1].messages)


async def test_the_button_after_the_first_answer_only_goes_back(chat: Chat, clock: Clock) -> None:
    await chat.told("about whales", "about whales")
    clock.forward(minutes=361)
    await chat.told("how big?", "/resume", "You said: how big?")
    await chat.path.presses(chat.buttons()["Continue the previous one"])
    await chat.path.channel.until(ANN, "Back in “about whales”")
    assert len(chat.path.model.asked) == 2
    await chat.told("and old?", "You said: and old?")
    assert "about whales" in str(chat.path.model.asked[-1].messages)
    assert await chat.path.rows("SELECT state, close_reason FROM session ORDER BY id") == [
        ("open", None), ("closed", "resumed"),
    ]  # fmt: skip


async def test_a_later_message_keeps_its_place_when_the_button_is_pressed(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    queue = [Script(text="the first"), Script(text="the second"), Script(text="the third", gate=gate)]
    async with chatting(store, clock, ScriptedModel(queue=queue)) as chat:
        await chat.told("about whales", "the first")
        clock.forward(minutes=361)
        await chat.told("how big?", "/resume", "the second")
        await chat.path.says("and old?")
        while not chat.path.model.running:
            await asyncio.sleep(0.005)
        await chat.path.presses(chat.buttons()["Continue the previous one"])
        await chat.path.channel.until(ANN, "Back in “about whales”")
        gate.set()
        await chat.path.channel.until(ANN, "the third")
        await chat.told("go on", "You said: go on")
        assert await chat.path.rows("SELECT session, state FROM turn ORDER BY id") == [
            (1, "done"), (2, "done"), (2, "done"), (1, "done"),
        ]  # fmt: skip


async def test_a_message_that_is_kept_in_an_outage_goes_back_too(store: Store, clock: Clock) -> None:
    refusal = ModelError("invalid x-api-key", kind="auth", status=401)
    model = ScriptedModel(queue=[Script(text="the first"), Script(error=refusal)])
    async with chatting(store, clock, model) as chat:
        await chat.told("about whales", "the first")
        clock.forward(minutes=361)
        await chat.told("how big?", "/resume", say("turn.kept"))
        await chat.path.presses(chat.buttons()["Continue the previous one"])
        await chat.sees("You said: how big?", "goes to “about whales”")
        assert "about whales" in str(model.asked[-1].messages)
        assert await chat.path.rows("SELECT state, close_reason FROM session ORDER BY id") == [
            ("open", None), ("closed", "moved"),
        ]  # fmt: skip


# -- what is being done ---------------------------------------------------------------------------------------


async def test_stop_ends_the_running_answer_and_says_what_waits(store: Store, clock: Clock) -> None:
    model = ScriptedModel(queue=[Script(text="word " * 300, pause=0.01)])
    async with chatting(store, clock, model) as chat:
        await chat.path.says("go on")
        while not model.running:
            await asyncio.sleep(0.005)
        await chat.path.says("the next")
        await chat.path.says("/stop")
        await chat.sees("I have stopped. 1 message waits and is answered next", "You said: the next")
        assert await chat.path.value("SELECT state FROM turn ORDER BY id LIMIT 1") == "cancelled"


async def test_stop_all_drops_what_waits_and_whoever_waits_for_it_hears(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with chatting(store, clock, ScriptedModel(queue=[Script(text="never", gate=gate)])) as chat:
        first = asyncio.create_task(chat.generated("a hard one"))
        while not chat.path.model.running:
            await asyncio.sleep(0.005)
        second = asyncio.create_task(chat.generated("another"))
        while (await chat.manager.standing(1)).waiting != 1:
            await asyncio.sleep(0.005)
        assert await chat.local("/stop all") == "I have stopped. 1 message that waited was dropped."
        async with asyncio.timeout(5):
            assert (await first).state == "cancelled"
            assert (await second).state == "cancelled"
        assert len(chat.path.model.asked) == 1
        assert await chat.local("/stop") == "Nothing is running."


async def test_stop_with_anything_else_behind_it_is_refused(demo: Chat) -> None:
    assert "nothing was changed" in await demo.local("/stop everything")


async def test_status_shows_model_session_and_that_nothing_runs(chat: Chat, clock: Clock) -> None:
    await chat.told("about whales", "about whales")
    code = (await chat.manager.list_sessions())[0].id
    clock.forward(minutes=3)
    text = await chat.told("/status", "now: idle")
    assert text.splitlines() == [
        f"- Parley {__version__}, up for 3 minutes",
        "- model: `fake:one`",
        f"- session: “about whales” `{code}` (1 message)",
        "- now: idle",
        "- waiting: 0 messages",
    ]


async def test_status_does_not_wait_for_the_running_answer(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with chatting(store, clock, ScriptedModel(queue=[Script(text="at last", gate=gate)])) as chat:
        await chat.path.says("a hard one")
        while not chat.path.model.running:
            await asyncio.sleep(0.005)
        await chat.path.says("one more")
        text = await chat.told("/status", "waiting: 1 message")
        assert "now: answering, for less than a minute" in text
        gate.set()
        await chat.path.channel.until(ANN, "You said: one more")


async def test_status_tells_of_an_outage(store: Store, clock: Clock) -> None:
    refusal = ModelError("invalid x-api-key", kind="auth", status=401)
    async with chatting(store, clock, ScriptedModel(queue=[Script(error=refusal)])) as chat:
        await chat.told("hello", say("turn.kept"))
        text = await chat.told("/status", "outage")
        assert re.search(r"outage: the model refuses me since today \d\d:\d\d; messages are kept", text)
        assert "now: your message is kept" in text


async def test_status_without_a_session_says_so(demo: Chat) -> None:
    assert "- session: there is no session here yet" in await demo.local("/status")


async def test_what_came_while_we_were_away_is_answered_on_request(
    chat: Chat, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.away.NOTICE_AFTER", 0.01)
    await chat.path.says("an old one", "another", sent=clock() - 3 * HOUR)
    await chat.path.channel.until(ANN, "you wrote 2 messages")
    assert "held since I was away: 2 messages" in await chat.told("/status", "held")
    answer = [found for found in chat.path.channel.buttons.values() if found][-1]["Answer"]
    await chat.path.presses(answer)
    await chat.sees("Answering 2 messages.", "You said: another")
    await chat.path.presses(answer)
    while len(chat.path.channel.acks) < 2:
        await asyncio.sleep(0.005)
    assert chat.path.channel.acks[-1][1] == say("button.stale")
    assert len(chat.path.model.asked) == 1


async def test_what_came_while_we_were_away_is_dropped_on_request(
    chat: Chat, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.away.NOTICE_AFTER", 0.01)
    await chat.path.says("an old one", sent=clock() - 3 * HOUR)
    await chat.path.channel.until(ANN, "you wrote 1 message")
    await chat.path.presses(chat.buttons()["Drop"])
    await chat.path.channel.until(ANN, "Dropped.")
    await chat.told("a new one", "You said: a new one")
    assert "old" not in str(chat.path.model.asked)


# -- usage ----------------------------------------------------------------------------------------------------


async def test_usage_shows_the_last_answer_and_the_whole_session(chat: Chat) -> None:
    await chat.told("one", "You said: one")
    await chat.told("two", "You said: two")
    text = await chat.told("/usage", "has used")
    assert text.splitlines() == [
        "“one” has used:",
        "",
        "- last answer: 10 in, 3 out · <$0.0001",
        "- this session: 20 in, 6 out · $0.0002 · 2 requests",
    ]


async def test_usage_counts_what_has_no_price_and_shows_estimates_apart(store: Store, clock: Clock) -> None:
    model = ScriptedModel(queue=[Script(text="word " * 300, pause=0.005)])
    async with chatting(store, clock, model) as chat:
        await chat.path.says("go on")
        while not model.running:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        await chat.path.says("/stop")
        await chat.sees("I have stopped.", say("turn.stopped"))
        while await chat.path.value("SELECT state FROM turn") == "running":
            await asyncio.sleep(0.005)
        code = (await chat.manager.list_sessions())[0].id
        await chat.manager.record_usage(
            code, UsageRecord(input_tokens=12_300, cache_read=500, output_tokens=1)
        )
        text = await chat.told("/usage", "has used")
        assert "(cache: 500 read, 0 written)" in text and "unpriced: 1" in text
        assert re.search(r"last answer: .*estimated, at most: \$0\.06\d\d of it \(1 request\)", text)


async def test_usage_of_a_named_session_is_that_session_s(demo: Chat) -> None:
    first = await demo.generated("hello there")
    await demo.local("/new")
    await demo.local("another")
    assert "“hello there” has used" in await demo.local("/usage", session=first.session_id)
    assert "“another” has used" in await demo.local("/usage")


@pytest.mark.parametrize("command", ["/usage", "/context", "/compact"])
async def test_what_needs_a_session_is_refused_without_one(demo: Chat, command: str) -> None:
    assert "There is no session here yet" in await demo.local(command)


async def test_context_shows_how_full_the_window_is(chat: Chat) -> None:
    await chat.told("hello", "You said: hello")
    text = await chat.told("/context", "tokens are used")
    assert text.startswith("`█░░░░░░░░░░░░░░░░░░░` 0.0 %")
    assert "13 of 200k tokens are used in “hello”." in text


async def test_context_that_is_nearly_full_names_the_remedy(chat: Chat) -> None:
    await chat.told("hello", "You said: hello")
    code = (await chat.manager.list_sessions())[0].id
    await chat.manager.record_usage(code, UsageRecord(input_tokens=170_000, cost_usd=Decimal("0.5")))
    text = await chat.told("/context", "tokens are used")
    assert text.startswith("`█████████████████░░░` 85.0 %") and "/compact makes room" in text


async def test_compact_says_what_it_did_and_what_it_cost_the_caller(chat: Chat) -> None:
    await chat.told("about whales", "about whales")
    chat.path.model.queue.append(Script(text="They talked of whales."))
    text = await chat.told("/compact", "Compacted: 14 tokens before, about")
    assert "The summary cost <$0.0001 (10 in, 4 out)." in text
    assert (
        await chat.path.value(
            "SELECT i.user_id FROM usage u JOIN identity i ON i.id = u.identity WHERE u.purpose = 'compaction'"
        )
        == ANN
    )


async def test_compact_with_nothing_to_compact_is_refused(demo: Chat) -> None:
    code = await demo.manager.create_session("main", "main")
    assert await demo.local("/compact") == "There is nothing to compact yet."
    await demo.manager.close_session(code)
    for what in ("", " the first half", " undo", " auto on"):
        assert "this session is closed" in await demo.local(f"/compact{what}")


async def test_a_compaction_that_fails_is_told_in_words(chat: Chat) -> None:
    await chat.told("about whales", "about whales")
    chat.path.model.queue.append(Script(error=ModelError("busy", kind="overloaded")))
    await chat.told("/compact", say("failed.overloaded"))


# -- cost -----------------------------------------------------------------------------------------------------


async def test_everybody_sees_their_own_bill_and_owners_and_admins_all_of_them(chat: Chat) -> None:
    await chat.told("one two", "You said: one two")
    await chat.told("hello", "You said: hello", user=BOB)
    own = await chat.told("/cost all by user", "Total")
    assert "(yours, by user)" in own and "Ann (telegram:101)" in own and "Bob" not in own
    await chat.allow(BOB, "admin")
    everybody = await chat.told("/cost all by user", "Total", user=BOB)
    assert "(everybody's, by user)" in everybody
    assert "Ann (telegram:101)" in everybody and "Bob (telegram:102)" in everybody
    assert "2 requests" in everybody
    assert "2 requests" in await chat.local("/cost")


async def test_a_bill_for_nobody_is_refused_and_never_shows_everybody_s(chat: Chat) -> None:
    await chat.told("hello", "You said: hello")
    with pytest.raises(Refused, match="whose costs"):
        await chat.table.run(call("cost", "all"))
    nobody = Identity(id=1, person=None, channel="telegram", user_id="1", name="", state="new", role=None)
    with pytest.raises(Refused, match="whose costs"):
        await chat.table.run(call("cost", "all", identity=nobody))


@pytest.mark.parametrize("key", ["user", "model", "day", "channel", "trigger", "purpose", "tool"])
async def test_the_bill_is_summed_by_whatever_is_asked(chat: Chat, key: str) -> None:
    await chat.told("hello", "You said: hello")
    text = await chat.told(f"/cost 7d by {key}s", "Total")
    assert text.startswith(f"**Cost, last 7 days** (yours, by {key})")
    assert f"| {key} |" in text
    assert "**Total:** 10 in, 3 out · <$0.0001 · 1 request in 1 turn" in text


async def test_a_period_without_any_use_says_so(demo: Chat) -> None:
    assert (await demo.local("/cost today")).endswith("Nothing was used.")


@pytest.mark.parametrize(
    "args", ["yesterday-ish", "7d 30d", "by", "by weather", "0d", "2026-07-15..2026-07-01", "x..y",
             "2026-07-01", "9999-12-31..9999-12-31"],
)  # fmt: skip
async def test_a_question_about_cost_that_cannot_be_read_is_refused_with_an_example(
    demo: Chat, args: str
) -> None:
    assert re.search(r"/cost \d+d by ", await demo.local(f"/cost {args}"))


def at(text: str) -> int:
    """Local time of the report zone as microseconds UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp()) * SECOND


@pytest.mark.parametrize(
    "args, since, until, label",
    [
        ("", "2026-03-06T00:00", None, "last 30 days"),
        ("today", "2026-04-04T00:00", None, "today"),
        ("1d", "2026-04-04T00:00", None, "today"),
        # Summer time began on 29 March: midnight is midnight all the same.
        ("7d by day", "2026-03-29T00:00", None, "last 7 days"),
        ("2026-03-29..2026-03-29", "2026-03-29T00:00", "2026-03-30T00:00", "2026-03-29 to 2026-03-29"),
    ],
)
def test_a_period_is_whole_days_of_the_report_zone(
    args: str, since: str, until: str | None, label: str
) -> None:
    found = period.asked(args, now=at("2026-04-04T00:30"), zone=ZONE)
    assert (found.since, found.until) == (at(since), at(until) if until else None)
    assert found.label == label


def test_all_has_no_bounds() -> None:
    found = period.asked("by model ALL", now=0, zone="UTC")
    assert found == period.Asked(since=None, until=None, label="since ever", by="model")


def summary(cost: int = 0, unpriced: int = 0, **more: int) -> UsageSummary:
    facts = {"requests": 1, "turns": 1, "estimated": 0, "estimated_cost": 0} | more
    return UsageSummary(tokens=Tokens(uncached=1000, output=10), cost=cost, unpriced=unpriced, **facts)


def overview(**more: object) -> CostOverview:
    empty: dict[str, object] = {
        f"by_{key}": [] for key in ("user", "model", "channel", "trigger", "purpose", "day", "tool")
    }
    return CostOverview(since=None, total=summary(7), **{**empty, **more})  # type: ignore[arg-type]


def test_a_long_table_is_cut_and_its_last_line_sums_up_the_rest() -> None:
    found = overview(by_user=[Share(name=f"u{n}", usage=summary((30 - n) * 10**9)) for n in range(20)])
    rows = cost.table(found, "user")
    assert len(rows) == 1 + 15
    assert rows[1] == ("u0", "1k", "10", "$30.0000")
    assert rows[-1] == ("6 others", "6k", "60", "$81.0000")
    assert len(cost.table(replace(found, by_user=found.by_user[:15]), "user")) == 1 + 15


def test_days_come_latest_first_and_the_oldest_are_summed_up() -> None:
    days = [DayCost(date=f"2026-07-{n:02d}", usage=summary(10**9), by_model={}) for n in range(1, 21)]
    rows = cost.table(overview(by_day=days), "day")
    assert rows[1] == ("2026-07-20", "$1.0000")
    assert rows[-1] == ("6 earlier", "$6.0000")


def test_estimates_stand_apart_under_the_bill() -> None:
    found = replace(overview(), total=summary(10**9, estimated=2, estimated_cost=10**8))
    text = cost.shown(found, period.asked("all", now=0, zone="UTC"), everybody=True)
    assert text.endswith("estimated, at most: $0.1000 of it (2 requests)")


def test_an_estimate_without_a_price_is_not_said_to_cost_nothing() -> None:
    found = replace(overview(), total=replace(summary(0, estimated=2, estimated_cost=0), unpriced=2))
    text = cost.shown(found, period.asked("all", now=0, zone="UTC"), everybody=True)
    assert text.endswith("estimated: 2 requests")


def test_a_name_cannot_format_the_table_it_stands_in() -> None:
    assert quote.plain("[x](http://evil) | **b**\nnext") == "\\[x](http://evil) \\| \\*\\*b\\*\\* next"
    found = overview(by_user=[Share(name="a|b", usage=summary(1))])
    assert cost.table(found, "user")[1][0] == "a\\|b"


# -- amounts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nano, shown",
    [(0, "$0.0000"), (1, "<$0.0001"), (99_999, "<$0.0001"), (100_000, "$0.0001"), (12_349_999, "$0.0123"),
     (12_350_000, "$0.0124"), (999_999_999, "$1.0000"), (1_234_567_800_000, "$1,234.5678")],
)  # fmt: skip
def test_money_has_four_decimals_and_is_never_rounded_to_nothing(nano: int, shown: str) -> None:
    assert forms.money(nano) == shown


@pytest.mark.parametrize(
    "count, shown",
    [(0, "0"), (999, "999"), (1000, "1k"), (12_345, "12.3k"), (200_000, "200k"), (999_949, "999.9k"),
     (999_950, "1.00M"), (1_234_567, "1.23M")],
)  # fmt: skip
def test_tokens_are_short(count: int, shown: str) -> None:
    assert forms.tokens(count) == shown


def test_a_price_that_is_not_known_is_never_shown_as_nothing() -> None:
    assert amounts.cost(summary(0, unpriced=2)) == "unpriced: 2"
    assert amounts.cost(summary(10**9, unpriced=1)) == "$1.0000 + unpriced: 1"
    assert amounts.cost(summary(0)) == "$0.0000"


@pytest.mark.parametrize(
    "percent, full", [(0.0, 0), (0.01, 1), (50.0, 10), (99.9, 19), (100.0, 20), (140.0, 20)]
)
def test_only_a_full_window_looks_full(percent: float, full: int) -> None:
    assert window.bar(percent) == "█" * full + "░" * (20 - full)


def test_times_are_said_as_on_the_clock_of_the_report_zone() -> None:
    now = at("2026-03-30T09:00")
    assert moments.shown(now - HOUR, now=now, zone=ZONE) == "today 08:00"
    assert moments.shown(at("2026-03-29T01:30"), now=now, zone=ZONE) == "yesterday 01:30"
    assert moments.shown(at("2026-03-03T18:20"), now=now, zone=ZONE) == "3 Mar 18:20"
    assert moments.shown(now - 365 * DAY, now=now, zone=ZONE) == "30 Mar 2025"
