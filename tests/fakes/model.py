"""A model that says what it is told to, as one provider's would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from gateway.errors import ModelError
from gateway.protocols.answer import Answer, Counted, Delta, Made, ModelEvent, Thought
from gateway.protocols.messages import ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.transcript import Text, ToolUse
from gateway.types.usage import Tokens


@dataclass
class Script:
    """One answer: words with pauses, or a tool call, or an error after so many words."""

    text: str = ""
    tool: ToolUse | None = None
    thoughts: tuple[str, ...] = ()  # told before the words
    error: ModelError | None = None
    error_after: int = 0
    pause: float = 0.0  # seconds before each word
    gate: asyncio.Event | None = None  # wait for it before the first word
    files: tuple[Made, ...] = ()


@dataclass
class ScriptedModel:
    """Answers from *queue*, else by *reply* to the last thing a person said. *asked* holds every prompt."""

    ref: str = "fake:one"
    provider: str = "fake"
    kind: str = "fake"
    model: str = "one"
    base_url: str = ""
    thinking: bool = False
    seeing: bool = True
    searching: bool = False
    queue: list[Script] = field(default_factory=list)
    reply: Callable[[str], str] = lambda text: f"You said: {text}"
    asked: list[Prompt] = field(default_factory=list)
    counts: Callable[[Prompt], int] = lambda prompt: 10  # input tokens
    running: int = 0
    most_running: int = 0

    async def ready(self) -> None:
        return

    async def sees(self) -> bool:
        return self.seeing

    async def searches(self) -> bool:
        return self.searching

    async def thinks(self) -> bool:
        return self.thinking

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        self.asked.append(prompt)
        last = prompt.messages[-1]
        said = last.texts[-1] if isinstance(last, UserMessage) else ""
        if isinstance(last, ResultsMessage):
            said = "tool gave " + last.results[-1].text
        script = self.queue.pop(0) if self.queue else Script(text=self.reply(said))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if script.gate is not None:
                await script.gate.wait()
            if script.error is not None and script.error_after == 0:
                raise script.error
            given = self.counts(prompt)
            yield Counted(Tokens(uncached=given))
            for thought in script.thoughts:
                yield Thought(thought)
            words = script.text.split(" ") if script.text else []
            for number, word in enumerate(words):
                if script.error is not None and number >= script.error_after:
                    raise script.error
                if script.pause:
                    await asyncio.sleep(script.pause)
                yield Delta(word if number == 0 else " " + word)
            if script.error is not None:
                raise script.error
            parts = [Text(script.text)] if script.text else []
            if script.tool is not None:
                yield Answer(
                    parts=(*parts, script.tool),
                    tokens=Tokens(uncached=given, output=5),
                    model=self.model,
                    finish="tools",
                )
                return
            yield Answer(
                parts=tuple(parts),
                tokens=Tokens(uncached=given, output=len(words)),
                model=self.model,
                files=script.files,
            )
        finally:
            self.running -= 1
