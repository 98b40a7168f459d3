"""What an update means: every kind, every sender, groups, and JSON that is nonsense."""

import copy
import json
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.telegram.inbound import to_inbound
from channels.telegram.page import read_page
from gateway.types.inbound import Inbound, Kind, Quote
from gateway.types.people import Sender
from gateway.types.places import Place

BOT = 123456
NAME = "parley_bot"
ANN = {"id": 7001, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "language_code": "en"}
DIRECT = {"id": 7001, "type": "private", "first_name": "Ann"}
GROUP = {"id": -1001234567890, "type": "supergroup", "title": "A group"}
DATE = 1_760_000_000


def read(update, **options):
    return to_inbound(update, bot_id=BOT, bot_username=NAME, **options)


def message(text=None, *, chat=DIRECT, sender=ANN, kind="message", **fields):
    body = {"message_id": 5, "from": sender, "chat": chat, "date": DATE} | fields
    return {"update_id": 900, kind: body | ({"text": text} if text is not None else {})}


def marked(text, *parts, chat=GROUP, **fields):
    """A message whose *parts* ('/new', '@name') are marked as the server marks them."""
    entities = []
    for part in parts:
        offset = len(text[: text.index(part)].encode("utf-16-le")) // 2
        kind = "bot_command" if part[0] == "/" else "mention"
        entities.append({"type": kind, "offset": offset, "length": len(part)})
    return message(text, chat=chat, entities=entities, **fields)


def test_a_direct_message_says_who_where_when_and_what():
    update = message("hello", reply_to_message={"message_id": 3, "chat": DIRECT, "date": 1, "text": "well?"})
    event = read(update)
    assert event == Inbound(
        event_id=f"900:{DATE}",
        kind=Kind.MESSAGE,
        place=Place(chat_id="7001", kind="direct"),
        sender=Sender(user_id="7001", name="Ann Lee", lang="en"),
        text="hello",
        sent=DATE * 1_000_000,
        message_id="5",
        reply_to="3",
        quotes=(Quote(origin="reply", text="well?"),),
        raw=event.raw,
    )
    assert json.loads(event.raw) == update


def test_an_update_id_given_out_again_after_a_quiet_week_is_another_event():
    assert read(message("a")).event_id != read(message("b", date=DATE + 700_000)).event_id


def test_a_caption_is_the_text_and_an_album_keeps_its_id():
    event = read(message(photo=[{}], caption="look", media_group_id="13"))
    assert (event.kind, event.text, event.album) == (Kind.MESSAGE, "look", "13")


@pytest.mark.parametrize("content", ["photo", "voice", "sticker", "document", "location", "video_note"])
def test_what_cannot_be_read_of_a_message_is_named(content):
    event = read(message(**{content: {}}))
    named = f"[{content.replace('_', ' ')}]"
    assert (event.kind, event.text, event.addressed, event.error) == (Kind.MESSAGE, named, True, "")


@pytest.mark.parametrize("notice", ["pinned_message", "new_chat_title", "forum_topic_created"])
def test_a_notice_of_the_chat_itself_is_not_said_to_us(notice):
    assert not read(message(**{notice: {}})).addressed


# --- commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, command, expected",
    [
        ("/new", "/new", "/new"),
        ("/new a plan", "/new", "/new a plan"),
        ("/new@parley_bot a plan", "/new@parley_bot", "/new a plan"),
        ("/new@Parley_Bot", "/new@Parley_Bot", "/new"),
        ("/note\ntwo\nlines", "/note", "/note\ntwo\nlines"),
    ],
)
@pytest.mark.parametrize("chat", [DIRECT, GROUP], ids=["direct", "group"])
def test_a_command_is_without_the_name_of_the_bot(text, command, expected, chat):
    event = read(marked(text, command, chat=chat))
    assert (event.kind, event.text, event.addressed) == (Kind.COMMAND, expected, True)


