"""The offline demo: answers without a key and without a network, and says so."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator

from gateway import compaction
from gateway.jobs import phrases
from gateway.protocols.answer import Answer, Counted, Delta, ModelEvent
from gateway.protocols.messages import AssistantMessage, ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.transcript import Part, Text, ToolUse
from gateway.types.usage import Tokens

REF = "demo:demo"
BYTES_PER_TOKEN = 4
WORD = re.compile(r"\S+\s*|\s+")
LONG = re.compile(r"\blong\b", re.I)
TIME = re.compile(r"\b(time|clock|date|today|o'clock)\b", re.I)
REMIND = re.compile(r"\bremind me\s+(.+)", re.I | re.S)
REMOVE = re.compile(r"\b(?:remove|cancel|delete)\b.*\b(?:job|reminder)\s+[`“\"]?([\w.-]+)", re.I)
JOBS = re.compile(r"\b(?:jobs|reminders)\b", re.I)
MAX_ECHO = 500  # characters

NOT_YET = "NOT DONE YET"  # a person's yes is asked for: gateway.approvals

WHAT = (
    "I am Parley's demo: no model is asked and nothing leaves this machine. To talk to a real one, run "
    "`parley init` or set `ANTHROPIC_API_KEY`, and start again."
)
EXAMPLE = """\
## A list

- **Sessions** end by themselves when you have been away, and `/new` starts one at once.
- Every request is on the bill: `/usage` shows it, also for this demo.
- What you send while I write is not lost: it is answered next.

## Some code

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"

print(greet("Parley"))
```

## A table

| command | what it does |
|---|---|
| `/new` | starts a session |
| `/usage` | shows the bill |

> Long answers are cut at paragraphs, and no code block is torn apart.
"""
FILLER = (
    "This is paragraph {n} of a long answer. It is here so that you can see how an answer that does not fit "
    "into one message is cut: between paragraphs where that is possible, with the formatting whole on both "
    "sides, and in the right order."
)


class DemoModel:
    """See gateway.protocols.model.Model. *delay* in seconds between words."""

    def __init__(self, *, delay: float = 0.0) -> None:
        self.ref = REF
        self.provider = "demo"
        self.kind = "demo"
        self.model = "demo"
        self.base_url = ""
        self._delay = delay

    async def ready(self) -> None:
        return

    async def sees(self) -> bool:
        return False

    async def searches(self) -> bool:
        return False

    async def thinks(self) -> bool:
        return False

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Any Delta and Counted, then one Answer."""
        asked = Tokens(uncached=_count(_everything(prompt)))
        yield Counted(asked)
        part = reply(prompt)
        said = part.text if isinstance(part, Text) else part.args
        if isinstance(part, Text):
            for word in WORD.findall(part.text):
                yield Delta(word)
                await asyncio.sleep(self._delay)
        yield Answer(
            parts=(part,),
            tokens=asked + Tokens(output=_count(said)),
            model=self.model,
            finish="stop" if isinstance(part, Text) else "tools",
        )


def reply(prompt: Prompt) -> Text | ToolUse:
    """What the demo says to the last message; pure."""
    last = prompt.messages[-1] if prompt.messages else None
    if prompt.stable == compaction.ASK:
        return Text("The person and the demo have talked; the demo keeps no better notes than this.")
    if isinstance(last, ResultsMessage) and any(NOT_YET in result.text for result in last.results):
        return Text(f"It waits for your yes or no.\n\n{WHAT}")
    if isinstance(last, ResultsMessage):
        told = "\n".join(result.text for result in last.results)
        return Text(f"The tool says: {told}\n\n{WHAT}")
    asked = last.texts[-1].strip() if isinstance(last, UserMessage) and last.texts else ""
    call = _wish(asked)
    if call is not None and any(tool.name == call[0] for tool in prompt.tools):
        return ToolUse(f"call_demo_{_calls(prompt) + 1}", call[0], json.dumps(call[1]))
    if LONG.search(asked):
        filler = "\n\n".join(FILLER.format(n=n) for n in range(1, 25))
        return Text(f"{WHAT}\n\n{EXAMPLE}\n{filler}")
    return Text(f"{_echo(asked)}{WHAT}\n\nSend *something long* to see a long answer.")


def _wish(asked: str) -> tuple[str, dict[str, str]] | None:
    """The tool that a model would use, and with what."""
    if found := REMIND.search(asked):
        schedule, what = _reminder(found[1].strip())
        if schedule:
            return "create_job", {"schedule": schedule, "prompt": f"Reminder: {what}"}
    if found := REMOVE.search(asked):
        return "remove_job", {"name": found[1].rstrip(".")}
    if JOBS.search(asked):
        return "list_jobs", {}
    return ("now", {}) if TIME.search(asked) else None


def _reminder(text: str) -> tuple[str, str]:
    """('tomorrow at nine', 'call Mum') of “tomorrow at nine to call Mum” and of “to call Mum tomorrow at nine”."""
    size = phrases.head(text)
    if size:
        return text[:size].strip(), _what(text[size:])
    for blank in re.finditer(r"\s+", text):
        end = text[blank.end() :].rstrip(".!")
        if phrases.head(end) == len(end):
            return end, _what(text[: blank.start()])
    return "", text


def _what(text: str) -> str:
    return re.sub(r"^(?:to|that|of|about)\s+", "", text.strip(" ,"))


def _echo(asked: str) -> str:
    if not asked:
        return ""
    shown = asked if len(asked) <= MAX_ECHO else asked[:MAX_ECHO].rstrip() + "…"
    quoted = "\n".join(f"> {line}" for line in shown.splitlines())
    return f"You said:\n\n{quoted}\n\n"


def _calls(prompt: Prompt) -> int:
    return sum(
        isinstance(part, ToolUse)
        for message in prompt.messages
        if isinstance(message, AssistantMessage)
        for part in message.parts
    )


def _everything(prompt: Prompt) -> str:
    said = [prompt.stable, prompt.volatile, *(f"{tool.name}{tool.description}" for tool in prompt.tools)]
    for message in prompt.messages:
        match message:
            case UserMessage(texts):
                said += texts
            case AssistantMessage(parts):
                said += [_said(part) for part in parts]
            case ResultsMessage(results):
                said += [result.text for result in results]
    return "".join(said)


def _said(part: Part) -> str:
    match part:
        case Text(text):
            return text
        case ToolUse(_, name, args):
            return name + args
        case _:
            return ""


def _count(text: str) -> int:
    return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)
