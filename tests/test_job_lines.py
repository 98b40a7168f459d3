"""What people write behind /job add, what is kept of it, and how a schedule is said again."""

from __future__ import annotations

import pytest

from gateway.errors import Refused
from gateway.jobs import line, phrases, reasons, slots, words
from gateway.jobs.spec import CHAT
from gateway.schedule import Once, ScheduleError, parse
from gateway.texts import LANGUAGES
from gateway.types.measures import DOLLAR, HOUR
from tests.jobs import at

ZONE = "Europe/Berlin"
NOW = at("2026-11-26 09:30")  # a Thursday, half past ten in Berlin

# What is written, what is kept.
SAID = [
    ("every 90m", "every 90m"),
    ("every 1h30m", "every 1h30m"),
    ("EVERY 90 minutes", "every 1h30m"),
    ("every 2 hours", "every 2h"),
    ("every 1 day 2 hours", "every 1d2h"),
    ("every 2 weeks", "every 14d"),
    ("every hour", "0 * * * *"),
    ("daily at 8", "0 8 * * *"),
    ("daily 8:00", "0 8 * * *"),
    ("every day at 8am", "0 8 * * *"),
    ("every day at 12 am", "0 0 * * *"),
    ("every weekday at 8:00", "0 8 * * 1-5"),
    ("weekdays 8:00", "0 8 * * 1-5"),
    ("every Mon, Wed and Fri at nine", "0 9 * * 1,3,5"),
    ("sundays 9:15", "15 9 * * 0"),
    ("mondays and fridays at 9", "0 9 * * 1,5"),
    ("every morning at 7:30", "30 7 * * *"),
    ("monday to friday at 8:00", "0 8 * * 1-5"),
    ("every day at 8:00 and 20:00", "0 8,20 * * *"),
    ("weekdays at 9, 12:00 and 5pm", "0 9,12,17 * * 1-5"),
    ("tomorrow at nine", "at 2026-11-27 09:00"),
    ("today at 11", "at 2026-11-26 11:00"),
    ("tomorrow 9:30 pm", "at 2026-11-27 21:30"),
    ("at 9:00", "at 2026-11-27 09:00"),  # it is later than that today
    ("at 23:15", "at 2026-11-26 23:15"),
    ("at noon", "at 2026-11-26 12:00"),
    ("on monday at 9", "at 2026-11-30 09:00"),
    ("next thursday at 10", "at 2026-12-03 10:00"),
    ("on thursday at 11", "at 2026-11-26 11:00"),
    ("in 20 min", "at 2026-11-26 10:50"),
    ("in 1 day", "at 2026-11-27 10:30"),
    ("2026-12-01 9:00", "at 2026-12-01 09:00"),
    ("at 2026-12-01 09:00", "at 2026-12-01 09:00"),
    ("@daily", "@daily"),
    ('"0 8 * * 1-5"', "0 8 * * 1-5"),
    ("“every 90m”", "every 90m"),
    ("'daily 8:00'", "0 8 * * *"),
    ("0 8 * * MON-FRI", "0 8 * * MON-FRI"),
    ("*/5 * * * *", "*/5 * * * *"),
    ("0 9 L * *", "0 9 L * *"),
]
GERMAN = [
    ("alle 90 Minuten", "every 1h30m"),
    ("alle 2 Stunden", "every 2h"),
    ("Alle 90m", "every 1h30m"),
    ("alle 3 Tage", "every 3d"),
    ("jede Stunde", "0 * * * *"),
    ("stündlich", "0 * * * *"),
    ("täglich um 7:30", "30 7 * * *"),
    ("Täglich 7:30 Uhr", "30 7 * * *"),
    ("jeden Tag um 8 Uhr", "0 8 * * *"),
    ("jeden Morgen um 8", "0 8 * * *"),
    ("jeden Tag um 8:00 und 20:00", "0 8,20 * * *"),
    ("jeden Werktag um 8:00", "0 8 * * 1-5"),
    ("werktags um 8", "0 8 * * 1-5"),
    ("von Montag bis Freitag um 08:00", "0 8 * * 1-5"),
    ("jeden Montag um neun", "0 9 * * 1"),
    ("jeden Mo, Mi und Fr um 9 Uhr", "0 9 * * 1,3,5"),
    ("montags und donnerstags um 18:15", "15 18 * * 1,4"),
    ("sonntags um elf Uhr", "0 11 * * 0"),
    ("täglich um Mitternacht", "0 0 * * *"),
    ("morgen um 9", "at 2026-11-27 09:00"),
    ("morgen um neun Uhr", "at 2026-11-27 09:00"),
    ("übermorgen 9:30", "at 2026-11-28 09:30"),
    ("heute um 11 Uhr", "at 2026-11-26 11:00"),
    ("um 9:00", "at 2026-11-27 09:00"),
    ("am Montag um 9", "at 2026-11-30 09:00"),
    ("nächsten Donnerstag um 10 Uhr", "at 2026-12-03 10:00"),
    ("in 20 Minuten", "at 2026-11-26 10:50"),
    ("in 2 Tagen", "at 2026-11-28 10:30"),
    ("am 1.12.2026 um 9:00", "at 2026-12-01 09:00"),
    ("am 2026-12-01 um neun", "at 2026-12-01 09:00"),
]


