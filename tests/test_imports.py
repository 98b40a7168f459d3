"""`parley import`: what is read, what it comes to, what is closed or left behind; and what is written is right."""

from __future__ import annotations

import re
import shutil
import stat
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.errors import Refused
from gateway.imports import hermes, nanobot, openclaw, people, providers, scheduled
from gateway.imports.plan import Left, Plan
from gateway.imports.proof import prove
from gateway.imports.providers import Offer
from gateway.imports.sources import Sources
from gateway.settings import Settings, load

SAMPLES = Path(__file__).parent / "samples"
NOW = datetime(2026, 11, 26, tzinfo=UTC)
SYSTEMS = ("openclaw", "nanobot", "hermes")
MODULES: dict[str, Any] = {"openclaw": openclaw, "nanobot": nanobot, "hermes": hermes}


def planned(system: str, folder: Path | None = None, **environ: str) -> Plan:
    found = MODULES[system].plan(Sources.at(folder or SAMPLES / system, environ), NOW)
    assert isinstance(found, Plan)
    return found


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(each) for each in args])
    assert result.exit_code == code, result.output
    return result.output


def secrets(system: str) -> set[str]:
    """Every secret in a sample: they all say that they are one."""
    text = "\n".join(path.read_text() for path in (SAMPLES / system).rglob("*") if path.is_file())
    found = set(re.findall(r"[\w:-]*sample-[\w-]+", text))
    assert len(found) >= 4
    return found


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No parley.toml here, and no keys of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("ANTHROPIC", "OPENAI", "OPENROUTER", "GOOGLE", "GEMINI"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


# -- the command ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_is_written_unless_it_is_said_and_no_secret_is_shown(system: str, tmp_path: Path) -> None:
    shown = run("import", system, SAMPLES / system)
    assert "Nothing was written" in shown and "--write" in shown
    assert not any(secret in shown for secret in secrets(system))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_written_passes_the_check_is_this_users_alone_and_changes_nothing_of_theirs(
    system: str, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(SAMPLES / system, theirs)
    before = {path: path.read_bytes() for path in theirs.rglob("*") if path.is_file()}
    shown = run("import", system, theirs, "--write")
    assert not any(secret in shown for secret in secrets(system))
    written = tmp_path / "parley.toml"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "all right" in run("config", "check", "-c", written)
    # The same as what was planned, secrets and all.
    assert tomllib.loads(written.read_text()) == planned(system, theirs).tables
    assert {path: path.read_bytes() for path in theirs.rglob("*") if path.is_file()} == before
    settings = load(written, environ={})
    for account in (settings.channels.telegram, settings.channels.discord):
        assert account.active and account.access in ("closed", "pairing")


def test_a_configuration_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    mine = tmp_path / "parley.toml"
    mine.write_text("# mine\n")
    beside = [run("import", "hermes", SAMPLES / "hermes", "--write") for _ in range(2)]
    assert mine.read_text() == "# mine\n"
    written = sorted(path.name for path in tmp_path.glob("parley.hermes*.toml"))
    assert len(written) == 2 and "parley.hermes.toml" in written
    assert all("parley.hermes" in shown for shown in beside)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_not_there_is_said(system: str, tmp_path: Path) -> None:
    assert "is not there" in run("import", system, code=1)
    (tmp_path / "empty").mkdir()
    assert "there is no" in run("import", system, tmp_path / "empty", code=1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("openclaw.json", '{ token: "sample-secret", '),
        ("openclaw.json", "[1]"),
        ("openclaw.json", "[" * 100_000),
        ("config.yaml", "token: sample-secret: x\n"),
        ("config.yaml", "- 1\n"),
    ],
)
def test_what_cannot_be_read_is_said_without_what_is_in_it(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    system = "hermes" if name.endswith("yaml") else "openclaw"
    shown = run("import", system, tmp_path, code=1)
    assert name in shown and "sample-secret" not in shown


def test_a_file_that_is_named_is_read_with_its_neighbours(tmp_path: Path) -> None:
    shown = run("import", "nanobot", SAMPLES / "nanobot" / "config.json")
    assert "Remind me to drink." in shown


# -- what it comes to -----------------------------------------------------------------------------------------


def test_openclaw() -> None:
    plan = planned("openclaw")
    tables = plan.tables
    assert tables["agent"]["model"] == "anthropic:claude-sonnet-5"
    assert tables["agent"]["fallback_models"] == ["openai:gpt-5-mini"]
    assert tables["agent"]["models"] == ["lab:llama-3.1-8b"]
    assert tables["providers"]["lab"]["api_key"] == "sample-lab-key"
    assert set(tables["providers"]) == {"lab", "anthropic", "openai", "openrouter"}
    telegram = tables["channels"]["telegram"]
    assert telegram["token"] == "111111:sample-telegram-token-openclaw"
    assert (telegram["owners"], telegram["allow"]) == ([1001], [1001, 1002, -1001234567890])
    assert telegram["always"] == [-1001234567890] and "access" not in telegram
    assert telegram["accounts"]["work"]["access"] == "pairing"
    discord = tables["channels"]["discord"]
    assert discord["allow"] == [300000000000000003, 500000000000000005, 600000000000000006]
    assert discord["access"] == "pairing" and discord["gap_minutes"] == 90
    jobs = {job["name"]: job for job in tables["jobs"]}
    assert set(jobs) == {"Morning-brief", "Feeds", "Tax"}
    assert jobs["Morning-brief"]["deliver_to"] == "telegram:-1001234567890/7"
    assert (jobs["Feeds"]["schedule"], jobs["Feeds"]["enabled"]) == ("every 1h30m", False)
    assert jobs["Tax"]["schedule"] == "at 2099-02-01 17:00"  # Berlin
    closed = " ".join(plan.closed)
    assert "dmPolicy is open" in closed and "allowFrom lets everybody in" in closed
    left = {each.theirs for each in plan.left}
    assert {"channels.whatsapp", "hooks", "cron/jobs.json, Probe", "cron/jobs.json, Odd"} <= left
    assert "channels.slack" not in left  # it was off


def test_nanobot() -> None:
    plan = planned("nanobot", DEEPSEEK_KEY="sample-deepseek")
    tables = plan.tables
    assert tables["agent"]["model"] == "openrouter:anthropic/claude-haiku-4.5"
    assert tables["agent"]["fallback_models"] == ["deepseek:deepseek-chat"]
    assert tables["providers"]["deepseek"]["api_key"] == "sample-deepseek"
    assert tables["channels"]["telegram"]["allow"] == [2001]
    assert any("discord.allowFrom is empty" in text for text in plan.closed)
    assert [job["schedule"] for job in tables["jobs"]] == ["0 9 * * 1-5", "every 2h"]
    assert tables["jobs"][1]["deliver_to"] == "discord:800000000000000008"
    left = {each.theirs for each in plan.left}
    assert {"channels.feishu", "cron/jobs.json, soon", "an owner on telegram", "groups on telegram"} <= left
    # Without its variable the provider is left out, and what it was to answer.
    assert "deepseek" not in planned("nanobot").tables["providers"]


def test_hermes() -> None:
    plan = planned("hermes")
    tables = plan.tables
    assert tables["agent"]["model"] == "anthropic:claude-opus-4.6"
    assert tables["agent"]["fallback_models"] == ["openrouter:anthropic/claude-sonnet-5"]
    assert tables["providers"]["my_proxy"]["api_key"] == "sample-proxy-key"
    assert "minted" not in tables["providers"]
    assert tables["channels"]["telegram"]["allow"] == [3001, 3002, -1009876543210]
    assert tables["sessions"] == {"group_scope": "user"} and tables["gateway"] == {
        "timezone": "Europe/London"
    }
    assert len(plan.closed) == 3
    jobs = {job["name"]: job for job in tables["jobs"]}
    assert jobs["Morning-feeds"]["deliver_to"] == ["telegram:3001", "discord:900000000000000009"]
    assert jobs["Check"]["deliver_to"] == ["telegram:-1009876543210/17"] and jobs["Check"]["enabled"] is False
    assert jobs["Once"]["schedule"] == "at 2099-05-01 09:30"
    assert "cron/jobs.json, Script" in {each.theirs for each in plan.left}


@pytest.mark.parametrize("system", SYSTEMS)
def test_whoever_lets_everybody_in_there_is_closed_here(system: str, tmp_path: Path) -> None:
    """Wherever their list can say so."""
    shutil.copytree(SAMPLES / system, tmp_path / "theirs")
    for path in (tmp_path / "theirs").rglob("*"):
        if path.is_file():
            text = path.read_text()
            for word in ('"1002"', '"2001|anna"', "3002"):
                text = text.replace(word, "*" if word == "3002" else '"*"')
            path.write_text(text)
    plan = planned(system, tmp_path / "theirs")
    for channel in ("telegram", "discord"):
        bot = plan.tables["channels"][channel]
        assert bot.get("access", "closed") != "open"
        assert all(isinstance(id, int) for id in bot.get("allow", []))
    assert plan.closed


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("odd", [None, "x", 7, True, [], ["x", None, {}], {"x": {"y": []}}])
def test_no_odd_value_anywhere_makes_it_fall_over(system: str, odd: Any, tmp_path: Path) -> None:
    """Each setting of theirs in turn is something else than it should be."""
    source = Sources.at(SAMPLES / system, {})
    whole = source.main("openclaw.json", "config.json", "config.yaml")

    class Changed(Sources):
        def main(self, *names: str) -> dict[str, Any]:
            return changed

    for path in _paths(whole):
        changed = _with(whole, path, odd)
        plan = MODULES[system].plan(Changed(SAMPLES / system, {}), NOW)
        prove(plan)
        settings = Settings.model_validate(plan.tables)
        for _, bot in (*settings.channels.telegram.each(), *settings.channels.discord.each()):
            assert bot.access != "open"


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, each in inside for path in _paths(each, (*at, key)))][0 if at else 1 :]


