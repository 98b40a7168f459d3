"""Whatever a transcript has been through, its prompt is one that both vendors accept."""

import copy
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import transcript
from gateway.history import GO_ON, INTERRUPTED, NOTE, NOTHING, OPENING, SUMMARY, build, pending_calls
from gateway.message_size import bytes_of
from gateway.protocols.messages import AssistantMessage, ResultsMessage, UserMessage
from gateway.transcript import Opaque, Text, ToolResult, ToolUse
from gateway.types.turns import Entry

THINKING = Opaque("anthropic", {"type": "thinking", "thinking": "hm", "signature": "c2ln"})

# Two judges of a prompt, written from the vendors' rules and not from the code under test.


def blocks_of(message):
    """One message as the Messages API has it: (role, content blocks)."""
    match message:
        case UserMessage(texts):
            return "user", [{"type": "text", "text": text} for text in texts]
        case ResultsMessage(results):
            return "user", [
                {"type": "tool_result", "tool_use_id": r.id, "content": r.text, "is_error": r.error}
                for r in results
            ]
        case AssistantMessage(parts):
            blocks = []
            for part in parts:
                match part:
                    case Text(text):
                        blocks.append({"type": "text", "text": text})
                    case ToolUse(id, name, args):
                        blocks.append({"type": "tool_use", "id": id, "name": name, "input": json.loads(args)})
                    case Opaque():
                        blocks.append({"type": "thinking"})
            return "assistant", blocks
    raise AssertionError(f"not a message: {message!r}")


def judge_anthropic(messages, *, ask):
    wire = []
    for message in messages:
        role, blocks = blocks_of(message)
        assert blocks, "empty content"
        if wire and wire[-1][0] == role:
            assert role == "user", "two answers in a row"
            wire[-1] = (role, wire[-1][1] + blocks)
        else:
            wire.append((role, blocks))
    if not wire:
        return
    assert wire[0][0] == "user", "begins with an answer"
    assert wire[-1][0] == "user" or not ask, "nothing to answer"
    asked, ever = [], set()
    for role, blocks in wire:
        got = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert sorted(got) == sorted(asked), "calls and results differ"
        types = [block["type"] for block in blocks]
        assert types[: len(got)] == ["tool_result"] * len(got), "results do not come first"
        asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert len({*asked} - ever) == len(asked), "an id twice"
        ever |= {*asked}
        if role == "assistant":
            assert types[-1] != "thinking", "ends with thinking"
            assert {*types} & {"text", "tool_use"}, "nothing but thinking"
            if "tool_use" in types:
                assert "text" not in types[types.index("tool_use") :], "text after a call"
        for block in blocks:
            if block["type"] == "text":
                assert block["text"].strip(), "blank text"
                block["text"].encode()
            if block["type"] == "tool_use":
                assert re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"])
                assert re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", block["name"])
                assert isinstance(block["input"], dict)
                json.dumps(block["input"], allow_nan=False, ensure_ascii=False).encode()
            if block["type"] == "tool_result":
                assert block["content"].strip()
                block["content"].encode()
    assert not asked, "calls without results at the end"


def judge_openai(messages, *, ask):
    wire = []
    for message in messages:
        match message:
            case UserMessage(texts):
                wire.append({"role": "user", "content": "\n\n".join(texts)})
            case ResultsMessage(results):
                wire += [{"role": "tool", "tool_call_id": r.id, "content": r.text} for r in results]
            case AssistantMessage(parts):
                wire.append(
                    {
                        "role": "assistant",
                        "content": "".join(p.text for p in parts if isinstance(p, Text)),
                        "tool_calls": [p for p in parts if isinstance(p, ToolUse)],
                    }
                )
    waiting = []
    for row in wire:
        if row["role"] == "tool":
            assert row["tool_call_id"] in waiting, "a result of no call before it"
            waiting.remove(row["tool_call_id"])
            assert row["content"]
            continue
        assert not waiting, "calls were not answered at once"
        if row["role"] == "user":
            assert row["content"].strip()
        else:
            assert row["content"].strip() or row["tool_calls"], "an empty answer"
            for call in row["tool_calls"]:
                assert 1 <= len(call.id) <= 40
                assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call.name)
                assert isinstance(json.loads(call.args), dict)
                call.args.encode()
                waiting.append(call.id)
    assert not waiting
    if wire and ask:
        assert wire[-1]["role"] in ("user", "tool")


