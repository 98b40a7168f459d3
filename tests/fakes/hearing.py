"""A fake of the Audio API's transcriptions (createTranscription), a part of the fake of OpenAI's server."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

JSON_ONLY = ("gpt-4o-transcribe", "gpt-4o-mini-transcribe")  # response_format, in createTranscription
TOKENS = {
    "type": "tokens",
    "input_tokens": 140,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 140},
    "output_tokens": 45,
    "total_tokens": 185,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is answered next; *hold*: nothing, until the client goes. *body* in place of the usual one."""

    text: str = "What was said."
    status: int = 200
    body: Any = None
    raw: bytes | None = None
    hold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A request as it came."""

    fields: dict[str, str]
    name: str
    type: str
    data: bytes


@dataclass(slots=True)
class Ears:
    key: str | None
    queue: deque[Said] = field(default_factory=deque)
    heard: list[Heard] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
        form = await request.post()
        file = form.get("file")
        if not isinstance(file, web.FileField) or not form.get("model"):
            return _error(400, "'file' and 'model' are required.", "invalid_request_error", None)
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        heard = Heard(fields=fields, name=file.filename, type=file.content_type, data=file.file.read())
        self.heard.append(heard)
        self.arrived.set()
        if fields["model"] in JSON_ONLY and fields.get("response_format", "json") != "json":
            return _error(400, "response_format is not compatible.", "invalid_request_error", None)
        said = self.queue.popleft() if self.queue else Said()
        if said.hold:
            while request.transport is not None and not request.transport.is_closing():
                await asyncio.sleep(0.005)
        if said.raw is not None:
            return web.Response(body=said.raw, status=said.status, content_type="application/json")
        if said.status != 200:
            return _error(said.status, said.text, "server_error", None)
        return web.json_response(_body(fields, said.text) if said.body is None else said.body)


def _body(fields: dict[str, str], text: str) -> dict[str, Any]:
    if fields.get("response_format") == "verbose_json":
        usage = {"type": "duration", "seconds": 9}
        return {"task": "transcribe", "language": "english", "duration": 8.47, "text": text, "usage": usage}
    return {"text": text, "usage": TOKENS}


def _error(status: int, message: str, type: str, code: str | None) -> web.Response:
    error = {"message": message, "type": type, "param": None, "code": code}
    return web.json_response({"error": error}, status=status)
