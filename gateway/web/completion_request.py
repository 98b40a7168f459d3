"""The body of POST /v1/chat/completions as a question; what cannot be done is refused, never silently left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.completions.lineage import Exchange, Past, joined
from gateway.completions.question import Question
from gateway.completions.shown import Shown
from gateway.lanes import askable
from gateway.texts import say
from gateway.web.completion_body import Asking, Part, Said

MINE = "parley"  # the agent with the model that it is configured with
# Those that are looked at, besides the fields of Asking: what they may say changes nothing.
_LOOKED_AT = frozenset({"n", "response_format", "modalities", "tool_choice", "function_call"})
_NOTHING: tuple[Any, ...] = (None, False, [], {}, "", 0)
_INSTRUCTIONS = ("system", "developer")
MOST_MESSAGES = 4000  # of one history; what is new of it is stored in one go, and others wait for that
_TOOLS = "The agent has tools of its own; calls of the program's tools and their results are not taken."
_PICTURE = 'A picture is {"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}}.'
_THEIRS = "Pictures are taken from the user only; send it in a message of theirs."


class Unfit(Exception):
    """A request that cannot be answered. *status* as HTTP has it; the rest as OpenAI's error object has it."""

    def __init__(
        self, text: str, *, param: str | None = None, code: str | None = "invalid_value", status: int = 400
    ) -> None:
        super().__init__(text)
        self.param = param
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """*model* as it was named; *ignored*: fields that were sent and change nothing here."""

    question: Question
    model: str
    stream: bool
    include_usage: bool
    ignored: tuple[str, ...]


def read(
    asking: Asking,
    models: Sequence[str],
    *,
    session: str | None = None,
    key: str | None = None,
    again: bool = False,
) -> Wanted:
    """*models* that may be named besides ours; the rest as in `Question`, '' for None. Raises Unfit."""
    more = asking.model_extra or {}
    _possible(more)
    if asking.model not in (MINE, *models):
        listed = ", ".join((MINE, *models))
        text = f"There is no model {asking.model!r} here, or it may not be chosen; there are: {listed}."
        raise Unfit(text, param="model", code="model_not_found", status=404)
    if len(asking.messages) > MOST_MESSAGES:
        text = f"A history has at most {MOST_MESSAGES} messages; send the newer ones."
        raise Unfit(text, param="messages", code="context_length_exceeded")
    session = (session or "").strip() or None
    messages = [(f"messages[{at}]", each) for at, each in enumerate(asking.messages)]
    if session is not None:
        # What the program keeps is not looked at: the session has its own history.
        last = _last(messages)
        past, instructions = Past((), (last.text,), (last.pictures,)), ""
    else:
        past, instructions = _past(messages)
    empty = not past.question.strip()
    if empty and not past.pictures():
        raise Unfit(say("message.empty"), param="messages")
    if not (empty or askable(past.question)):
        raise Unfit(say("message.too_long"), param="messages", code="context_length_exceeded")
    return Wanted(
        question=Question(
            past=past,
            instructions=instructions,
            model=None if asking.model == MINE else asking.model,
            session=session,
            key=(key or "").strip() or None,
            again=again,
        ),
        model=asking.model,
        stream=bool(asking.stream),
        include_usage=bool(asking.stream_options and asking.stream_options.include_usage),
        ignored=tuple(sorted(k for k, v in more.items() if k not in _LOOKED_AT and v not in _NOTHING)),
    )


