"""The fake's caches against what the vendors' documents say of theirs."""

import pytest

from tests.fakes.prompt_cache import Counts, Part, PromptCache, minimum_of

CLAUDE, GPT = "claude-sonnet-5", "gpt-5-mini"
MINUTE, HOUR = 60.0, 3600.0


class Now:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def later(self, *, minutes: float) -> None:
        self.seconds += minutes * MINUTE


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def cache(now):
    return PromptCache(clock=now)


def part(tokens: int, ttl: str | None = None, letter: str = "a", key: bytes = b"") -> Part:
    return Part(letter.encode() * 4 * tokens, ttl, key)


def test_a_prefix_is_written_once_and_read_until_five_minutes_after_its_last_use(cache, now):
    asked = [part(2000, "5m"), part(10)]
    assert cache.anthropic(CLAUDE, asked) == Counts(10, 0, 2000)
    for minutes, found in ((4, Counts(10, 2000)), (4.9, Counts(10, 2000)), (5.1, Counts(10, 0, 2000))):
        now.later(minutes=minutes)
        assert cache.anthropic(CLAUDE, asked) == found


def test_an_hour_is_an_hour(cache, now):
    asked = [part(2000, "1h"), part(10)]
    assert cache.anthropic(CLAUDE, asked) == Counts(10, 0, 0, 2000)
    now.later(minutes=59)
    assert cache.anthropic(CLAUDE, asked) == Counts(10, 2000)
    now.later(minutes=61)
    assert cache.anthropic(CLAUDE, asked) == Counts(10, 0, 0, 2000)


def test_the_longer_lifetime_is_billed_up_to_its_mark_and_the_shorter_from_there(cache, now):
    """Mixing different TTLs: read up to A, an hour from A to B, five minutes from B to C, plain after it."""
    cache.anthropic(CLAUDE, [part(1500, "1h")])
    asked = [part(1500, "1h"), part(300, "1h", "b"), part(200, "5m", "c"), part(7, None, "d")]
    assert cache.anthropic(CLAUDE, asked) == Counts(7, 1500, 200, 300)
    now.later(minutes=20)
    assert cache.anthropic(CLAUDE, asked) == Counts(7, 1800, 200), (
        "the five minutes are over, the hour is not"
    )


def test_what_goes_on_from_a_short_lived_prefix_goes_with_it(cache, now):
    cache.anthropic(CLAUDE, [part(1500, "5m")])
    longer = [part(1500), part(300, "1h", "b")]
    assert cache.anthropic(CLAUDE, longer) == Counts(0, 1500, 0, 300)
    now.later(minutes=6)
    assert cache.anthropic(CLAUDE, longer) == Counts(0, 0, 0, 1800)


def test_a_read_renews_the_short_mark_before_the_longer_prefix(cache, now):
    cache.anthropic(CLAUDE, [part(1500, "5m"), part(300, "5m", "b")])
    for _ in range(3):
        now.later(minutes=4)
        assert cache.anthropic(CLAUDE, [part(1500), part(300, "5m", "b")]).read == 1800
    assert cache.anthropic(CLAUDE, [part(1500, "5m"), part(9, None, "c")]).read == 1500


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("claude-sonnet-5", 1024),
        ("claude-sonnet-4-5", 1024),
        ("claude-opus-4-1", 1024),
        ("claude-opus-5", 512),
        ("claude-opus-4-6", 4096),
        ("claude-haiku-4-5-20251001", 4096),
        ("claude-3-haiku-20240307", 2048),
    ],
)
def test_a_shorter_prompt_is_not_cached(cache, model, least):
    assert minimum_of(model) == least
    assert cache.anthropic(model, [part(least - 1, "5m")]) == Counts(least - 1)
    assert cache.anthropic(model, [part(least - 1, "5m")]) == Counts(least - 1)
    assert cache.anthropic(model, [part(least, "5m")]) == Counts(0, 0, least)


def test_a_mark_finds_what_ends_up_to_nineteen_blocks_before_it(cache):
    start = part(2000, "5m", "s")
    cache.anthropic(CLAUDE, [start])
    near = [part(1, None, "n")] * 18 + [part(1, "5m", "n")]
    far = [part(1, None, "f")] * 19 + [part(1, "5m", "f")]
    assert cache.anthropic(CLAUDE, [part(2000, None, "s"), *near]) == Counts(0, 2000, 19)
    assert cache.anthropic(CLAUDE, [part(2000, None, "s"), *far]) == Counts(0, 0, 2020)
    again = [part(1, None, "g")] * 19 + [part(1, "5m", "g")]
    assert cache.anthropic(CLAUDE, [start, *again]) == Counts(0, 2000, 20), (
        "a mark where it was written finds it"
    )


def test_nothing_is_read_where_nothing_was_marked(cache):
    cache.anthropic(CLAUDE, [part(2000), part(100, None, "b")])
    assert cache.anthropic(CLAUDE, [part(2000, "5m"), part(100, None, "b")]) == Counts(100, 0, 2000)


def test_a_block_that_counts_the_same_may_still_be_another(cache):
    cache.anthropic(CLAUDE, [part(2000, "5m", key=b"toolu_1")])
    assert cache.anthropic(CLAUDE, [part(2000, "5m", key=b"toolu_2")]).read == 0
    cache.openai(GPT, [part(2000, key=b"user")])
    assert cache.openai(GPT, [part(2000, key=b"assistant")]).read == 0


def test_models_share_nothing(cache):
    cache.anthropic(CLAUDE, [part(2000, "5m")])
    assert cache.anthropic("claude-sonnet-4-5", [part(2000, "5m")]).read == 0


@pytest.mark.parametrize(
    ("size", "read"), [(1023, 0), (1024, 1024), (1151, 1024), (1152, 1152), (2000, 1920)]
)
def test_openai_reads_from_1024_on_in_steps_of_128(cache, size, read):
    assert cache.openai(GPT, [part(size)]) == Counts(size)
    assert cache.openai(GPT, [part(size)]) == Counts(size - read, read)


def test_openai_reads_as_far_as_two_prompts_are_the_same_within_a_text_too(cache):
    cache.openai(GPT, [part(1500), part(300, None, "b")])
    other = [part(1500), Part(b"b" * 4 * 100 + b"c" * 4 * 200)]
    assert cache.openai(GPT, other) == Counts(1800 - 1536, 1536)


def test_openai_forgets_after_five_minutes_or_later_where_it_was_asked_to(cache, now):
    for extended, minutes, read in (
        (False, 4.9, True),
        (False, 5.1, False),
        (True, 59, True),
        (True, 61, False),
    ):
        found = PromptCache(clock=now)
        found.openai(GPT, [part(2048)], extended=extended)
        now.later(minutes=minutes)
        assert bool(found.openai(GPT, [part(2048)], extended=extended).read) == read