@pytest.mark.parametrize(("said", "kept"), SAID + GERMAN)
def test_a_phrase_is_kept_in_a_form_that_can_be_followed_and_ends_where_the_text_begins(
    said: str, kept: str
) -> None:
    assert phrases.formal(said, ZONE, NOW) == kept
    assert parse(kept, ZONE, now=NOW)
    assert phrases.formal(kept, ZONE, NOW) == kept
    text = f"{said} Sing to me."
    assert text[phrases.head(text) :].strip() == "Sing to me."


@pytest.mark.parametrize(
    "said",
    [
        "every now and then",
        "daily 8 glasses of water",
        "at 25:00",
        "every 0m",
        "soon",
        "",
        "13 pm",
        "at",
        "every 2 days at 9:00",
        "daily at 8:00 and 9:30",
        "ab und zu",
        "täglich 8 Gläser Wasser",
        "um 25:00",
        "um 8 Uhrmacher",
        "jeden Sonnenschein um 9",
        "am 31.2.2027 um 9:00",
        "alle 2 Tage um 9:00",
    ],
)
def test_what_is_no_schedule_is_not_guessed(said: str) -> None:
    with pytest.raises(ScheduleError):
        parse(phrases.formal(said, ZONE, NOW), ZONE, now=NOW)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("schedule", ["0 8 * * *", "30 7 * * 1-5", "0 9 * * 1,4", "0 * * * *", "every 2h"])
def test_what_is_said_of_a_schedule_can_be_said_back(schedule: str, lang: str) -> None:
    said = words.worded(schedule, ZONE, lang).removesuffix(f", {ZONE}")
    assert parse(phrases.formal(said, ZONE, NOW), ZONE, now=NOW) == parse(schedule, ZONE, now=NOW)


def test_a_zone_that_is_none_is_left_to_who_reads_the_schedule() -> None:
    assert phrases.formal("tomorrow at nine", "Mars/Base", NOW) == "tomorrow at nine"


def test_minutes_are_counted_by_utc_where_the_clock_is_changed() -> None:
    kept = phrases.formal("in 2 hours", ZONE, at("2026-03-29 00:30"))  # 01:30; an hour later it is 03:30
    assert parse(kept, ZONE, now=0) == Once(at("2026-03-29 00:30") + 2 * HOUR)


# -- the line ------------------------------------------------------------------------------------------------