def _with(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(value[path[0]], path[1:], odd)
    return copy


# -- single values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "to", "ours"),
    [
        ("telegram", "123", "telegram:123"),
        ("telegram", "-100123", "telegram:-100123"),
        ("telegram", "-100123:topic:7", "telegram:-100123/7"),
        ("telegram", "-100123:7", "telegram:-100123/7"),
        ("telegram", "telegram:group:-100123:topic:7", "telegram:-100123/7"),
        ("discord", "channel:55", "discord:55"),
        ("discord", "user:55", None),
        ("discord", "#general", None),
        ("slack", "channel:C1", None),
        ("last", None, None),
        (None, None, None),
    ],
)
def test_targets(channel: str | None, to: str | None, ours: str | None) -> None:
    assert scheduled.target(channel, to) == ours


@pytest.mark.parametrize(
    ("expr", "ours"),
    [
        ("0 9 * * 1-5", "0 9 * * 1-5"),
        ("0 0 9 * * *", "0 9 * * *"),
        ("30 0 9 * * *", None),
        ("@daily", "@daily"),
        ("never", None),
    ],
)
def test_crontabs(expr: str, ours: str | None) -> None:
    assert scheduled.crontab(expr) == ours


def test_intervals_and_moments() -> None:
    assert [scheduled.interval(s) for s in (20, 60, 5400, 90000)] == [
        None,
        "every 1m",
        "every 1h30m",
        "every 1d1h",
    ]
    assert scheduled.moment(1_796_000_000_000, "Europe/Berlin", NOW) == "at 2026-11-30 01:53"
    assert scheduled.moment("2026-12-01T09:00", "", NOW) == "at 2026-12-01 09:00"
    assert scheduled.moment("2020-12-01T09:00", "", NOW) is None
    assert scheduled.moment("tomorrow", "", NOW) is None
    assert scheduled.moment(10**30, "", NOW) is None
    assert scheduled.moment("2026-12-01T09:00", "Mars/Base", NOW) is None


