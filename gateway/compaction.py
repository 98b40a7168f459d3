"""What a summary covers and how it is asked for; pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.protocols import AssistantMessage, Message, Prompt, ResultsMessage, UserMessage
from gateway.transcript import Text, ToolUse

LONGEST = 400_000  # bytes of conversation that one summary request may carry
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
        cache=False,
    )


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