def test_a_command_for_another_bot_is_not_said_to_us():
    event = read(marked("/new@other_bot", "/new@other_bot"))
    assert (event.kind, event.text, event.addressed) == (Kind.MESSAGE, "/new@other_bot", False)


@pytest.mark.parametrize("text", ["do /new now", "/etc/passwd is a file"])
def test_a_slash_that_the_server_has_not_marked_at_the_begin_is_text(text):
    update = message(text, entities=[{"type": "bot_command", "offset": 3, "length": 4}])
    assert (read(update).kind, read(update).text) == (Kind.MESSAGE, text)


def test_a_mark_of_a_command_that_has_no_slash_makes_none():
    assert (
        read(message("new", entities=[{"type": "bot_command", "offset": 0, "length": 3}])).kind
        is Kind.MESSAGE
    )


def test_a_command_behind_a_mention_of_us_is_one():
    event = read(marked("@parley_bot, /new a plan", "@parley_bot", "/new"))
    assert (event.kind, event.text, event.addressed) == (Kind.COMMAND, "/new a plan", True)
    wide = read(marked("@parley_bot 👍 /new", "@parley_bot", "/new"))
    assert (wide.kind, wide.text) == (Kind.MESSAGE, "👍 /new")
    other = read(marked("@other_bot /new", "@other_bot", "/new"))
    assert (other.kind, other.addressed) == (Kind.MESSAGE, False)


@pytest.mark.parametrize("chat", [DIRECT, GROUP], ids=["direct", "group"])
def test_what_somebody_else_once_wrote_is_no_command_of_who_passes_it_on(chat):
    event = read(marked("/allow 5", "/allow", chat=chat, forward_origin={"type": "hidden_user"}))
    assert (event.kind, event.text) == (Kind.MESSAGE, "/allow 5")


def test_a_mark_of_a_command_within_the_text_makes_none_of_its_begin():
    update = message("/etc is full, /new", entities=[{"type": "bot_command", "offset": 14, "length": 4}])
    assert read(update).kind is Kind.MESSAGE


# --- groups -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, mention, expected",
    [
        ("@parley_bot hello", "@parley_bot", "hello"),
        ("@Parley_BOT: hello", "@Parley_BOT", "hello"),
        ("@parley_bot", "@parley_bot", ""),
        ("ask @parley_bot that", "@parley_bot", "ask @parley_bot that"),
        ("👍🏽 thanks @parley_bot", "@parley_bot", "👍🏽 thanks @parley_bot"),
    ],
)
def test_a_mention_is_for_us_and_leaves_the_begin_of_the_text(text, mention, expected):
    event = read(marked(text, mention))
    assert (event.text, event.addressed) == (expected, True)


@pytest.mark.parametrize(
    "update",
    [
        pytest.param(message("hello all", chat=GROUP), id="no mention"),
        pytest.param(message("@parley_bot hello", chat=GROUP), id="not marked by the server"),
        pytest.param(marked("@parley_bot_evil hello", "@parley_bot_evil"), id="a longer name"),
        pytest.param(marked("@parley hello", "@parley"), id="a shorter name"),
        pytest.param(
            message("@parley_bot", chat=GROUP, entities=[{"type": "code", "offset": 0, "length": 11}]),
            id="code",
        ),
        pytest.param(
            message(
                "Bo", chat=GROUP, entities=[{"type": "text_mention", "offset": 0, "length": 2, "user": ANN}]
            ),
            id="somebody else's name",
        ),
        *(
            pytest.param(
                message(
                    "@parley_bot", chat=GROUP, entities=[{"type": kind, "offset": 0, "length": 11} | more]
                ),
                id=f"not a mention but {kind}",
            )
            for kind, more in [
                ("pre", {}),
                ("url", {}),
                ("hashtag", {}),
                ("email", {}),
                ("cashtag", {}),
                ("spoiler", {}),
                ("text_link", {"url": f"tg://user?id={BOT}"}),
                ("text_link", {"url": "https://t.me/parley_bot"}),
                ("text_mention", {"user": ANN}),
                ("text_mention", {}),
                ("Mention", {}),
            ]
        ),
        pytest.param(
            message("see @parley_bot", chat=GROUP, entities=[{"type": "mention", "offset": 3, "length": 11}]),
            id="a mark that does not fit",
        ),
        pytest.param(
            message(
                "@other_bot hi",
                chat=GROUP,
                entities=[{"type": "mention", "offset": 0, "length": 10}],
                caption="@parley_bot",
                caption_entities=[{"type": "mention", "offset": 0, "length": 11}],
            ),
            id="the other field's marks",
        ),
        pytest.param(
            message("yes", chat=GROUP, reply_to_message={"message_id": 1, "from": ANN}),
            id="an answer to somebody else",
        ),
        pytest.param(
            message(
                "in a topic of ours",
                chat=GROUP,
                reply_to_message={"message_id": 1, "from": {"id": BOT}, "forum_topic_created": {"name": "x"}},
            ),
            id="a topic that we opened",
        ),
    ],
)
def test_what_is_not_said_to_us_in_a_group_is_kept_as_not_addressed(update):
    event = read(update)
    assert (event.kind, event.addressed, event.place.kind) == (Kind.MESSAGE, False, "group")
    assert event.text == update["message"]["text"]


