"""A transcript as a prompt that every provider accepts, whatever happened to it; pure, never written back.

The repairs, derived again each time: every call has exactly one result, in the message right after it;
results without a call go; ids are unique; arguments are JSON objects; nothing is empty; the people and the
model take turns, beginning with the people. What people say after results (ResultsMessage, UserMessage) is
one side's turn, not two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import dropwhile

from gateway import transcript
from gateway.folding import in_order, kept, shortened
from gateway.media import telling
from gateway.others_words import named, quoted
from gateway.protocols.messages import AssistantMessage, Message, ResultsMessage, UserMessage
from gateway.sendable import json_object, tool_name, unused_id
from gateway.storable import clean
from gateway.transcript import Opaque, Part, Text, ToolResult, ToolUse
from gateway.types.turns import Entry

RESULT_BYTES = 50_000
SUMMARY = "[Summary of the earlier conversation, made by the gateway; context, not a request]\n"
NOTE = "[Note from the gateway, not the person's words]\n"
EDITED = "[The sender has changed an earlier message; it says now:]\n"
UNSEEN = NOTE + "An image named here cannot be shown to you (any more)."
OPENING = NOTE + "The conversation begins with your own message."
GO_ON = NOTE + "Your answer ends here. Go on from where it ends; do not repeat it."
INTERRUPTED = "interrupted: this call may or may not have taken effect; it was not repeated"
NOTHING = "(no output)"
_TALK = frozenset({"user", "assistant", "results"})  # the kinds that a turn consists of


def build(
    entries: Sequence[Entry], *, result_bytes: int = RESULT_BYTES, ask: bool = True
) -> tuple[Message, ...]:
    """A legal prompt, or () when nothing is left to say.

    *result_bytes*: the longest result (UTF-8), longer ones lose their middle. *ask*: the prompt is for a new
    answer, so it never ends with one; with False a last answer stays last (for summaries, exports).
    """
    messages = _joined(_messages(kept(entries), result_bytes))
    if messages and isinstance(messages[0], AssistantMessage):
        messages.insert(0, UserMessage((OPENING,)))
    if ask and messages and isinstance(messages[-1], AssistantMessage):
        messages.append(UserMessage((GO_ON,)))
    return tuple(messages)


def pending_calls(entries: Sequence[Entry], turn: int) -> tuple[tuple[ToolUse, ...], bool]:
    """What is left to do in a turn: its last answer's calls without a result, and whether it is answered.

    The calls have their ids as stored. An answer that was interrupted asks for nothing and answers nothing.
    """
    said = [entry for entry in in_order(entries) if entry.turn == turn and entry.kind in _TALK]
    last = next((at for at in reversed(range(len(said))) if said[at].kind == "assistant"), None)
    if last is None or said[last].body.get("interrupted"):
        return (), False
    parts = _parts(said[last])
    given = _results_by_call(said[last:], {0: parts})
    calls = tuple(p for at, p in enumerate(parts) if isinstance(p, ToolUse) and (0, at) not in given)
    answered = last == len(said) - 1 and not any(isinstance(part, ToolUse) for part in parts)
    return calls, answered


def _messages(entries: Sequence[Entry], result_bytes: int) -> Iterator[Message]:
    read = {at: _parts(entry) for at, entry in enumerate(entries) if entry.kind == "assistant"}
    given = _results_by_call(entries, read)
    seen: set[str] = set()
    for at, entry in enumerate(entries):
        if entry.kind == "assistant":
            answers = [given.get((at, n)) for n in range(len(read[at]))]
            yield from _answer(entry, read[at], answers, seen, result_bytes)
        elif text := _said(entry):
            yield UserMessage((text,), telling.pictures(entry.body))


def _said(entry: Entry) -> str:
    """An entry of the people's side as text; '' when it has nothing to say or is of the model's side."""
    raw = entry.body.get("text")
    text = clean(raw) if isinstance(raw, str) else ""
    files = clean("\n".join(telling.lines(entry.body))) if entry.kind == "user" else ""
    if not (text.strip() or files) or entry.kind == "results":
        return ""
    match entry.kind:
        case "summary":
            return SUMMARY + text
        case "note":
            return NOTE + text
        case _:
            name = named(entry.body.get("from"))
            said = "\n".join(part for part in (files, text) if part.strip())
            edited = EDITED if entry.body.get("edited") else ""
            quotes = "".join(quoted(entry.body.get("quotes")))
            return quotes + edited + (f"{name}: {said}" if name else said)


def with_pictures(messages: Sequence[Message], found: Mapping[int, bytes]) -> tuple[Message, ...]:
    """The prompt with what is in its pictures; those that were not found are said to be in it, and not shown."""
    shown: list[Message] = []
    for message in messages:
        if isinstance(message, UserMessage) and message.pictures:
            there = [
                replace(each, data=found[each.media]) for each in message.pictures if each.media in found
            ]
            texts = message.texts if len(there) == len(message.pictures) else (UNSEEN, *message.texts)
            shown.append(replace(message, texts=texts, pictures=tuple(there)))
        else:
            shown.append(message)
    return tuple(shown)


def _results_by_call(
    entries: Sequence[Entry], read: Mapping[int, Sequence[Part]]
) -> dict[tuple[int, int], ToolResult]:
    """Which result belongs to which call, as (index of the entry, index of the part).

    *read*: the parts of each answer, by the index of its entry.
    A result belongs to the newest earlier call of its id: some models number their calls anew in each answer.
    """
    given: dict[tuple[int, int], ToolResult] = {}
    waiting: dict[str, deque[tuple[int, int]]] = {}
    for at, entry in enumerate(entries):
        if entry.kind == "assistant":
            calls = [(n, part.id) for n, part in enumerate(read[at]) if isinstance(part, ToolUse)]
            waiting.update({id: deque((at, n) for n, other in calls if other == id) for _, id in calls})
        elif entry.kind == "results" and isinstance(entry.body.get("results"), list):
            for result in transcript.tool_results(entry.body):
                if waiting.get(result.id):
                    given[waiting[result.id].popleft()] = result
    return given


def _parts(entry: Entry) -> list[Part]:
    parts = transcript.parts(entry.body) if isinstance(entry.body.get("parts"), list) else []
    made = telling.made(entry.body)
    return [*parts, Text(made)] if made else parts


def _answer(
    entry: Entry,
    parts: Sequence[Part],
    answers: Sequence[ToolResult | None],
    seen: set[str],
    result_bytes: int,
) -> Iterator[Message]:
    """One answer and the results of its calls; nothing when neither text nor a call is in it."""
    original, given = _without_blanks(parts, answers)
    if not original:
        return
    cut_short = bool(entry.body.get("interrupted"))
    repaired: list[Part] = []
    results: list[ToolResult] = []
    for part, answer in zip(original, given, strict=True):
        match part:
            case Text(text):
                repaired.append(Text(clean(text)))
            case ToolUse(args=args) if cut_short and answer is None and json_object(args) is None:
                continue  # half a call: it was never made
            case ToolUse(id, name, args):
                call = ToolUse(unused_id(id, seen), tool_name(name), json_object(args) or "{}")
                repaired.append(call)
                results.append(_result(call, answer, result_bytes))
            case Opaque():
                repaired.append(part)
    repaired = _texts_before_calls(repaired)
    # Its provider takes a signed part back only in the very answer it gave, and never as the end of one.
    if (
        cut_short
        or repaired != original
        or len(parts) != len(entry.body["parts"])
        or isinstance(repaired[-1], Opaque)
    ):
        repaired = _without_opaque(repaired)
    if repaired:
        yield AssistantMessage(tuple(repaired))
    if results:
        yield ResultsMessage(tuple(results))


def _without_blanks(
    parts: Sequence[Part], answers: Sequence[ToolResult | None]
) -> tuple[list[Part], list[ToolResult | None]]:
    """Without the blank texts that models put before a call and that no provider takes back."""
    shown = [n for n, part in enumerate(parts) if not isinstance(part, Text) or clean(part.text).strip()]
    return [parts[n] for n in shown], [answers[n] for n in shown]


def _without_opaque(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not isinstance(part, Opaque)]


def _texts_before_calls(parts: list[Part]) -> list[Part]:
    """Calls last when a text comes after one: the results must follow the calls directly."""
    rest = dropwhile(lambda part: not isinstance(part, ToolUse), parts)
    if not any(isinstance(part, Text) for part in rest):
        return parts
    return sorted(parts, key=lambda part: isinstance(part, ToolUse))


def _result(call: ToolUse, given: ToolResult | None, limit: int) -> ToolResult:
    if given is None:
        return ToolResult(call.id, call.name, INTERRUPTED, error=True)
    text = clean(given.text)
    return ToolResult(call.id, call.name, shortened(text, limit) if text.strip() else NOTHING, given.error)


def _joined(messages: Iterator[Message]) -> list[Message]:
    """Neighbours of the same side as one message."""
    joined: list[Message] = []
    for message in messages:
        match joined[-1] if joined else None, message:
            case UserMessage(before, shown), UserMessage(texts, pictures):
                joined[-1] = UserMessage(before + texts, shown + pictures)
            case AssistantMessage(first), AssistantMessage(second):
                # Two answers in one are not the answer that was signed.
                joined[-1] = AssistantMessage(tuple(_without_opaque(first + second)))
            case _:
                joined.append(message)
    return joined