def legal(messages, *, ask=True):
    judge_anthropic(messages, ask=ask)
    judge_openai(messages, ask=ask)
    return messages


# Rows of a transcript, in few words


def rows(*bodies, start=0, turn=1):
    """(kind, body) pairs as entries with rising seq."""
    return [
        Entry(seq=start + n, turn=turn, kind=kind, body=body, created=0)
        for n, (kind, body) in enumerate(bodies)
    ]


def person(text, sender=""):
    return "user", transcript.user(text, sender=sender)


def note(text):
    return "note", transcript.note(text)


def answer(*parts, interrupted=False):
    given = [Text(part) if isinstance(part, str) else part for part in parts]
    return "assistant", transcript.assistant(given, interrupted=interrupted)


def call(id, args="{}", name="weather"):
    return ToolUse(id, name, args)


def result(id, text="sunny", *, name="weather", error=False):
    return ToolResult(id, name, text, error)


def results(*items):
    return "results", transcript.results(items)


def mark(op, **facts):
    return "mark", transcript.mark(op, **facts)


def summary(text, upto):
    return "summary", transcript.summary(text, upto=upto)


def users(*texts):
    return UserMessage(texts)


def model(*parts):
    return AssistantMessage(tuple(Text(part) if isinstance(part, str) else part for part in parts))


def gave(*items):
    return ResultsMessage(items)


def lost(id, name="weather"):
    return ToolResult(id, name, INTERRUPTED, True)


GOOD = (users("hi"), model(call("a")), gave(result("a")), model("sunny"), users("thanks"))

