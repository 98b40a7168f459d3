"""Which session does a history belong to? Pure: no clock, no store.

A program of the OpenAI kind keeps the conversation itself and sends all of it with each question. So a history is
compared with what the person's sessions hold, by hashes of its beginnings: from the longest down, until one is known
and was answered as the history says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from gateway.completions.shown import Shown
from gateway.storable import clean

MOST_LOST = 20  # messages in a row, without an answer, of which some may have been asked before


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked and what was answered. *asked*: '' where a history begins with an answer."""

    asked: str
    answered: str
    pictures: tuple[Shown, ...] = ()  # that came with what was asked


@dataclass(frozen=True, slots=True)
class Past:
    """What a request says: what went before, and the *texts* that no answer follows yet (at least one).

    *shown*: the pictures that came with each of the texts; empty where none did.
    """

    exchanges: tuple[Exchange, ...]
    texts: tuple[str, ...]
    shown: tuple[tuple[Shown, ...], ...] = ()

    @property
    def question(self) -> str:
        return joined(self.texts)

    def pictures(self, start: int = 0, end: int | None = None) -> tuple[Shown, ...]:
        """Those of some of the texts."""
        return tuple(each for shown in self.shown[start:end] for each in shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A question that a session of that person's holds, whose history up to there is the same.

    *state*: 'waiting' (it will be answered), 'done', or 'broken' (it failed or was stopped; *said* is what was shown
    of its answer, '' for nothing). *told*: hash of the answer as the program was sent it, None when it was sent none.
    *last*: nothing was said in that session since. *upto*: the transcript's next number after it.
    """

    event: str
    session: int
    state: Literal["waiting", "done", "broken"]
    said: str
    told: str | None
    last: bool
    upto: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same question again: it has the answer of the first."""

    event: str


@dataclass(frozen=True, slots=True)
class Continue:
    """It goes on in that session; of its texts the first *skip* are there already."""

    session: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """It begins a session. *parent*, up to *upto*, is how it begins (None: like none that we hold); then *given*."""

    parent: int | None = None
    upto: int = 0
    given: tuple[Exchange, ...] = ()


Decision = Repeat | Continue | Open


def joined(texts: Sequence[str]) -> str:
    """Several messages in a row are one question."""
    return "\n\n".join(text for text in texts if text.strip())


def plain(text: str) -> str:
    """*text* for comparing: programs trim and rewrap what they keep, so blanks do not count."""
    return " ".join(clean(text).split())


def digest(text: str, pictures: Sequence[Shown] = ()) -> str:
    """Of one text."""
    return _hash("", text, pictures)


def chain(past: Past) -> str:
    """Of a history that ends with a question."""
    return _hash(_beginnings(past.exchanges)[-1], past.question, past.pictures())


def _beginnings(exchanges: Sequence[Exchange]) -> list[str]:
    """Of the first none, one, two, … of them."""
    found = [""]
    for each in exchanges:
        found.append(_hash(_hash(found[-1], each.asked, each.pictures), each.answered))
    return found


def _hash(before: str, text: str, pictures: Sequence[Shown] = ()) -> str:
    said = "\n".join([before, plain(text), *(each.digest for each in pictures)])
    return blake2b(said.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Look:
    """Questions to look up by their hash, and what they are to the history. *at*: exchanges before and with it."""

    kind: Literal["same", "lost", "answered"]
    digest: str
    at: int = 0
    skip: int = 0


def looks(past: Past) -> Iterator[Look]:
    """Where to look, in this order, until `judge` knows.

    First the question itself; then those of its texts that were asked and came to nothing; then what was answered,
    the longest history first.
    """
    exchanges, texts = past.exchanges, past.texts
    before = _beginnings(exchanges)
    yield Look("same", _hash(before[-1], past.question, past.pictures()))
    for count in range(len(texts), max(0, len(texts) - MOST_LOST), -1):
        whole = count == len(texts)
        said = _hash(before[-1], joined(texts[:count]), past.pictures(0, count))
        yield Look("lost", said, skip=0 if whole else count)
    for at in range(len(exchanges), 0, -1):
        last = exchanges[at - 1]
        yield Look("answered", _hash(before[at - 1], last.asked, last.pictures), at=at)


def judge(
    past: Past, look: Look, held: Sequence[Held], *, again: bool, watched: frozenset[str]
) -> Decision | None:
    """What follows from the questions found at *look*, the newest first; None: look further.

    *again*: the program says that it repeats itself. *watched*: events whose answers somebody is waiting for: the
    same words beside them are another conversation that begins alike.
    """
    match look.kind:
        case "same":
            for each in held:
                if each.state == "waiting" and (again or each.event not in watched):
                    return Repeat(each.event)
                if each.state == "done" and again:
                    return Repeat(each.event)
        case "lost":
            for each in held:
                if each.state == "broken" and not each.said and each.last:
                    return Continue(each.session, look.skip)
        case "answered":
            answer = past.exchanges[look.at - 1].answered
            fitting = [each for each in held if fits(each, answer)]
            if look.at == len(past.exchanges):
                for each in fitting:
                    if each.last:
                        return Continue(each.session)
            for each in fitting:
                return Open(each.session, each.upto, past.exchanges[look.at :])
    return None


def fits(held: Held, answer: str) -> bool:
    """Whether the history says what was answered; of an answer that was broken off, some part of it from the start."""
    if held.state == "waiting":
        return False
    if held.told == digest(answer):
        return True
    said, given = plain(held.said), plain(answer)
    if said == given:
        return True
    return held.state == "broken" and bool(said) and (said.startswith(given) or given.startswith(said))


def new(past: Past) -> Open:
    """For a history that is like none."""
    return Open(given=past.exchanges)
