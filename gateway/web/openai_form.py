"""Errors in the form of OpenAI's API reference, for the paths that its clients ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

COMPLETIONS = "/v1/chat/completions"
MODELS = "/v1/models"
FINAL = {"x-should-retry": "false"}  # heeded by OpenAI's clients, which else repeat by the status alone
_REQUEST, _SERVER = "invalid_request_error", "server_error"
# What is refused before a handler of ours sees it: (type, code).
_KINDS: Mapping[int, tuple[str, str | None]] = {
    401: (_REQUEST, "invalid_api_key"),
    403: ("permission_error", "forbidden"),
    413: (_REQUEST, "too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """*param*: the field that is meant, None for none. *code* says it to programs."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What a request came to that was not answered."""

    error: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error and its status. *final*: asking again would not help, or would be asking twice."""

    status: int
    text: str
    type: str = _REQUEST
    code: str | None = None
    param: str | None = None
    final: bool = False

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.text, "type": self.type, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, headers=FINAL if self.final else None)


def spoken(path: str) -> bool:
    """Whether that path is asked for by OpenAI's clients."""
    return path in (COMPLETIONS, MODELS) or path.startswith(f"{MODELS}/")


def problem(status: int, text: str, param: str | None = None) -> Problem:
    """One of ours in their form."""
    status = 400 if status == 422 else status
    type, code = _KINDS.get(status, (_SERVER if status >= 500 else _REQUEST, None))
    return Problem(status=status, text=text, type=type, code=code, param=param)


def reshaped(path: str, answer: Response) -> Response:
    """An error of ours as who asks for *path* expects it."""
    if not spoken(path):
        return answer
    told = json.loads(bytes(answer.body))
    fields = told.get("fields") or [{}]
    param = fields[0].get("field")
    # messages.0.role is theirs as messages[0].role.
    param = None if param is None else re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", str(param))
    made = problem(answer.status_code, str(told.get("error", "")), param).response()
    for name, value in answer.headers.items():
        if name not in ("content-length", "content-type"):
            made.headers[name] = value
    return made
