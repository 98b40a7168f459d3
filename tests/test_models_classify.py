"""What a provider's failure means, from what the vendors really say."""

from __future__ import annotations

import pytest

from gateway.models.classify import MAX_MESSAGE, Failure, kind_of, message_of, model_error, retry_after
from gateway.types.usage import Tokens

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("status", "codes", "text", "kind"),
    [
        (401, ("authentication_error",), "invalid x-api-key", "auth"),
        (401, ("invalid_request_error", "invalid_api_key"), "Incorrect API key provided", "auth"),
        (403, ("permission_error",), "Your API key does not have permission", "auth"),
        (402, ("billing_error",), "There is an issue with your billing", "credit"),
        (402, (), "This request requires more credits, or fewer max_tokens.", "credit"),
        (
            400,
            ("invalid_request_error",),
            "Your credit balance is too low to access the Anthropic API.",
            "credit",
        ),
        (429, ("insufficient_quota",), "You exceeded your current quota, please check your plan", "credit"),
        (429, ("exceeded_current_quota_error",), "Your account is suspended", "credit"),
        (429, (), "You exceeded your current quota. Please retry in 35.6s.", "rate_limited"),
        (429, ("rate_limit_error",), "This request would exceed your rate limit", "rate_limited"),
        (
            429,
            ("tokens", "rate_limit_exceeded"),
            "Request too large for gpt-4.1 on tokens per min",
            "context",
        ),
        (404, ("not_found_error",), "model: claude-99", "not_found"),
        (404, ("model_not_found",), "The model `gpt-99` does not exist", "not_found"),
        (400, ("invalid_request_error",), "prompt is too long: 208310 tokens > 200000 maximum", "context"),
        (
            400,
            ("invalid_request_error",),
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
            "context",
        ),
        (400, ("context_length_exceeded",), "Too long", "context"),
        (400, (), "This model's maximum context length is 8192 tokens.", "context"),
        (400, (), "the request exceeds the available context size. try increasing it", "context"),
        (400, (), "Invalid 'messages[1].content': string too long. Expected at most 1048576", "context"),
        (413, ("request_too_large",), "Request exceeds the maximum size", "context"),
        (413, ("rate_limit_exceeded",), "Request too large for model on tokens per minute (TPM)", "context"),
        (
            400,
            ("INVALID_ARGUMENT",),
            "The input token count (9) exceeds the maximum number of tokens",
            "context",
        ),
        (400, (), "the input token count is 32825 but model only supports up to 32768", "context"),
        (400, ("exceed_context_size_error",), "request (9 tokens) is too much", "context"),
        (500, ("server_error",), "Context size has been exceeded.", "context"),
        (400, (), "This model's maximum prompt length is 131072 but the request contains 140000", "context"),
        (400, (), "Your request exceeded model token limit: 262144 (requested: 291351)", "context"),
        (400, (), "The decoder prompt (length 9) is longer than the maximum model length of 8", "context"),
        (400, (), "The input (9 tokens) is longer than the model's context length (8 tokens).", "context"),
        (400, (), "Prompt contains 9 tokens, too large for model with 8 maximum context length", "context"),
        (400, (), "<400> InternalError: Range of input length should be [1, 30720]", "context"),
        (422, (), "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193", "context"),
        (400, (), "prompt token count of 130000 exceeds the limit of 128000", "context"),
        (400, (), "prompt too long; exceeded max context length by 12 tokens", "context"),
        (400, (), "Please reduce the length of the messages or completion.", "context"),
        (400, ("1261",), "Prompt exceeds max length", "context"),
        (
            400,
            ("invalid_request_error",),
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1",
            "shape",
        ),
        (400, ("invalid_request_error",), "messages: text content blocks must be non-empty", "shape"),
        (
            400,
            (),
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message",
            "shape",
        ),
        (400, (), "Invalid 'messages[1].tool_calls[0].id': string too long.", "shape"),
        (400, (), "Conversation roles must alternate user/assistant/user/assistant/...", "shape"),
        (400, ("invalid_request_error",), "temperature: range: 0..1", "refused"),
        (400, ("invalid_request_error",), "thinking.enabled.budget_tokens: too small", "refused"),
        (422, (), "extra fields not permitted", "refused"),
        (408, (), "Request timeout", "timeout"),
        (409, (), "Conflict", "overloaded"),
        (500, ("api_error",), "Internal server error", "overloaded"),
        (503, (), "The engine is currently overloaded", "overloaded"),
        (504, ("timeout_error",), "Request timed out", "overloaded"),
        (529, ("overloaded_error",), "Overloaded", "overloaded"),
        # inside a stream: no status of its own
        (None, ("overloaded_error",), "Overloaded", "overloaded"),
        (None, ("rate_limit_exceeded",), "Rate limit reached", "rate_limited"),
        (None, ("server_error",), "The server had an error", "overloaded"),
        (None, (), "peer closed connection", "cut"),
        (None, (), "The number of tokens to keep is greater than the context length", "context"),
        (200, (), "Context size has been exceeded.", "context"),
    ],
)
def test_what_a_vendor_says_decides_the_next_step(status, codes, text, kind):
    assert kind_of(Failure(status=status, codes=codes, text=text)) == kind


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        (Failure(phase="connect"), "connect"),
        (Failure(phase="connect", timeout=True), "connect"),
        (Failure(phase="pool", timeout=True), "connect"),
        (Failure(phase="read", timeout=True), "timeout"),
        (Failure(phase="read"), "cut"),
        (Failure(phase="write"), "cut"),
        (Failure(timeout=True), "timeout"),
    ],
)
def test_a_transport_failure_is_told_by_its_phase(known, kind):
    assert kind_of(known) == kind


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({"retry-after": "7"}, "", 7.0),
        ({"retry-after": "0"}, "try again in 9s", 0.0),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, "", 0.25),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, "", 30.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, "", 0.0),
        ({"retry-after": "2027-01-15T08:01:00Z"}, "", 60.0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-3"}, "", None),
        ({"retry-after": "nan"}, "", None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:05Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:40Z",
                "anthropic-ratelimit-output-tokens-remaining": "900",
                "anthropic-ratelimit-output-tokens-reset": "2027-01-15T09:00:00Z",
            },
            "",
            40.0,
        ),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, "", 360.0),
        ({"x-ratelimit-remaining-tokens": "12", "x-ratelimit-reset-tokens": "6m0s"}, "", None),
        ({}, "Rate limit reached. Please try again in 1m30.5s. Visit", 90.5),
        ({}, "Rate limit reached. Please try again in 20ms.", 0.02),
        ({}, "Please retry after 12 seconds.", 12.0),
        ({}, "Please try again in a moment.", None),
    ],
)
def test_how_long_to_wait_is_read_from_wherever_the_vendor_says_it(headers, text, seconds):
    assert retry_after(Failure(status=429, headers=headers, text=text), now=NOW) == seconds