# Known-broken histories: what is stored, and the prompt it must become.
BROKEN = {
    "a call without a result, then the person": (
        [person("hi"), answer(call("a")), person("and?")],
        (users("hi"), model(call("a")), gave(lost("a")), users("and?")),
    ),
    "a call without a result at the very end": (
        [person("hi"), answer("let me see", call("a"))],
        (users("hi"), model("let me see", call("a")), gave(lost("a"))),
    ),
    "one of three calls without a result": (
        [person("hi"), answer(call("a"), call("b"), call("c")), results(result("c"), result("a"))],
        (users("hi"), model(call("a"), call("b"), call("c")), gave(result("a"), lost("b"), result("c"))),
    ),
    "a call without a result, then an answer": (
        [person("hi"), answer(call("a")), answer("sunny"), person("thanks")],
        (users("hi"), model(call("a")), gave(lost("a")), model("sunny"), users("thanks")),
    ),
    "a result without a call": (
        [person("hi"), results(result("a")), answer("hello"), person("bye")],
        (users("hi"), model("hello"), users("bye")),
    ),
    "a result before its call": (
        [person("hi"), results(result("a")), answer(call("a")), answer("sunny"), person("bye")],
        (users("hi"), model(call("a")), gave(lost("a")), model("sunny"), users("bye")),
    ),
    "a result after the person spoke": (
        [person("hi"), answer(call("a")), person("hurry"), results(result("a"))],
        (users("hi"), model(call("a")), gave(result("a")), users("hurry")),
    ),
    "a result after the next answer": (
        [person("hi"), answer(call("a")), answer("sunny"), results(result("a")), person("thanks")],
        GOOD,
    ),
    "a note between the call and its result": (
        [person("hi"), answer(call("a")), note("restarted"), results(result("a"))],
        (users("hi"), model(call("a")), gave(result("a")), users(NOTE + "restarted")),
    ),
    "results in several rows": (
        [person("hi"), answer(call("a"), call("b")), results(result("b")), results(result("a"))],
        (users("hi"), model(call("a"), call("b")), gave(result("a"), result("b"))),
    ),
    "a result twice": (
        [
            person("hi"),
            answer(call("a")),
            results(result("a")),
            results(result("a", "rain")),
            answer("sunny"),
            person("thanks"),
        ],
        GOOD,
    ),
    "arguments cut in the middle": (
        [person("hi"), answer(call("a", '{"city": "Ro')), results(result("a"))],
        (users("hi"), model(call("a", "{}")), gave(result("a"))),
    ),
    "arguments that are no object": (
        [person("hi"), answer(call("a", "[1]"), call("b", ""), call("c", "null"), call("d", '"x"'))],
        (
            users("hi"),
            model(call("a"), call("b"), call("c"), call("d")),
            gave(lost("a"), lost("b"), lost("c"), lost("d")),
        ),
    ),
    "arguments that only one language reads": (
        [person("hi"), answer(call("a", '{"n": NaN}'), call("b", '{"n": 1e999}')), results(result("a"))],
        (users("hi"), model(call("a", "{}"), call("b", "{}")), gave(result("a"), lost("b"))),
    ),
    "arguments too deep to read": (
        [person("hi"), answer(call("a", '{"a":' * 100_000)), results(result("a"))],
        (users("hi"), model(call("a", "{}")), gave(result("a"))),
    ),
    "arguments with half a character": (
        [person("hi"), answer(call("a", r'{"q": "\ud83d"}')), results(result("a"))],
        (users("hi"), model(call("a", '{"q": "?"}')), gave(result("a"))),
    ),
    "a call without arguments": (
        [
            person("hi"),
            ("assistant", {"v": 1, "parts": [{"t": "tool", "id": "a", "name": "weather"}]}),
            results(result("a")),
            person("and?"),
        ],
        (users("hi", "and?"),),
    ),
    "an id used again in a later answer": (
        [
            person("hi"),
            answer(call("0")),
            results(result("0", "one")),
            answer(call("0")),
            results(result("0", "two")),
        ],
        (
            users("hi"),
            model(call("0")),
            gave(result("0", "one")),
            model(call("call_2")),
            gave(result("call_2", "two")),
        ),
    ),
    "an id used again when the first call was lost": (
        [person("hi"), answer(call("0")), answer(call("0")), results(result("0", "two"))],
        (
            users("hi"),
            model(call("0")),
            gave(lost("0")),
            model(call("call_2")),
            gave(result("call_2", "two")),
        ),
    ),
    "an id twice in one answer": (
        [person("hi"), answer(call("a"), call("a")), results(result("a", "one"), result("a", "two"))],
        (
            users("hi"),
            model(call("a"), call("call_2")),
            gave(result("a", "one"), result("call_2", "two")),
        ),
    ),
    "ids and names no vendor takes": (
        [
            person("hi"),
            answer(call("", name=""), call("a b", name="mcp.find it"), call("x" * 41, name="n" * 65)),
            results(result("a b", "two"), result("", "one"), result("x" * 41, "three")),
        ],
        (
            users("hi"),
            model(
                call("call_1", name="unnamed"),
                call("call_2", name="mcp_find_it"),
                call("call_3", name="n" * 64),
            ),
            gave(
                result("call_1", "one", name="unnamed"),
                result("call_2", "two", name="mcp_find_it"),
                result("call_3", "three", name="n" * 64),
            ),
        ),
    ),
    "an id that a renamed call took": (
        [
            person("hi"),
            answer(call("call_2"), call("?"), call("call_1")),
            results(result("call_1", "three"), result("?", "two"), result("call_2", "one")),
        ],
        (
            users("hi"),
            model(call("call_2"), call("call_3"), call("call_1")),
            gave(result("call_2", "one"), result("call_3", "two"), result("call_1", "three")),
        ),
    ),
    "a row cut in the middle": (
        [person("hi"), ("assistant", {"v": 1}), ("results", {}), ("user", {}), person("and?")],
        (users("hi", "and?"),),
    ),
    "rows of the wrong shape": (
        [
            person("hi"),
            ("assistant", {"parts": None}),
            ("assistant", {"parts": 7}),
            ("assistant", {"parts": [None, {"t": "text"}, {"t": "text", "text": 3}, {"t": "new"}, "text"]}),
            ("results", {"results": None}),
            ("results", {"results": [None, 4, {}]}),
            ("user", {"text": None}),
            ("note", {"text": ["no"]}),
            ("summary", {"text": "s", "upto": "soon"}),
            ("mark", {}),
        ],
        (users("hi"),),
    ),
    "a giant result": (
        [person("hi"), answer(call("a")), results(result("a", "x" * 40_000 + "y" * 40_000))],
        (
            users("hi"),
            model(call("a")),
            gave(result("a", "x" * 25_000 + "\n[… 30000 bytes left out …]\n" + "y" * 25_000)),
        ),
    ),
    "an empty result": (
        [
            person("hi"),
            answer(call("a"), call("b")),
            results(result("a", ""), result("b", " \n", error=True)),
        ],
        (
            users("hi"),
            model(call("a"), call("b")),
            gave(result("a", NOTHING), result("b", NOTHING, error=True)),
        ),
    ),
    "an empty answer": (
        [person("hi"), answer(), person("hello?"), answer("", " \n"), person("anyone?")],
        (users("hi", "hello?", "anyone?"),),
    ),
    "an answer of thinking alone": (
        [person("hi"), answer(THINKING), person("hello?")],
        (users("hi", "hello?"),),
    ),
    "blank text before a call": (
        [person("hi"), answer(THINKING, "\n\n", call("a")), results(result("a"))],
        (users("hi"), model(THINKING, call("a")), gave(result("a"))),
    ),
    "text after a call": (
        [person("hi"), answer(THINKING, call("a"), "one moment"), results(result("a"))],
        (users("hi"), model("one moment", call("a")), gave(result("a"))),
    ),
    "thinking at the end": (
        [person("hi"), answer(THINKING, "yes", THINKING), person("so?")],
        (users("hi"), model("yes"), users("so?")),
    ),
    "an empty message of a person": (
        [person(""), person(" \n\t"), person("hi"), person("", "Ann")],
        (users("hi"),),
    ),
    "two answers in a row": (
        [person("hi"), answer("one"), answer(THINKING, "two"), person("three")],
        (users("hi"), model("one", "two"), users("three")),
    ),
    "an answer first": (
        [answer("good morning"), person("hi")],
        (users(OPENING), model("good morning"), users("hi")),
    ),
    "results first": ([results(result("a")), person("hi")], (users("hi"),)),
    "a call first": (
        [answer(call("a")), results(result("a"))],
        (users(OPENING), model(call("a")), gave(result("a"))),
    ),
    "an answer last": (
        [person("hi"), answer("hel", interrupted=True)],
        (users("hi"), model("hel"), users(GO_ON)),
    ),
    "an answer interrupted in its call": (
        [person("hi"), answer(THINKING, "let me see", call("a", '{"ci'), interrupted=True), person("stop")],
        (users("hi"), model("let me see"), users("stop")),
    ),
    "an answer interrupted in its only call": (
        [person("hi"), answer(THINKING, call("a", '{"ci'), interrupted=True), person("stop")],
        (users("hi", "stop"),),
    ),
    "an answer interrupted after a whole call": (
        [person("hi"), answer(THINKING, call("a"), interrupted=True), person("stop")],
        (users("hi"), model(call("a")), gave(lost("a")), users("stop")),
    ),
    "an answer interrupted in a call that has a result": (
        [person("hi"), answer(THINKING, call("a", '{"ci'), interrupted=True), results(result("a"))],
        (users("hi"), model(call("a")), gave(result("a"))),
    ),
    "characters that cannot be sent": (
        [
            person("h\0i \ud83d", "An\nn\0"),
            answer("o\ud83dk\0", call("a")),
            results(result("a", "\0\udc00 end")),
            person("\0"),
        ],
        (users("An n: hi ?"), model("o?k", call("a")), gave(result("a", "? end"))),
    ),
    "rows out of order": (
        list(
            reversed(
                [person("hi"), answer(call("a")), results(result("a")), answer("sunny"), person("thanks")]
            )
        ),
        GOOD,
    ),
}