def test_our_name_as_a_link_is_a_mention():
    entity = {"type": "text_mention", "offset": 0, "length": 6, "user": {"id": BOT}}
    event = read(message("Parley, hello", chat=GROUP, entities=[entity]))
    assert (event.text, event.addressed) == ("hello", True)


def test_an_answer_to_our_message_is_for_us():
    event = read(message("yes", chat=GROUP, reply_to_message={"message_id": 4, "from": {"id": BOT}}))
    assert (event.addressed, event.reply_to) == (True, "4")


def test_a_mention_in_a_caption_is_for_us():
    entity = {"type": "mention", "offset": 0, "length": 11}
    event = read(
        message(photo=[{}], chat=GROUP, caption="@parley_bot what is this", caption_entities=[entity])
    )
    assert (event.text, event.addressed) == ("what is this", True)


@pytest.mark.parametrize(
    "update, addressed",
    [
        (message("hello all", chat=GROUP), True),
        (message(photo=[{}], chat=GROUP), True),
        (marked("/new@other_bot", "/new@other_bot"), False),
        (message(chat=GROUP, new_chat_title="x"), False),
        (message(chat=GROUP, new_chat_members=[ANN]), False),
        (message("hello", chat=GROUP | {"id": -5}), False),
    ],
)
def test_where_it_was_so_configured_all_but_notices_and_other_bots_commands_is_for_us(update, addressed):
    assert read(update, always={str(GROUP["id"])}).addressed is addressed


def test_the_general_topic_of_a_forum_is_the_chat_itself():
    update = message("a", chat=GROUP | {"is_forum": True}, message_thread_id=1, is_topic_message=True)
    assert read(update).place.thread_id == ""


def test_only_a_topic_is_a_place_of_its_own():
    assert read(message("a", chat=GROUP, message_thread_id=9)).place.thread_id == ""
    assert read(message("a", chat=GROUP, message_thread_id=9, is_topic_message=True)).place.thread_id == "9"


def test_the_notice_that_opened_a_topic_is_not_what_a_message_answers():
    root = {"message_id": 9, "from": ANN, "forum_topic_created": {"name": "x"}}
    assert read(message("a", chat=GROUP, reply_to_message=root)).reply_to == ""


# --- whose words ------------------------------------------------------------------------------------

BOB = {"id": 7002, "is_bot": False, "first_name": "Bob"}
OURSELVES = {"id": BOT, "is_bot": True, "first_name": "Parley"}


def answer(target=None, **fields):
    whole = (
        {} if target is None else {"reply_to_message": {"message_id": 3, "chat": GROUP, "date": 1} | target}
    )
    return read(message("yes", chat=GROUP, **whole, **fields)).quotes


