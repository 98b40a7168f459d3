"""When a conversation is shortened, what of it is put away and how notes of it are asked for; pure.

Sizes are in bytes of UTF-8 where it says so, else in tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway import history
from gateway.folding import Prune, kept, shortened
from gateway.message_size import bytes_of
from gateway.protocols.messages import AssistantMessage, Message, ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.transcript import Text, ToolUse
from gateway.types.sessions import Session
from gateway.types.turns import Entry
from gateway.types.usage import Weighed
from gateway.usage import HIDDEN_INPUT

NEAR_LIMIT = 0.8  # of a context window
ENOUGH = 0.6  # of what was there, or of the window: what a compaction must get below to have been worth it
KEPT = 4  # turns that stay as they are
BYTES = 4  # of a token, about: for what may stay
FEWEST_BYTES = 3  # of a token, nearly always: for what is to be sent
DENSER = 0.8  # of the bytes a token had on average: a piece of a conversation can be denser than all of it
MEASURED = 200  # tokens of a request by which something can be measured

PRUNED_OVER = 1000  # bytes of a tool's old result; smaller ones are worth their room
WITHIN_TURN = Prune(upto=0, over=4000, to=2000)  # what the running turn still works with is only cut

LONGEST = 1_000_000  # bytes of conversation that one request for notes may carry
SMALLEST = 1_000  # the same, at least
MOST = 4_000_000  # bytes of conversation of which notes are taken; what is before is left out
LONG_NOTES = 4_000  # bytes of notes of which shorter ones can be made
LINES, BEGINNING = 40, 200  # messages of which notes without a model have so many characters
RESULT = 2_000  # bytes of a tool's result that bear on notes
FOCUS = 500  # characters of what somebody wants the notes to attend to
MOST_PAUSE = 64  # turns

ASK = (
    "You write the notes by which this conversation can be continued after its earlier part has been put away. "
    "Write what was decided, the facts and figures that were established, names, file paths and links, what the "
    "tools gave, what was promised and is still open, and how the person wants to be talked to. "
    "Notes of an even earlier part, where there are some, belong into yours. "
    "No greeting, no comment; plain text, at most 600 words, in the language of the conversation."
)
PART = "(This is part {} of a conversation that is longer than what you are shown; others write of the rest.)\n\n"
PARTS = "Notes of the parts of a conversation follow, in their order. Now write one set of notes of them all."


# When


def full(used: int, window: int) -> bool:
    """Whether so much of a model's context is used that the earlier part should be put away."""
    return used >= NEAR_LIMIT * window


