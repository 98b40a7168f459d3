"""Which session a history belongs to: any way to part a conversation into requests gives one session."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.completions import lineage
from gateway.completions.lineage import Continue, Decision, Exchange, Held, Open, Past, Repeat


@dataclass
class Row:
    event: str
    session: int
    digest: str
    seq: int
    state: str = "waiting"
    said: str = ""
    told: str | None = None


@dataclass
class Sessions:
    """What a store holds, as the effects would read it."""

    held: dict[int, list[tuple[str, str]]] = field(default_factory=dict)  # session -> (role, text)
    rows: list[Row] = field(default_factory=list)

    def decide(self, past: Past, *, again: bool = False, watched: frozenset[str] = frozenset()) -> Decision:
        for look in lineage.looks(past):
            found = [self._held(row) for row in reversed(self.rows) if row.digest == look.digest]
            decision = lineage.judge(past, look, found, again=again, watched=watched)
            if decision is not None:
                return decision
        return lineage.new(past)

    def _held(self, row: Row) -> Held:
        said = self.held[row.session]
        upto = row.seq + (1 if row.state != "waiting" else 0) + (1 if row.said else 0)
        later = any(role == "assistant" for role, _ in said[upto:]) or any(
            each.session == row.session and each.state == "waiting" and each is not row for each in self.rows
        )
        return Held(
            event=row.event,
            session=row.session,
            state=row.state,  # type: ignore[arg-type]
            said=row.said,
            told=row.told,
            last=not later,
            upto=upto,
        )

    def ask(self, past: Past, **how: bool) -> tuple[int, Row]:
        decision, text = self.decide(past, **how), past.question  # type: ignore[arg-type]
        match decision:
            case Repeat(event):
                row = next(each for each in self.rows if each.event == event)
                return row.session, row
            case Continue(session, skip):
                text = lineage.joined(past.texts[skip:])
            case Open(parent, upto, begun):
                session = len(self.held) + 1
                self.held[session] = list(self.held[parent][:upto]) if parent is not None else []
                for each in begun:
                    self.held[session] += [("user", each.asked), ("assistant", each.answered)]
        row = Row(
            event=f"e{len(self.rows)}",
            session=session,
            digest=lineage.chain(past),
            seq=len(self.held[session]),
        )
        self.rows.append(row)
        self.held[session].append(("user", text))
        return session, row

    def answer(self, row: Row, text: str) -> None:
        row.state, row.said = "done", text
        self.held[row.session].append(("assistant", text))

    def fail(self, row: Row, said: str = "") -> None:
        row.state, row.said = "broken", said
        if said:
            self.held[row.session].append(("assistant", said))


def past(*said: str) -> Past:
    """Of texts by turns, the last one asked now."""
    exchanges = tuple(Exchange(said[at], said[at + 1]) for at in range(0, len(said) - 1, 2))
    return Past(exchanges, (said[-1],))


words = st.text(min_size=1, max_size=12).filter(lambda text: bool(lineage.plain(text)))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.lists(words, min_size=1, max_size=3), words), min_size=1, max_size=8),
    st.data(),
)
def test_any_way_to_part_a_conversation_gives_one_session(
    talk: list[tuple[list[str], str]], data: st.DataObject
) -> None:
    """Each question goes in one request or in several that came to nothing, and some requests are sent twice."""
    store, exchanges, sessions = Sessions(), list[Exchange](), set[int]()
    for texts, answer in talk:
        for count in range(1, len(texts)):
            if data.draw(st.booleans(), label="sent before the rest, and failed"):
                session, row = store.ask(Past(tuple(exchanges), tuple(texts[:count])))
                sessions.add(session)
                store.fail(row)
        session, row = store.ask(Past(tuple(exchanges), tuple(texts)))
        sessions.add(session)
        if data.draw(st.booleans(), label="sent again while it waits"):
            assert store.ask(Past(tuple(exchanges), tuple(texts))) == (session, row)
        store.answer(row, answer)
        if data.draw(st.booleans(), label="sent again though it was answered"):
            assert store.ask(Past(tuple(exchanges), tuple(texts)), again=True) == (session, row)
        # Programs trim what they keep.
        exchanges.append(
            Exchange(lineage.joined(texts), data.draw(st.sampled_from([answer, f" {answer}\n"])))
        )
    assert len(sessions) == 1
    answers = [lineage.plain(text) for role, text in store.held[sessions.pop()] if role == "assistant"]
    assert answers == [lineage.plain(answer) for _, answer in talk]


@settings(deadline=None)
@given(st.lists(words, min_size=5, max_size=9).filter(lambda said: len(said) % 2 == 1), st.data())
def test_a_history_that_is_changed_anywhere_forks_there_and_leaves_the_other_alone(
    said: list[str], data: st.DataObject
) -> None:
    store = Sessions()
    for end in range(1, len(said) - 1, 2):
        _, row = store.ask(past(*said[:end]))
        store.answer(row, said[end])
    before = list(store.held[1])
    at = data.draw(st.integers(0, len(said) - 2), label="changed at")
    changed = [*said[:at], said[at] + " but other", *said[at + 1 :]]
    decision = store.decide(past(*changed))
    whole = at // 2  # exchanges that are the same
    assert decision == Open(1 if whole else None, 2 * whole, tuple(past(*changed).exchanges[whole:]))
    session, _ = store.ask(past(*changed))
    assert session == 2
    assert store.held[1] == before
    assert [text for _, text in store.held[2]] == changed


def told(store: Sessions, *said: str) -> Row:
    """A conversation as it is held; *said* ends with an answer."""
    for end in range(1, len(said), 2):
        _, row = store.ask(past(*said[:end]))
        store.answer(row, said[end])
    return row


def test_what_was_never_seen_is_begun_with_all_that_the_program_says() -> None:
    assert Sessions().decide(past("hi", "hello", "and now?")) == Open(None, 0, (Exchange("hi", "hello"),))


def test_the_same_first_words_while_the_others_wait_are_another_conversation() -> None:
    store = Sessions()
    _, first = store.ask(past("hi"))
    assert store.decide(past("hi"), watched=frozenset({first.event})) == Open()
    assert store.decide(past("hi"), watched=frozenset({first.event}), again=True) == Repeat(first.event)
    assert store.decide(past("hi")) == Repeat(first.event)  # nobody waits for it: the process was killed


def test_asking_for_another_answer_forks_before_the_question() -> None:
    store = Sessions()
    told(store, "a", "b", "c", "d")
    assert store.decide(past("a", "b", "c")) == Open(1, 2, ())


def test_an_answer_that_was_changed_by_the_person_is_theirs_to_change() -> None:
    store = Sessions()
    told(store, "a", "b")
    assert store.decide(past("a", "something else", "c")) == Open(None, 0, (Exchange("a", "something else"),))


@pytest.mark.parametrize(
    "kept", ["The answer is", "The answer is forty-", "The answer is forty- …\n\n*stopped*"]
)
def test_of_an_answer_that_was_stopped_the_program_has_kept_some(kept: str) -> None:
    store = Sessions()
    _, row = store.ask(past("what?"))
    store.fail(row, "The answer is forty-")
    assert store.decide(past("what?", kept, "go on")) == Continue(1)
    assert store.decide(past("what?", "No idea", "go on")) == Open(None, 0, (Exchange("what?", "No idea"),))
    assert store.decide(past("what?")) == Open()  # without what was said of it, it is a new conversation


def test_what_was_sent_counts_as_the_answer_and_not_only_what_the_transcript_keeps() -> None:
    store = Sessions()
    row = told(store, "a", "b")
    row.told = lineage.digest("b\n\n*Little is left of the budget.*")
    assert store.decide(past("a", "b\n\n*Little is left of the budget.*", "c")) == Continue(1)


def test_a_question_that_failed_is_not_said_twice() -> None:
    store = Sessions()
    told(store, "a", "b")
    _, row = store.ask(past("a", "b", "c"))
    store.fail(row)
    assert store.decide(Past((Exchange("a", "b"),), ("c", "d"))) == Continue(1, skip=1)
    assert store.decide(past("a", "b", "c")) == Continue(1)
    assert store.decide(past("a", "b", "d")) == Continue(1)


def test_a_session_that_went_on_elsewhere_is_not_the_one_the_program_knows() -> None:
    store = Sessions()
    told(store, "a", "b")
    store.held[1] += [("user", "by telegram"), ("assistant", "so")]
    assert store.decide(past("a", "b", "c")) == Open(1, 2, ())


def test_a_history_may_begin_with_an_answer() -> None:
    store = Sessions()
    begun = Past((Exchange("", "How can I help?"),), ("hi",))
    _, row = store.ask(begun)
    store.answer(row, "b")
    assert store.decide(Past((*begun.exchanges, Exchange("hi", "b")), ("c",))) == Continue(1)
