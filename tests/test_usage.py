"""Prices and sums, to the nano-dollar."""

import json
import subprocess
import sys
from dataclasses import astuple, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bounds import picture_tokens
from gateway.price import Price, Rates, cost
from gateway.totals import Total
from gateway.usage import Tokens, context_window, find_audio_price, find_price, worst_case

DOLLAR = 10**9
VENDORS = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
    "deepseek": "https://api.deepseek.com",
    "google": "https://generativelanguage.googleapis.com",
}


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**6


NOW = at("2026-05-01 12:00")


def price_of(model, tokens, *, kind="openai", name="mine", base_url=None, at=NOW, overrides=None, **more):
    return find_price(
        provider_kind=kind,
        provider_name=name,
        base_url=base_url,
        model=model,
        at=at,
        tokens=tokens,
        overrides=overrides or {},
        **more,
    )


def heard_at(model, **more):
    """An hour of speech."""
    return find_audio_price(
        provider_kind="openai",
        provider_name="mine",
        base_url=None,
        model=model,
        at=NOW,
        seconds=3600,
        tokens=Tokens(),
        overrides={},
        **more,
    )


def test_gemini_is_priced_by_the_list_and_its_images_have_their_own_rate():
    tokens = Tokens(uncached=1_000_000, read=1_000_000, output=1_000_000)
    google = "https://generativelanguage.googleapis.com"
    found = price_of("gemini-2.5-flash", tokens, kind="google", base_url=google)
    assert cost(found, tokens) == round((Decimal("0.3") + Decimal("0.03") + Decimal("2.5")) * DOLLAR)
    asked = {"provider_kind": "google", "provider_name": "google", "base_url": google, "at": NOW}
    image = {"model": "gemini-2.5-flash-image", "tokens": Tokens(output=1_000_000), "overrides": {}, **asked}
    assert cost(find_price(**image), image["tokens"]) == round(Decimal("2.5") * DOLLAR)
    assert cost(find_price(**image, images=True), image["tokens"]) == 30 * DOLLAR


def test_a_picture_is_counted_from_above_by_who_sees_it():
    # The figures that the vendors' documents give for their largest pictures.
    assert picture_tokens("anthropic") >= 4_784
    assert picture_tokens("openai", "gpt-5-mini") >= 85 + 8 * 170
    assert picture_tokens("openai", "gpt-4o-mini-2024-07-18") == 2_833 + 8 * 5_667
    assert picture_tokens("google") >= 16 * 258
    assert picture_tokens("openrouter") == picture_tokens("openai", "gpt-4o-mini")
    assert picture_tokens("ollama") > 0


def price(**rates: str) -> Price:
    given = {kind: Decimal(rate) for kind, rate in rates.items()}
    return Price(provider="mine", model="m", source="config", rates=Rates(**given))


def test_the_input_of_a_request_is_everything_that_was_sent():
    assert Tokens(uncached=1, read=20, write_5m=300, write_1h=4000, output=50_000).input == 4321


def test_tokens_add_up_kind_by_kind():
    assert Tokens(1, 2, 3, 4, 5) + Tokens(10, 20, 30, 40, 50) == Tokens(11, 22, 33, 44, 55)