def _possible(more: Mapping[str, Any]) -> None:
    """Raises Unfit for what would make the answer another thing than what was asked for."""
    for field in ("tools", "functions"):
        if more.get(field) not in _NOTHING:
            text = "The agent has tools of its own; tools of the program's are not taken. Send the request without."
            raise Unfit(text, param=field, code="unsupported_parameter")
    for field in ("tool_choice", "function_call"):
        if more.get(field) not in (*_NOTHING, "none", "auto"):
            raise Unfit(
                "Which tools are used is the agent's choice.", param=field, code="unsupported_parameter"
            )
    if more.get("n") not in (None, 1):
        raise Unfit("There is one answer to a question: n is 1.", param="n", code="unsupported_value")
    if more.get("response_format") not in (*_NOTHING, {"type": "text"}):
        text = "The agent answers in text; no other response_format is to be had."
        raise Unfit(text, param="response_format", code="unsupported_value")
    for field in ("logprobs", "top_logprobs", "audio", "prediction"):
        if more.get(field) not in _NOTHING:
            raise Unfit(f"{field} is not to be had here.", param=field, code="unsupported_parameter")
    if more.get("modalities") not in (*_NOTHING, ["text"]):
        raise Unfit("The agent answers in text.", param="modalities", code="unsupported_value")


@dataclass(frozen=True, slots=True)
class _Words:
    """What of a message is taken."""

    text: str
    pictures: tuple[Shown, ...] = ()


def _last(messages: Sequence[tuple[str, Said]]) -> _Words:
    name, message = messages[-1]
    if message.role != "user":
        text = "The last message must be the user's: an answer cannot be begun for the agent."
        raise Unfit(text, param=f"{name}.role")
    return _words(name, message)


def _past(messages: Sequence[tuple[str, Said]]) -> tuple[Past, str]:
    """What went before and what is asked now; and what the program tells the model."""
    _last([each for each in messages if each[1].role not in _INSTRUCTIONS] or messages)
    exchanges: list[Exchange] = []
    instructions, asked, answered = list[str](), list[_Words](), list[str]()
    for name, message in messages:
        words = _words(name, message)
        if words.pictures and message.role != "user":
            raise Unfit(_THEIRS, param=words.pictures[0].where, code="unsupported_content_type")
        if message.role in _INSTRUCTIONS:
            instructions.append(words.text)
        elif message.role == "assistant":
            answered.append(words.text)
        else:
            if joined(answered):
                exchanges.append(_exchange(asked, joined(answered)))
                asked, answered = [], []
            asked.append(words)
    said = [each for each in asked if each.text.strip() or each.pictures] or [_Words("")]
    texts, shown = tuple(each.text for each in said), tuple(each.pictures for each in said)
    return Past(tuple(exchanges), texts, shown), joined(instructions)


def _exchange(asked: Sequence[_Words], answered: str) -> Exchange:
    pictures = tuple(picture for each in asked for picture in each.pictures)
    return Exchange(joined([each.text for each in asked]), answered, pictures)


def _words(name: str, message: Said) -> _Words:
    """Raises Unfit for what is neither words nor a picture."""
    more = message.model_extra or {}
    if message.role in ("tool", "function") or more.get("tool_calls") or more.get("function_call"):
        raise Unfit(_TOOLS, param=name, code="unsupported_value")
    match message.content:
        case str(text):
            return _Words(text)
        case None if message.role == "assistant":
            return _Words(message.refusal or "")
        case None:
            raise Unfit(
                "A message has a content.", param=f"{name}.content", code="missing_required_parameter"
            )
        case parts:
            found = [_part(f"{name}.content[{at}]", part) for at, part in enumerate(parts)]
            texts = [each for each in found if isinstance(each, str)]
            return _Words("\n\n".join(texts), tuple(each for each in found if isinstance(each, Shown)))


def _part(name: str, part: Part) -> str | Shown:
    if part.type == "text" and part.text is not None:
        return part.text
    if part.type == "refusal":
        return str((part.model_extra or {}).get("refusal", ""))
    if part.type == "image_url":
        if part.image_url is None:
            raise Unfit(_PICTURE, param=f"{name}.image_url", code="missing_required_parameter")
        return Shown(part.image_url.url.strip(), f"{name}.image_url")
    text = f"Parts of type {part.type!r} are not taken here; send text or image_url, or a file in a chat."
    raise Unfit(text, param=name, code="unsupported_content_type")
