"""A server that plays exchanges of a provider's public documents: it looks at each request and answers as recorded."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

FOLDER = Path(__file__).parent.parent / "recorded"
Body = dict[str, Any]


def exchange(name: str) -> Body:
    """One file of tests/recorded: source, request, response."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


class Recorded:
    """Answers the requests with *names* in turn; *differences* is what a request had that it should not have.

    A request's `body` names what must be in it: an object's other keys may be there, lists are the same in
    length, "*" stands for anything; of a name in camel case the form with underscores is as good (Protocol Buffers,
    ProtoJSON). `absent` lists keys of the body that may not be there. The response's `lines` are sent one
    by one; `hold` keeps the connection open after them, `cut` tears it.
    """

    def __init__(self, *names: str) -> None:
        self._waiting = [(name, exchange(name)) for name in names]
        self.requests: list[web.BaseRequest] = []
        self.bodies: list[Body] = []
        self.differences: list[str] = []
        self.peers: set[object] = set()
        self.gone = asyncio.Event()

    async def __aenter__(self) -> Recorded:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        self.peers.add(request.transport.get_extra_info("peername") if request.transport else None)
        self.bodies.append(body := await request.json() if request.can_read_body else {})
        if not self._waiting:
            self.differences.append(f"a request that is not expected: {request.path}")
            return web.Response(status=404)
        name, recorded = self._waiting.pop(0)
        self.differences += [f"{name}: {each}" for each in _differences(recorded["request"], request, body)]
        return await self._play(request, recorded["response"])

    async def _play(self, request: web.BaseRequest, told: Body) -> web.StreamResponse:
        if "body" in told:
            return web.json_response(told["body"], status=told["status"], headers=told.get("headers"))
        response = web.StreamResponse(status=told["status"], headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            for line in told["lines"]:
                await response.write(f"{line}\n".encode())
            if told.get("hold"):
                while request.transport is not None and not request.transport.is_closing():
                    await asyncio.sleep(0.005)
                self.gone.set()
            elif told.get("cut") and request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            self.gone.set()
        return response


def _differences(expected: Body, request: web.BaseRequest, body: Body) -> Iterator[str]:
    if (request.method, request.path) != (expected["method"], expected["path"]):
        yield f"{request.method} {request.path} in place of {expected['method']} {expected['path']}"
    for name, value in expected.get("query", {}).items():
        if request.query.get(name) != value:
            yield f"?{name}={request.query.get(name)} in place of {value}"
    for name, value in expected.get("headers", {}).items():
        if request.headers.get(name) != value:
            yield f"header {name}: {request.headers.get(name)} in place of {value}"
    yield from (f"{key} is there" for key in expected.get("absent", ()) if key in body)
    yield from _unlike(expected.get("body", {}), body, "body")


def _unlike(expected: object, given: object, where: str) -> Iterator[str]:
    if expected == "*":
        return
    if isinstance(expected, dict) and isinstance(given, dict):
        for key, value in expected.items():
            named = key if key in given else re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key)
            if named not in given:
                yield f"{where}.{key} is missing"
            else:
                yield from _unlike(value, given[named], f"{where}.{key}")
    elif isinstance(expected, list) and isinstance(given, list) and len(expected) == len(given):
        for index, (value, other) in enumerate(zip(expected, given, strict=True)):
            yield from _unlike(value, other, f"{where}[{index}]")
    elif expected != given:
        yield f"{where} is {json.dumps(given)[:300]} in place of {json.dumps(expected)[:300]}"
