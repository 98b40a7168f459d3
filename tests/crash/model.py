"""The model of the crash tests: the fake provider as a process, with answers that say what they answer.

The last word of what was asked chooses the answer: `short`, `medium`, `long` (two Telegram messages) or `tool`
(one call of the tool `note`, then an answer that repeats its result). Every line is unique, so that a repeated
text can only be a repeated message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import Any

from tests.fakes.llm import Ask, Call, FakeLLM, Pace, Reply, serve
from tests.fakes.llm_shape import blocks

MESSAGE = re.compile(r"\b[a-z]+\d{5} (?:short|medium|long|tool)\b")
SUMMARY = "What was said before."  # without tools it is a compaction
LINES = {"medium": 12, "long": 103}  # lines after the opening; 103 make a bit over 5,000 characters
TOOL = "note"


def words_of(asked: str) -> list[str]:
    """The unique words of the messages that make up one question, in order: each message is `word kind`."""
    return asked.split()[::2]


def answer(asked: str, result: str | None = None) -> str:
    """The whole answer to *asked*; *result* is what the tool gave, if it was called."""
    words, kind = words_of(asked), asked.split()[-1]
    opening = f"You said {' '.join(words)}" + (f" and the tool said {result}." if result else ".")
    lines = [line(words[0], number) for number in range(LINES.get(kind, 0))]
    return "\n".join([opening, *lines])


def line(word: str, number: int) -> str:
    return f"{word} goes on with line number {number:03d} of them all."


def last_line(word: str, kind: str) -> str | None:
    """How the answer to a question that begins with *word* ends; None when it is no more than an opening."""
    return line(word, LINES[kind] - 1) if kind in LINES else None


def reply(ask: Ask) -> Reply:
    """What the provider answers to one request."""
    asked, result = question(ask.body["messages"])
    if not asked or not ask.body.get("tools"):
        return Reply(text=SUMMARY)
    if asked.split()[-1] == "tool" and result is None:
        return Reply(text="", calls=(Call(TOOL, {"word": words_of(asked)[-1]}),))
    return Reply(text=answer(asked, result))


def question(messages: list[dict[str, Any]]) -> tuple[str, str | None]:
    """What a person said last, '' if not in our words; and the tool result after it; in either vendor's form."""
    result: str | None = None
    for message in reversed(messages):
        parts = blocks(message.get("content") or "")
        texts = [str(part["text"]) for part in parts if part["type"] == "text"]
        if message["role"] == "tool":
            result = plain("".join(texts))
        elif message["role"] == "user":
            for part in parts:
                if part["type"] == "tool_result":
                    inner = blocks(part.get("content") or "")
                    result = "".join(str(each["text"]) for each in inner if each["type"] == "text")
            if texts:
                return " ".join(MESSAGE.findall("\n".join(texts))), result
    raise ValueError("nobody has said anything")


def plain(result: str) -> str:
    """A failed tool's text without the JSON that one of the two wire formats has around it."""
    return str(json.loads(result)["error"]) if result.startswith('{"error":') else result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.model", description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=float, default=0.05, help="seconds before the first event")
    parser.add_argument("--between", type=float, default=0.015, help="seconds between events")
    chosen = parser.parse_args()
    pace = Pace(before=chosen.before, between=chosen.between, chunk=250)
    asyncio.run(serve(FakeLLM(script=reply, pace=pace)))


if __name__ == "__main__":
    main()
