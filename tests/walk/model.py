"""The model of the walk: the last word of what was asked says what becomes of it, and every line is unique."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from gateway.errors import ModelError
from gateway.protocols.answer import Answer, Counted, Delta, ModelEvent
from gateway.protocols.messages import ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.transcript import Text, ToolUse
from gateway.types.usage import Tokens

WORD = re.compile(r"\b([a-z]+)x(\d{4})\b")  # chat and number of a message
PIECE = 60  # characters
PAUSE = 0.15  # seconds before each piece
LENGTHS = {"short": 0, "medium": 4, "long": 16}  # lines after the first
KINDS = ("short", "medium", "long", "tool", "tools", "silent", "cut", "busy", "refused", "key", "slow")


@dataclass
class WalkModel:
    """Remembers every prompt, and who was being answered at once."""

    ref: str = "fake:one"
    provider: str = "fake"
    kind: str = "fake"
    model: str = "one"
    base_url: str = ""
    asked: list[Prompt] = field(default_factory=list)
    answered: int = 0  # whole answers given
    healed: bool = False  # no more trouble of its own making
    running: Counter[str] = field(default_factory=Counter)  # chat -> answers under way
    overlaps: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)  # word -> how often it was the last thing said

    async def ready(self) -> None:
        return

    async def searches(self) -> bool:
        return False

    async def thinks(self) -> bool:
        return False

    async def sees(self) -> bool:
        return True

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        self.asked.append(prompt)
        words = [m[0] for text in _said(prompt) for m in WORD.finditer(text)]
        asked = next(text for text in reversed(_said(prompt)) if text.strip())
        word = words[-1] if words and prompt.tools else "summary"
        chat = word.partition("x")[0]
        self.seen[word] += 1
        self.running[chat] += 1
        if self.running[chat] > 1 and chat != "summary":
            self.overlaps.append(word)
        try:
            async for event in self._events(prompt, word, asked):
                yield event
        finally:
            self.running[chat] -= 1

    async def _events(self, prompt: Prompt, word: str, asked: str) -> AsyncGenerator[ModelEvent, None]:
        kind = asked.split()[-1] if prompt.tools else "short"
        rounds = 0
        for message in reversed(prompt.messages):
            if isinstance(message, UserMessage):
                break
            rounds += isinstance(message, ResultsMessage)
        if kind == "slow":
            await asyncio.sleep(4.0)
        if not self.healed:
            if kind == "busy" and self.seen[word] % 2:
                raise ModelError("try again", kind="overloaded", retry_after=0.2)
            if kind == "refused":
                raise ModelError("no", kind="refused", status=400)
            if kind == "key":
                raise ModelError("bad key", kind="auth", status=401)
        yield Counted(Tokens(uncached=10))
        if kind in ("tool", "tools") and rounds < (1 if kind == "tool" else 2):
            text = f"Looking for {word}, {rounds}." if kind == "tools" else ""
            if text:
                yield Delta(text)
            count = 1 if kind == "tool" else 2
            uses = tuple(ToolUse(f"c{word}{rounds}{n}", "look", "{}") for n in range(count))
            self.answered += 1
            yield Answer(
                parts=(*([Text(text)] if text else []), *uses),
                tokens=Tokens(uncached=10, output=5),
                model=self.model,
                finish="tools",
            )
            return
        text = answer(word, kind)
        for at in range(0, len(text), PIECE):
            await asyncio.sleep(PAUSE)
            yield Delta(text[at : at + PIECE])
            if kind == "cut" and not self.healed and self.seen[word] % 3:
                raise ModelError("cut", kind="cut")
        self.answered += 1
        parts = (Text(text),) if text else ()
        yield Answer(parts=parts, tokens=Tokens(uncached=10, output=len(text)), model=self.model)


def answer(word: str, kind: str) -> str:
    if kind == "silent":
        return ""
    lines = [f"You said {word}, line {number:02d} of all." for number in range(LENGTHS.get(kind, 2) + 1)]
    return "\n".join(lines)


def _said(prompt: Prompt) -> list[str]:
    return [text for message in prompt.messages if isinstance(message, UserMessage) for text in message.texts]
