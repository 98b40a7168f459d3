"""Hard budgets: what is judged, reserved and counted, and that no cap is ever overshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path as FilePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access import Policy
from gateway.billing import Booking
from gateway.budgets import LEAST_OUTPUT, Allowed, Budget, OverBudget, Period, Rules, Scope, judge, span
from gateway.commands.table import Table
from gateway.config_budgets import BudgetSettings
from gateway.configured import rules as configured
from gateway.errors import ModelError, Refused
from gateway.failpoints import Point
from gateway.manager import SessionManager
from gateway.progress import Options
from gateway.protocols.messages import UserMessage
from gateway.protocols.prompt import Prompt
from gateway.roster import Roster
from gateway.settings import Settings
from gateway.texts import say
from gateway.texts.forms import money
from gateway.types.inbound import Kind
from gateway.types.measures import DOLLAR
from gateway.types.people import Role
from gateway.types.places import Place
from storage import Store, open_store
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, Path, path
from tests.test_transcription import catalogue

CENT = DOLLAR // 100
OUTPUT = 15_000  # nano-dollars a token, as tests.path has it
CHAT = Booking(purpose="chat", channel="telegram")
PROMPT = Prompt(stable="", messages=(UserMessage(("hello",)),), max_output_tokens=1000, cache="off")


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**6


def budget(cap: int, *, spent: int = 0, reserved: int = 0, scope: Scope = "person") -> Budget:
    return Budget(scope=scope, id="telegram:101", period="day", cap=cap, spent=spent, reserved=reserved)


def rules(**caps: int) -> Rules:
    """As person_day=5."""
    named: dict[tuple[Scope, Period], int] = {}
    for name, cap in caps.items():
        scope, _, period = name.partition("_")
        named[scope, period or "total"] = cap  # type: ignore[index]
    return Rules(caps=named)


# ---- what fits ----


def test_exactly_what_is_left_is_allowed_and_a_nano_dollar_more_is_not() -> None:
    cap = budget(1000, spent=300, reserved=200)
    assert judge([cap], lambda _: 500, 100) == Allowed(output=100, reserved=500)
    assert judge([cap], lambda _: 501, 100) is cap


def test_the_tightest_of_several_decides() -> None:
    wide, tight = budget(10_000), budget(5_000, spent=4_500, scope="gateway")
    assert judge([wide, tight], lambda _: 501, 100) is tight
    assert judge([], lambda _: 10**15, 100) == Allowed(output=100, reserved=10**15)


@given(
    cap=st.integers(0, 10**7),
    given=st.integers(0, 10**6),
    rate=st.integers(0, 20_000),
    output=st.integers(1, 9_000),
)
def test_the_answer_is_cut_to_exactly_what_fits_but_never_below_the_least(
    cap: int, given: int, rate: int, output: int
) -> None:
    def cost(tokens: int) -> int:
        return given + rate * tokens

    held = budget(cap)
    found = judge([held], cost, output)
    if isinstance(found, Budget):
        assert cost(min(output, LEAST_OUTPUT)) > cap
        return
    assert found.reserved == cost(found.output) <= cap
    assert min(output, LEAST_OUTPUT) <= found.output <= output
    assert found.output == output or cost(found.output + 1) > cap


# ---- periods ----


@pytest.mark.parametrize(
    ("now", "period", "since", "until"),
    [
        # Berlin: 29 March 2026 has 23 hours, 25 October 25.
        ("2026-03-28 22:59:59", "day", "2026-03-27 23:00", "2026-03-28 23:00"),
        ("2026-03-28 23:00:00", "day", "2026-03-28 23:00", "2026-03-29 22:00"),
        ("2026-03-29 21:59:59", "day", "2026-03-28 23:00", "2026-03-29 22:00"),
        ("2026-03-29 22:00:00", "day", "2026-03-29 22:00", "2026-03-30 22:00"),
        ("2026-10-25 22:59:59", "day", "2026-10-24 22:00", "2026-10-25 23:00"),
        ("2026-03-15 12:00:00", "month", "2026-02-28 23:00", "2026-03-31 22:00"),
        ("2026-10-31 22:59:59", "month", "2026-09-30 22:00", "2026-10-31 23:00"),
        ("2026-12-31 23:00:00", "month", "2026-12-31 23:00", "2027-01-31 23:00"),
        ("2026-12-31 22:59:59", "month", "2026-11-30 23:00", "2026-12-31 23:00"),
    ],
)
def test_days_and_months_begin_at_the_zones_own_midnights(
    now: str, period: Period, since: str, until: str
) -> None:
    assert span(period, at(now), "Europe/Berlin") == (at(since), at(until))


def test_a_total_never_begins_anew() -> None:
    assert span("total", at("2026-05-01 12:00"), "UTC") == (0, None)


# ---- in the commit of the ledger's row ----


async def opened(gw: Path, booking: Booking = CHAT, prompt: Prompt = PROMPT) -> int:
    """What such a request reserves; it is left open."""
    await gw.core.biller.open(gw.model, prompt, booking)
    return int(str(await gw.value("SELECT reserved FROM usage ORDER BY id DESC LIMIT 1")))


async def spend(gw: Path, booking: Booking = CHAT, prompt: Prompt = PROMPT) -> int:
    """Ask, and give what the ledger says it came to."""
    request = await gw.core.biller.open(gw.model, prompt, booking)
    async for _ in gw.core.biller.stream(request, prompt):
        pass
    await gw.core.biller.settle(request)
    return int(str(await gw.value("SELECT cost FROM usage ORDER BY id DESC LIMIT 1")))


async def charge(gw: Path, cost: int) -> None:
    """Make what was asked so far that dear."""
    await gw.store.commit(Point.META, lambda unit: unit.tx.run("UPDATE usage SET cost = :cost", cost=cost))


def hold(gw: Path, found: Rules) -> None:
    """As a reload does."""
    gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, budgets=found)


async def test_open_rows_count_with_what_they_may_cost_and_settled_ones_with_what_they_did(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as gw:
        worst = await opened(gw)
        hold(gw, rules(gateway_day=2 * worst - 1))
        short = replace(PROMPT, max_output_tokens=200)  # too short to be cut
        with pytest.raises(OverBudget) as over:
            await gw.core.biller.open(gw.model, replace(PROMPT, stable="x" * 9_000), CHAT)
        found = over.value.budget
        assert found is not None
        assert (found.cap, found.spent, found.reserved, found.left) == (2 * worst - 1, 0, worst, worst - 1)
        assert await gw.value("SELECT count(*) FROM usage") == 1  # nothing was written for what was refused
        request = await gw.core.biller.open(gw.model, short, CHAT)
        async for _ in gw.core.biller.stream(request, short):
            pass
        await gw.core.biller.settle(request)
        spent = int(str(await gw.value("SELECT cost FROM usage WHERE state = 'known'")))
        hold(gw, rules(gateway_day=1))
        with pytest.raises(OverBudget) as over:
            await opened(gw)
        assert over.value.budget is not None
        assert (over.value.budget.spent, over.value.budget.reserved) == (spent, worst)


async def test_exactly_the_cap_is_allowed_and_one_less_gets_a_shorter_answer(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as gw:
        worst = await opened(gw)
        hold(gw, rules(request=worst))
        assert await opened(gw) == worst
        hold(gw, rules(request=worst - 1))
        assert await opened(gw) == worst - OUTPUT
        await spend(gw)
        assert gw.model.asked[-1].max_output_tokens == PROMPT.max_output_tokens - 1
        least = worst - (PROMPT.max_output_tokens - LEAST_OUTPUT) * OUTPUT
        hold(gw, rules(request=least))
        await spend(gw, prompt=replace(PROMPT, think="low"))
        assert gw.model.asked[-1].max_output_tokens == LEAST_OUTPUT
        assert gw.model.asked[-1].think == "off"
        hold(gw, rules(request=least - 1))
        with pytest.raises(OverBudget, match="request"):
            await opened(gw)


async def test_two_hundred_turns_at_once_against_a_cap_for_fifty(store: Store, clock: Clock) -> None:
    """Everybody asks before anybody is answered; then everything is used that had been reserved."""
    gate, people = asyncio.Event(), [str(1000 + number) for number in range(200)]
    options = Options(retries=0, max_output_tokens=LEAST_OUTPUT, turn_timeout=60)
    async with path(store, clock=clock, options=options, allow=frozenset({ANN, *people}), policy=None) as gw:
        await gw.says("probe")
        await gw.channel.until(ANN, "probe")
        worst = int(str(await gw.value("SELECT reserved FROM usage")))
        spent = int(str(await gw.value("SELECT cost FROM usage")))
        # "probe" and "hello" are of the same length, so each of those may cost the same.
        gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, most_turns=200)
        cap = spent + 50 * worst
        hold(gw, rules(gateway_day=cap))
        gw.model.queue = [Script(text="yes", gate=gate) for _ in people]
        await asyncio.gather(*(gw.says("hello", user=each) for each in people))
        async with asyncio.timeout(30):
            while await gw.value("SELECT count(*) FROM turn WHERE state = 'failed'") != 150:
                await asyncio.sleep(0.02)
        assert await gw.value("SELECT count(*) FROM usage WHERE state = 'open'") == 50
        assert await gw.value("SELECT sum(reserved) FROM usage WHERE state = 'open'") == 50 * worst
        gate.set()
        async with asyncio.timeout(30):
            while await gw.value("SELECT count(*) FROM turn WHERE state NOT IN ('done', 'failed')"):
                await asyncio.sleep(0.02)
        assert len(gw.model.asked) == 51
        assert await gw.value("SELECT count(*) FROM usage WHERE state = 'open'") == 0
        assert int(str(await gw.value("SELECT sum(cost) FROM usage"))) <= cap


async def test_stops_failures_and_a_crash_among_many_never_overshoot(
    store: Store, clock: Clock, tmp_path: FilePath
) -> None:
    people = [str(1000 + number) for number in range(40)]
    options = Options(retries=0, max_output_tokens=LEAST_OUTPUT)
    late = ModelError("cut", kind="cut")
    async with path(store, clock=clock, options=options, allow=frozenset({ANN, *people})) as gw:
        await gw.says("probe")
        await gw.channel.until(ANN, "probe")
        worst = int(str(await gw.value("SELECT reserved FROM usage")))
        cap = 20 * worst
        hold(gw, rules(gateway_day=cap))
        kinds = [
            Script(text="never", gate=asyncio.Event()),  # stopped, or running when the process ends
            Script(text="one two three", error=late, error_after=2),
            Script(error=ModelError("busy", kind="overloaded", status=529)),
            Script(text="fine"),
        ]
        gw.model.queue = [kinds[number % 4] for number in range(100)]
        await asyncio.gather(*(gw.says("hello", user=each) for each in people))
        async with asyncio.timeout(10):
            while (
                await gw.value("SELECT count(*) FROM turn WHERE state NOT IN ('running', 'parked')")
                < len(people) / 2
            ):  # type: ignore[operator]
                await asyncio.sleep(0.01)
        running = await gw.rows("SELECT conversation FROM turn WHERE state = 'running' ORDER BY id")
        assert len(running) > 2
        await asyncio.gather(*(gw.core.dispatcher.cancel(int(str(row[0]))) for row in running[::2]))
        refused = 0
        for _ in range(40):
            try:
                await gw.core.biller.open(gw.model, replace(PROMPT, max_output_tokens=LEAST_OUTPUT), CHAT)
            except OverBudget:
                refused += 1
        assert refused
        used = await gw.value("SELECT sum(CASE state WHEN 'open' THEN reserved ELSE cost END) FROM usage")
        assert int(str(used)) <= cap
        assert await gw.value("SELECT count(*) FROM usage WHERE state = 'open'")
    await store.close()
    again = await open_store(tmp_path / "parley.db")
    try:
        async with path(again, clock=clock, budgets=rules(gateway_day=cap)) as gw:
            assert await gw.value("SELECT count(*) FROM usage WHERE state = 'open'") == 0
            assert int(str(await gw.value("SELECT sum(cost) FROM usage"))) <= cap
    finally:
        await again.close()


async def test_what_a_crash_left_counts_as_an_estimate_and_a_restart_resets_nothing(
    store: Store, clock: Clock, tmp_path: FilePath
) -> None:
    async with path(store, clock=clock) as gw:
        worst = await opened(gw)
    await store.close()
    again = await open_store(tmp_path / "parley.db")
    try:
        async with path(again, clock=clock) as gw:  # it recovers
            assert await gw.rows("SELECT state FROM usage") == [("estimated",)]
            estimate = int(str(await gw.value("SELECT cost FROM usage")))
            assert PROMPT.max_output_tokens * OUTPUT < estimate <= worst
            hold(gw, rules(gateway_day=1))
            with pytest.raises(OverBudget) as over:
                await opened(gw)
            assert over.value.budget is not None
            assert (over.value.budget.spent, over.value.budget.reserved) == (estimate, 0)
    finally:
        await again.close()


async def test_a_request_that_failed_gives_back_what_it_had_reserved(store: Store, clock: Clock) -> None:
    busy = ModelError("busy", kind="overloaded", status=529)
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(error=busy)])) as gw:
        await gw.says("one")
        await gw.channel.until(ANN, say("failed.overloaded"))
        worst = int(str(await gw.value("SELECT reserved FROM usage")))
        hold(gw, rules(person_day=worst))
        await gw.says("two")
        await gw.channel.until(ANN, "You said: two")


async def test_a_new_day_begins_at_midnight_of_the_gateways_zone(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, zone="Pacific/Auckland")
        now = clock()
        clock.ahead += (
            span("day", now, "Pacific/Auckland")[0] + 24 * 3600 * 10**6 - now
        )  # past noon of the day
        _, until = span("day", clock(), "Pacific/Auckland")
        assert until is not None
        clock.ahead += until - clock() - 60 * 10**6  # a minute before midnight
        spent = await spend(gw)
        hold(gw, rules(gateway_day=spent))
        with pytest.raises(OverBudget):
            await opened(gw)
        clock.forward(minutes=1)
        hold(gw, rules(gateway_day=20 * CENT))
        assert await opened(gw)
        hold(gw, rules(gateway_month=1))
        with pytest.raises(OverBudget):
            await opened(gw)


async def test_a_months_sum_is_right_on_every_day_of_it(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        since, _ = span("month", clock(), "UTC")
        clock.ahead += since - clock() + 12 * 3600 * 10**6  # noon of the first
        spent: dict[str, int] = {"telegram": 0, "discord": 0}
        for channel in ("telegram", "discord", "telegram", "telegram", "discord"):
            hold(gw, rules(gateway_month=DOLLAR, channel_month=DOLLAR))
            spent[channel] += await spend(gw, replace(CHAT, channel=channel))
            for cap, due in (
                (rules(gateway_month=1), sum(spent.values())),
                (rules(channel_month=1), spent[channel]),
            ):
                hold(gw, cap)
                with pytest.raises(OverBudget) as over:
                    await opened(gw, replace(CHAT, channel=channel))
                assert over.value.budget is not None and over.value.budget.spent == due
            clock.forward(minutes=9 * 60)
        clock.forward(minutes=40 * 24 * 60)
        hold(gw, rules(gateway_month=20 * CENT))
        assert await opened(gw)


async def test_a_model_without_a_price_is_refused_where_a_cap_holds(store: Store, clock: Clock) -> None:
    odd = ScriptedModel(ref="odd:one", provider="odd")
    async with path(store, clock=clock, model=odd, others=(ScriptedModel(),)) as gw:
        await gw.says("one")
        await gw.channel.until(ANN, "You said: one")
        hold(gw, rules(person_month=DOLLAR))
        await gw.says("two")
        await gw.channel.until(ANN, say("budget.unpriced", model="odd:one"))
        assert not gw.core.catalogue.get("fake:one").asked  # type: ignore[attr-defined]
        hold(gw, replace(rules(person_month=DOLLAR), unpriced="warn"))
        await gw.says("three")
        await gw.channel.until(ANN, "You said: three")


async def test_a_free_model_goes_on_when_more_than_everything_is_spent(store: Store, clock: Clock) -> None:
    free = ScriptedModel(ref="demo", provider="demo", kind="demo", model="demo")
    async with path(store, clock=clock, model=free) as gw:
        await gw.says("one")
        await gw.channel.until(ANN, "You said: one")
        await charge(gw, DOLLAR)
        hold(gw, rules(gateway_day=CENT))
        await gw.says("two")
        await gw.channel.until(ANN, "You said: two")


# ---- whose ----


async def test_a_person_has_one_budget_on_all_platforms_and_others_have_theirs(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as gw:
        await gw.says("hello")
        await gw.channel.until(ANN, "hello")
        await gw.says("hello", user=BOB)
        await gw.channel.until(BOB, "hello")

        async def linked(unit: object) -> int:
            ann = await unit.people.identity("telegram", ANN)  # type: ignore[attr-defined]
            other = await unit.people.seen("discord", "7")  # type: ignore[attr-defined]
            await unit.tx.run(  # type: ignore[attr-defined]
                "UPDATE identity SET person = :person WHERE id = :id", person=ann.person, id=other.id
            )
            assert ann.person is not None
            return int(other.id)

        other = await store.commit(Point.PEOPLE, linked)
        hold(gw, rules(person_day=1))
        with pytest.raises(OverBudget) as over:
            await opened(gw, Booking(purpose="chat", channel="discord", identity=other))
        assert over.value.budget is not None
        ann = await gw.value("SELECT cost FROM usage ORDER BY id LIMIT 1")
        assert over.value.budget.spent == ann
        assert over.value.budget.id == f"telegram:{ANN}"


async def test_a_chat_is_one_budget_for_all_its_topics(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        places = [
            await store.commit(
                Point.PEOPLE,
                lambda unit, topic=topic: unit.places.at(
                    gw.account, Place(chat_id="-5", thread_id=topic, kind="group")
                ),
            )
            for topic in ("1", "2")
        ]
        spent = await spend(gw, replace(CHAT, conversation=places[0].id))
        hold(gw, rules(chat_day=1))
        with pytest.raises(OverBudget) as over:
            await opened(gw, replace(CHAT, conversation=places[1].id))
        assert over.value.budget is not None
        assert (over.value.budget.id, over.value.budget.spent) == ("telegram:-5", spent)


async def test_jobs_and_channels_have_their_own(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        await spend(gw, replace(CHAT, trigger="report"))
        await charge(gw, 20 * CENT)
        hold(gw, rules(job_day=20 * CENT))
        with pytest.raises(OverBudget, match="job day"):
            await opened(gw, replace(CHAT, trigger="report"))
        assert await opened(gw, replace(CHAT, trigger="other"))
        hold(gw, rules(channel_month=20 * CENT))
        with pytest.raises(OverBudget, match="channel month"):
            await opened(gw)
        assert await opened(gw, replace(CHAT, channel="discord"))


async def test_compaction_and_transcription_obey(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        await gw.says("hello")
        await gw.channel.until(ANN, "hello")
        hold(gw, rules(session=1))
        code = str(await gw.value("SELECT code FROM session"))
        with pytest.raises(OverBudget, match="session total"):
            await SessionManager(gw.core).compact(code)
        models = catalogue("http://h")
        hearing = models.hearing("openai", "whisper-1")
        hearing.base_url = "https://api.openai.com/v1"  # for the price alone
        booking = Booking(purpose="transcription", channel="telegram")
        hold(gw, rules(gateway_day=1))
        with pytest.raises(OverBudget, match="gateway day"):
            await gw.core.biller.transcribe(hearing, b"x", booking, name="a", type="audio/ogg", seconds=60)
        await models.close()
        assert await gw.value("SELECT count(*) FROM usage") == 1


async def test_a_scheduled_run_is_not_made_when_its_jobs_budget_is_used_up(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as gw:
        account = await store.commit(Point.PEOPLE, lambda unit: unit.people.account("job", "job", ""))
        hold(gw, rules(job_day=1))
        place = Place(chat_id="report", kind="job")
        event = gw.message("go", kind=Kind.JOB, trigger="report", sender=None, place=place)
        await gw.core.dispatcher.accept(account, [event])
        async with asyncio.timeout(5):
            while await gw.rows("SELECT state, error_kind FROM turn") != [("failed", "budget")]:
                await asyncio.sleep(0.01)
        assert gw.model.asked == []


def test_what_is_configured_is_read_to_the_nano_dollar() -> None:
    told = BudgetSettings(person_day="1.5", session="0.000000001", request=2, unpriced="warn")  # type: ignore[arg-type]
    caps = {("person", "day"): 1_500_000_000, ("session", "total"): 1, ("request", "total"): 2 * DOLLAR}
    assert configured(Settings(budgets=told)) == Rules(caps=caps, unpriced="warn")  # type: ignore[arg-type]
    assert configured(Settings()) == Rules()
    every = {name: "1" for name in BudgetSettings.model_fields if name not in ("unpriced", "roles")}
    assert len(configured(Settings(budgets=BudgetSettings(**every))).caps) == len(every)  # type: ignore[arg-type]


def test_caps_by_role_are_read_with_those_that_have_none() -> None:
    told = BudgetSettings.model_validate(
        {"roles": {"user": {"person_day": "0.5"}, "owner": {"person_day": "off", "person_month": 7}}}
    )
    assert configured(Settings(budgets=told)).roles == {
        ("user", "day"): DOLLAR // 2,
        ("owner", "day"): None,
        ("owner", "month"): 7 * DOLLAR,
    }
    with pytest.raises(ValueError, match="person_day"):
        BudgetSettings.model_validate({"roles": {"user": {"person_day": "never"}}})
    with pytest.raises(ValueError, match="guest"):
        BudgetSettings.model_validate({"roles": {"guest": {}}})


async def test_what_is_set_for_somebody_wins_then_their_role_then_what_holds_for_all(
    store: Store, clock: Clock
) -> None:
    async with commanded(store, clock) as (gw, manager):
        for who in (ANN, BOB):
            await gw.says("hello", user=who)
            await gw.channel.until(who, "You said: hello")
        roles: dict[tuple[Role, Period], int | None] = {("owner", "day"): None, ("user", "day"): 30 * CENT}
        hold(gw, replace(rules(person_day=10 * CENT, person_month=90 * CENT), roles=roles))
        await manager.set_budget("person", "*", "month", "0.80", by="cli")
        await manager.set_budget("person", "*", "day", "0.20", by="cli")  # the role goes before it

        async def caps(user: str) -> list[tuple[str, int, str, Role | None]]:
            found = await manager.budgets("person", f"telegram:{user}")
            return [(each.period, each.cap, each.source, each.role) for each in found]

        assert await caps(BOB) == [
            ("day", 30 * CENT, "role", "user"),
            ("month", 80 * CENT, "all", None),
        ]
        assert await caps(ANN) == [("month", 80 * CENT, "all", None)]  # an owner by configuration, day: off
        await manager.set_budget("person", f"telegram:{BOB}", "day", "0.40", by="cli")
        await manager.set_budget("person", "*", "month", "default", by="cli")
        assert await caps(BOB) == [("day", 40 * CENT, "own", None), ("month", 90 * CENT, "config", None)]
        await gw.says("/budget", user=BOB)
        await whole(gw, BOB, f"({say('budget.from_own')})", f"({say('budget.from_config')})")
        await charge(gw, 90 * CENT)
        await gw.says("more", user=BOB)
        await gw.channel.until(BOB, say("budget.person_day"))  # they are judged by it, too


# ---- what people are told ----


async def test_a_refusal_says_what_is_spent_reserved_and_left_and_when_it_begins_anew(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as gw:
        await gw.says("one")
        await gw.channel.until(ANN, "You said: one")
        spent = int(str(await gw.value("SELECT cost FROM usage")))
        hold(gw, rules(person_day=spent))
        await gw.says("two")
        (_, told) = await gw.channel.until(ANN, "You said: one", "(UTC).")
        assert say("budget.person_day") in told
        for amount in (spent, 0):
            assert money(amount) in told
        assert len(gw.model.asked) == 1
        assert gw.core.dispatcher.outage_since is None
        assert await gw.rows("SELECT state, error_kind FROM turn ORDER BY id DESC LIMIT 1") == [
            ("failed", "budget")
        ]
        hold(gw, Rules())
        await gw.says("three")
        await gw.channel.until(ANN, "You said: three")


async def test_one_warning_at_four_fifths(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=Options(retries=0, max_output_tokens=LEAST_OUTPUT)) as gw:
        await gw.says("one")
        await gw.channel.until(ANN, "You said: one")
        await charge(gw, 80 * CENT)
        hold(gw, rules(person_month=100 * CENT))
        await gw.says("two")
        near = say("budget.near", name=say("budget.person_month"))
        (_, told) = await gw.channel.until(ANN, "You said: one", "(UTC).*")
        assert told.startswith(f"You said: two\n\n*{near} {money(80 * CENT)}")
        await gw.says("three")
        await gw.channel.until(ANN, "You said: one", "(UTC).*", "You said: three")
    assert gw.channel.texts(ANN)[-1] == "You said: three"


async def test_of_everybodys_budgets_the_operator_hears_and_people_do_not(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        await gw.says("one")
        await gw.channel.until(ANN, "You said: one")
        await charge(gw, 80 * CENT)
        hold(gw, rules(gateway_month=DOLLAR))
        await gw.says("two")
        await gw.channel.until(ANN, "You said: one", "You said: two")
        ((cause, text),) = gw.troubles
        assert cause == "budget:gateway:*:month" and f"{money(80 * CENT)} spent" in text
        await charge(gw, DOLLAR)
        await gw.says("three")
        await gw.channel.until(ANN, say("budget.gateway_month"))
        assert [cause for cause, _ in gw.troubles] == ["budget:gateway:*:month"] * 2
    assert gw.channel.texts(ANN)[1] == "You said: two"


# ---- setting them ----


@asynccontextmanager
async def commanded(store: Store, clock: Clock) -> AsyncIterator[tuple[Path, SessionManager]]:
    """Ann is an owner, Bob is not."""
    policy = Policy(allow={"telegram": frozenset({ANN, BOB})}, owners={"telegram": frozenset({ANN})})
    async with path(store, clock=clock, policy=policy) as gw:
        manager = SessionManager(gw.core)
        gw.core.dispatcher.commands = Table(manager=manager, roster=Roster(store=store, clock=clock))
        yield gw, manager


async def whole(gw: Path, chat: str, *parts: str) -> str:
    """All that a chat was told, without its blanks, once every part is in it: a long text is several messages."""
    async with asyncio.timeout(5):
        while True:
            told = _close("".join(gw.channel.texts(chat)))
            if all(_close(part) in told for part in parts):
                return told
            await asyncio.sleep(0.005)


def _close(text: str) -> str:
    return "".join(text.split())


async def test_what_admins_set_goes_before_the_configuration_and_is_audited(
    store: Store, clock: Clock
) -> None:
    async with commanded(store, clock) as (gw, manager):
        hold(gw, rules(person_day=50 * CENT))
        await gw.says("hello", user=BOB)
        await gw.channel.until(BOB, "You said: hello")
        await gw.says(f"/budget set person telegram:{BOB} day 2.50")
        await gw.channel.until(ANN, f"`telegram:{BOB}` day: {money(250 * CENT)}")
        assert [each.cap for each in await manager.budgets("person", f"telegram:{BOB}")] == [250 * CENT]
        await manager.set_budget("person", "*", "day", "0.10", by="cli")
        assert [each.cap for each in await manager.budgets("person", f"telegram:{BOB}")] == [250 * CENT]
        await manager.set_budget("person", f"telegram:{BOB}", "day", "default", by="cli")
        assert [each.cap for each in await manager.budgets("person", f"telegram:{BOB}")] == [10 * CENT]
        await manager.set_budget("person", f"telegram:{BOB}", "day", "off", by="cli")
        assert await manager.budgets("person", f"telegram:{BOB}") == []
        await manager.set_budget("person", "*", "day", "default", by="cli")
        await manager.set_budget("person", f"telegram:{BOB}", "day", "default", by="cli")
        assert [each.cap for each in await manager.budgets("person", f"telegram:{BOB}")] == [50 * CENT]
        audited = await store.read(lambda unit: unit.audit.recent(10))
        assert (audited[-1].actor, audited[-1].action) == (
            f"telegram:{ANN}",
            f"budget person telegram:{BOB} day 2.50",
        )
        assert len(audited) == 6


async def test_caps_for_all_are_listed_without_a_sum(store: Store, clock: Clock) -> None:
    async with commanded(store, clock) as (gw, manager):
        await gw.says("hello")
        await gw.channel.until(ANN, "You said: hello")
        hold(gw, rules(chat_day=CENT, gateway_day=3 * CENT))
        await manager.set_budget("person", "*", "month", "0.02", by="cli")
        await manager.set_budget("gateway", "*", "month", "0.04", by="cli")
        await store.commit(Point.META, lambda unit: unit.budgets.put("session", "GONE", "total", CENT))
        assert [(each.scope, each.id, each.cap, each.spent > 0) for each in await manager.budgets()] == [
            ("gateway", "*", 3 * CENT, True),
            ("gateway", "*", 4 * CENT, True),
            ("person", "*", 2 * CENT, False),
        ]
        await gw.says("/budget show chat *")
        await whole(gw, ANN, say("budget.each", cap=money(CENT)))


async def test_who_is_no_admin_sees_their_own_and_sets_nothing(store: Store, clock: Clock) -> None:
    async with commanded(store, clock) as (gw, _):
        await gw.says("/budget", user=BOB)
        await gw.channel.until(BOB, say("budget.none"))
        hold(gw, rules(person_month=DOLLAR, gateway_day=DOLLAR))
        await gw.says("hello", user=BOB)
        await gw.channel.until(BOB, "You said: hello")
        await gw.says("/budget", user=BOB)
        spent = int(str(await gw.value("SELECT sum(cost) FROM usage")))
        left = f"{money(spent)} spent, {money(0)} reserved, {money(DOLLAR - spent)} left of {money(DOLLAR)}."
        told = await whole(gw, BOB, say("budget.person_month"), left, "(UTC).")
        assert _close(say("budget.gateway_day")) not in told
        for words in ("set person me day off", "show gateway *"):
            await gw.says(f"/budget {words}", user=BOB)
            await gw.channel.until(BOB, say("budget.admins"))
        await gw.says("/budget")
        await whole(gw, ANN, say("budget.person_month"), say("budget.gateway_day"))
        assert await store.read(lambda unit: unit.budgets.caps()) == []


async def test_in_a_group_what_is_spent_is_for_the_eyes_of_who_asks(store: Store, clock: Clock) -> None:
    """Whoever administers the group on the platform sets nothing either: a budget is the gateway's."""
    group = Place(chat_id="-5", kind="group")
    async with commanded(store, clock) as (gw, _):
        gw.channel.admins.add(BOB)
        habits = gw.core.dispatcher.habits
        allow = {"telegram": frozenset({ANN, BOB, group.chat_id})}
        gw.core.dispatcher.habits = replace(habits, policy=replace(habits.policy, allow=allow))
        hold(gw, rules(person_month=DOLLAR, chat_day=DOLLAR))
        for words, user, wanted in (
            ("/budget", BOB, say("budget.person_month")),
            ("/cost all", BOB, say("cost.yours")),
            ("/budget", ANN, say("budget.chat_day")),
            ("/cost all", ANN, say("cost.everybody")),
        ):
            await gw.says(words, user=user, place=group)
            await whole(gw, user, wanted)
            await gw.channel.until(group.chat_id, say("reply.private"))
        await gw.says("/budget set chat here day off", user=BOB, place=group)
        await gw.channel.until(group.chat_id, say("budget.admins"))
        assert set(gw.channel.texts(group.chat_id)) == {say("reply.private"), say("budget.admins")}
        assert await store.read(lambda unit: unit.budgets.caps()) == []


