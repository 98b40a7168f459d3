"""Numbers, money, sizes and times are written as the language they stand in writes them."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from gateway import amounts, footer, moments
from gateway.commands import cost, period
from gateway.errors import Refused
from gateway.plain import plain
from gateway.reports import CostOverview, DayCost, Share, ToolUsage, UsageSummary
from gateway.sessions import reset_notice
from gateway.texts import forms, say
from gateway.types.measures import DAY, HOUR, SECOND
from gateway.types.usage import Tokens, UsageSettled

NB = "\N{NO-BREAK SPACE}"
BERLIN, NEW_YORK, KATHMANDU = "Europe/Berlin", "America/New_York", "Asia/Kathmandu"


def at(text: str, zone: str = BERLIN, fold: int = 0) -> int:
    """Local time as microseconds UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()) * SECOND


# -- numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [(0, "0", "0"), (999, "999", "999"), (-999, "-999", "-999"), (1000, "1,000", "1.000"),
     (-1000, "-1,000", "-1.000"), (1_234_567, "1,234,567", "1.234.567")],
)  # fmt: skip
def test_whole_numbers(number: int, english: str, german: str) -> None:
    assert (forms.whole(number, "en"), forms.whole(number, "de")) == (english, german)


@pytest.mark.parametrize(
    ("nano", "english", "german"),
    [(0, "$0.0000", f"0,0000{NB}$"), (1, "<$0.0001", f"<0,0001{NB}$"), (150_000, "$0.0002", f"0,0002{NB}$"),
     (12_340_000, "$0.0123", f"0,0123{NB}$"), (1_234_567_890_000, "$1,234.5679", f"1.234,5679{NB}$"),
     (10**18, "$1,000,000,000.0000", f"1.000.000.000,0000{NB}$")],
)  # fmt: skip
def test_money(nano: int, english: str, german: str) -> None:
    assert (forms.money(nano, "en"), forms.money(nano, "de")) == (english, german)


@pytest.mark.parametrize(
    ("dollars", "english", "german"),
    [("0", "$0", f"0{NB}$"), ("3", "$3", f"3{NB}$"), ("3.00", "$3", f"3{NB}$"), ("0.3", "$0.30", f"0,30{NB}$"),
     ("0.075", "$0.075", f"0,075{NB}$"), ("1E+3", "$1,000", f"1.000{NB}$"),
     ("0.123456789012345678901234", "$0.123456789012345678901234", f"0,123456789012345678901234{NB}$")],
)  # fmt: skip
def test_a_price_is_told_in_full(dollars: str, english: str, german: str) -> None:
    assert (forms.rate(Decimal(dollars), "en"), forms.rate(Decimal(dollars), "de")) == (english, german)


@pytest.mark.parametrize(
    ("count", "english", "german"),
    [(999, "999", "999"), (12_345, "12.3k", "12,3k"), (999_950, "1.00M", "1,00M"),
     (1_234_567_890, "1,234.57M", "1.234,57M")],
)  # fmt: skip
def test_tokens(count: int, english: str, german: str) -> None:
    assert (forms.tokens(count, "en"), forms.tokens(count, "de")) == (english, german)


def test_percents_and_sizes() -> None:
    assert (forms.percent(0.04, "en"), forms.percent(85.25, "de")) == ("0.0 %", "85,2 %")
    sizes = [forms.size(count, "de") for count in (0, 999, 1000, 1_260_000, 5 * 10**9, 2 * 10**15)]
    assert sizes == ["0 B", "999 B", "1,0 kB", "1,3 MB", "5,0 GB", "2.000,0 TB"]
    assert forms.size(1_260_000) == "1.3 MB"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (45, "45 s"), (60, "1 min"), (125, "2 min 5 s"), (6 * 3600, "6 h"), (7500, "2 h 5 min"),
     (3605, "1 h"), (100 * 3600, "4 d 4 h"), (86_399, "23 h 59 min")],
)  # fmt: skip
def test_a_length_of_time_has_its_two_largest_units(seconds: int, shown: str) -> None:
    assert forms.length(seconds) == shown


