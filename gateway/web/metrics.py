"""GET /metrics, as Prometheus scrapes it: numbers, and no person's words, names or numbers in the labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fastapi import Response
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway import __version__
from gateway.app import App
from gateway.gauges import BOUNDS, Durations
from gateway.manager.measuring import Measured, Waiting
from gateway.reports import Share, dollars
from gateway.types.measures import SECOND
from gateway.web.routes import Routes

FORM = "Prometheus' text format, version 1.0.0"
STATES = ("starting", "ok", "conflict", "down", "disk", "auth")  # of a channel


class Page:
    """What `generate_latest` asks a registry for."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def routes(app: App) -> Routes:
    routes = Routes(family="gateway")

    @routes.get("/metrics", media={"text/plain": FORM})
    async def metrics() -> Response:
        """Turns, requests, tokens, money, what waits, and how the channels are; for Prometheus."""
        found = await app.manager.measured()
        page = Page([*_now(app), *_waiting(found), *_counted(found), *_spent(found)])
        return Response(generate_latest(page), media_type=CONTENT_TYPE_LATEST)

    return routes


def _now(app: App) -> Iterator[Metric]:
    info = InfoMetricFamily("parley", "The version that runs.")
    info.add_metric([], {"version": __version__})
    yield info
    yield _gauge("parley_start_time_seconds", "When it was started, in Unix time.", app.started / SECOND)
    ready = app.ready is None and app.manager.halted is None
    yield _gauge("parley_ready", "1 when nothing is wrong, as /readyz says.", ready)
    yield _gauge("parley_halted", "1 while the emergency stop holds.", app.manager.halted is not None)
    outage = app.core.dispatcher.outage_since is not None
    yield _gauge("parley_provider_outage", "1 while the model provider refuses us.", outage)
    channels = GaugeMetricFamily(
        "parley_channel_state", "1 for the state that a channel is in.", labels=("channel", "state")
    )
    for each in app.platforms.channels:
        for state in STATES:
            channels.add_metric([each.name, state], each.state == state)
    yield channels


def _waiting(found: Measured) -> Iterator[Metric]:
    yield _gauge("parley_turns_running", "Turns that are running.", found.turns_running)
    yield from _depth("parley_inbox", "Messages that came in", ("waiting", "taken", "held"), found.inbox)
    states = ("ready", "placing", "placed", "sending", "unknown", "dead")
    yield from _depth("parley_outbox", "Messages on their way out", states, found.outbox)


def _depth(name: str, what: str, states: Iterable[str], found: Iterable[Waiting]) -> Iterator[Metric]:
    by_state = {each.state: each for each in found}
    counts = GaugeMetricFamily(f"{name}_messages", f"{what}, by state.", labels=("state",))
    ages = GaugeMetricFamily(
        f"{name}_oldest_seconds", f"{what}: for how long the oldest has been in a state.", labels=("state",)
    )
    for state in states:
        each = by_state.get(state, Waiting(state=state, count=0, age=0))
        counts.add_metric([state], each.count)
        ages.add_metric([state], each.age / SECOND)
    yield counts
    yield ages


def _counted(found: Measured) -> Iterator[Metric]:
    """Since the start."""
    turns = CounterMetricFamily("parley_turns", "Turns that ended since the start.", labels=("state",))
    for state in sorted({"done", "failed", "cancelled", *found.turns}):
        turns.add_metric([state], found.turns.get(state, 0))
    yield turns
    ended = CounterMetricFamily(
        "parley_model_requests", "Requests to models since the start, by their end.", labels=("model", "end")
    )
    for (model, end), count in sorted(found.requests.ended.items()):
        ended.add_metric([model, end], count)
    yield ended
    yield _histogram(
        "parley_model_first_token_seconds", "How long a model's first word took.", found.requests.first
    )
    yield _histogram(
        "parley_model_request_seconds", "How long a request to a model took.", found.requests.whole
    )
    yield CounterMetricFamily(
        "parley_store_commits", "Units of work that were stored since the start.", found.commits
    )
    yield CounterMetricFamily(
        "parley_store_failures",
        "Units of work that could not be stored since the start.",
        found.commits_failed,
    )


def _spent(found: Measured) -> Iterator[Metric]:
    """Since ever, from the ledger."""
    requests = CounterMetricFamily("parley_requests", "Requests on the ledger.", labels=("model",))
    unpriced = CounterMetricFamily(
        "parley_requests_unpriced", "Requests on the ledger whose price is not known.", labels=("model",)
    )
    cost = CounterMetricFamily("parley_cost_dollars", "What was spent, by the ledger.", labels=("model",))
    tokens = CounterMetricFamily("parley_tokens", "Tokens on the ledger.", labels=("model", "kind"))
    for each in found.bill.by_model:
        requests.add_metric([each.name], each.usage.requests)
        unpriced.add_metric([each.name], each.usage.unpriced)
        cost.add_metric([each.name], float(dollars(each.usage.cost)))
        for kind, count in _kinds(each):
            tokens.add_metric([each.name, kind], count)
    yield from (requests, unpriced, cost, tokens)


def _kinds(share: Share) -> Iterator[tuple[str, int]]:
    spent = share.usage.tokens
    yield "input", spent.uncached
    yield "cache_read", spent.read
    yield "cache_write_5m", spent.write_5m
    yield "cache_write_1h", spent.write_1h
    yield "output", spent.output


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value)


def _histogram(name: str, what: str, found: Mapping[str, Durations]) -> HistogramMetricFamily:
    made = HistogramMetricFamily(name, what, labels=("model",))
    bounds = [*(str(each) for each in BOUNDS), "+Inf"]
    for model, durations in sorted(found.items()):
        below, buckets = 0, []
        for bound, count in zip(bounds, durations.counts, strict=True):
            below += count
            buckets.append((bound, float(below)))
        made.add_metric([model], buckets, durations.total)
    return made