def broken_rows(name):
    bodies = BROKEN[name][0]
    if name == "rows out of order":
        return list(reversed(rows(*reversed(bodies))))
    return rows(*bodies)


def test_there_are_at_least_thirty_broken_histories():
    assert len(BROKEN) >= 30


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_history_becomes_a_legal_prompt(name):
    assert legal(build(broken_rows(name))) == BROKEN[name][1]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_history_answers_the_next_message(name):
    entries = broken_rows(name)
    messages = legal(build([*entries, *rows(person("next"), start=len(entries))]))
    assert messages[-1].texts[-1] == "next"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_history_can_be_cut_anywhere(name):
    entries = broken_rows(name)
    for cut in range(len(entries)):
        legal(build(entries[:cut]))
        legal(build(entries[cut:]))
        legal(build(entries[:cut] + entries[cut + 1 :]))


def test_a_whole_history_stays_as_it_is():
    entries = rows(
        person("hi"),
        answer(THINKING, "let me see", call("a", '{"city": "Rome", "n": 1.50}')),
        results(result("a", "sunny\n"), result("b")),
        answer(THINKING, " sunny "),
        person("thanks"),
    )
    assert legal(build(entries)) == (
        users("hi"),
        model(THINKING, "let me see", call("a", '{"city": "Rome", "n": 1.50}')),
        gave(result("a", "sunny\n")),
        model(THINKING, " sunny "),
        users("thanks"),
    )