def test_a_provider_without_a_key_is_left_and_its_models_with_it() -> None:
    plan = Plan("x")
    assert not providers.take(plan, Offer(name="anthropic", theirs="a"))
    assert not providers.take(plan, Offer(name="unheard-of", key="k", theirs="b"))
    assert not providers.take(plan, Offer(name="groq", theirs="c"))
    assert providers.take(plan, Offer(name="ollama", theirs="d"))
    assert plan.tables == {"providers": {"ollama": {"kind": "ollama"}}}
    assert providers.model(plan, "m", "ollama/qwen3:8b") == "ollama:qwen3:8b"
    assert providers.model(plan, "m", "anthropic/claude", router=True) is None
    assert (
        Left("m", "anthropic/claude: its provider was not taken over; choose a model with [agent] model")
        in plan.left
    )


def test_an_address_is_as_our_client_wants_it() -> None:
    plan = Plan("x")
    providers.take(
        plan, Offer(name="mini", key="k", base_url="https://a.example/v1/", speaks="anthropic", theirs="a")
    )
    assert plan.get("providers.mini") == {
        "kind": "anthropic",
        "base_url": "https://a.example",
        "api_key": "k",
    }


def test_owners_are_named_with_their_platform() -> None:
    plan = Plan("x")
    people.owners(plan, "o", ["telegram:1", "tg:2", "discord:user:3", "*", "ada", "whatsapp:+1"])
    assert plan.get("channels.telegram.owners") == [1, 2] and plan.get("channels.discord.owners") == [3]
    assert len(plan.closed) == 1 and len(plan.left) == 2


def test_a_path_that_is_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        Sources.at(tmp_path / "none", {})