# Worked out by hand from the vendors' price pages.
BY_HAND = [
    pytest.param(
        "anthropic",
        "claude-sonnet-4-5",
        Tokens(10, 5000, 1500, 500, 7),
        "2026-05-01",
        "0.010260",
        id="all-kinds",
    ),
    pytest.param("openai", "gpt-5-mini", Tokens(2010, 5000, 0, 0, 7), "2026-05-01", "0.0006415", id="cached"),
    pytest.param(
        "anthropic", "claude-sonnet-4-5", Tokens(200_000), "2026-01-01", "0.6", id="tier-not-reached"
    ),
    pytest.param(
        "anthropic", "claude-sonnet-4-5", Tokens(200_001), "2026-01-01", "1.200006", id="tier-reached"
    ),
    pytest.param(
        "anthropic",
        "claude-sonnet-4-5",
        Tokens(300_000, output=1000),
        "2026-01-01",
        "1.8225",
        id="whole-request",
    ),
    pytest.param(
        "anthropic",
        "claude-sonnet-4-5",
        Tokens(1, 100_000, 50_000, 60_000, 10),
        "2026-01-01",
        "1.155231",
        id="cache-counts-for-the-tier",
    ),
    pytest.param(
        "google", "gemini-2.5-pro", Tokens(200_000, output=1000), "2026-05-01", "0.26", id="gemini-low"
    ),
    pytest.param(
        "google", "gemini-2.5-pro", Tokens(250_000, output=1000), "2026-05-01", "0.64", id="gemini-high"
    ),
    pytest.param("openai", "o3", Tokens(10**6, output=10**6), "2025-06-09", "50", id="before-the-cut"),
    pytest.param("openai", "o3", Tokens(10**6, output=10**6), "2025-06-10", "10", id="after-the-cut"),
    pytest.param(
        "deepseek", "deepseek-chat", Tokens(10**6, output=10**6), "2025-05-01", "0.685", id="off-peak"
    ),
    pytest.param(
        "deepseek", "deepseek-chat", Tokens(10**6, output=10**6), "2025-05-01 12:00", "1.37", id="peak"
    ),
]


@pytest.mark.parametrize(("kind", "model", "tokens", "day", "dollars"), BY_HAND)
def test_a_request_costs_what_was_worked_out_by_hand(kind, model, tokens, day, dollars):
    for base_url in (None, "", VENDORS[kind]):
        found = price_of(model, tokens, kind=kind, base_url=base_url, at=at(day))
        assert cost(found, tokens) == int(Decimal(dollars) * DOLLAR)


@pytest.mark.parametrize(
    "tokens",
    [Tokens(1017, 203, 0, 0, 59), Tokens(10, 301_003, 1999, 0, 7001), Tokens(7, 11, 13, 170_017, 19)],
)
def test_every_listed_model_costs_what_the_list_itself_works_out(tokens):
    from genai_prices import Usage, calc_price
    from genai_prices.data_snapshot import get_snapshot

    written = tokens.write_5m + tokens.write_1h
    used = Usage(
        input_tokens=tokens.input,
        cache_read_tokens=tokens.read,
        cache_write_tokens=written,
        cache_write_1h_tokens=tokens.write_1h,
        output_tokens=tokens.output,
    )
    when, compared = datetime.fromtimestamp(NOW / 10**6, UTC), 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            found = price_of(model.id, tokens, kind=provider.id)
            if (ours := cost(found, tokens)) is None:
                continue
            theirs = calc_price(used, model.id, provider_id=provider.id, genai_request_timestamp=when)
            assert ours == round(theirs.total_price * DOLLAR), (provider.id, model.id)
            compared += 1
    assert compared > 1700


def test_a_model_that_is_listed_without_any_rate_is_unpriced_though_the_list_makes_it_nothing():
    from genai_prices import Usage, calc_price

    tokens = Tokens(1000, output=1000)
    used = Usage(input_tokens=1000, output_tokens=1000)
    assert calc_price(used, "mai-ds-r1:free", provider_id="azure").total_price == 0
    assert price_of("mai-ds-r1:free", tokens, kind="azure") is None


def test_the_price_keeps_the_rates_that_were_really_applied():
    tokens = Tokens(250_000, output=1)
    low = price_of("claude-sonnet-4-5", Tokens(100), kind="anthropic")
    high = price_of("claude-sonnet-4-5", tokens, kind="anthropic")
    assert [str(low.rates.of(kind)) for kind in ("uncached", "read", "write_5m", "write_1h", "output")] == [
        "3",
        "0.3",
        "3.75",
        "6",
        "15",
    ]
    assert (high.rates.uncached, high.rates.output) == (6, Decimal("22.5"))
    assert (high.provider, high.model) == ("mine", "claude-sonnet-4-5")
    assert high.source.startswith("genai-prices 0.2")
    assert high.state == "priced"