async def test_an_admin_raises_what_is_nearly_used_up_by_a_button(store: Store, clock: Clock) -> None:
    async with commanded(store, clock) as (gw, manager):
        hold(gw, rules(person_day=10 * CENT, person_month=DOLLAR))
        await gw.says("hello", user=BOB)
        await gw.channel.until(BOB, "You said: hello")
        await charge(gw, 9 * CENT)
        await gw.says("/budget", user=BOB)
        await whole(gw, BOB, "(UTC).")
        raised = say("budget.raise", scope="person", period="day", cap=money(20 * CENT))
        await gw.says(f"/budget show person telegram:{BOB}")
        await whole(gw, ANN, "(UTC).")
        found = {label: token for each in gw.channel.buttons.values() for label, token in each.items()}
        assert list(found) == [raised]  # Bob was offered none, and none for what is far from used up
        await gw.presses(found[raised])
        await whole(gw, ANN, f"`telegram:{BOB}` day: {money(20 * CENT)}")
        day, month = await manager.budgets("person", f"telegram:{BOB}")
        assert (day.cap, month.cap) == (20 * CENT, DOLLAR)


async def test_here_and_me_are_this_chat_its_session_and_whoever_asks(store: Store, clock: Clock) -> None:
    async with commanded(store, clock) as (gw, _):
        await gw.says("hello")
        await gw.channel.until(ANN, "You said: hello")
        code = await gw.value("SELECT code FROM session")
        for words in ("person me month 1", "chat here day 2", "session here total 0,5"):
            await gw.says(f"/budget set {words}")
        async with asyncio.timeout(5):
            while len(await store.read(lambda unit: unit.budgets.caps())) < 3:
                await asyncio.sleep(0.01)
        assert await store.read(lambda unit: unit.budgets.caps()) == [
            ("chat", f"telegram:{ANN}", "day", 2 * DOLLAR),
            ("person", f"telegram:{ANN}", "month", DOLLAR),
            ("session", code, "total", DOLLAR // 2),
        ]


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("planet", "*", "day", "1"), "budget.no_scope"),
        (("session", "*", "day", "1"), "budget.no_period"),
        (("person", "*", "total", "1"), "budget.no_period"),
        (("person", "*", "day", "-1"), "budget.no_amount"),
        (("person", "*", "day", "1e9"), "budget.no_amount"),
        (("person", "*", "day", "nan"), "budget.no_amount"),
        (("person", "telegram:999", "day", "1"), "budget.no_id"),
        (("chat", "telegram", "day", "1"), "budget.no_id"),
        (("job", "none", "day", "1"), "budget.no_id"),
        (("channel", "pigeon", "day", "1"), "budget.no_id"),
        (("gateway", "telegram", "day", "1"), "budget.all"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    store: Store, clock: Clock, words: tuple[str, str, str, str], key: str
) -> None:
    async with path(store, clock=clock) as gw:
        with pytest.raises(Refused) as refused:
            await SessionManager(gw.core).set_budget(*words, by="cli")
        assert refused.value._key == key
        assert await store.read(lambda unit: unit.budgets.caps()) == []