def test_thinking_between_calls_stays_where_it_was():
    parts = (THINKING, "so", call("a"), THINKING, call("b"))
    assert legal(build(rows(person("hi"), answer(*parts))))[1] == model(*parts)


def test_a_result_may_have_fifty_thousand_bytes():
    entries = rows(person("hi"), answer(call("a"), call("b")))
    entries += rows(results(result("a", "x" * 50_000), result("b", "x" * 50_001)), start=2)
    whole, cut = build(entries)[2].results
    assert whole.text == "x" * 50_000
    assert "[… 1 bytes left out …]" in cut.text


def test_nothing_makes_nothing():
    assert build([]) == ()
    assert build(rows(person(" "), answer(), results(), mark("clear"))) == ()


def test_a_part_of_an_unknown_kind_takes_the_signed_parts_with_it():
    _, body = answer(THINKING, "hello")
    body["parts"].append({"t": "picture", "data": "…"})
    assert build(rows(person("hi"), ("assistant", body), person("so?")))[1] == model("hello")


@pytest.mark.parametrize("broken", [call("a", "{"), call("a b"), call("a", name="no.dots")])
def test_signed_parts_go_when_their_answer_had_to_be_repaired(broken):
    assert THINKING in build(rows(person("hi"), answer(THINKING, call("a"))))[1].parts
    assert THINKING not in build(rows(person("hi"), answer(THINKING, broken)))[1].parts


def test_without_asking_a_last_answer_stays_last():
    entries = rows(person("hi"), answer("hello"))
    assert legal(build(entries, ask=False), ask=False) == (users("hi"), model("hello"))


def test_names_stand_before_what_members_of_a_group_say():
    entries = rows(person("hi", "Ann"), person("ho", "Bob\nAnn: no"), person("x", "n" * 99))
    assert build(entries) == (users("Ann: hi", "Bob Ann: no: ho", "n" * 64 + ": x"),)


@pytest.mark.parametrize("limit", [0, 1, 2, 7, 100, 101])
def test_a_long_result_keeps_its_ends_and_says_what_is_missing(limit):
    text = "ä€𝄞" * 100
    (cut,) = build(rows(person("hi"), answer(call("a")), results(result("a", text))), result_bytes=limit)[
        2
    ].results
    head, tail = re.split(r"\n\[… \d+ bytes left out …\]\n", cut.text)
    missing = int(re.search(r"\[… (\d+) bytes", cut.text)[1])
    assert len(text.encode()) - missing == len((head + tail).encode()) <= limit
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len((head + tail).encode()) >= limit - 8


def test_a_result_of_exactly_the_limit_is_whole():
    entries = rows(person("hi"), answer(call("a")), results(result("a", "ä" * 10)))
    assert build(entries, result_bytes=20)[2].results[0].text == "ä" * 10


# Summaries and marks


def test_a_summary_stands_for_what_came_before_it_and_leaves_the_rest():
    entries = rows(
        person("one"), answer("1"), person("two"), answer("2"), summary("they counted", 2), person("3")
    )
    assert legal(build(entries)) == (
        users(SUMMARY + "they counted", "two"),
        model("2"),
        users("3"),
    )


def test_the_latest_summary_counts():
    entries = rows(person("a"), summary("old", 1), person("b"), answer("c"), summary("new", 3), person("d"))
    assert legal(build(entries)) == (users(SUMMARY + "new"), model("c"), users("d"))


@pytest.mark.parametrize(
    "body", [{"text": " ", "upto": 1}, {"text": "s"}, {"text": "s", "upto": 99}, {"upto": 1}, {}]
)
def test_a_summary_that_is_broken_or_speaks_of_what_comes_later_does_not_count(body):
    entries = rows(person("a"), summary("good", 1), person("b"), ("summary", body), person("c"))
    assert build(entries) == (users(SUMMARY + "good", "b", "c"),)


def test_a_summary_between_a_call_and_its_result_loses_neither_rule():
    entries = rows(
        person("a"), answer(call("x")), results(result("x")), answer("b"), summary("s", 2), person("c")
    )
    assert legal(build(entries)) == (users(SUMMARY + "s"), model("b"), users("c"))


def test_clear_drops_all_before_it():
    entries = rows(person("a"), answer("b"), summary("s", 1), mark("clear"), person("c"))
    assert build(entries) == (users("c"),)


