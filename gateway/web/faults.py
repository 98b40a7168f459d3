"""What callers are told when something goes wrong: one JSON object, never a trace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway import log
from gateway.budgets import Budget, OverBudget, Shortfall
from gateway.config_file import SettingsError
from gateway.errors import ModelError, NotFound, ParleyError, Refused, StoreError
from gateway.texts import say
from gateway.web import astray, misfit, openai_form
from gateway.web.encoding import Json
from gateway.web.span import BadField

_Handler = Callable[[Request, Exception], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """*error* is for whoever asked."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """*field*: a parameter, or a key of the body with dots; body for the whole of it."""

    field: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """What was sent cannot be meant."""

    error: str
    fields: list[Problem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Misconfigured:
    """The configuration has these problems; the one before still holds."""

    error: str
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """A budget was in the way: what is spent, reserved and left of it, and when it begins anew.

    *budget* None: the price of the model is not known. Money is nano-dollars, times are microseconds UTC.
    """

    error: str
    kind: str
    model: str
    worst: int | None
    budget: Budget | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """The provider of the model did not answer; *kind* as connect, overloaded, auth, timeout."""

    error: str
    kind: str


FAULTS: Mapping[int, tuple[str, Any]] = {
    401: ("No key, or one that does not hold.", Fault),
    402: ("A budget is in the way.", Short),
    403: ("The key does not go as far, or the request comes from another web page.", Fault),
    404: ("There is no such thing, or none for whoever asks.", Fault),
    409: ("It cannot be done as things are.", Fault),
    413: ("The body is too large.", Fault),
    421: ("The host name is not one of ours.", Fault),
    422: ("What was sent, or what is configured, cannot be meant.", Unfit | Misconfigured),
    429: ("Too much within a minute: of that person, or of wrong keys from that address.", Fault),
    500: ("A fault of ours.", Fault),
    502: ("The provider of the model did not answer.", Unanswered),
    503: ("Nothing can be stored just now, or the gateway is stopping.", Fault),
}
"""By status: what it means, and the type of its body."""
ALWAYS: Mapping[int, Any] = {
    401: Fault,
    403: Fault,
    413: Fault,
    421: Fault,
    422: Unfit,
    429: Fault,
    500: Fault,
    503: Fault,
}
"""Those that any request can meet, by status, and the types of their bodies."""


def install(api: FastAPI) -> None:
    api.add_exception_handler(RequestValidationError, _as_asked(_invalid))
    api.add_exception_handler(HTTPException, _as_asked(_http))
    api.add_exception_handler(ParleyError, _as_asked(_ours))


def _as_asked(told: Callable[[Request, Exception], Awaitable[Json]]) -> _Handler:
    async def answer(request: Request, error: Exception) -> Response:
        return openai_form.reshaped(request.url.path, await told(request, error))

    return answer


async def _invalid(request: Request, error: Exception) -> Json:
    assert isinstance(error, RequestValidationError)
    # Not what was sent: it may be a secret, or very long.
    found = [
        {"field": misfit.field(each), "problem": misfit.told(each)} for each in misfit.meant(error.errors())
    ]
    return _problems(found)


def _problems(found: list[dict[str, str]]) -> Json:
    text = "; ".join(f"{each['field']}: {each['problem']}" for each in found)
    return Json({"error": text, "fields": found}, status_code=422)


async def _http(request: Request, error: Exception) -> Json:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's, of a body that is not even text
        return _problems([{"field": "body", "problem": "is not JSON in UTF-8"}])
    headers, text = dict(error.headers or {}), error.detail
    match error.status_code:
        case 404:
            text = astray.nowhere(request)
        case 405:
            text, allowed = astray.otherwise(request)
            headers = {"allow": allowed}
    return Json({"error": text}, status_code=error.status_code, headers=headers)


def over(shortfall: Shortfall, **more: Any) -> Json:
    """402: a budget was in the way; what is spent, reserved and left of it, when it begins anew, and *more*.

    *budget* null: the price of the model is not known. Money is nano-dollars, times are microseconds UTC.
    """
    facts = {"model": shortfall.model, "worst": shortfall.worst, "budget": shortfall.budget}
    body = {"error": log.clean(shortfall.told()), "kind": "budget", **facts}
    return Json({**more, **body}, status_code=402)


async def _ours(request: Request, error: Exception) -> Json:
    text = log.clean(str(error))
    match error:
        case BadField():
            return _problems([{"field": error.field, "problem": error.problem}])
        case SettingsError():
            listed = [log.clean(str(problem)) for problem in error.problems]
            return Json({"error": text, "problems": listed}, status_code=422)
        case NotFound():
            return Json({"error": text}, status_code=404)
        case Refused():
            return Json({"error": text}, status_code=409)
        case StoreError():
            return Json({"error": text}, status_code=503)
        case OverBudget():
            return over(error.shortfall)
        case ModelError():
            return Json({"error": error.told(), "kind": error.kind}, status_code=502)
    return Json({"error": say("message.internal")}, status_code=500)