def test_an_answer_carries_what_it_answers():
    assert answer({"from": BOB, "text": "shall we?"}) == (
        Quote(origin="reply", text="shall we?", author="Bob"),
    )
    assert answer({"from": OURSELVES, "text": "done"}) == (
        Quote(origin="reply", text="done", author="Parley", ours=True),
    )
    assert answer({"from": BOB, "caption": "my cat", "photo": [{}]}) == (
        Quote(origin="reply", text="my cat", author="Bob"),
    )


def test_of_what_has_no_words_it_is_told_what_it_is_and_of_a_notice_nothing():
    assert answer({"from": BOB, "video_note": {}}) == (
        Quote(origin="reply", text="[video note]", author="Bob"),
    )
    assert answer({"from": BOB, "new_chat_title": "x"}) == ()
    assert answer({"from": BOB, "text": "", "forum_topic_created": {"name": "x"}}) == ()


def test_the_part_that_was_marked_goes_before_the_whole():
    target = {"from": OURSELVES, "text": "one two three"}
    assert answer(target, quote={"text": "two", "position": 4, "is_manual": True}) == (
        Quote(origin="quote", text="two", author="Parley", ours=True),
    )


def test_an_answer_to_a_message_of_another_chat_carries_its_marked_part():
    origin = {
        "type": "channel",
        "chat": {"id": -100, "type": "channel", "title": "News"},
        "message_id": 9,
        "date": 1,
    }
    assert answer(external_reply={"origin": origin}, quote={"text": "it rains", "position": 0}) == (
        Quote(origin="quote", text="it rains", author="News"),
    )
    assert answer(external_reply={"origin": origin, "photo": [{}]}) == (
        Quote(origin="reply", text="[photo]", author="News"),
    )
    assert answer(external_reply={"origin": origin}) == ()


def test_who_speaks_in_the_name_of_a_chat_is_called_as_the_chat():
    target = {
        "from": {"id": 1087968824, "is_bot": True, "first_name": "Group"},
        "sender_chat": GROUP,
        "text": "hi",
    }
    assert answer(target)[0].author == "A group"


@pytest.mark.parametrize(
    "origin, author, ours",
    [
        ({"type": "user", "sender_user": BOB}, "Bob", False),
        ({"type": "user", "sender_user": OURSELVES}, "Parley", True),
        ({"type": "hidden_user", "sender_user_name": "Somebody"}, "Somebody", False),
        ({"type": "chat", "sender_chat": GROUP, "author_signature": "Eve"}, "A group", False),
        ({"type": "channel", "chat": {"id": -1, "title": "News"}, "message_id": 4}, "News", False),
        ({"type": "unheard of"}, "", False),
        (None, "", False),
    ],
)
def test_what_was_passed_on_says_whose_it_was(origin, author, ours):
    quotes = read(message("look", forward_origin=origin)).quotes
    assert quotes == (Quote(origin="forward", author=author, ours=ours),)


def test_an_answer_with_something_passed_on_has_both():
    event = read(
        message(
            "look", forward_origin={"type": "user", "sender_user": BOB},
            reply_to_message={"message_id": 3, "from": OURSELVES, "text": "show me"},
        )
    )  # fmt: skip
    assert [quote.origin for quote in event.quotes] == ["reply", "forward"]


def test_quotes_are_bounded_and_can_be_stored():
    event = read(message("x", reply_to_message={"message_id": 3, "from": BOB | {"first_name": "B" * 999},
                                                "text": "\ud83d" + "long " * 2000}))  # fmt: skip
    (quote,) = event.quotes
    assert (len(quote.text), quote.text[-1], len(quote.author)) == (4000, "…", 200)
    storable(event)


# --- senders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            {"sender": {"id": 1087968824, "is_bot": True}, "sender_chat": GROUP}, id="anonymous admin"
        ),
        pytest.param({"sender": {"id": 136817688, "is_bot": False}}, id="channel"),
        pytest.param({"sender": {"id": 777000, "is_bot": False}}, id="channel post sent on"),
        pytest.param({"sender_chat": GROUP}, id="a chat speaks"),
        pytest.param({"via_bot": {"id": 1}}, id="through a bot"),
        pytest.param({"sender": {"id": 5, "is_bot": True}}, id="a bot"),
        pytest.param({"sender": {"id": 5, "is_bot": "yes"}}, id="perhaps a bot"),
    ],
)
def test_a_sender_that_is_no_single_person_is_impersonal(fields):
    assert read(message("hi", chat=GROUP, **fields)).sender.impersonal