def test_rewind_drops_from_its_seq_up_to_itself():
    entries = rows(person("a"), answer("b"), person("c"), answer("d"), mark("rewind", seq=2), person("e"))
    assert legal(build(entries)) == (users("a"), model("b"), users("e"))


def test_rewind_in_the_middle_of_a_call_is_legal():
    entries = rows(person("a"), answer(call("x")), results(result("x")), mark("rewind", seq=2), person("e"))
    assert legal(build(entries)) == (users("a"), model(call("x")), gave(lost("x")), users("e"))


def test_rewind_before_a_summary_brings_back_what_it_stood_for():
    entries = rows(person("a"), answer("b"), person("c"), summary("s", 3), mark("rewind", seq=2), person("e"))
    assert legal(build(entries)) == (users("a"), model("b"), users("e"))


def test_rewind_behind_what_a_summary_stands_for_keeps_the_summary():
    entries = rows(person("a"), person("b"), person("c"), summary("s", 1), mark("rewind", seq=2), person("e"))
    assert build(entries) == (users(SUMMARY + "s", "b", "e"),)


@pytest.mark.parametrize(
    "body", [{"op": "rewind"}, {"op": "rewind", "seq": "2"}, {"op": "sparkle"}, {"seq": 0}, {}]
)
def test_a_mark_that_is_not_understood_changes_nothing(body):
    assert build(rows(person("a"), ("mark", body), person("b"))) == (users("a", "b"),)


# What is left to do in a turn


@pytest.mark.parametrize(
    ("bodies", "left"),
    [
        pytest.param([], ((), False), id="nothing"),
        pytest.param([person("hi")], ((), False), id="not-begun"),
        pytest.param([person("hi"), answer("yo")], ((), True), id="answered"),
        pytest.param([person("hi"), answer()], ((), True), id="answered-with-nothing"),
        pytest.param([person("hi"), answer("yo"), note("late")], ((), True), id="a-note-asks-nothing"),
        pytest.param([person("hi"), answer("yo"), person("wait")], ((), False), id="spoken-to-since"),
        pytest.param([person("hi"), answer("y", interrupted=True)], ((), False), id="interrupted"),
        pytest.param([person("hi"), answer(call("a"), interrupted=True)], ((), False), id="interrupted-call"),
        pytest.param(
            [person("hi"), answer("y", call("a", "{"), call("b"))],
            ((call("a", "{"), call("b")), False),
            id="two-calls-as-they-were-given",
        ),
        pytest.param(
            [person("hi"), answer(call("a"), call("b")), results(result("b"))],
            ((call("a"),), False),
            id="one-of-two-done",
        ),
        pytest.param([person("hi"), answer(call("a")), results(result("a"))], ((), False), id="all-done"),
        pytest.param(
            [person("hi"), answer(call("a")), results(result("a")), answer(call("a"))],
            ((call("a"),), False),
            id="the-same-id-again",
        ),
        pytest.param(
            [person("hi"), answer(call("a"), call("a")), results(result("a"))],
            ((call("a"),), False),
            id="an-id-twice",
        ),
        pytest.param(
            [person("hi"), answer(call("a")), results(result("a")), answer("sunny")],
            ((), True),
            id="answered-by-tool",
        ),
        pytest.param(
            [person("hi"), answer(call("z")), answer("sunny")],
            ((), True),
            id="calls-of-an-earlier-answer-are-past",
        ),
        pytest.param([person("hi"), ("assistant", {"parts": None})], ((), True), id="wrong-shape"),
    ],
)
def test_what_is_left_to_do_in_a_turn(bodies, left):
    assert pending_calls(rows(*bodies), 1) == left


def test_other_turns_do_not_count():
    entries = rows(person("hi"), answer(call("a"))) + rows(person("ho"), answer("yo"), start=2, turn=2)
    assert pending_calls(entries, 1) == ((call("a"),), False)
    assert pending_calls(entries, 2) == ((), True)
    assert pending_calls(entries, 3) == ((), False)


# Size


def test_size_counts_the_bytes_of_everything():
    assert bytes_of(()) == 0
    assert bytes_of((users("ä", "b"),)) == 3
    assert bytes_of((model("abc", call("id", '{"a":1}', "name")),)) == 3 + 2 + 4 + 7
    assert bytes_of((gave(result("id", "é")),)) == 2 + 2
    assert bytes_of((model(Opaque("p", {"k": "ä"})),)) == len('{"k": "ä"}'.encode())


