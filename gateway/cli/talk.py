"""A conversation on `main` as the terminal sees it, in this process or in the running gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from gateway.cli.client import Gateway
from gateway.errors import ParleyError

if TYPE_CHECKING:
    from gateway.manager import SessionManager


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """*text* of 'text' is the whole answer so far, of 'done' the final one. *state* as in Generated."""

    kind: Literal["started", "text", "notice", "done"]
    text: str = ""
    state: str = ""
    error: str | None = None


class Talk(Protocol):
    """Raises ParleyError when something could not be said at all."""

    def say(self, text: str) -> AsyncGenerator[Heard]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """With the gateway that this process is."""

    manager: SessionManager
    key: str = "main"
    session: str | None = None

    async def say(self, text: str) -> AsyncGenerator[Heard]:
        from gateway.manager import Generated

        async with aclosing(self.manager.say(text, key=self.key, session=self.session)) as events:
            async for event in events:
                if isinstance(event, Generated):
                    yield Heard(kind="done", text=event.text, state=event.state, error=event.error)
                elif event.kind in ("text", "notice", "started"):
                    yield Heard(kind=event.kind, text=event.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """With the gateway that runs elsewhere, through its local API."""

    gateway: Gateway
    key: str = "main"
    session: str | None = None

    async def say(self, text: str) -> AsyncGenerator[Heard]:
        async with aclosing(self.gateway.events(text=text, key=self.key, session=self.session)) as events:
            async for name, told in events:
                match name:
                    case "started" | "text" | "notice":
                        yield Heard(kind=name, text=told.get("text", ""))
                    case "done":
                        yield Heard(kind="done", text=told["text"], state=told["state"], error=told["error"])
                        return
                    case "error":
                        raise ParleyError(told["error"])
        raise ParleyError("the gateway has gone; what you sent is kept if it had arrived")