def test_when_a_zone_and_what() -> None:
    found = line.read('"0 8 * * 1-5" Europe/Berlin What is in the news?')
    assert (found.schedule, found.zone, found.prompt) == ('"0 8 * * 1-5"', ZONE, "What is in the news?")
    assert line.read("0 8 * * 1-5 europe/berlin News?").zone == ZONE
    assert line.read("every 90m UTC Drink.").zone == "UTC"
    assert line.read("every 90m Drink.").zone == ""
    assert line.read("every 90m Drink.\n\nWith a straw.").prompt == "Drink.\n\nWith a straw."
    assert line.read('every 90m Asia/Tokyo: "Drink."').prompt == "Drink."
    assert line.read('every 90m Say "cheers".').prompt == 'Say "cheers".'
    assert line.read("water\nevery 90m\nDrink.").prompt == "Drink."
    assert line.read("daily at 9:00, 2 glasses").schedule == "daily at 9:00"
    assert line.read("every 90m and/or drink").prompt == "and/or drink"


def test_a_name_may_stand_before_it() -> None:
    assert line.read("water every 90m Drink.").options == {"name": "water"}
    assert line.read("name=water every 90m Drink.").options == {"name": "water"}


def test_options_stand_before_the_schedule_or_before_the_text() -> None:
    found = line.read(
        'report session=chat silent=yes daily 8:00 retries=1 model="a:b c" budget_day=0.50 x=1 Go.'
    )
    spec = found.spec("UTC")
    assert (spec.name, spec.session, spec.silent, spec.retries, spec.model) == (
        "report",
        "chat",
        True,
        1,
        "a:b c",
    )
    assert (spec.budget_day, spec.prompt, spec.zone) == (DOLLAR // 2, "x=1 Go.", "UTC")
    assert spec.deliver_to == (CHAT,)
    assert line.read("to=none daily 8:00 Go.").spec("UTC").deliver_to == ()
    assert line.read("to=telegram:1,main daily 8:00 Go.").spec("UTC").deliver_to == ("telegram:1", "main")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Drink a glass of water", "I find no schedule at the beginning of “Drink a glass of water”."),
        ("every now and then Drink", "/job add every 90m"),
        ("every 2 days at 9:00 Drink", "/job add every 90m"),
        ("colour=red every 90m Drink", "There is no option `colour`. There are: `name`, `to`, `session`"),
        ("session=mine every 90m Drink", "Write for example `session=isolated|chat`."),
        ("retries=many every 90m Drink", "`retries` cannot be “many”. Write for example `retries=3`."),
        ("every 90m Europe/Berln Drink", "Write a name such as `Europe/Berlin`."),
    ],
)
def test_what_cannot_be_read_is_refused_with_an_example(text: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        line.read(text)
    assert said in str(refused.value)


# -- in words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "english", "german"),
    [
        ("every 90m", "every 90 minutes", "alle 90 Minuten"),
        ("every 1m", "every minute", "jede Minute"),
        ("every 1d", "every 24 hours", "alle 24 Stunden"),
        ("every 2d", "every 2 days", "alle 2 Tage"),
        ("* * * * *", "every minute", "jede Minute"),
        ("*/15 * * * *", "every 15 minutes", "alle 15 Minuten"),
        ("@hourly", "every hour", "jede Stunde"),
        ("5 * * * *", "every hour, at minute 5", "jede Stunde zur Minute 5"),
        ("0 */2 * * *", "every 2 hours", "alle 2 Stunden"),
        ("@daily", "every day at 00:00, Europe/Berlin", "jeden Tag um 00:00, Europe/Berlin"),
        ("0 9,17 * * *", "every day at 09:00 and 17:00, Europe/Berlin", "jeden Tag um 09:00 und 17:00, Europe/Berlin"),
        ("0 8 * * 1-5", "every weekday at 08:00, Europe/Berlin", "von Montag bis Freitag um 08:00, Europe/Berlin"),
        ("0 8 * * MON-FRI", "every weekday at 08:00, Europe/Berlin", "von Montag bis Freitag um 08:00, Europe/Berlin"),
        (
            "30 9 * * 7,3,1",
            "every Monday, Wednesday and Sunday at 09:30, Europe/Berlin",
            "jeden Montag, Mittwoch und Sonntag um 09:30, Europe/Berlin",
        ),
        ("0 9 * * 0-7", "every day at 09:00, Europe/Berlin", "jeden Tag um 09:00, Europe/Berlin"),
        (
            "0 9 1,15 * *",
            "on day 1 and 15 of each month at 09:00, Europe/Berlin",
            "jeden Monat am Tag 1 und 15 um 09:00, Europe/Berlin",
        ),
        (
            "0 9 24 12 *",
            "every year on 24 December at 09:00, Europe/Berlin",
            "jedes Jahr am 24. Dezember um 09:00, Europe/Berlin",
        ),
        (
            "at 2026-12-01 09:00",
            "once, on 1 Dec 2026 at 09:00, Europe/Berlin",
            "einmal, am 1. Dezember 2026 um 09:00, Europe/Berlin",
        ),
        # What would be longer in words than in its own.
        ("0 9 1 * 1", "`0 9 1 * 1`, Europe/Berlin", "`0 9 1 * 1`, Europe/Berlin"),
        ("0 9 L * *", "`0 9 L * *`, Europe/Berlin", "`0 9 L * *`, Europe/Berlin"),
        ("0 9 * * 1#2", "`0 9 * * 1#2`, Europe/Berlin", "`0 9 * * 1#2`, Europe/Berlin"),
        ("*/7 9-17 * * 1-5", "`*/7 9-17 * * 1-5`, Europe/Berlin", "`*/7 9-17 * * 1-5`, Europe/Berlin"),
        ("0 9 * 2 *", "`0 9 * 2 *`, Europe/Berlin", "`0 9 * 2 *`, Europe/Berlin"),
    ],
)  # fmt: skip
def test_a_schedule_is_said_in_the_language_of_who_reads_it(schedule: str, english: str, german: str) -> None:
    assert words.worded(schedule, ZONE, "en") == english
    assert words.worded(schedule, ZONE, "de") == german


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(("_", "kept"), SAID)
def test_every_schedule_has_words(_: str, kept: str, lang: str) -> None:
    assert words.worded(kept, ZONE, lang)