def fits(tokens: int, output: int, window: int) -> bool:
    """Whether a request of so many *tokens* leaves room for an answer; small windows are not all kept for that."""
    return tokens <= window - min(output, window // 5)


def estimated(bound: int, last: Weighed | None) -> int:
    """What a request comes to whose upper bound is *bound*, by what the *last* of the same conversation came to."""
    size = max(0, bound - HIDDEN_INPUT)
    known = max(0, (last.bound or 0) - HIDDEN_INPUT) if last is not None else 0
    if last is None or not known:
        return size // FEWEST_BYTES
    return last.input + (size - known) // FEWEST_BYTES if size >= known else last.input * size // known


def density(last: Weighed | None) -> float:
    """Bytes of a token to reckon with in this conversation, by what its *last* request came to: fewer in most languages
    than in English. None: nothing is known of it.
    """
    size = max(0, (last.bound or 0) - HIDDEN_INPUT) if last is not None else 0
    if last is None or not size or last.input < MEASURED:
        return FEWEST_BYTES
    return max(1.0, min(FEWEST_BYTES, DENSER * size / last.input))


def enough(before: int, after: int, window: int) -> bool:
    """Whether there is room again, and will be for a while."""
    return after <= ENOUGH * min(before, window)


def in_vain(before: int, after: int, window: int) -> bool:
    """Whether it might as well not have been made: the next request is near the limit again."""
    return after >= NEAR_LIMIT * min(before, window)


def pause(vain: int) -> int:
    """Turns to wait after so many compactions, one after another, that made no room."""
    return 0 if vain <= 0 else min(2**vain, MOST_PAUSE)


def automatic(session: Session, usual: bool) -> bool:
    """Whether it is shortened unasked: as was said for the session, else as *usual*."""
    return {"on": True, "off": False}.get(str(session.settings.get("compact")), usual)


# What


def keep_from(entries: Sequence[Entry], *, window: int) -> int:
    """From which entry on the conversation is kept as it is: the newest turns, if they are small.

    Turns are kept whole, at most KEPT of them: no more than two fifths of what there is, and than a fifth of the
    *window*. Everything is put away where not even the last one is so small.
    """
    standing = kept(entries)
    most = min(window * BYTES // 5, _size(standing) * 2 // 5)
    keep = max((entry.seq for entry in entries), default=-1) + 1
    for turn in _turns(standing)[: -KEPT - 1 : -1]:
        most -= _size(turn)
        if most < 0:
            break
        keep = turn[0].seq
    return keep


def prunable(entries: Sequence[Entry], prune: Prune) -> bool:
    """Whether it would make anything smaller."""
    marked = [*entries, marking(entries, prune)]
    return _size(marked) < _size(entries)


def marking(entries: Sequence[Entry], prune: Prune) -> Entry:
    """The entry that records it, as it would come behind the others."""
    seq = max((entry.seq for entry in entries), default=-1) + 1
    return Entry(seq=seq, turn=None, kind="mark", body=pruning(prune), created=0)


def pruning(prune: Prune) -> dict[str, object]:
    """The body of the entry that records it."""
    return {"v": 1, "op": "prune", "upto": prune.upto, "over": prune.over, "to": prune.to}


# Notes


def conversation(messages: Sequence[Message]) -> str:
    """What notes are written of: what was said, with the middles of long results left out and so marked."""
    text = "\n\n".join(_line(message) for message in messages)
    data = text.encode("utf-8", "replace")
    if len(data) <= MOST:
        return text
    return "(the beginning is left out)\n\n" + data[-MOST:].decode("utf-8", "ignore")


def room(window: int, output: int, density: float) -> int:
    """Bytes of conversation that one request for notes may carry, so that it fits where a token has *density* bytes."""
    free = int(density * (window - min(output, window // 5)))
    return max(SMALLEST, min(LONGEST, free - 2 * len(ASK)))


def cut(text: str, size: int) -> tuple[str, str]:
    """The first *size* bytes at most, ending between two messages where one ends in their second half; and the rest."""
    data = text.encode("utf-8", "replace")
    if len(data) <= size:
        return text, ""
    piece = data[:size].decode("utf-8", "ignore")
    end = piece.rfind("\n\n")
    if end > len(piece) // 2:
        piece = piece[: end + 2]
    return piece, data[len(piece.encode()) :].decode()


def prompt(text: str, *, part: int, output: int, focus: str = "") -> Prompt:
    """The request for notes of a piece of conversation; *part* 0: it is all there is."""
    wanted = f" Attend most to this: {focus}" if focus else ""
    before = PART.format(part) if part else ""
    return _asking(f"{before}The conversation so far:\n\n{text}\n\nNow write the notes.{wanted}", output)


def merging(text: str, *, output: int, focus: str = "") -> Prompt:
    """The request for one set of notes of several."""
    wanted = f" Attend most to this: {focus}" if focus else ""
    return _asking(f"{PARTS}{wanted}\n\n{text}", output)


def _asking(text: str, output: int) -> Prompt:
    return Prompt(stable=ASK, messages=(UserMessage((text,)),), max_output_tokens=output, cache="off")


def beginnings(text: str) -> str:
    """Notes that need no model: how the latest messages of a conversation began, and how many more there were."""
    said = [line for line in text.split("\n\n") if line.strip()]
    shown = [" ".join(line.split())[:BEGINNING] for line in said[-LINES:]]
    missing = f" {len(said) - LINES} paragraphs before them are left out." if len(said) > LINES else ""
    head = f"(The model could not write notes. How the latest of the messages began:{missing})\n"
    return head + "\n".join(shown)


def _turns(standing: Sequence[Entry]) -> list[list[Entry]]:
    """The entries by turn, without a summary. What belongs to none goes with the person's words before it, and what
    came between two entries of one turn goes with that: a call and its result are never apart.
    """
    turns: list[list[Entry]] = []
    begun: dict[int, int] = {}  # turn -> which of them holds it
    for entry in standing:
        if entry.kind == "summary":
            continue
        at = begun.get(entry.turn) if entry.turn is not None else None
        loose = entry.turn is None and entry.kind not in ("user", "note")
        if at is None and loose and turns and turns[-1][-1].turn is None:
            at = len(turns) - 1
        if at is None:
            at = len(turns)
            turns.append([])
        turns[at:] = [[*(each for turn in turns[at:] for each in turn), entry]]
        begun.update((each.turn, at) for each in turns[at] if each.turn is not None)
    return turns


def _size(entries: Sequence[Entry]) -> int:
    return bytes_of(history.build(entries, ask=False))


def _line(message: Message) -> str:
    match message:
        case UserMessage(texts):
            return "PERSON: " + "\n".join(texts)
        case AssistantMessage(parts):
            said = [part.text for part in parts if isinstance(part, Text)]
            used = [
                f"[used {part.name} with {shortened(part.args, RESULT)}]"
                for part in parts
                if isinstance(part, ToolUse)
            ]
            return "ASSISTANT: " + "\n".join(said + used)
        case ResultsMessage(results):
            return "\n".join(f"[{item.name} gave] {shortened(item.text, RESULT)}" for item in results)
