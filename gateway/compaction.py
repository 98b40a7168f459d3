"""What a summary covers and how it is asked for; pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway import history
from gateway.protocols import AssistantMessage, Message, Prompt, ResultsMessage, UserMessage
from gateway.transcript import Text, ToolUse
from gateway.types import Entry

LONGEST = 400_000  # bytes of conversation that one summary request may carry
NEAR_LIMIT = 0.8  # of a context window
KEPT = 4  # turns that stay as they are
LINES, BEGINNING = 40, 200  # messages of which notes without a model have so many characters
RESULT = 500  # characters of a tool's result that bear on a summary

ASK = (
    "You write the notes by which this conversation can be continued after its earlier part has been put away. "
    "Write what was decided, the facts and figures that were established, names, file paths and links, what the "
    "tools gave, what was promised and is still open, and how the person wants to be talked to. "
    "No greeting, no comment; plain text, at most 600 words, in the language of the conversation."
)


def prompt(messages: Sequence[Message], *, max_output_tokens: int) -> Prompt:
    """The request for a summary of *messages*; what does not fit is left out from the oldest on."""
    text = "\n\n".join(_line(message) for message in messages)
    raw = text.encode("utf-8", "replace")
    if len(raw) > LONGEST:
        text = "(the beginning is left out)\n\n" + raw[-LONGEST:].decode("utf-8", "ignore")
    return Prompt(
        stable=ASK,
        messages=(UserMessage((f"The conversation so far:\n\n{text}\n\nNow write the notes.",)),),
        max_output_tokens=max_output_tokens,
        cache="off",
    )


def full(used: int, window: int) -> bool:
    """Whether so much of a model's context is used that the earlier part should be put away; tokens."""
    return used >= NEAR_LIMIT * window


def keep_from(entries: Sequence[Entry], *, most: int) -> int:
    """From which entry on the conversation is kept as it is: the newest turns that have at most *most* bytes.

    Turns are kept whole, at most KEPT of them; everything is put away where not even the last one fits.
    """
    keep = entries[-1].seq + 1 if entries else 0
    size, turns = 0, list[int]()
    for entry in reversed(entries):
        if entry.kind in ("summary", "mark") or entry.turn is None:
            break
        if entry.turn not in turns:
            if len(turns) == KEPT:
                break
            turns.append(entry.turn)
        size += history.size(history.build([entry], ask=False))
        if size > most:
            break
        first = next(each.seq for each in entries if each.turn == entry.turn)
        if entry.seq == first:
            keep = first
    return keep


def beginnings(messages: Sequence[Message]) -> str:
    """Notes that need no model: how the latest messages began."""
    shown = [
        f"{' '.join(line.split())[:BEGINNING]}" for line in map(_line, messages[-LINES:]) if line.strip()
    ]
    return "(The model could not write notes. How the latest of the messages began:)\n" + "\n".join(shown)


def _line(message: Message) -> str:
    match message:
        case UserMessage(texts):
            return "PERSON: " + "\n".join(texts)
        case AssistantMessage(parts):
            said = [part.text for part in parts if isinstance(part, Text)]
            used = [f"[used {part.name}]" for part in parts if isinstance(part, ToolUse)]
            return "ASSISTANT: " + "\n".join(said + used)
        case ResultsMessage(results):
            return "\n".join(f"[{item.name} gave] {item.text[:RESULT]}" for item in results)
