"""What a provider's failure means for the caller's next step; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from gateway.errors import ModelError, ModelErrorKind
from gateway.types.usage import Tokens

MAX_MESSAGE = 300  # characters

# Error codes and types that mean no money: OpenAI, error codes; Anthropic, errors; Moonshot.
CREDIT_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "exceeded_current_quota_error",
    }
)
CREDIT = re.compile(
    r"credit balance is too low|insufficient (credits|balance|funds)|exceeded your current quota"
    r"|requires more credits|payment required",
    re.I,
)
CONTEXT_CODES = frozenset({"context_length_exceeded", "request_too_large", "exceed_context_size_error"})
NO_MODEL = re.compile(r"is not a valid model id", re.I)  # OpenRouter, with status 400
# Gemini API, troubleshooting: a wrong key is a 400 whose details have this reason.
KEY_CODES = frozenset({"API_KEY_INVALID"})
# OpenRouter, errors, 403: the input was flagged; that is no fault of the key.
FLAGGED = "flagged"
# Anthropic, OpenAI, vLLM, SGLang, llama.cpp, LM Studio, Ollama, OpenRouter, Gemini, Mistral, Groq, in their own words;
# xAI (prompt length), Moonshot (model token limit), Alibaba (range of input length), TGI (inputs), GitHub.
CONTEXT = re.compile(
    r"prompt is too long|context[ _]length|context window|exceeds? (the )?(available )?context"
    r"|exceed context limit|reduce the length of the (messages|prompt)|(input|prompt) is too (long|large)"
    r"|too many (input |prompt )?tokens|maximum (prompt|number of input) tokens"
    r"|request exceeds the maximum size|request too large for|exceeds the maximum number of tokens"
    r"|'?messages\[\d+\]\.content'?[^:]*: string too long"
    r"|maximum (prompt|model) length|model token limit|range of input length|prompt exceeds max"
    r"|input token count|prompt token count|`inputs` (tokens \+ `max_new_tokens` )?must|context size (has been|is)",
    re.I,
)
# llama.cpp says so with a status of 500 as well; other servers' 500 is not asked for its words.
FILLED = re.compile(r"context size has been exceeded|exceeds? the available context", re.I)
SHAPE = re.compile(
    r"tool_use|tool_result|tool_calls?\b|tool_call_id|role '?tool'?|`(redacted_)?thinking`"
    r"|roles? must alternate|first message must|final assistant content|non-empty content|must be non-empty"
    r"|function (call|response) (turn|parts?)\b|text content blocks"
    r"|^messages[.\[: ]|invalid value for 'content'|unexpected role",
    re.I,
)
# An error event inside a stream has no status of its own; Anthropic, errors; OpenAI, error codes.
STATUS_OF = {
    "overloaded_error": 529,
    "api_error": 500,
    "timeout_error": 504,
    "rate_limit_error": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "rate_limit_exceeded": 429,
}
# What looks like a key, in case a provider repeats one that is not ours.
KEY = re.compile(r"\b(sk|pk|key|rk)-[A-Za-z0-9_*.-]{6,}|(?<=Bearer )\S+")
PLAIN_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
TRY_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|s|m|h))+|\d+(?:\.\d+)? seconds?)", re.I
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is known about a failed request. *phase* of a transport's error: pool, connect, write, read."""

    status: int | None = None
    codes: tuple[str, ...] = ()  # the provider's error type and code
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    phase: str | None = None
    timeout: bool = False
    delay: str = ""  # Google's RetryInfo, as "12.5s"


def model_error(
    error: BaseException,
    *,
    now: float,
    secrets: Sequence[str] = (),
    tokens: Tokens | None = None,
    begun: bool = False,
) -> ModelError:
    """What the SDK raised, as ours. *now* in Unix seconds; *secrets* are never in the text; *begun*: in an answer."""
    known = failure(error)
    kind = kind_of(known)
    return ModelError(
        message_of(known, secrets),
        kind=kind,
        status=known.status,
        retry_after=retry_after(known, now=now),
        tokens=tokens,
        sent=kind != "connect",
        begun=begun,
    )


def kind_of(known: Failure) -> ModelErrorKind:
    if known.phase in ("connect", "pool"):
        return "connect"
    if known.timeout:
        return "timeout"
    status = known.status or next((STATUS_OF[code] for code in known.codes if code in STATUS_OF), None)
    if status is None or status < 400:
        # LM Studio tells it inside an answer whose status is 200.
        return "context" if CONTEXT_CODES.intersection(known.codes) or CONTEXT.search(known.text) else "cut"
    if status == 402 or CREDIT_CODES.intersection(known.codes):
        return "credit"
    # Google's words for a minute's limit and for no money are the same, but for the wait.
    waits = known.delay or TRY_AGAIN.search(known.text)
    if status < 500 and CREDIT.search(known.text) and not waits:
        return "credit"
    if status == 403 and FLAGGED in known.codes:
        return "refused"
    if status in (401, 403) or KEY_CODES.intersection(known.codes):
        return "auth"
    if status == 404 or (status == 400 and NO_MODEL.search(known.text)):
        return "not_found"
    if status == 413 or CONTEXT_CODES.intersection(known.codes):
        return "context"
    if (CONTEXT if status < 500 else FILLED).search(known.text):
        return "context"
    if status == 429:
        return "rate_limited"
    if status in (400, 422) and SHAPE.search(known.text):
        return "shape"
    if status == 408:
        return "timeout"
    return "overloaded" if status >= 500 or status == 409 else "refused"


def message_of(known: Failure, secrets: Sequence[str]) -> str:
    """The provider's own words, in one line and without keys."""
    text = " ".join(known.text.split())
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = KEY.sub("***", text)
    if len(text) > MAX_MESSAGE:
        text = text[: MAX_MESSAGE - 1].rstrip() + "…"
    return text or (f"HTTP {known.status}" if known.status else "no answer")


# ---- how long to wait ----


def retry_after(known: Failure, *, now: float) -> float | None:
    """Seconds until the provider wants to be asked again; None when it did not say."""
    if (wait := _milliseconds(known.headers.get("retry-after-ms"))) is not None:
        return wait
    if (wait := _seconds(known.headers.get("retry-after"), now)) is not None:
        return wait
    if known.status == 429 and (wait := _reset(known.headers, now)) is not None:
        return wait
    return _span(known.delay) if known.delay else _said(known.text)


def _milliseconds(value: str | None) -> float | None:
    seconds = _number(value)
    return None if seconds is None else seconds / 1000


def _seconds(value: str | None, now: float) -> float | None:
    if value is None:
        return None
    return number if (number := _number(value)) is not None else _until(value, now)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _until(value: str, now: float) -> float | None:
    """Seconds to an HTTP date or an RFC 3339 time; 0 when it has passed."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    """When the limit that is used up comes back: of several the last, since all of them must.

    Anthropic, rate limits: anthropic-ratelimit-<what>-remaining, -reset (RFC 3339);
    OpenAI, rate limits: x-ratelimit-remaining-<what>, x-ratelimit-reset-<what> (as 6m0s).
    """
    waits: list[float | None] = []
    for name, value in headers.items():
        if name.startswith("anthropic-ratelimit-") and name.endswith("-remaining") and _number(value) == 0:
            reset = headers.get(name.removesuffix("-remaining") + "-reset")
            waits.append(_until(reset, now) if reset else None)
        elif name.startswith("x-ratelimit-remaining-") and _number(value) == 0:
            waits.append(_span(headers.get(name.replace("-remaining-", "-reset-"), "")))
    return max((wait for wait in waits if wait is not None), default=None)


def _said(text: str) -> float | None:
    """OpenAI and its like: "Please try again in 6m0s."."""
    found = TRY_AGAIN.search(text)
    return _span(found[1]) if found else None


def _span(text: str) -> float | None:
    """6m0s, 20ms, 1.5s or "3 seconds"."""
    if (words := text.split()) and len(words) == 2:
        return _number(words[0])
    found = PLAIN_SPAN.fullmatch(text)
    if not text or found is None:
        return None
    hours, minutes, seconds, milliseconds = (float(each or 0) for each in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


# ---- what the SDK raised ----


def failure(error: BaseException) -> Failure:
    """The facts in an exception of the model layer, read by name: no SDK is imported for it."""
    body = getattr(error, "body", None)
    inner = _inner(body)
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    status = getattr(error, "status_code", None)
    return Failure(
        status=status if isinstance(status, int) else None,
        codes=_codes(error, inner),
        text=_text(error, body, inner),
        headers={name.lower(): value for name, value in headers.items()},
        phase=_phase(error),
        delay=next((str(each["retryDelay"]) for each in _details(inner) if each.get("retryDelay")), ""),
        timeout=isinstance(error, TimeoutError) or _is(error, "ModelTimeoutError", "TimeoutException"),
    )


def _inner(body: object) -> Mapping[str, Any]:
    """The error object itself: vendors wrap it in {"error": ...}, the OpenAI SDK has unwrapped it."""
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, Mapping) else body


def _codes(error: BaseException, inner: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("provider_error_type", "provider_error_code")
    metadata = inner.get("metadata")
    flagged = isinstance(metadata, Mapping) and "flagged_input" in metadata
    given = [inner.get("type"), inner.get("code"), *(getattr(error, name, None) for name in names)]
    given += [*(each.get("reason") for each in _details(inner)), FLAGGED if flagged else None]
    return tuple(dict.fromkeys(str(each) for each in given if each))


def _details(inner: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Google's error details (google.rpc.Status)."""
    details = inner.get("details")
    return [each for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []


def _text(error: BaseException, body: object, inner: Mapping[str, Any]) -> str:
    for each in (inner.get("message"), inner.get("error"), inner.get("detail"), body):
        if isinstance(each, str) and each.strip():
            return re.sub(r"<[^>]{1,200}>", " ", each)
    return str(getattr(error, "message", "") or error) or type(error).__name__


def _phase(error: BaseException) -> str | None:
    phase = getattr(error, "phase", None)
    if isinstance(phase, str):
        return phase
    if _is(error, "ConnectError", "ConnectTimeout", "PoolTimeout"):
        return "connect"
    return "read" if _is(error, "TransportError") else None


def _is(error: BaseException, *names: str) -> bool:
    return any(each.__name__ in names for each in type(error).__mro__)