def test_a_limit_that_is_used_up_says_nothing_about_another_failure():
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}
    assert retry_after(Failure(status=500, headers=headers), now=NOW) is None


def test_the_message_is_the_vendors_own_in_one_line_and_short():
    said = message_of(Failure(status=400, text="It\n  is   " + "wrong " * 100), ())
    assert said.startswith("It is wrong wrong")
    assert len(said) <= MAX_MESSAGE


def test_no_key_is_in_the_message():
    text = "Incorrect API key provided: sk-proj-abcdef123456. Also Bearer hunter2 and our own s3cret!"
    said = message_of(Failure(status=401, text=text), ("s3cret!", ""))
    assert not any(key in said for key in ("abcdef", "hunter2", "s3cret!"))
    assert "Incorrect API key provided: ***" in said


def test_a_page_instead_of_json_is_told_without_its_tags():
    error = Raised(status_code=502, body="<html><body><h1>502 Bad Gateway</h1></body></html>")
    told = model_error(error, now=NOW)
    assert (told.kind, str(told)) == ("overloaded", "502 Bad Gateway")


def test_an_empty_answer_is_told_by_its_status():
    assert message_of(Failure(status=503), ()) == "HTTP 503"


def test_only_a_request_that_never_left_is_unsent():
    assert model_error(Raised(phase="connect"), now=NOW).sent is False
    assert model_error(Raised(phase="write"), now=NOW).sent is True


def test_the_usage_seen_before_the_failure_is_kept():
    tokens = Tokens(uncached=5, output=1)
    assert model_error(TimeoutError(), now=NOW, tokens=tokens).tokens == tokens


def test_our_own_timer_is_a_timeout():
    assert model_error(TimeoutError(), now=NOW).kind == "timeout"


class Raised(Exception):
    """As the model layer's errors: facts as attributes."""

    def __init__(self, **facts):
        super().__init__("what the layer says")
        for name, value in facts.items():
            setattr(self, name, value)