def test_cached_input_is_billed_like_other_input_where_the_vendor_has_no_cache_price():
    found = price_of("gpt-4", Tokens(1))
    assert found.rates.read == found.rates.write_5m == found.rates.write_1h == found.rates.uncached == 30


def test_a_write_for_an_hour_has_no_price_where_only_short_writes_are_listed():
    tokens = Tokens(10, write_1h=1)
    found = price_of("anthropic/claude-sonnet-4.5", tokens, kind="openrouter")
    assert found.rates.write_5m == Decimal("3.75") and found.rates.write_1h is None
    assert cost(found, tokens) is None
    assert cost(found, Tokens(10, write_5m=1)) == 33_750


def test_a_fee_for_the_request_itself_is_part_of_its_cost():
    tokens = Tokens(1000, output=1000)
    assert cost(price_of("sonar", tokens, kind="perplexity"), tokens) == (12 + 1 + 1) * DOLLAR // 1000


@pytest.mark.parametrize(
    ("kind", "base_url", "model"),
    [
        ("openai", None, "no-such-model"),
        ("openai", "http://127.0.0.1:11434/v1", "gpt-5-mini"),
        ("openai", "http://localhost:8080/v1", "gpt-5-mini"),
        ("openai", "http://[::1]:8080/v1", "gpt-5-mini"),
        ("openai", "https://proxy.example.com/v1", "gpt-5-mini"),
        ("anthropic", "http://10.0.0.7:4000", "claude-sonnet-4-5"),
        ("openai-compatible", None, "gpt-5-mini"),
        ("no-such-vendor", None, "gpt-5-mini"),
        ("groq", None, "whisper-large-v3"),  # billed by the hour
        ("openai", None, ""),
    ],
)
def test_what_is_not_in_the_list_is_unpriced_and_not_free(kind, base_url, model):
    found = price_of(model, Tokens(10), kind=kind, base_url=base_url)
    assert found is None
    assert cost(found, Tokens(10)) is None
    assert cost(found, Tokens()) is None


def test_a_model_declared_free_costs_nothing_and_says_so():
    tokens = Tokens(1, 2, 3, 4, 5)
    for key in ("local/qwen3", "local/*"):
        found = price_of(
            "qwen3", tokens, name="local", base_url="http://127.0.0.1:1/v1", overrides={key: "free"}
        )
        assert (found.source, found.state, cost(found, tokens)) == ("free", "free", 0)


def test_a_price_of_ones_own_wins_over_the_list():
    own = Rates(uncached=Decimal("0.0000005"), output=Decimal(1))
    found = price_of("gpt-5-mini", Tokens(1), name="main", overrides={"main/gpt-5-mini": own})
    assert (found.source, found.state, found.rates) == ("config", "priced", own)
    listed = price_of("gpt-5-mini", Tokens(1), name="other", overrides={"main/gpt-5-mini": own})
    assert listed.rates.uncached == Decimal("0.25")


def test_a_model_s_own_price_wins_over_its_provider_s():
    dear = Rates(uncached=Decimal(9))
    overrides = {"local/*": "free", "local/org/dear": dear}
    assert price_of("org/dear", Tokens(1), name="local", overrides=overrides).rates == dear
    assert price_of("org/cheap", Tokens(1), name="local", overrides=overrides).source == "free"


def test_a_discount_multiplies_the_list_price_and_the_stored_price_says_it():
    tokens = Tokens(1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000)
    whole = price_of("claude-sonnet-4-5", tokens, kind="anthropic")
    part = price_of("claude-sonnet-4-5", tokens, kind="anthropic", discount=Decimal("0.8"))
    assert cost(part, tokens) * 10 == cost(whole, tokens) * 8
    assert part.to_json()["discount"] == "0.8" and "discount" not in whole.to_json()
    assert Price.from_json(part.to_json()) == part
    assert Price.from_json(whole.to_json()).discount == 1
    hourly = heard_at("whisper-1", discount=Decimal("0.5"))
    assert hourly.rates.request * 2 == heard_at("whisper-1").rates.request > 0