@pytest.mark.parametrize(
    "tag", ["", "fr", "fr-CA", "xx", "ar-EG", "not a tag", "../../etc/passwd", "en-IN", "en_GB"]
)
def test_where_the_text_is_english_so_are_its_numbers(tag: str) -> None:
    assert forms.whole(1_234_567, tag) == "1,234,567"
    assert say("amount.messages", tag, count=1234) == "1,234 messages"
    assert moments.day(datetime(2026, 7, 3), tag) == "2026-07-03"


@pytest.mark.parametrize("tag", ["de", "de-AT", "de_CH", "DE"])
def test_a_region_changes_nothing_so_that_no_line_has_two_forms(tag: str) -> None:
    assert forms.money(1_234_000_000_000, tag) == f"1.234,0000{NB}$"


# -- texts ----------------------------------------------------------------------------------------------------


def test_whole_numbers_in_texts_have_the_form_of_the_text() -> None:
    assert say("work.next", "de", count=12_345).startswith("12.345 Nachrichten")
    assert Refused(key="session.no_page", page=10_000).told("de").count("10.000") == 1


@pytest.mark.parametrize(
    ("count", "english", "german"),
    [(0, "0 messages", "0 Nachrichten"), (1, "1 message", "1 Nachricht"), (2, "2 messages", "2 Nachrichten"),
     (1001, "1,001 messages", "1.001 Nachrichten")],
)  # fmt: skip
def test_the_noun_goes_with_the_number(count: int, english: str, german: str) -> None:
    assert (amounts.messages(count, "en"), amounts.messages(count, "de")) == (english, german)


def test_each_of_two_numbers_in_a_text_has_a_noun_of_its_own() -> None:
    direct, groups = say("announce.direct", "de", count=1), say("announce.groups", "de", count=2)
    assert (
        say("announce.ask", "de", direct=direct, groups=groups)
        == "Das ginge an 1 direkten Chat und 2 Gruppen:"
    )


def usage(**more: int) -> UsageSummary:
    facts = {
        "cost": 1_234_500_000_000,
        "requests": 1234,
        "turns": 1,
        "unpriced": 0,
        "estimated": 0,
        "estimated_cost": 0,
    }
    return UsageSummary(tokens=Tokens(12_345, 2_000, 0, 0, 678), **{**facts, **more})


def test_a_line_of_the_bill_is_of_one_form_throughout() -> None:
    assert amounts.line(usage(), "de") == (
        f"14,3k hinein (Cache: 2k gelesen, 0 geschrieben), 678 heraus · 1.234,5000{NB}$"
    )
    assert amounts.line(usage(unpriced=1500), "de").endswith(f"1.234,5000{NB}$ + ohne Preis: 1.500")
    assert amounts.estimated(usage(estimated=1500, estimated_cost=5_000_000), "de") == (
        f"davon geschätzt, höchstens: 0,0050{NB}$ (1.500 Anfragen)"
    )


def test_the_bill_in_german() -> None:
    found = CostOverview(
        since=None, total=usage(), by_user=[Share(name=f"u{n}", usage=usage()) for n in range(20)], by_model=[],
        by_channel=[], by_trigger=[], by_purpose=[],
        by_day=[DayCost(date="2026-07-03", usage=usage(cost=1_500_000_000), by_model={})],
        by_tool=[ToolUsage(name="now", invocations=1234, errors=0)],
    )  # fmt: skip
    assert cost.table(found, "day", "de") == [("Tag", "Kosten"), ("03.07.2026", f"1,5000{NB}$")]
    assert cost.table(found, "day", "fr")[1] == ("2026-07-03", "$1.5000")
    assert cost.table(found, "tool", "de")[1] == ("now", "1.234", "0")
    assert cost.table(found, "user", "de")[-1] == ("6 weitere", "86,1k", "4,1k", f"7.407,0000{NB}$")
    asked = period.asked("2026-07-01..2026-07-15", now=at("2026-08-01T12:00"), zone=BERLIN, lang="de")
    assert asked.label == "01.07.2026 bis 15.07.2026"


