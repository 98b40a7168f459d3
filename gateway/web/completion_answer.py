"""Answers and errors in the form of OpenAI's API reference: "The chat completion object", "… chunk object"."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway import log
from gateway.completions.pictures import Unshown
from gateway.errors import NotFound, ParleyError, Refused, StoreError
from gateway.reports import UsageSummary
from gateway.texts import say
from gateway.views import Generated
from gateway.web.completion_body import Answered, Cached, Choice, Completion, Usage
from gateway.web.completion_request import Unfit
from gateway.web.encoding import plain, usd
from gateway.web.openai_form import Problem

END = b"data: [DONE]\n\n"
# "Error object" of OpenAI's Responses API, the only one of theirs that lists codes for pictures.
_PICTURES = {
    "data": "invalid_base64_image",
    "gone": "failed_to_download_image",
    "outside": "invalid_image_url",
    "too_big": "image_too_large",
    "too_many_pixels": "image_too_large",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every part of one answer says. *created* in seconds UTC."""

    id: str
    created: int
    model: str


def usage(of: UsageSummary) -> Usage:
    return Usage(
        prompt_tokens=of.tokens.input,
        completion_tokens=of.tokens.output,
        total_tokens=of.tokens.input + of.tokens.output,
        prompt_tokens_details=Cached(cached_tokens=of.tokens.read),
        cost_usd=None if of.unpriced else usd(of.cost),
    )


def whole(head: Head, generated: Generated) -> Completion:
    return Completion(
        id=head.id,
        created=head.created,
        model=head.model,
        choices=[Choice(message=Answered(content=generated.text))],
        usage=usage(generated.usage),
    )


def chunk(head: Head, delta: dict[str, Any], *, finish: str | None = None, with_usage: bool = False) -> bytes:
    """*with_usage*: the last chunk will tell the usage, so that the others say that they do not."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _line(head, [choice], {"usage": None} if with_usage else {})


def counted(head: Head, of: UsageSummary) -> bytes:
    return _line(head, [], {"usage": plain(usage(of))})


def failed(problem: Problem) -> bytes:
    return _data(problem.body)


def _line(head: Head, choices: list[dict[str, Any]], more: dict[str, Any]) -> bytes:
    return _data(
        {
            "id": head.id,
            "object": "chat.completion.chunk",
            "created": head.created,
            "model": head.model,
            "choices": choices,
            **more,
        }
    )


def _data(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def problem_of(generated: Generated) -> Problem | None:
    """None: it is answered."""
    text = log.clean(" ".join(generated.text.split()))
    match generated.state:
        case "done" if generated.session_id:
            return None
        case "failed" if generated.over is not None:
            # Not 429: OpenAI's clients would ask again, and there is no more money in a second.
            told = log.clean(generated.over.told())
            return Problem(status=402, text=told, type="insufficient_quota", code="budget", final=True)
        case "kept":
            return Problem(status=503, text=text, type="server_error", code="unavailable")
        case "failed" | "dead":
            return Problem(status=502, text=text, type="server_error", code="model", final=True)
        case "refused":
            told = text or say("completion.refused")
            return Problem(status=403, text=told, type="invalid_request_error", code="refused", final=True)
        case _:
            told = say("completion.cancelled")
            return Problem(status=409, text=told, type="server_error", code="cancelled", final=True)


def problem_from(error: Unfit | ParleyError) -> Problem:
    """What was raised before anything was asked."""
    text, kind = log.clean(str(error)), "invalid_request_error"
    match error:
        case Unfit():
            return Problem(status=error.status, text=text, type=kind, code=error.code, param=error.param)
        case Unshown(where=where, why=why):
            return Problem(
                status=400, text=text, type=kind, code=_PICTURES.get(why, "invalid_image"), param=where
            )
        case NotFound():
            return Problem(status=404, text=text, type=kind, code="not_found", param="X-Parley-Session")
        case Refused():
            return Problem(status=409, text=text, type=kind, code="refused", final=True)
        case StoreError():
            return Problem(status=503, text=text, type="server_error", code="storage")
        case _:
            return Problem(status=500, text=say("message.internal"), type="server_error", code="internal")