def test_a_discount_leaves_a_price_of_ones_own_alone():
    own = Rates(uncached=Decimal(3))
    found = price_of("m", Tokens(1), overrides={"mine/m": own}, discount=Decimal("0.5"))
    assert (found.rates, found.discount) == (own, 1)


def test_the_worst_case_obeys_the_discount():
    whole, part = (bound("claude-sonnet-4-5", 1000, 100, discount=Decimal(each)) for each in ("1", "0.25"))
    assert part * 4 == whole
    assert bound("m", 1, 0, overrides={"mine/m": Rates(uncached=Decimal(1))}, discount=Decimal("0.1")) == 2000


@pytest.mark.parametrize("model", ["qwen3:8b", "llama-3.1-8b", "my-own", "org/some-model"])
def test_what_runs_on_this_machine_is_free(model):
    found = price_of(model, Tokens(1), name="box", base_url="http://[::1]:1/v1", overrides={"box/*": "local"})
    assert (found.source, found.state) == ("free", "free")
    assert bound(model, 1, 1, name="box", overrides={"box/*": "local"}) == 0


@pytest.mark.parametrize(
    "model",
    ["gpt-5-mini", "openai/gpt-5-mini", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", "gemini-2.5-pro"],
)
def test_what_a_vendor_sells_is_not_free_behind_an_address_of_this_machine(model):
    """It may be a proxy: a real bill must never be shown as nothing."""
    asked = {"name": "box", "base_url": "http://127.0.0.1:4000/v1", "overrides": {"box/*": "local"}}
    assert price_of(model, Tokens(1), **asked) is None


def test_a_kind_of_token_without_a_rate_makes_the_request_unpriced():
    plain = price(uncached="1", output="2")
    assert cost(plain, Tokens(uncached=3, output=4)) == 11_000
    for used in (Tokens(3, read=1), Tokens(3, write_5m=1), Tokens(3, write_1h=1)):
        assert cost(plain, used) is None
    assert cost(price(uncached="1"), Tokens(output=1)) is None


@pytest.mark.parametrize(
    ("rate", "nano"),
    [("0.0005", 0), ("0.0015", 2), ("0.0025", 2), ("0.00250001", 3), ("0.0035", 4), ("0.00049999", 0)],
)
def test_a_row_is_rounded_once_and_half_goes_to_even(rate, nano):
    assert cost(price(uncached=rate), Tokens(1)) == nano
    halves = price(uncached="0.0005", output="0.0005")
    assert cost(halves, Tokens(uncached=1, output=1)) == 1, "kinds are not rounded one by one"


def test_a_negative_count_is_an_error():
    for own in (None, price(uncached="1", output="1")):
        with pytest.raises(ValueError, match="never negative"):
            cost(own, Tokens(output=-1))


@pytest.mark.parametrize("rate", ["-1", "NaN", "Infinity", "1000001", "1E-25"])
def test_a_rate_that_cannot_be_meant_is_refused(rate):
    with pytest.raises(ValueError, match="output"):
        Rates(uncached=Decimal(1), output=Decimal(rate))


def test_a_price_comes_back_from_its_json():
    for own in (
        price(uncached="0.1", output="1E+1", read="0.000000000001"),
        price_of("claude-sonnet-4-5", Tokens(1), kind="anthropic"),
        price_of("x", Tokens(1), name="l", overrides={"l/*": "free"}),
    ):
        assert Price.from_json(json.loads(json.dumps(own.to_json()))) == own


def test_equal_prices_have_one_hash_and_different_ones_do_not():
    first, same = price(uncached="3.0", output="10"), price(uncached="3", output="1E+1")
    assert first.hash == same.hash and first.to_json() == same.to_json()
    others = [
        price(uncached="3.1", output="10"),
        price(uncached="3"),
        price(uncached="3", output="10", read="0"),
        price(uncached="3", output="10", request="0.1"),
        replace(first, source="free"),
        replace(first, provider="theirs"),
        replace(first, model="n"),
    ]
    assert len({first.hash, *(other.hash for other in others)}) == len(others) + 1


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"rates": {}}, {"rates": None}, {"rates": {"uncached": "x"}}, {"v": None}]
)
def test_a_json_that_is_no_price_is_an_error(change):
    with pytest.raises(ValueError, match="price"):
        Price.from_json(price(uncached="1").to_json() | change)
    with pytest.raises(ValueError, match="price"):
        Price.from_json({})


