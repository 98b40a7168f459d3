"""What Prometheus is told: by its own parser, beside what the gateway says elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from gateway.errors import ModelError
from gateway.gauges import BOUNDS, Durations, Gauges
from tests.fakes.model import Script
from tests.test_web import Web, listening, settings

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    telegram = {"token": "1:a", "api_url": "http://127.0.0.1:1"}
    async with listening(settings(tmp_path, channels={"telegram": telegram})) as found:
        yield found


async def scraped(web: Web) -> tuple[Samples, str]:
    answer = await web.local.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(answer.text)
        for sample in family.samples
    }
    return found, answer.text


async def test_what_is_scraped_is_what_happened(web: Web) -> None:
    model = web.scripted()
    await web.say("my secret question", key="ada's desk")
    model.queue.append(Script(error=ModelError("no", kind="refused")))
    await web.say("another", key="ada's desk")
    (bill,) = (await web.local.get("/v1/costs", params={"by": "model"})).json()["by_model"]
    found, text = await scraped(web)
    assert found["parley_turns_total", (("state", "done"),)] == 1
    assert found["parley_turns_total", (("state", "failed"),)] == 1
    assert found["parley_model_requests_total", (("end", "ok"), ("model", model.ref))] == 1
    assert found["parley_model_requests_total", (("end", "refused"), ("model", model.ref))] == 1
    assert found["parley_model_request_seconds_count", (("model", model.ref),)] == 2
    assert found["parley_model_first_token_seconds_count", (("model", model.ref),)] == 1
    assert found["parley_requests_total", (("model", bill["name"]),)] == bill["usage"]["requests"] == 2
    tokens = ("parley_tokens_total", (("kind", "output"), ("model", bill["name"])))
    assert found[tokens] == bill["usage"]["tokens"]["output"] > 0
    assert found["parley_inbox_messages", (("state", "waiting"),)] == 0
    assert found["parley_store_commits_total", ()] > 2 and found["parley_store_failures_total", ()] == 0
    assert found["parley_channel_state", (("channel", "telegram"), ("state", "down"))] == 1
    assert found["parley_channel_state", (("channel", "telegram"), ("state", "ok"))] == 0
    assert (found["parley_ready", ()], found["parley_halted", ()]) == (0, 0)
    # Numbers only: nobody's words, names or keys.
    assert "secret" not in text and "ada" not in text and "local" not in text


async def test_what_waits_and_for_how_long(web: Web) -> None:
    await web.local.post("/v1/halt")
    await web.say("hello")
    ages = []
    for _ in range(2):
        found, _text = await scraped(web)
        assert found["parley_halted", ()] == 1
        waiting = found["parley_inbox_messages", (("state", "waiting"),)]
        taken = found["parley_inbox_messages", (("state", "taken"),)]
        assert waiting + taken == 1
        ages.append(max(value for (name, _), value in found.items() if name == "parley_inbox_oldest_seconds"))
    assert 0 < ages[0] < ages[1]
    before = found["parley_store_commits_total", ()]
    await web.say("and again")
    assert (await scraped(web))[0]["parley_store_commits_total", ()] > before


def test_durations_fall_into_the_first_bound_that_holds_them() -> None:
    durations = Durations()
    for seconds in (0.0, BOUNDS[0], BOUNDS[0] + 0.01, BOUNDS[-1], BOUNDS[-1] + 1):
        durations.add(seconds)
    assert durations.counts == [2, 1, *[0] * (len(BOUNDS) - 3), 1, 1]
    assert durations.total == pytest.approx(2 * BOUNDS[0] + 0.01 + 2 * BOUNDS[-1] + 1)


def test_a_request_that_never_began_to_answer_has_no_first_word() -> None:
    gauges = Gauges()
    gauges.asked("a:b", first=None, whole=1.0, ended="timeout")
    assert gauges.first == {} and gauges.ended == {("a:b", "timeout"): 1}