def test_a_chat_that_speaks_without_a_user_is_an_impersonal_sender():
    update = message("hi", chat=GROUP, sender_chat=GROUP)
    del update["message"]["from"]
    assert read(update).sender == Sender(user_id=str(GROUP["id"]), name="A group", impersonal=True)


def test_a_person_who_wrote_by_themselves_is_personal():
    assert not read(message("hi")).sender.impersonal
    assert not read(message("sent on", forward_origin={"type": "user"})).sender.impersonal


# --- other kinds ------------------------------------------------------------------------------------


def test_an_edit_is_an_event_of_its_own():
    event = read(message("better", kind="edited_message", edit_date=DATE + 60))
    assert (event.kind, event.text, event.message_id) == (Kind.EDIT, "better", "5")
    assert (event.event_id, event.sent) == (f"900:{DATE + 60}", (DATE + 60) * 1_000_000)


def test_an_edited_command_is_an_edit():
    entity = {"type": "bot_command", "offset": 0, "length": 4}
    assert read(message("/new", kind="edited_message", entities=[entity])).kind is Kind.EDIT


def press(**fields):
    where = {"message_id": 8, "chat": GROUP, "date": DATE, "message_thread_id": 4, "is_topic_message": True}
    return {
        "update_id": 901,
        "callback_query": {"id": "77", "from": ANN, "message": where, "data": "t0k"} | fields,
    }


def test_a_pressed_button_says_which_and_by_whom():
    event = read(press())
    assert (event.kind, event.button, event.press_id, event.message_id) == (Kind.BUTTON, "t0k", "77", "8")
    assert event.place == Place(chat_id=str(GROUP["id"]), thread_id="4", kind="group")
    assert (event.sender.user_id, event.event_id, event.addressed) == ("7001", "901:77", True)


def test_a_button_of_a_message_too_old_to_be_seen_can_still_be_pressed():
    event = read(press(message={"message_id": 8, "chat": DIRECT, "date": 0}))
    assert (event.kind, event.place) == (Kind.BUTTON, Place(chat_id="7001", kind="direct"))


@pytest.mark.parametrize("field", ["message", "data", "id", "from"])
def test_a_button_without_its_parts_cannot_be_read(field):
    update = press()
    del update["callback_query"][field]
    assert read(update).kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    "member, expected",
    [
        ({"status": "member"}, "member"),
        ({"status": "administrator"}, "member"),
        ({"status": "restricted", "is_member": True}, "member"),
        ({"status": "restricted", "is_member": False}, "left"),
        ({"status": "left"}, "left"),
        ({"status": "kicked"}, "blocked"),
    ],
)
def test_a_change_of_our_membership_says_what_we_are_now(member, expected):
    body = {"chat": DIRECT, "from": ANN, "date": DATE, "old_chat_member": {}, "new_chat_member": member}
    event = read({"update_id": 902, "my_chat_member": body})
    assert (event.kind, event.text, event.event_id) == (Kind.MEMBERSHIP, expected, f"902:{DATE}")


# --- a group that becomes a supergroup --------------------------------------------------------------

OLD = {"id": -55, "type": "group", "title": "A group"}


def test_both_notices_of_a_move_say_from_where_to_where():
    there = read(message(chat=OLD, migrate_to_chat_id=GROUP["id"]))
    here = read(message(chat=GROUP, migrate_from_chat_id=-55, sender_chat=GROUP) | {"update_id": 901})
    for event in (there, here):
        assert (event.kind, event.place, event.text) == (
            Kind.MIGRATION, Place(chat_id="-55", kind="group"), str(GROUP["id"]),
        )  # fmt: skip
        assert event.sender is None
    assert there.event_id != here.event_id