# Anything at all

IDS = st.sampled_from(["a", "b", "call_1", "call_2", "", "bad id", "x" * 50])
WORDS = st.one_of(st.sampled_from(["", " ", "\n\n", "hi", "two words", "\0", "\ud83d"]), st.text(max_size=8))
ARGS = st.one_of(
    st.sampled_from(["{}", '{"a": 1}', "", "[]", '{"a"', "NaN", '{"a": NaN}', r'{"a": "\ud800"}', "null"]),
    st.text(max_size=6),
)
PARTS = st.lists(
    st.one_of(
        st.builds(Text, WORDS),
        st.builds(ToolUse, IDS, st.sampled_from(["find", "a.b", ""]), ARGS),
        st.just(THINKING),
    ),
    max_size=4,
)
RESULTS = st.lists(st.builds(ToolResult, IDS, st.just("find"), WORDS, st.booleans()), max_size=4)
SEQS = st.integers(-2, 20)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(["user", "assistant", "results", "note", "summary", "mark"])
FIELDS = st.sampled_from(["text", "from", "parts", "results", "op", "seq", "upto", "interrupted"])
BODIES = st.one_of(
    st.builds(person, WORDS, WORDS),
    st.builds(note, WORDS),
    st.builds(lambda parts, cut: answer(*parts, interrupted=cut), PARTS, st.booleans()),
    st.builds(lambda items: results(*items), RESULTS),
    st.builds(summary, WORDS, SEQS),
    st.builds(lambda seq: mark("rewind", seq=seq), SEQS),
    st.just(mark("clear")),
    st.tuples(KINDS, st.dictionaries(FIELDS, JUNK, max_size=3)),
)
HISTORIES = st.lists(BODIES, max_size=14).map(lambda bodies: rows(*bodies))


@settings(max_examples=600, deadline=None)
@given(HISTORIES, st.sampled_from([0, 5, 50_000]), st.booleans())
def test_every_history_is_legal_the_same_each_time_and_left_as_it_was(entries, result_bytes, ask):
    before = copy.deepcopy(entries)
    messages = build(entries, result_bytes=result_bytes, ask=ask)
    assert build(entries, result_bytes=result_bytes, ask=ask) == messages
    assert entries == before
    legal(messages, ask=ask)
    assert bytes_of(messages) >= len(messages)


@settings(max_examples=200, deadline=None)
@given(HISTORIES)
def test_every_history_says_what_is_left_to_do(entries):
    calls, answered = pending_calls(entries, 1)
    assert not (calls and answered)


@settings(max_examples=200, deadline=None)
@given(HISTORIES)
def test_every_history_hears_the_next_message(entries):
    messages = legal(build([*entries, *rows(person("the next message"), start=len(entries))]))
    assert messages[-1].texts[-1] == "the next message"


# The judges are judged too: a test that accepts everything proves nothing.


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param((model("hi"), users("x")), id="answer-first"),
        pytest.param((users("x"), model("hi")), id="answer-last"),
        pytest.param((users("x"), model("a"), model("b"), users("y")), id="two-answers"),
        pytest.param((users("x"), model(call("a")), users("y")), id="no-result"),
        pytest.param((users("x"), gave(result("a"))), id="no-call"),
        pytest.param((users("x"), model(call("a")), users("y"), gave(result("a"))), id="results-too-late"),
        pytest.param((users("x"), model(call("a")), gave(result("a"), result("a"))), id="result-twice"),
        pytest.param(
            (users("x"), model(call("a"), call("a")), gave(result("a"), result("a"))), id="id-twice"
        ),
        pytest.param((users(" "),), id="blank"),
        pytest.param((users(),), id="empty"),
        pytest.param((users("x"), model(), users("y")), id="empty-answer"),
        pytest.param((users("x"), model(THINKING), users("y")), id="thinking-alone"),
        pytest.param((users("x"), model("a", THINKING), users("y")), id="thinking-last"),
        pytest.param((users("x"), model(call("a", "[]")), gave(result("a"))), id="no-object"),
        pytest.param((users("x"), model(call("a b")), gave(result("a b"))), id="bad-id"),
    ],
)
def test_the_judges_refuse_what_the_vendors_refuse(messages):
    with pytest.raises(AssertionError):
        legal(messages)
