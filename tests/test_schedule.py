"""Planned times, against a scan of every minute that knows nothing of the search under test."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import schedule
from gateway.schedule import Cron, Every, Once, ScheduleError, missed, next_after, parse, upcoming
from tests import schedules
from tests.crontab import EXPRESSIONS, ZONES, moves
from tests.schedules import shown

MINUTE = 60 * 10**6
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# In `make test` each zone has one year and a third of the expressions; `make schedules` has all of it.
CASES = [
    (zone, day, number % 3)
    for number, zone in enumerate(ZONES)
    for day in moves(zone, range(2026 + number % 6, 2027 + number % 6))
] + [("Pacific/Apia", date(2011, 12, 30), 0)]  # a whole day is skipped


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    wall = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return (wall.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


NOW = at("2026-05-01 00:00")


@pytest.mark.parametrize(("zone", "day", "part"), CASES)
def test_planned_times_around_a_move_of_the_clock_are_those_that_a_scan_of_every_minute_finds(
    zone, day, part
):
    for expr in EXPRESSIONS[part::3]:
        assert [*schedules.wrong(expr, zone, day)] == []


@pytest.mark.parametrize(("zone", "day", "part"), CASES)
def test_cronsim_finds_the_same_but_where_it_is_known_not_to(zone, day, part):
    for expr in EXPRESSIONS[part::3]:
        if zone not in schedules.CRONSIM_DIFFERS:
            assert schedules.by_cronsim(expr, zone, day), expr


def test_the_proof_sees_a_rule_that_is_not_kept(monkeypatch):
    """A search that takes the second pass of a repeated hour, and one that forgets what was skipped."""
    kept = schedule._instants
    for wrong in (
        lambda wall, zone, fixed: (
            kept(wall, zone, fixed=fixed)[-1:] if not fixed else kept(wall, zone, fixed=False)
        ),
        lambda wall, zone, fixed: kept(wall, zone, fixed=fixed and wall.hour != 2),
    ):
        monkeypatch.setattr(schedule, "_instants", wrong)
        found = [
            each
            for day in moves("Europe/Berlin", range(2026, 2027))
            for each in schedules.wrong("30 2 * * *", "Europe/Berlin", day)
        ]
        assert found


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "America/Los_Angeles", "America/Santiago"]
)
@pytest.mark.parametrize("expr", ["0 0 * * *", "30 0 * * *", "30 2 * * *"])
def test_a_daily_job_runs_exactly_once_on_every_local_day_of_two_years(zone, expr):
    times = missed(Cron(expr, zone), at("2026-01-01 00:00", zone) - 1, at("2027-12-31 23:59", zone), 10_000)
    days = [datetime.fromtimestamp(t / 10**6, ZoneInfo(zone)).date() for t in times]
    assert days == [date(2026, 1, 1) + timedelta(days=n) for n in range(730)]


def test_a_monthly_job_runs_on_the_first_of_april_after_the_clock_moved():
    times = upcoming(Cron("0 0 1 * *", "Europe/Berlin"), at("2026-03-02 00:00"), 2)
    assert shown(times, "Europe/Berlin") == ["04-01 00:00 +0200", "05-01 00:00 +0200"]


def test_a_time_in_the_gap_runs_right_after_it_and_only_once():
    times = upcoming(Cron("15,45 2 * * *", "Europe/Berlin"), at("2026-03-28 12:00"), 3)
    assert shown(times, "Europe/Berlin") == ["03-29 03:00 +0200", "03-30 02:15 +0200", "03-30 02:45 +0200"]


def test_a_time_in_the_repeated_hour_runs_the_first_time_only():
    times = upcoming(Cron("30 2 * * *", "Europe/Berlin"), at("2026-10-24 12:00"), 2)
    assert shown(times, "Europe/Berlin") == ["10-25 02:30 +0200", "10-26 02:30 +0100"]


def test_a_time_that_ran_in_the_first_pass_does_not_run_in_the_second():
    cron = Cron("30 2 * * *", "Europe/Berlin")
    second_pass = at("2026-10-25 02:10", "Europe/Berlin", fold=1)
    assert shown([next_after(cron, second_pass)], "Europe/Berlin") == ["10-26 02:30 +0100"]


def test_an_hourly_job_runs_in_both_passes_of_the_repeated_hour():
    times = upcoming(Cron("30 * * * *", "Europe/Berlin"), at("2026-10-25 01:45", "Europe/Berlin"), 3)
    assert shown(times, "Europe/Berlin") == ["10-25 02:30 +0200", "10-25 02:30 +0100", "10-25 03:30 +0100"]


def test_a_job_every_two_hours_does_not_run_at_a_midnight_that_is_skipped():
    times = upcoming(Cron("0 */2 * * 0", "America/Santiago"), at("2026-09-05 12:00"), 2)
    assert shown(times, "America/Santiago") == ["09-06 02:00 -0300", "09-06 04:00 -0300"]


def test_a_clock_that_moves_by_half_an_hour_loses_no_run():
    times = upcoming(
        Cron("*/10 2 * * *", "Australia/Lord_Howe"), at("2026-04-05 01:40", "Australia/Lord_Howe"), 3
    )
    assert shown(times, "Australia/Lord_Howe") == [
        "04-05 02:00 +1030",
        "04-05 02:10 +1030",
        "04-05 02:20 +1030",
    ]


@pytest.mark.parametrize(
    ("expr", "weekdays"),
    [
        ("0 9 * * 1-5", "Mon Tue Wed Thu Fri"),
        ("0 9 * * 0", "Sun"),
        ("0 9 * * 7", "Sun"),
        ("0 9 * * 5-7", "Fri Sat Sun"),
        ("0 9 * * mon,Wed", "Mon Wed"),
        ("@weekly", "Sun"),
    ],
)
def test_days_of_the_week_count_from_sunday(expr, weekdays):
    times = missed(parse(expr, "UTC", now=NOW), at("2026-05-03 23:59"), at("2026-05-10 23:59"), 99)
    assert [datetime.fromtimestamp(t / 10**6, UTC).strftime("%a") for t in times] == weekdays.split()


def test_a_day_of_the_month_and_a_weekday_mean_either():
    times = upcoming(Cron("0 0 13 * FRI", "UTC"), at("2026-05-01 00:00"), 4)
    assert shown(times, "UTC") == [f"05-{day} 00:00 +0000" for day in ("08", "13", "15", "22")]


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("@hourly", "05-01 01:00"),
        ("@daily", "05-02 00:00"),
        ("@Midnight", "05-02 00:00"),
        ("@monthly", "06-01 00:00"),
        ("@yearly", "01-01 00:00"),
        ("@annually", "01-01 00:00"),
        ("  0   6 1  JUL * ", "07-01 06:00"),
        ("0 6 29 2 *", "02-29 06:00"),
        ("0 6 * * 1#2", "05-11 06:00"),
        ("every 90m", "05-01 01:30"),
        ("every 2h", "05-01 02:00"),
        ("Every 1d", "05-02 00:00"),
        ("every 1h30m", "05-01 01:30"),
        ("every 1d 1h 1m", "05-02 01:01"),
        ("at 2026-12-01 09:00", "12-01 09:00"),
        ("AT 2026-12-01T09:00", "12-01 09:00"),
    ],
)
def test_what_people_write_is_understood(text, following):
    assert shown([next_after(parse(text, "UTC", now=NOW), NOW)], "UTC") == [following + " +0000"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("61 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("٣ * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 9-5 * * *", "hour"),
        ("0 0 32 * *", "day-of-month"),
        ("0 0 0 * *", "day-of-month"),
        ("0 0 31 2 *", "day-of-month"),
        ("0 0 31 4,6,9,11 *", "day-of-month"),
        ("0 0 1 13 *", "month"),
        ("0 0 1 FOO *", "month"),
        ("0 0 * * 8", "day-of-week"),
        ("0 0 * * SAT-SUN", "day-of-week"),
        ("", "schedule"),
        ("* * * *", "schedule"),
        ("0 * * * * *", "schedule"),
        ("@reboot", "schedule"),
        ("@every 1h", "schedule"),
        ("tomorrow at nine", "schedule"),
        ("0 " * 200, "schedule"),
        ("1" * 5000 + " * * * *", "schedule"),
        ("every", "interval"),
        ("every 0m", "interval"),
        ("every 30s", "interval"),
        ("every 30m1h", "interval"),
        ("every 367d", "interval"),
        ("every -5m", "interval"),
        ("at", "time"),
        ("at 09:00", "time"),
        ("at 2026-02-30 09:00", "time"),
        ("at 9999-12-31 23:59", "time"),
        ("at 2026-04-30 23:59", "time"),
        ("at 2026-05-01 00:00", "time"),
    ],
)
def test_a_schedule_nobody_can_follow_is_refused_with_its_field_and_a_remedy_in_one_line(text, field):
    with pytest.raises(ScheduleError) as caught:
        parse(text, "UTC", now=NOW)
    assert caught.value.field == field
    assert str(caught.value).startswith(field + ": ") and str(caught.value).endswith(caught.value.remedy)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "x" * 5000]
)
def test_a_zone_that_does_not_exist_is_refused(zone):
    for text in ("@daily", "at 2026-12-01 09:00"):
        with pytest.raises(ScheduleError, match="zone"):
            parse(text, zone, now=NOW)


@pytest.mark.parametrize(
    ("text", "zone", "told"),
    [
        ("@daily", "Europe/Berln", "is one of these meant: Europe/Berlin, "),
        ("@daily", "wien", "is one of these meant: Europe/Vienna?"),
        ("@daily", "Mars/Olympus", "use a name such as Europe/Berlin"),
        ("@reboot", "UTC", 'write "0 9 * * MON-FRI"'),
        ("@fortnightly", "UTC", "use @hourly, @daily"),
        ("every 2 days at 9:00", "UTC", "'2 days at 9:00'"),
    ],
)
def test_what_is_refused_is_told_with_what_was_probably_meant(text, zone, told):
    with pytest.raises(ScheduleError) as caught:
        parse(text, zone, now=NOW)
    assert told in str(caught.value)


def test_it_is_told_in_the_language_of_who_wrote_it():
    with pytest.raises(ScheduleError) as caught:
        parse("61 * * * *", "UTC", now=NOW)
    assert caught.value.told("de-DE").startswith("Minute: kann nicht '61' sein; schreib ")


def test_a_value_built_by_hand_is_checked_as_well():
    for wrong in (
        lambda: Cron("@daily", "UTC"),
        lambda: Cron("0 0 * * *", "Nowhere"),
        lambda: Every(59, 0),
        lambda: Every(0, 0),
    ):
        with pytest.raises(ScheduleError):
            wrong()


@given(
    st.text(max_size=40)
    | st.lists(st.text("0123456789*/-,#LWMONSUJA?@", max_size=8), max_size=6).map(" ".join)
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_schedule_or_a_schedule_error(text):
    try:
        schedule = parse(text, "Europe/Berlin", now=NOW)
    except ScheduleError as error:
        assert len(str(error).splitlines()) == 1
    else:
        following = next_after(schedule, NOW)
        assert following is None or following > NOW


def test_an_interval_counts_from_its_anchor_and_never_drifts():
    every = Every(5400, at("2026-05-01 00:10"))
    assert shown(upcoming(every, at("2026-05-01 12:00"), 2), "UTC") == [
        "05-01 12:10 +0000",
        "05-01 13:40 +0000",
    ]
    assert next_after(every, at("2026-05-01 12:10")) == at("2026-05-01 13:40")
    assert next_after(every, at("2020-01-01 00:00")) == at("2026-05-01 01:40")


def test_an_interval_of_a_day_is_24_hours_when_the_clock_moves():
    every = parse("every 1d", "Europe/Berlin", now=at("2026-03-28 09:00", "Europe/Berlin"))
    assert shown(upcoming(every, every.anchor_us, 1), "Europe/Berlin") == ["03-29 10:00 +0200"]


def test_a_single_time_happens_once():
    once = parse("at 2026-12-01 09:00", "Europe/Berlin", now=NOW)
    assert once == Once(at("2026-12-01 08:00"))
    assert next_after(once, once.at_us - 1) == once.at_us
    assert next_after(once, once.at_us) is None
    assert upcoming(once, NOW, 3) == [once.at_us]


def test_a_single_time_that_exists_twice_is_the_first():
    once = parse("at 2026-10-25 02:30", "Europe/Berlin", now=NOW)
    assert shown([once.at_us], "Europe/Berlin") == ["10-25 02:30 +0200"]


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("at 2027-03-28 02:30", "Europe/Berlin", "03-28 03:00 +0200"),
        ("at 2026-09-06 00:00", "America/Santiago", "09-06 01:00 -0300"),
        ("at 2026-10-04 02:10", "Australia/Lord_Howe", "10-04 02:30 +1100"),
    ],
)
def test_a_single_time_that_does_not_exist_is_right_after_the_gap(text, zone, moment):
    assert shown([parse(text, zone, now=NOW).at_us], zone) == [moment]


def test_the_next_time_is_strictly_later_to_the_microsecond():
    cron = Cron("0 9 * * *", "UTC")
    nine = at("2026-05-01 09:00")
    assert [next_after(cron, nine + n) - nine for n in (-1, 0, 1)] == [0, DAY, DAY]


def test_missed_times_leave_out_the_last_run_and_include_this_moment():
    cron = Cron("0 * * * *", "UTC")
    assert missed(cron, NOW, NOW + 3 * HOUR, 10) == [NOW + HOUR, NOW + 2 * HOUR, NOW + 3 * HOUR]
    assert missed(cron, NOW, NOW + 59 * MINUTE, 10) == []
    assert missed(cron, NOW, NOW, 10) == []
    assert missed(cron, NOW + HOUR, NOW, 10) == []


def test_of_many_missed_times_the_latest_are_given():
    cron = Cron("* * * * *", "Europe/Berlin")
    year = NOW + 365 * DAY
    assert missed(cron, NOW, year, 3) == [year - 2 * MINUTE, year - MINUTE, year]
    assert missed(Every(60, NOW), NOW, year, 1) == [year]
    assert missed(cron, NOW, year, 0) == []


@given(
    st.sampled_from(["*/7 * * * *", "0 3 * * *", "0 0 1 * *"]),
    st.integers(0, 400 * 24 * 60),
    st.integers(0, 60 * 24),
    st.integers(1, 20),
)
@settings(max_examples=60, deadline=None)
def test_missed_is_the_end_of_everything_upcoming(expr, start, length, limit):
    cron, after = Cron(expr, "America/New_York"), NOW + start * MINUTE
    until = after + length * MINUTE
    everything = [t for t in upcoming(cron, after, 220) if t <= until]
    assert missed(cron, after, until, limit) == everything[-limit:]


def test_asking_for_no_times_gives_none():
    assert upcoming(Cron("* * * * *", "UTC"), NOW, 0) == upcoming(Cron("* * * * *", "UTC"), NOW, -1) == []


def test_the_end_of_the_calendar_is_no_error():
    assert next_after(Cron("0 0 1 1 *", "Asia/Tokyo"), at("9950-01-01 00:00")) is None
    assert next_after(Cron("0 0 29 2 MON#5", "Asia/Tokyo"), at("9899-01-01 00:00")) is not None