@pytest.mark.parametrize("value", ["x", None, True, 10**30, {}])
def test_a_move_to_nowhere_is_none(value):
    event = read(message(chat=OLD, migrate_to_chat_id=value))
    assert (event.kind, event.addressed) == (Kind.MESSAGE, False)


# --- nonsense ---------------------------------------------------------------------------------------


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "update",
    [
        None, 1, "text", [], {}, {"update_id": 1}, {"update_id": "1", "message": {}}, {"update_id": True},
        {"update_id": True, "message": message("x")["message"]}, message("x", message_id=True),
        {"update_id": 10**30, "message": message("x")["message"]}, {"update_id": 1, "message": None},
        {"update_id": 1, "poll": {"id": "1"}}, message(["text"]), message("x", chat={"id": "7"}),
        message("x", chat={"id": 10**400}), message("x", sender=None), message("x", date="now"),
        message("x", message_id=1.5), {"update_id": 1, "message": {}, "deep": deep(100_000)},
    ],
    ids=lambda update: str(update)[:40] if not isinstance(update, dict) or "deep" not in update else "deep",
)  # fmt: skip
def test_what_cannot_be_read_is_kept_with_a_reason_and_without_a_place(update):
    event = read(update)
    assert (event.kind, event.place, event.sender) == (Kind.UNKNOWN, None, None)
    assert event.error


@pytest.mark.parametrize(
    "entities",
    [None, {}, "x", [None], [{}], [{"type": "mention", "offset": -1, "length": 3}],
     [{"type": "bot_command", "offset": 0, "length": 10**30}], [{"type": 1, "offset": 0, "length": 2}],
     [{"type": "text_mention", "offset": 0, "length": 9**9, "user": {"id": BOT}}]],
)  # fmt: skip
def test_marks_that_make_no_sense_leave_a_message_that_does(entities):
    for chat in (DIRECT, GROUP):
        assert read(message("hello", chat=chat, entities=entities)).kind is Kind.MESSAGE


def test_half_a_surrogate_pair_and_nul_become_what_can_be_stored():
    event = read(message("a\ud83db\0c 👍", sender=ANN | {"first_name": "\udc4d"}))
    assert (event.text, event.sender.name) == ("a\ufffdb\ufffdc 👍", "\ufffd Lee")
    assert json.loads(event.raw)["message"]["text"] == "a\ud83db\0c 👍"
    storable(event)


def storable(event):
    """Every text goes through the database driver, which takes no half surrogates."""
    values = [
        event.event_id,
        event.text,
        event.raw,
        event.error,
        event.message_id,
        event.reply_to,
        event.album,
    ]
    values += [event.button, event.press_id]
    values += [text for quote in event.quotes for text in (quote.text, quote.author)]
    if event.sender:
        values += [event.sender.user_id, event.sender.name, event.sender.lang]
    if event.place:
        values += [event.place.chat_id, event.place.thread_id]
    with sqlite3.connect(":memory:") as database:
        got = database.execute(f"SELECT {', '.join('?' * len(values))}, ?", [*values, event.sent]).fetchone()
    database.close()
    assert list(got[:-1]) == values
    assert "\0" not in "".join(values)


texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
whole = [
    marked("@parley_bot hi", "@parley_bot"), marked("/new@parley_bot x", "/new@parley_bot", chat=DIRECT), press(),
    message("b", kind="edited_message", edit_date=DATE), message(photo=[], caption="c", sender_chat=GROUP),
    message("yes", chat=GROUP, reply_to_message={"message_id": 3, "from": ANN, "text": "b"}, quote={"text": "b"}),
    message("c", external_reply={"origin": {"type": "user", "sender_user": ANN}}, quote={"text": "d", "position": 1}),
    message("e", forward_origin={"type": "chat", "sender_chat": GROUP}),
    message(chat=GROUP, migrate_from_chat_id=-55),
    {"update_id": 9, "my_chat_member": {"chat": DIRECT, "from": ANN, "date": 1, "new_chat_member": {"status": "x"}}},
]  # fmt: skip