COUNTS = st.integers(0, 10**9)
TOKENS = st.builds(Tokens, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
RATE = st.decimals(0, 1000, places=9)
PRICES = st.builds(
    lambda a, b, c, d, e: Price(
        provider="p",
        model="m",
        source="config",
        rates=Rates(uncached=a, read=b, write_5m=c, write_1h=d, output=e),
    ),
    *[RATE] * 5,
)


@given(PRICES, TOKENS, TOKENS)
def test_more_tokens_never_cost_less(own, some, more):
    assert 0 <= cost(own, some) <= cost(own, some + more)


@given(PRICES, st.lists(TOKENS, min_size=1, max_size=6))
def test_rows_add_up_to_the_cost_of_their_sum_within_a_nano_dollar_each(own, rows):
    together = cost(own, sum(rows, Tokens()))
    assert abs(sum(cost(own, row) for row in rows) - together) <= len(rows)


@given(PRICES)
def test_any_price_comes_back_from_its_json(own):
    assert Price.from_json(own.to_json()) == own


@pytest.fixture
def falling_rates():
    """A list of one model, dearer below 100 tokens than above."""
    from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
    from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider, Tier, TieredPrices

    rates = TieredPrices(base=Decimal(8), tiers=[Tier(start=100, price=Decimal(5))])
    listed = ModelPrice(input_mtok=rates, cache_write_mtok=Decimal(1))
    model = ModelInfo(id="bulk", match=ClauseEquals(equals="bulk"), prices=listed)
    provider = Provider(id="bulk", name="Bulk", api_pattern="https://bulk", models=[model])
    set_custom_snapshot(DataSnapshot(providers=[provider], from_auto_update=False))
    yield
    set_custom_snapshot(None)


def bound(
    model, input_tokens, output_tokens, *, kind="anthropic", name="mine", overrides=None, at=NOW, **more
):
    return worst_case(
        provider_kind=kind,
        provider_name=name,
        base_url=None,
        model=model,
        at=at,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        overrides=overrides or {},
        **more,
    )


def test_the_worst_case_takes_the_dearest_kind_of_input_and_all_the_output():
    assert bound("claude-sonnet-4-5", 1000, 100) == 1000 * 6000 + 100 * 15_000
    assert bound("claude-sonnet-4-5", 200_001, 100) == 200_001 * 12_000 + 100 * 22_500


def test_the_worst_case_counts_every_tier_on_the_way_also_where_more_is_cheaper(falling_rates):
    assert bound("bulk", 500, 0, kind="bulk") == 500 * 2 * 8000
    assert cost(price_of("bulk", Tokens(500), kind="bulk"), Tokens(500)) == 500 * 5000
    assert cost(price_of("bulk", Tokens(50), kind="bulk"), Tokens(50)) == 50 * 8000


def test_the_worst_case_is_right_where_reading_a_cache_is_dearest():
    odd = Rates(uncached=Decimal(1), read=Decimal(7), write_5m=Decimal(2), write_1h=Decimal(3))
    assert bound("m", 10, 0, overrides={"mine/m": odd}) == 70_000


def test_the_worst_case_of_an_unknown_price_is_unknown():
    assert bound("no-such-model", 1, 1) is None
    assert bound("m", 1, 1, overrides={"mine/m": Rates(uncached=Decimal(1))}) is None
    assert bound("m", 1, 0, overrides={"mine/m": Rates(uncached=Decimal(1))}) == 2000
    assert bound("m", 10**9, 10**9, overrides={"mine/*": "free"}) == 0


def test_the_worst_case_is_rounded_up():
    own = Rates(uncached=Decimal("0.0001"), write_5m=Decimal(0), write_1h=Decimal(0))
    assert bound("m", 1, 0, overrides={"mine/m": own}) == 1


@given(
    st.sampled_from(
        [
            ("anthropic", "claude-sonnet-4-5"),
            ("openai", "gpt-5-mini"),
            ("google", "gemini-2.5-pro"),
            ("openrouter", "anthropic/claude-sonnet-4.5"),
            ("perplexity", "sonar"),
        ]
    ),
    st.builds(Tokens, *[st.integers(0, 120_000)] * 3, st.just(0), st.integers(0, 9999)),
)
def test_no_request_costs_more_than_its_worst_case(model, tokens):
    kind, name = model
    spent = cost(price_of(name, tokens, kind=kind), tokens)
    assert spent <= bound(name, tokens.input, tokens.output, kind=kind)


def test_a_context_window_is_known_where_it_is_listed():
    assert context_window("gpt-5-mini", provider_kind="openai") == 400_000
    assert context_window("gpt-5-mini") == 400_000
    assert context_window("gpt-5-mini", provider_kind="openai", base_url=VENDORS["openai"]) == 400_000
    assert context_window("gpt-5-mini", provider_kind="openai", base_url="http://127.0.0.1/v1") is None
    assert context_window("no-such-model") is None
    assert context_window("gemini-2.5-pro", provider_kind="google") is None


def test_totals_keep_what_is_unpriced_and_estimated_apart():
    rows = [
        Total.of(Tokens(1, 2, 3, 4, 5), 100, turns=1),
        Total.of(Tokens(10), None),
        Total.of(Tokens(output=100), 7, estimated=True),
        Total.of(Tokens(), None, estimated=True, turns=1),
    ]
    assert sum(rows, Total()) == Total(
        requests=4,
        turns=2,
        tokens=Tokens(11, 2, 3, 4, 105),
        cost=107,
        unpriced=2,
        estimated=2,
        estimated_cost=7,
    )
    assert all(type(value) is int for value in astuple(rows[1]) if not isinstance(value, tuple))


ALONE = """
import sys
def hook(event, args):
    if event.startswith("socket.") and event != "socket.gethostname":
        raise SystemExit(f"network: {event} {args}")
sys.addaudithook(hook)
import gateway.usage as usage
from gateway.price import cost
heavy = {"genai_prices", "pydantic", "httpx", "httpx2", "asyncio", "ssl"} & sys.modules.keys()
assert not heavy, heavy
import decimal
own = dict(provider_kind="openai", provider_name="x", base_url=None, at=0)
tokens = usage.Tokens(1)
assert usage.find_price(**own, model="qwen", tokens=tokens, overrides={"x/*": "free"}).source == "free"
assert "genai_prices" not in sys.modules
assert cost(usage.find_price(**own, model="gpt-5-mini", tokens=tokens, overrides={}), tokens) == 250
assert usage.worst_case(**own, model="gpt-5-mini", input_tokens=1, output_tokens=0, overrides={}) >= 250
assert usage.find_price(**own, model="nothing", tokens=tokens, overrides={}) is None
assert usage.context_window("gpt-5-mini") == 400_000
import threading
assert threading.active_count() == 1, "something works in the background"
"""


def test_prices_need_no_network_and_are_loaded_only_when_asked_for():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