def test_times_to_come_name_the_day() -> None:
    planned = [at("2026-11-26 13:00"), at("2026-11-27 08:00"), at("2026-11-30 08:00"), at("2027-01-04 08:00")]
    assert words.times(planned, now=NOW, zone=ZONE) == (
        "today 14:00, tomorrow 09:00, Mon 30 Nov 09:00, Mon 4 Jan 2027 09:00"
    )
    assert words.times(planned[1:3], now=NOW, zone=ZONE, lang="de") == "morgen 09:00, Mo. 30. Nov. 09:00"
    assert words.times([], now=NOW, zone=ZONE) == "never again"


# -- why a run was left out -----------------------------------------------------------------------------------


def test_a_reason_is_told_in_the_readers_language_and_others_words_as_they_are() -> None:
    assert reasons.reason(reasons.STILL_RUNNING, "de") == "lief noch"
    assert reasons.reason("Error 529: overloaded", "de") == "Error 529: overloaded"


@pytest.mark.parametrize(
    "kept", [each for name, each in vars(reasons).items() if name.isupper() and name != "_KEYS"]
)
def test_every_reason_is_said_as_it_is_kept(kept: str) -> None:
    assert reasons.reason(kept) == kept != reasons.reason(kept, "de")


def test_the_numbers_in_reasons_are_those_that_hold() -> None:
    assert f"latest {slots.MOST_MADE_UP} are" in reasons.ONLY_THREE
    assert f"within {slots.LATEST // HOUR} hours" in reasons.ONLY_LATEST
    assert reasons.TOO_MANY.startswith(f"{slots.MOST_QUEUED} runs")