def paths(value, path=()):
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        yield from paths(child, (*path, name))


@st.composite
def damaged(draw):
    """A real update in which one to three values, at any depth, are replaced or gone."""
    update = copy.deepcopy(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in paths(update) if path]))
        parent = update
        for name in path[:-1]:
            parent = parent[name]
        if draw(st.booleans()):
            parent[path[-1]] = draw(anything)
        else:
            del parent[path[-1]]
        if not update:
            break
    return update


@settings(max_examples=400, deadline=None)
@given(anything | damaged())
def test_no_json_is_too_strange_to_be_read_or_kept(update):
    event = read(update)
    storable(event)
    assert (event.kind is Kind.UNKNOWN) == (event.place is None) == bool(event.error)
    assert (event.kind in (Kind.UNKNOWN, Kind.MIGRATION)) == (event.sender is None)
    assert event == read(update)


# --- pages ------------------------------------------------------------------------------------------


def page(body):
    return read_page(body, read)


def test_a_page_gives_its_events_and_the_offset_behind_the_highest():
    updates = [message("a") | {"update_id": 7}, message("b") | {"update_id": 3}]
    found = page(json.dumps({"ok": True, "result": updates}).encode())
    assert ([event.text for event in found.events], found.offset) == (["a", "b"], 8)


def test_an_empty_page_confirms_nothing():
    assert (page(b'{"ok":true,"result":[]}').events, page(b'{"ok":true,"result":[]}').offset) == ((), None)


@pytest.mark.parametrize(
    "broken",
    [
        b'{"update_id":8,\n"message":{"text":"not closed}',
        b'{"update_id":8,\n"message":{"date":' + b"9" * 5000 + b"}}",
        b'{"update_id":8,\n"message":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"update_id":8,\n"message":nonsense}',
        b'{"update_id":8}}}]]',
    ],
    ids=["open", "long number", "deep", "no value", "brackets"],
)
def test_one_broken_update_does_not_spoil_the_page(broken):
    first, last = json.dumps(message("first")).encode(), json.dumps(message('{"update_id":1}')).encode()
    found = page(b'{"ok":true,"result":[' + b",\n".join([first, broken, last]) + b"]}\n")
    assert [event.kind for event in found.events] == [Kind.MESSAGE, Kind.UNKNOWN, Kind.MESSAGE]
    assert [event.text for event in found.events] == ["first", "", '{"update_id":1}']
    bad = found.events[1]
    assert (bad.event_id[:2], bad.place, bad.raw) == ("8:", None, broken.decode())
    assert bad.error
    assert found.offset == 901


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>502</html>", b"{", b"[]", b"null", b'{"ok":false,"result":[]}', b'{"ok":true}',
        b'{"ok":true,"result":{}}', b'{"ok":true,"result":[{"update_id":8},{"update_id":9,"mess', b'\xff\xfe',
        b'{"ok":true,"result":[nonsense]}', b'{"ok":true,"result":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_whole_answer_is_refused(body):
    with pytest.raises(ValueError):
        page(body)


def test_bytes_that_are_no_utf8_do_not_spoil_a_page():
    body = json.dumps({"ok": True, "result": [message("a?b")]}).encode().replace(b"?", b"\xff")
    assert page(body).events[0].text == "a\ufffdb"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"{", b"}", b"[", b"]", b'"', b"\\", b",", b'{"update_id":8', b'{"update_id":9,"a":1}']
        )
    ),
    st.binary(max_size=5),
)
def test_a_page_of_anything_gives_events_or_is_refused(parts, noise):
    body = b'{"ok":true,"result":[' + b"".join(parts) + noise + b"]}"
    try:
        found = page(body)
    except ValueError:
        return
    for event in found.events:
        storable(event)
        assert event.kind is Kind.UNKNOWN
    assert found.offset is None or found.offset > 8
