"""Turns taken back and brought back, as the transcript alone says it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from gateway import history, rewinding, transcript
from gateway.models.legal import legal
from gateway.transcript import Text, ToolResult, ToolUse
from gateway.types.json import Json
from gateway.types.turns import Entry

Row = tuple[str, Json, int | None]


def user(text: str, turn: int | None = None) -> Row:
    return "user", transcript.user(text), turn


def answer(text: str, turn: int | None = None) -> Row:
    return "assistant", transcript.assistant((Text(text),)), turn


def call(turn: int | None = None) -> Row:
    return "assistant", transcript.assistant((ToolUse("c", "now", "{}"),)), turn


def result(turn: int | None = None) -> Row:
    return "results", transcript.results([ToolResult("c", "now", "noon")]), turn


def mark(op: str, **facts: int) -> Row:
    return "mark", transcript.mark(op, **facts), None


def rows(*said: Row) -> list[Entry]:
    return [
        Entry(seq=seq, turn=turn, kind=kind, body=body, created=seq)  # type: ignore[arg-type]
        for seq, (kind, body, turn) in enumerate(said)
    ]


def texts(entries: Sequence[Entry]) -> list[str]:
    return [str(each.body.get("text") or transcript.visible(each.body)) for each in entries]


TWO = (user("a", 1), answer("b", 1), user("c", 2), answer("d", 2))


def test_a_turn_is_a_message_and_everything_up_to_the_next() -> None:
    said = rows(user("a", 7), call(7), result(7), answer("b", 7), user("c"), answer("d"), user("e"))
    assert [len(turn) for turn in rewinding.turns(said)] == [4, 2, 1]


def test_messages_that_were_answered_together_are_one_turn() -> None:
    assert len(rewinding.turns(rows(user("a", 1), user("b", 1), answer("c", 1)))) == 1


def test_what_stands_before_the_first_message_belongs_to_no_turn() -> None:
    said = rows(("note", transcript.note("before"), None), *TWO)
    assert [turn[0].seq for turn in rewinding.turns(said)] == [1, 3]


def test_a_rewind_takes_back_and_a_redo_brings_back_the_same() -> None:
    said = rows(*TWO)
    back = rows(*TWO, mark("rewind", seq=2))
    assert texts(rewinding.standing(back)) == ["a", "b"] and rewinding.can_redo(back)
    again = rows(*TWO, mark("rewind", seq=2), mark("redo"))
    assert rewinding.standing(again) == said and not rewinding.can_redo(again)


def test_several_undos_are_brought_back_one_by_one() -> None:
    said = [*TWO, mark("rewind", seq=2), mark("rewind", seq=0)]
    assert rewinding.standing(rows(*said)) == []
    assert texts(rewinding.standing(rows(*said, mark("redo")))) == ["a", "b"]
    assert texts(rewinding.standing(rows(*said, mark("redo"), mark("redo")))) == ["a", "b", "c", "d"]


def test_nothing_is_brought_back_once_something_was_said() -> None:
    said = [*TWO, mark("rewind", seq=2), user("e", 3)]
    assert not rewinding.can_redo(rows(*said))
    assert rewinding.standing(rows(*said, mark("redo"))) == rewinding.standing(rows(*said))


def test_nothing_is_brought_back_once_the_model_was_made_to_forget() -> None:
    assert not rewinding.can_redo(rows(*TWO, mark("rewind", seq=2), mark("clear")))


def test_what_was_forgotten_cannot_be_gone_back_to() -> None:
    said = rows(*TWO, mark("clear"), user("e", 3))
    assert [turn[0].seq for turn in rewinding.turns(said)] == [5]


def test_a_summary_stands_as_long_as_all_it_stands_for() -> None:
    put_away = ("summary", transcript.summary("s", upto=2), None)
    assert texts(rewinding.standing(rows(*TWO, put_away, mark("rewind", seq=2)))) == ["a", "b", "s"]
    assert texts(rewinding.standing(rows(*TWO, put_away, mark("rewind", seq=0)))) == []


def test_what_tools_did_is_known() -> None:
    assert rewinding.used_tools(rewinding.turns(rows(user("a"), call(), result())))
    assert not rewinding.used_tools(rewinding.turns(rows(*TWO)))


SAID = st.one_of(
    st.sampled_from([user("u"), answer("a"), call(), result(), mark("clear"), mark("redo")]),
    st.builds(lambda turn: user("u", turn), st.integers(1, 5)),
    st.builds(lambda turn: answer("a", turn), st.integers(1, 5)),
    st.builds(lambda seq: mark("rewind", seq=seq), st.integers(-1, 30)),
    st.builds(lambda upto: ("summary", transcript.summary("s", upto=upto), None), st.integers(0, 30)),
)


def _is_legal(entries: Sequence[Entry]) -> bool:
    """With the next question as both vendors want it, without another repair on the way."""
    next_one = Entry(seq=1000, turn=None, kind="user", body=transcript.user("next"), created=0)
    messages = list(history.build([*entries, next_one]))
    return messages == legal(messages, opaque="")


@given(st.lists(SAID, max_size=30))
def test_whatever_was_taken_back_the_prompt_is_legal(said: list[Row]) -> None:
    entries = rows(*said)
    assert _is_legal(entries)
    for at, turn in enumerate(rewinding.turns(entries)):
        back = Entry(
            seq=len(said), turn=None, kind="mark", body=mark("rewind", seq=turn[0].seq)[1], created=0
        )
        cut = [*entries, back]
        assert _is_legal(cut) and len(rewinding.turns(cut)) == at
        redone = [*cut, Entry(seq=len(said) + 1, turn=None, kind="mark", body=mark("redo")[1], created=0)]
        assert rewinding.standing(redone) == rewinding.standing(entries)
