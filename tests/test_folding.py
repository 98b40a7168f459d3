"""What summaries and marks leave of a transcript: what is put away and taken back leaves a prompt legal and whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import compaction, folding, history, transcript
from gateway.folding import Prune
from gateway.history import INTERRUPTED
from gateway.message_size import bytes_of
from gateway.protocols.messages import Message, ResultsMessage, UserMessage
from gateway.transcript import Text, ToolResult, ToolUse
from gateway.types.json import Json
from gateway.types.turns import Entry
from gateway.types.usage import Weighed
from tests.test_history import legal


@dataclass
class Talk:
    """A transcript as it grows; *off*: what was taken back of it, *turns*: the entries of each turn, by seq."""

    entries: list[Entry] = field(default_factory=list)
    made: list[int] = field(default_factory=list)  # summaries and marks that hold, by seq
    off: list[int] = field(default_factory=list)
    turns: int = 0

    def add(self, kind: str, body: Json, turn: int | None = None) -> Entry:
        added = Entry(seq=len(self.entries), turn=turn, kind=kind, body=body, created=0)  # type: ignore[arg-type]
        self.entries.append(added)
        return added

    def turn(self, steps: Sequence[int], *, answered: bool = True, known: bool = True) -> None:
        """A question, calls with results of so many bytes (below 0: none came), an answer. *known*: it has a number."""
        self.turns += 1
        turn = self.turns if known else None
        self.add("user", transcript.user(f"question {self.turns}"), turn)
        for number, size in enumerate(steps):
            call = ToolUse(f"call_{number}", "look", json.dumps({"n": number}))
            self.add("assistant", transcript.assistant((Text("I look."), call)), turn)
            if size >= 0:
                given = ToolResult(call.id, "look", f"{self.turns}.{number} " + "x" * size)
                self.add("results", transcript.results([given]), turn)
        if answered:
            self.add("assistant", transcript.assistant((Text(f"answer {self.turns}"),)), turn)

    def compact(self, window: int) -> int:
        """As the gateway does it between turns; gives the entry from which on the conversation stays."""
        keep = compaction.keep_from(self.entries, window=window)
        summary = transcript.summary(f"Notes up to {keep}.", upto=keep)
        self.made.append(self.add("summary", summary).seq)
        self.off = []
        return keep

    def prune(self, window: int) -> None:
        prune = Prune(upto=compaction.keep_from(self.entries, window=window), over=compaction.PRUNED_OVER)
        if compaction.prunable(self.entries, prune):
            self.made.append(self.add("mark", compaction.pruning(prune)).seq)
            self.off = []

    def undo(self) -> None:
        if self.made:
            self.off.append(self.made.pop())
            self.add("mark", transcript.mark("uncompact", seq=self.off[-1]))

    def redo(self) -> None:
        if self.off:
            self.made.append(self.off.pop())
            self.add("mark", transcript.mark("recompact", seq=self.made[-1]))

    @property
    def prompt(self) -> tuple[Message, ...]:
        return history.build(self.entries)

    def without(self) -> tuple[Message, ...]:
        """The prompt of a transcript in which only what holds was ever written."""
        marks = {"uncompact", "recompact", "prune"}
        return history.build(
            [
                each
                for each in self.entries
                if each.seq in self.made or not (each.kind == "summary" or each.body.get("op") in marks)
            ]
        )


STEPS = st.lists(st.sampled_from([-1, 0, 40, 1500, 6000]), max_size=3)
OPS = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), STEPS, st.booleans(), st.booleans()),
        st.tuples(st.just("compact"), st.sampled_from([50, 1000, 8000, 200_000])),
        st.tuples(st.just("prune"), st.sampled_from([1000, 200_000])),
        st.tuples(st.just("undo")),
        st.tuples(st.just("redo")),
    ),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(OPS)
def test_whatever_is_put_away_and_taken_back_the_prompt_is_legal_and_as_if_only_what_holds_were_there(
    ops: list[tuple[object, ...]],
) -> None:
    talk = Talk()
    for op in ops:
        match op:
            case ("turn", list(steps), bool(answered), bool(known)):
                talk.turn(steps, answered=answered, known=known)
            case ("compact", int(window)):
                before, size = talk.prompt, len(talk.entries)
                keep = talk.compact(window)
                aligned(talk.entries[:size], keep)
                after = talk.prompt
                talk.undo()
                assert talk.prompt == before
                talk.redo()
                assert talk.prompt == after
            case ("prune", int(window)):
                before = talk.prompt
                made = len(talk.made)
                talk.prune(window)
                if len(talk.made) > made:
                    after = talk.prompt
                    assert bytes_of(after) < bytes_of(before)
                    talk.undo()
                    assert talk.prompt == before
                    talk.redo()
                    assert talk.prompt == after
            case ("undo",):
                talk.undo()
            case ("redo",):
                talk.redo()
        legal(talk.prompt)
        paired(talk)
        assert talk.prompt == talk.without()


def aligned(entries: Sequence[Entry], keep: int) -> None:
    """What stays begins where a turn begins: the entry before it belongs to another one."""
    rest = [each for each in entries if each.seq >= keep and each.kind in ("user", "assistant", "results")]
    gone = [each for each in entries if each.seq < keep and each.turn is not None]
    assert not rest or rest[0].kind == "user"
    assert {each.turn for each in gone}.isdisjoint({each.turn for each in rest})


def paired(talk: Talk) -> None:
    """No result that there is was lost to its call."""
    stored = {
        (result.text.split()[0])
        for each in talk.entries
        if each.kind == "results"
        for result in transcript.tool_results(each.body)
    }
    missing = [
        result
        for message in talk.prompt
        if isinstance(message, ResultsMessage)
        for result in message.results
        if result.text == INTERRUPTED
    ]
    lost = sum(
        1
        for each in talk.entries
        if each.kind == "assistant" and any(isinstance(p, ToolUse) for p in transcript.parts(each.body))
    ) - len(stored)
    assert len(missing) <= lost


def test_old_results_are_put_away_and_newer_ones_and_small_ones_stay() -> None:
    talk = Talk()
    talk.turn([5000])
    talk.turn([10])
    talk.turn([5000])
    first = talk.entries[5].seq - 1  # of the second turn
    talk.add("mark", compaction.pruning(Prune(upto=first + 3, over=1000)))
    results = [m.results[0].text for m in talk.prompt if isinstance(m, ResultsMessage)]
    assert (
        results[0]
        == "[put away by the gateway: what this call gave, 5004 bytes; make the call again if it is needed]"
    )
    assert results[1].startswith("2.0 x") and len(results[2]) == 5004


def test_the_strictest_of_several_prunings_counts() -> None:
    talk = Talk()
    talk.turn([9000])
    talk.add("mark", compaction.pruning(Prune(upto=10, over=4000, to=2000)))
    assert "bytes left out" in talk.prompt[2].results[0].text  # type: ignore[union-attr]
    talk.add("mark", compaction.pruning(Prune(upto=10, over=1000)))
    assert talk.prompt[2].results[0].text.startswith("[put away")  # type: ignore[union-attr]


def test_turns_that_are_taken_back_and_brought_back_leave_compactions_as_they_are() -> None:
    talk = Talk()
    for _ in range(3):
        talk.turn([])
    keep = talk.entries[4].seq
    notes = talk.add("summary", transcript.summary("Notes.", upto=keep)).seq
    shortened = talk.prompt
    talk.turn([])
    longer = talk.prompt
    talk.add("mark", transcript.mark("rewind", seq=talk.entries[7].seq))
    assert talk.prompt == shortened
    # Taken back while turns are, it stays taken back when they come again.
    talk.add("mark", transcript.mark("uncompact", seq=notes))
    talk.add("mark", transcript.mark("redo"))
    said = [m.texts[0] for m in talk.prompt if isinstance(m, UserMessage)]
    assert said[:4] == [f"question {n}" for n in (1, 2, 3, 4)]
    talk.add("mark", transcript.mark("recompact", seq=notes))
    assert talk.prompt == longer


def test_notes_of_turns_that_were_taken_back_hold_no_more() -> None:
    talk = Talk()
    for _ in range(3):
        talk.turn([])
    notes = talk.add("summary", transcript.summary("Notes.", upto=6)).seq
    assert folding.present(talk.entries) == {notes}
    talk.add("mark", transcript.mark("rewind", seq=2))
    assert folding.present(talk.entries) == set()
    assert next(m.texts for m in talk.prompt if isinstance(m, UserMessage)) == ("question 1",)


def test_notes_that_are_taken_end_what_could_be_brought_back() -> None:
    talk = Talk()
    talk.turn([])
    talk.turn([])
    talk.add("mark", transcript.mark("rewind", seq=2))
    talk.add("summary", transcript.summary("Notes of one.", upto=4))
    before = talk.prompt
    talk.add("mark", transcript.mark("redo"))
    assert talk.prompt == before


def test_a_clearing_ends_what_can_be_taken_back() -> None:
    talk = Talk()
    talk.turn([2000])
    talk.prune(200_000)
    talk.compact(50)
    talk.add("mark", transcript.mark("clear"))
    assert folding.present(talk.entries) == set() and talk.prompt == ()


@given(st.text(max_size=400), st.integers(1, 200))
def test_what_is_cut_to_pieces_is_whole_together(text: str, size: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    pieces, left = [], text
    while left:
        piece, left = compaction.cut(left, max(size, 4))
        assert piece and len(piece.encode()) <= max(size, 4)
        pieces.append(piece)
    assert "".join(pieces) == text


def test_a_piece_ends_between_messages_where_it_can() -> None:
    said = compaction.conversation([UserMessage((f"message {n} " + "y" * 40,)) for n in range(10)])
    piece, rest = compaction.cut(said, 200)
    assert piece.endswith("\n\n") and rest.startswith("PERSON: message 3")


def test_what_is_longer_than_notes_are_taken_of_loses_its_beginning() -> None:
    said = compaction.conversation([UserMessage(("first",)), UserMessage(("z" * compaction.MOST,))])
    assert said.startswith("(the beginning is left out)") and "first" not in said
    assert len(said.encode()) < compaction.MOST + 100


def test_a_conversation_of_denser_text_is_taken_in_smaller_pieces() -> None:
    def after(size: int, tokens: int) -> float:
        return compaction.density(Weighed(input=tokens, output=0, at=0, bound=size + 1024))

    assert compaction.density(None) == after(4000, 1000) == compaction.FEWEST_BYTES
    assert after(2000, 1000) == 1.6 and after(1000, 1000) == 1.0
    assert after(100, 50) == compaction.FEWEST_BYTES  # too little to measure by
    sizes = [compaction.room(8000, 1000, each) for each in (3, 1.6, 1)]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] <= 7000 - len(compaction.ASK)


def test_pauses_grow_and_end() -> None:
    pauses = [compaction.pause(vain) for vain in range(12)]
    growing = list(takewhile(lambda each: each < compaction.MOST_PAUSE, pauses))
    assert growing == [0, 2, 4, 8, 16, 32] and set(pauses[6:]) == {compaction.MOST_PAUSE}
