"""A question about one session, whose code may be cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli.client import Gateway, connect, settings_of
from gateway.sessions import CODE_LENGTH

Id = Annotated[
    str, typer.Argument(metavar="ID", help="As `parley sessions list` shows it; its beginning is enough.")
]


def asked_of(config: Path | None, id: str, method: str, tail: str = "", /, **fields: Any) -> Any:
    """The answer to METHOD /v1/sessions/<id><tail>. Raises Refused, also for none and for several that begin so."""
    return _with(config, id, lambda gateway, path: gateway.ask(method, path + tail, **fields))


def text_of(config: Path | None, id: str, tail: str) -> str:
    """The same for an answer that is text."""
    return str(_with(config, id, lambda gateway, path: gateway.read(path + tail)))


def _with(config: Path | None, id: str, ask: Callable[[Gateway, str], Awaitable[Any]]) -> Any:
    settings = settings_of(config)

    async def work() -> Any:
        async with connect(settings) as gateway:
            code = id.strip()
            if not code:
                raise typer.BadParameter("is empty; parley sessions list shows them", param_hint="ID")
            if len(code) < CODE_LENGTH:
                code = (await gateway.ask("GET", "/v1/sessions/find", code=code))["id"]
            return await ask(gateway, f"/v1/sessions/{quote(code, safe='')}")

    return asyncio.run(work())