@pytest.mark.parametrize(
    ("lang", "tokens", "cost"),
    [("de", "14,4k hinein, 680 heraus", f"1.234,5010{NB}$"), ("en", "14.4k in, 680 out", "$1,234.5010"),
     ("fr", "14.4k in, 680 out", "$1,234.5010")],
)  # fmt: skip
def test_the_footer_is_in_the_language_of_who_asked(lang: str, tokens: str, cost: str) -> None:
    last = UsageSettled(state="known", tokens=Tokens(100, 0, 0, 0, 2), ended=0, cost=1_000_000)
    assert footer.under("Hi", "tokens", usage(), last, lang) == f"Hi\n\n*{tokens}*"
    assert footer.under("Hi", "cost", usage(), last, lang).endswith(f"{cost}*")


# -- times ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "english", "german"),
    [("2026-11-26T14:05", "today 14:05", "heute 14:05"), ("2026-11-25T00:00", "yesterday 00:00", "gestern 00:00"),
     ("2026-09-03T08:20", "3 Sep 08:20", "3. September 08:20"),
     ("2025-12-31T23:59", "31 Dec 2025", "31. Dezember 2025")],
)  # fmt: skip
def test_times(then: str, english: str, german: str) -> None:
    now = at("2026-11-26T15:00")
    assert moments.shown(at(then), now=now, zone=BERLIN, lang="en") == english
    assert moments.shown(at(then), now=now, zone=BERLIN, lang="de") == german


def test_a_time_is_told_by_the_clock_of_the_zone() -> None:
    then = at("2026-11-26T00:30")
    now = then + HOUR
    assert moments.shown(then, now=now, zone=BERLIN) == "today 00:30"
    assert moments.shown(then, now=now, zone=NEW_YORK) == "today 18:30"
    assert moments.shown(then, now=now, zone=KATHMANDU) == "today 05:15"


def test_the_clock_is_right_on_both_sides_of_a_change() -> None:
    """25 October 2026, 03:00 summer time becomes 02:00 in Berlin; 29 March, 02:00 becomes 03:00."""
    first, second = at("2026-10-25T02:30", fold=0), at("2026-10-25T02:30", fold=1)
    assert second - first == HOUR
    assert moments.clock(first, BERLIN) == moments.clock(second, BERLIN) == "02:30"
    before = at("2026-03-29T01:59")
    assert moments.clock(before + 60 * SECOND, BERLIN) == "03:00"
    # Yesterday is the day before on the calendar, however many hours that had.
    assert moments.shown(at("2026-10-25T00:10"), now=at("2026-10-26T00:05"), zone=BERLIN) == "yesterday 00:10"
    days = [moments.midnight(datetime(2026, 10, day), BERLIN) for day in (25, 26, 27)]
    assert [late - early for early, late in pairwise(days)] == [DAY + HOUR, DAY]


def test_a_day_without_a_midnight_begins_when_its_clock_does() -> None:
    """In Beirut the clock goes from 00:00 to 01:00 on 29 March 2026."""
    begun = moments.midnight(datetime(2026, 3, 29), "Asia/Beirut")
    assert moments.clock(begun, "Asia/Beirut") == "01:00"
    assert moments.clock(begun - SECOND, "Asia/Beirut") == "23:59"


# -- right to left --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["שלום 12", "مرحبا", "Hello שלום"])
def test_words_from_right_to_left_do_not_pull_the_numbers_behind_them_over(text: str) -> None:
    assert plain(text) == f"\u2068{text}\u2069"
    assert reset_notice("de", idle_minutes=720, title=text).endswith(f"„\u2068{text}\u2069“.")


def test_marks_of_direction_in_other_peoples_words_do_not_reach_ours() -> None:
    assert plain("\u202eשלום\u2067") == "\u2068שלום\u2069"
    assert plain("\u202ehello 12") == "hello 12"


# -- what it costs --------------------------------------------------------------------------------------------

QUIET = """
import asyncio, pathlib, sys
from gateway.app import start
from gateway.settings import Settings

async def main():
    app = await start(Settings.model_validate({"gateway": {"data_dir": pathlib.Path(sys.argv[1])}}), environ={})
    async for event in app.manager.say("hello"):
        pass
    app.table.menu()
    print("babel" in sys.modules)
    from gateway.texts import forms
    forms.whole(1000)
    print("babel" in sys.modules)
    await app.stop()

asyncio.run(main())
"""


def test_a_gateway_starts_and_answers_without_loading_the_forms_of_all_languages(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", QUIET, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr
