"""The command line as its users see it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.cli.costs import By, bounds, lines
from gateway.cli.doctor import clock, disk, packages
from gateway.cli.prompt import Printer, converse
from gateway.cli.talk import Heard
from gateway.cli.wrap import Wrap
from gateway.errors import ParleyError, Refused
from gateway.texts import say
from storage.rollup import MAKING
from tests.fakes.llm import FakeLLM, Reply

COMMANDS = [
    ("init",),
    ("run",),
    ("chat",),
    ("send",),
    ("doctor",),
    ("people", "list"),
    ("people", "allow"),
    ("people", "block"),
    ("people", "role"),
    ("sessions", "list"),
    ("sessions", "show"),
    ("sessions", "compact"),
    ("sessions", "compactions"),
    ("costs",),
    ("costs", "reconcile"),
    ("budget", "show"),
    ("budget", "set"),
    ("budget", "refused"),
    ("budget", "allow"),
    ("prices", "check"),
    ("jobs", "add"),
    ("jobs", "list"),
    ("jobs", "show"),
    ("jobs", "next"),
    ("jobs", "run"),
    ("jobs", "pause"),
    ("jobs", "resume"),
    ("jobs", "rm"),
    ("jobs", "history"),
    ("jobs", "runs"),
    ("digest", "list"),
    ("digest", "on"),
    ("digest", "off"),
    ("digest", "now"),
    ("keys", "list"),
    ("keys", "add"),
    ("keys", "revoke"),
    ("api",),
    ("config", "check"),
    ("config", "show"),
    ("halt",),
    ("unhalt",),
    ("reload",),
    ("backup",),
    ("service", "install"),
    ("service", "uninstall"),
    ("service", "status"),
    ("tidy",),
    ("restore",),
    ("migrate",),
]
HEAVY = (
    "babel",
    "aiohttp",
    "httpx",
    "fastapi",
    "prompt_toolkit",
    "rich",
    "gateway.app",
    "storage",
    "channels",
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and a data folder of its own."""
    for name in list(os.environ):
        if name.startswith("PARLEY_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PARLEY_GATEWAY__DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parley(*words: str, typed: str = "", code: int = 0) -> Result:
    result = CliRunner().invoke(app, words, input=typed)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def told(*words: str) -> object:
    return json.loads(parley(*words, "--json").stdout)


# -- help -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_teaches_by_an_example(words: tuple[str, ...]) -> None:
    said = parley(*words, "--help").stdout
    assert f"parley {' '.join(words)}" in said.partition("Examples:")[2]


def test_the_list_of_commands_has_them_all_and_cuts_no_line() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    ).stdout
    for words in COMMANDS:
        assert f"\n  {words[0]} " in said
    assert "..." not in said.partition("Commands:")[2]


def test_no_help_loads_what_is_heavy() -> None:
    script = (
        "import sys\nfrom gateway.cli import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    for words in ((), ("--version",), ("costs",), ("people", "allow")):
        said = subprocess.run(
            [sys.executable, "-c", script, *words, *([] if "--version" in words else ["--help"])],
            capture_output=True,
            text=True,
        )
        assert said.stdout
        assert said.stderr.strip() == ""


def test_the_configuration_may_be_named_before_or_after_the_command(home: Path) -> None:
    (home / "other.toml").write_text('[gateway]\ntimezone = "Europe/Berlin"\n')
    for words in (("-c", "other.toml", "config", "show"), ("config", "show", "-c", "other.toml")):
        assert told(*words)["gateway"]["timezone"] == "Europe/Berlin"


# -- configuration --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("run",), ("people", "list"), ("config", "check"), ("costs",)], ids=" ".join
)
def test_a_wrong_configuration_is_told_in_one_line_with_code_2(home: Path, words: tuple[str, ...]) -> None:
    (home / "parley.toml").write_text("[gateway]\ntimezon = 'UTC'\n")
    result = parley(*words, code=2)
    (line,) = result.stderr.splitlines()
    assert line.startswith("parley.toml:2: ") and "timezone" in line


def test_config_check_gives_its_problems_to_scripts(home: Path) -> None:
    (home / "parley.toml").write_text("[web]\nport = -1\n")
    found = json.loads(parley("config", "check", "--json", code=2).stdout)
    assert not found["ok"] and found["problems"][0]["where"] == "parley.toml:2"


def test_config_show_is_toml_that_can_be_read_again_and_hides_keys(home: Path) -> None:
    import tomllib

    (home / "parley.toml").write_text(
        '[providers.local]\nkind = "openai"\napi_key = "sk-very-secret"\nbase_url = "http://127.0.0.1:1/v1"\n'
        '[providers.local.price."qwen3:8b"]\ninput = 1\noutput = 2\n'
        '[[jobs]]\nname = "a"\nschedule = "@daily"\nprompt = "p"\n'
    )
    said = parley("config", "show").stdout
    values = tomllib.loads(said)
    assert "sk-very-secret" not in said
    assert values["providers"]["local"]["price"]["qwen3:8b"]["output"] == 2
    assert values["jobs"][0]["name"] == "a"


def test_the_example_can_be_taken_as_a_configuration(home: Path) -> None:
    (home / "parley.toml").write_text(parley("config", "show", "--example").stdout)
    assert "all right" in parley("config", "check").stdout


# -- without a running gateway --------------------------------------------------------------------------------


def test_somebody_who_is_let_in_is_listed() -> None:
    assert (
        "telegram:12345: allowed, admin"
        in parley("people", "allow", "telegram:12345", "--role", "admin").stdout
    )
    assert {"address": "telegram:12345", "name": "", "state": "allowed", "role": "admin"} in told(
        "people", "list"
    )
    parley("people", "role", "telegram:12345", "owner")
    parley("people", "block", "telegram:12345")
    assert {"address": "telegram:12345", "name": "", "state": "blocked", "role": "owner"} in told(
        "people", "list"
    )


def test_a_name_is_refused_in_one_line() -> None:
    result = parley("people", "allow", "@ann", code=1)
    assert len(result.stderr.splitlines()) == 1 and "channel:number" in result.stderr


def test_one_message_gives_only_the_answer_on_stdout() -> None:
    result = parley("chat", "-m", "hello there")
    assert result.stdout.startswith("You said:\n\n> hello there")
    assert result.stderr == ""


def test_a_message_can_come_from_stdin() -> None:
    assert "> from a pipe" in parley("chat", "-m", "-", typed="from a pipe").stdout


def test_a_chat_without_a_terminal_says_how_it_is_done() -> None:
    assert "-m TEXT" in parley("chat", code=1).stderr


def test_a_session_is_shortened_looked_at_and_brought_back() -> None:
    for text in ("what is this", "and that"):
        id = told("chat", "-m", text, "--key", "desk")["session_id"]
    assert "Nothing was put away yet" in parley("sessions", "compactions", id).stdout
    done = told("sessions", "compact", id, "--focus", "whales")
    assert done["method"] == "notes" and done["model"] == "demo:demo" and done["cost_usd"] == "0"
    listed = parley("sessions", "compactions", id).stdout
    assert "by a program: whales" in listed and "notes by demo:demo" in listed
    assert done["summary"] in parley("sessions", "compactions", id, "1").stdout
    assert "there are 1 of them" in parley("sessions", "compactions", id, "2", code=2).stderr
    assert "Taken back" in parley("sessions", "compact", id, "--undo").stdout
    assert "taken back" in parley("sessions", "compactions", id).stdout
    assert parley("sessions", "compact", id, "--undo", code=1).stderr == f"parley: {say('window.no_undo')}\n"
    assert "Put back" in parley("sessions", "compact", id, "--redo").stdout
    assert "not shortened by itself." in parley("sessions", "compact", id, "--auto", "off").stdout
    assert "as configured" in parley("sessions", "compact", id, "--auto", "default").stdout
    assert "one of" in parley("sessions", "compact", id, "--undo", "--redo", code=2).stderr


def test_a_conversation_is_listed_shown_and_on_the_bill() -> None:
    answer = told("chat", "-m", "what is this", "--key", "desk")
    (session,) = told("sessions", "list")
    assert session["id"] == answer["session_id"] and session["key"] == "desk"
    shown = told("sessions", "show", session["id"])
    assert [each["role"] for each in shown["messages"]] == ["user", "assistant"]
    assert "what is this" in parley("sessions", "show", session["id"]).stdout
    bill = told("costs")
    assert bill["total"]["requests"] == 1 and bill["total"]["tokens"]["output"] > 0
    assert "demo:demo" in parley("costs").stdout
    shown = parley("costs", "today", "--csv", "-", "--by", "user").stdout.splitlines()
    assert shown[0].startswith("user,requests,turns,input,") and shown[1].startswith(
        "local (main:local),1,1,"
    )
    assert parley("costs", "--csv", "bill.csv", "--by", "session").stdout == "Written: bill.csv (1 line)\n"
    assert Path("bill.csv").read_text().splitlines()[1].startswith(session["id"])
    parley("costs", "--csv", "nowhere/bill.csv", code=1)
    parley("costs", "7d", "--since", "7d", code=1)


def test_a_key_is_made_listed_and_revoked() -> None:
    assert "No key" in parley("keys", "list").stdout
    made = parley("keys", "add", "--scope", "operate", "--name", "Ada's editor", "--expires", "90d")
    secret, prefix = made.stdout.strip(), made.stdout.split("_")[1]
    assert re.fullmatch(r"parley_[a-z0-9]{8}_[\w-]{43}", secret)
    assert "shown once" in made.stderr and f"parley keys revoke {prefix}" in made.stderr
    listed = parley("keys", "list").stdout
    assert all(each in listed for each in (prefix, "Ada's editor", "main:local", "operate", "valid", "never"))
    assert secret.split("_", 2)[2] not in listed
    assert f"{prefix} of main:local is revoked" in parley("keys", "revoke", prefix).stdout
    assert told("keys", "list")[0]["state"] == "revoked"
    assert "scope" in parley("keys", "add", "--scope", "everything", code=1).stderr
    assert "people allow telegram:7" in parley("keys", "add", "--for", "telegram:7", code=1).stderr
    assert "90d" in parley("keys", "add", "--expires", "soon", code=1).stderr
    assert "no key" in parley("keys", "revoke", "../people", code=1).stderr


def test_the_api_is_described_on_the_command_line() -> None:
    described = json.loads(parley("api").stdout)
    assert described["openapi"] == "3.1.0" and "/v1/messages" in described["paths"]


def test_a_budget_is_set_shown_and_kept_between_commands() -> None:
    told("chat", "-m", "hello", "--key", "desk")
    assert "channel main day: $2.50" in parley("budget", "set", "channel", "main", "day", "2.50").stdout
    assert told("budget", "set", "channel", "main", "day", "2,50")["cap"] == 2_500_000_000
    (shown,) = told("budget", "show")
    assert (shown["scope"], shown["id"], shown["cap"], shown["spent"]) == (
        "channel",
        "main",
        2_500_000_000,
        0,
    )
    assert "$2.50" in parley("budget", "show", "channel", "main").stdout
    parley("budget", "set", "person", "*", "month", "20")
    assert re.search(r"person +\* +month +- +- +- +\$20", parley("budget", "show").stdout)
    parley("budget", "set", "person", "*", "month", "default")
    assert "no cap" in parley("budget", "set", "channel", "main", "day", "off").stdout
    assert "planet" not in parley("budget", "set", "planet", "x", "day", "1", code=1).stdout
    assert "No budget" in parley("budget", "show").stdout


CAPPED = """
[providers.own]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"
[providers.own.price]
some = { input = 3, output = 15 }
[agent]
model = "own:some"
retries = 0
[budgets]
chat_day = 0.001
"""


def test_what_a_budget_refused_is_listed_and_let_pass_from_the_terminal(home: Path) -> None:
    Path("parley.toml").write_text(CAPPED)
    answer = json.loads(parley("chat", "-m", "why?", "--json", "--key", "desk", code=1).stdout)
    assert (answer["state"], answer["kind"]) == ("failed", "budget")
    assert answer["budget"]["cap"] == answer["budget"]["left"] == 1_000_000 < answer["worst"]
    (refused,) = told("budget", "refused")
    assert (refused["session_id"], refused["who"]) == (answer["session_id"], "main:local")
    assert answer["session_id"] in parley("budget", "refused").stdout
    parley("budget", "allow", "NOSUCHONE1", code=1)
    assert "Allowed once" in parley("budget", "allow").stdout
    assert told("budget", "refused") == []
    parley("budget", "allow", answer["session_id"], code=1)
    parley("chat", "-m", "and?", "--key", "other", code=1)
    (other,) = told("budget", "refused")
    raised = told("budget", "allow", "--raise", other["session_id"])
    assert raised["cap"] == other["raised"] > 1_000_000
    assert told("budget", "show", "chat", "main:other")[0]["cap"] == raised["cap"]


def test_a_chat_goes_on_in_the_session_that_is_named() -> None:
    first = told("chat", "-m", "one")["session_id"]
    parley("chat", "-m", "/new")
    assert told("chat", "-m", "two")["session_id"] != first
    assert told("chat", "-m", "three", "--session", first)["session_id"] == first


def test_a_session_that_is_not_there_is_refused() -> None:
    assert (
        parley("sessions", "show", "NOSUCHCODE", code=1).stderr == "parley: There is no session NOSUCHCODE.\n"
    )


async def test_a_failed_answer_is_code_1_and_its_reason_on_stderr(home: Path) -> None:
    async with FakeLLM() as llm:
        (home / "parley.toml").write_text(
            f'[agent]\nmodel = "anthropic:claude-sonnet-5"\nretries = 0\n'
            f'[providers.anthropic]\napi_key = "test-key"\nbase_url = "{llm.url}"\n'
        )
        llm.queue.append(Reply(status=400, message="no such thing"))
        result = await asyncio.to_thread(CliRunner().invoke, app, ["chat", "-m", "hello"])
    assert result.exit_code == 1
    assert result.stdout == "" and result.stderr.strip()


# -- costs ----------------------------------------------------------------------------------------------------

NOON = 1_790_000_000_000_000 // 86_400_000_000 * 86_400_000_000 + 12 * 3_600_000_000
DAY = 86_400_000_000


def test_times_of_the_bill_are_whole_days_of_the_zone() -> None:
    midnight = NOON - DAY // 2
    assert bounds("today", "UTC", NOON) == (midnight, None)
    assert bounds("7d", "UTC", NOON) == (midnight - 6 * DAY, None)
    assert bounds("all", "UTC", NOON) == (None, None)
    assert bounds("1970-01-02", "UTC", NOON) == (DAY, None)
    assert bounds("1970-01-02..1970-01-03", "UTC", NOON) == (DAY, 3 * DAY)
    with pytest.raises(Refused, match="2026-11-01"):
        bounds("yesteryear", "UTC", NOON)


def test_what_has_no_price_is_never_shown_as_free() -> None:
    usage = {
        "tokens": {"uncached": 1, "read": 2, "write_5m": 3, "write_1h": 4, "output": 5},
        "cost": 0, "requests": 1, "turns": 1, "unpriced": 1, "saved": 0, "estimated": 0, "estimated_cost": 0,
    }  # fmt: skip
    _, rows = lines({"by_model": [{"name": "x:y", "usage": usage}]}, By.MODEL)
    assert rows == [("x:y", 1, 1, 10, 2, 7, 5, None, 0, 0, 0, 1)]


# -- prices ---------------------------------------------------------------------------------------------------

PRICED = """
[agent]
model = "anthropic:claude-sonnet-4-5"
fallback_models = ["openai:gpt-5-mini"]
models = ["box:qwen3", "openai:gpt-5-mini", "far:odd"]
[providers.anthropic]
api_key = "k"
[providers.openai]
api_key = "k"
[providers.box]
kind = "ollama"
[providers.far]
kind = "openai"
api_key = "k"
base_url = "https://models.example.com/v1"
[providers.far.price.odd]
input = 2
output = 8
cache_read = 0.5
[transcription]
provider = "openai"
model = "gpt-4o-transcribe"
"""


def test_every_configured_model_is_listed_with_its_price_and_where_that_is_from(home: Path) -> None:
    (home / "parley.toml").write_text(PRICED)
    found = {each["model"]: each for each in told("prices", "check")}
    assert found["anthropic:claude-sonnet-4-5"]["per_million"] == {
        "uncached": "3", "output": "15", "read": "0.3", "write_5m": "3.75", "write_1h": "6",
    }  # fmt: skip
    assert found["openai:gpt-5-mini"]["uses"] == ["fallback", "offered"]
    assert found["openai:gpt-5-mini"]["source"].startswith("list (genai-prices")
    assert (found["box:qwen3"]["source"], found["far:odd"]["source"]) == ("free", "override")
    assert found["openai:gpt-4o-transcribe"]["uses"] == ["transcription"]
    assert found["openai:gpt-4o-transcribe"]["per_million"]["uncached"]
    assert "$3.75" in parley("prices", "check").stdout


def test_what_is_paid_of_the_list_price_and_what_is_free_here(home: Path) -> None:
    text = PRICED.replace(
        '[providers.anthropic]\napi_key = "k"', '[providers.anthropic]\napi_key = "k"\ndiscount = 0.8'
    )
    text = text.replace('"far:odd"]', '"far:odd", "near:mine", "near:gpt-5-mini", "locked:mine"]')
    for name, key in (("near", ""), ("locked", 'api_key = "k"\n')):
        text += f'[providers.{name}]\nkind = "openai"\n{key}base_url = "http://localhost:1234/v1"\n'
    (home / "parley.toml").write_text(text)
    found = {each["model"]: each for each in json.loads(parley("prices", "check", "--json", code=1).stdout)}
    assert found["anthropic:claude-sonnet-4-5"]["per_million"]["uncached"] == "2.4"
    assert found["anthropic:claude-sonnet-4-5"]["source"].endswith(" x 0.8")
    assert (found["near:mine"]["source"], found["near:mine"]["missing"]) == ("free", [])
    assert {found[each]["source"] for each in ("near:gpt-5-mini", "locked:mine")} == {"missing"}


@pytest.mark.parametrize(
    "change, missing",
    [
        ('[providers.far.price.odd]\ninput = 2\noutput = 8\ncache_read = 0.5\n', "far:odd: no price for anything"),
        ("cache_read = 0.5\n", "far:odd: no price for cache read"),
    ],
)  # fmt: skip
def test_a_missing_price_is_loud(home: Path, change: str, missing: str) -> None:
    (home / "parley.toml").write_text(PRICED.replace(change, ""))
    result = parley("prices", "check", code=1)
    assert missing in result.stderr and '[providers.far.price."odd"]' in result.stderr
    assert len(result.stderr.splitlines()) == 1


# -- jobs -----------------------------------------------------------------------------------------------------


def test_a_schedule_can_be_tried_out_over_a_change_of_the_clock() -> None:
    said = parley(
        "jobs", "next", "30 2 * * *", "--zone", "Europe/Berlin", "--after", "2026-03-28T12:00", "-n", "2"
    )
    assert said.stdout.splitlines() == [
        "Sun 2026-03-29 03:00 CEST (+0200)",
        "Mon 2026-03-30 02:30 CEST (+0200)",
    ]


def test_a_schedule_nobody_can_follow_is_refused_in_one_line() -> None:
    assert len(parley("jobs", "next", "every now and then", code=1).stderr.splitlines()) == 1


def test_jobs_are_listed_and_run_by_hand(home: Path) -> None:
    (home / "parley.toml").write_text(
        '[[jobs]]\nname = "news"\nschedule = "@daily"\nprompt = "What is new?"\n'
    )
    (job,) = told("jobs", "list")
    assert job["name"] == "news" and job["next_at"] > time.time() * 1e6
    assert "news" in parley("jobs", "list").stdout
    parley("jobs", "run", "news")
    (run,) = told("jobs", "runs", "news")
    assert run["state"] in ("waiting", "running", "done")


def test_a_digest_is_set_listed_and_switched_off(home: Path) -> None:
    refused = parley("digest", "on", "telegram:1", "8:00", code=1).stderr
    assert "telegram:1" in refused and "has to write to me first" in refused
    assert parley("digest", "list").stdout.startswith("No digest is set.")


def test_a_job_is_made_and_looked_after_without_a_gateway() -> None:
    said = parley(
        "jobs", "add", "every weekday at 8:00", "What is new?", "--name", "news", "--zone", "Asia/Tokyo"
    )
    lines = said.stdout.splitlines()
    assert lines[0] == "news runs every weekday at 08:00, Asia/Tokyo."
    assert all(line.endswith(" 08:00 JST (+0900)") for line in lines[1:4])
    assert lines[4] == "Try it now: parley jobs run news"
    would = told("jobs", "add", "in 20m", "Stretch.", "--check", "--to", "none")
    assert (would["name"], would["deliver_to"]) == ("job-1", [])
    typed = parley("jobs", "add", "@daily", "-", "--name", "stdin", typed="Sum up.\n")
    assert typed.stdout.startswith("stdin runs every day at 00:00, UTC.")
    shown = parley("jobs", "show", "news").stdout
    assert "every weekday at 08:00, Asia/Tokyo" in shown and "What is new?" in shown
    parley("jobs", "pause", "news")
    assert [job["state"] for job in told("jobs", "list")] == ["paused", "on"]
    parley("jobs", "resume", "news")
    parley("jobs", "rm", "news")
    assert told("jobs", "history", "news") == []
    wrong = parley("jobs", "add", "whenever", "x", code=1).stderr
    assert len(wrong.splitlines()) == 1 and '"every 2h" or "at 2026-12-01 09:00"' in wrong


# -- upkeep ---------------------------------------------------------------------------------------------------


def test_a_backup_brings_back_what_was_there_and_deletes_nothing(home: Path) -> None:
    media = home / "data" / "media"
    parley("people", "allow", "telegram:1")
    media.mkdir()
    (media / "picture").write_bytes(b"old")
    path = told("backup")["path"]
    parley("people", "allow", "telegram:2")
    (media / "picture").write_bytes(b"new")
    assert "restored" in parley("restore", path, "--yes").stdout
    assert [each["address"] for each in told("people", "list")] == ["telegram:1"]
    assert (media / "picture").read_bytes() == b"old"
    (kept,) = (home / "data").glob("media.before-restore-*")
    assert (kept / "picture").read_bytes() == b"new"
    (before,) = (home / "data").glob("parley.db.before-restore-*")
    with closing(sqlite3.connect(before)) as database:
        found = database.execute("SELECT count(*) FROM identity WHERE user_id = '2'").fetchone()
    assert found == (1,)


def test_what_is_too_old_is_shown_first_and_goes_when_it_is_asked_for(home: Path) -> None:
    (home / "parley.toml").write_text("[retention]\ndelete_days = 365\ninbox_days = 0\n")
    assert parley("tidy").stdout == "Nothing is too old.\n"
    parley("chat", "-m", "hello")
    with closing(sqlite3.connect(home / "data" / "parley.db")) as database:
        database.execute("UPDATE session SET last_active = 1")
        database.commit()
    said = parley("tidy").stdout
    assert said.startswith("Too old; ") and "\n  1 session of main to delete\n" in said
    assert len(told("sessions", "list")) == 1
    assert parley("tidy", "--now").stdout == "Done:\n  1 session of main deleted\n"
    assert told("sessions", "list") == []
    assert told("tidy") == {"archived": {}, "deleted": {}, "inbox": 0, "outbox": 0, "undelivered": 0}


def test_a_backup_holds_no_secret_and_is_for_its_owner_only(home: Path) -> None:
    (home / "parley.toml").write_text('[providers.anthropic]\napi_key = "sk-very-secret"\n')
    parley("backup", "b.tar.gz")
    assert (home / "b.tar.gz").stat().st_mode & 0o077 == 0
    with tarfile.open(home / "b.tar.gz") as tar:
        assert sorted(tar.getnames()) == ["parley.db", "settings.json"]
        settings = tar.extractfile("settings.json").read()
    assert b"sk-very-secret" not in settings and b"***" in settings


def test_a_backup_never_writes_over_a_file(home: Path) -> None:
    (home / "b.tar.gz").write_text("mine")
    parley("backup", "b.tar.gz", code=1)
    assert (home / "b.tar.gz").read_text() == "mine"


def test_a_backup_with_a_link_in_it_is_refused(home: Path) -> None:
    parley("people", "allow", "telegram:1")
    (home / "link").symlink_to("/etc/passwd")
    with tarfile.open(home / "b.tar.gz", "w:gz") as tar:
        tar.add(home / "data" / "parley.db", "parley.db")
        tar.add(home / "link", "media/link")
    assert "'media/link' does not belong" in parley("restore", "b.tar.gz", "--yes", code=1).stderr


def test_of_the_backups_of_a_folder_as_many_stay_as_one_wants(home: Path) -> None:
    parley("people", "allow", "telegram:1")
    ours, away = home / "data" / "backups", home / "away"
    away.mkdir()
    for folder in (ours, away):
        folder.mkdir(exist_ok=True)
        for name in (
            "parley-20200101-000000",
            "parley-20200102-000000",
            "parley-nightly-20200101-0330",
            "mine",
        ):
            (folder / f"{name}.tar.gz").write_text("old")
    gone = ["parley-20200101-000000.tar.gz"]
    stay = ["mine.tar.gz", "parley-20200102-000000.tar.gz", "parley-nightly-20200101-0330.tar.gz"]
    for words, folder in (((), ours), ((str(away),), away)):
        found = told("backup", *words, "--keep", "2")
        made = Path(found["path"])
        assert (made.parent, found["removed"]) == (folder, gone)
        assert sorted(each.name for each in folder.iterdir()) == sorted([*stay, made.name])
    again = told("backup", str(ours), "--keep", "1")  # the folder that it is made in anyway
    assert Path(again["path"]).exists() and len(again["removed"]) == 2
    said = parley("backup", "b.tar.gz", "--keep", "2", code=1).stderr
    assert "--keep counts the backups of a folder" in said and not (home / "b.tar.gz").exists()


def test_what_root_makes_in_a_folder_of_somebody_elses_is_theirs(home: Path) -> None:
    """As `sudo parley …` beside a gateway that runs as a user of its own, which must be able to open all of it."""
    data = home / "data"
    data.mkdir(exist_ok=True)
    if os.geteuid() == 0:  # nobody else can give a file away, nor need they: theirs is the folder then
        os.chown(data, 12345, 12345)
    parley("people", "allow", "telegram:1")
    path = told("backup")["path"]
    parley("restore", path, "--yes")
    parley("people", "list")
    owners = {str(each.relative_to(data)): each.stat().st_uid for each in data.rglob("*")}
    assert {"parley.db", "parley.db.lock", "backups"} <= owners.keys()
    assert set(owners.values()) == {data.stat().st_uid}, owners


@pytest.mark.parametrize("content", [b"", b"nothing like it", b"SQLite format 3\x00 and no more"])
def test_what_is_no_backup_is_not_restored(home: Path, content: bytes) -> None:
    parley("people", "allow", "telegram:1")
    (home / "b").write_bytes(content)
    assert len(parley("restore", "b", "--yes", code=1).stderr.splitlines()) == 1
    assert [each["address"] for each in told("people", "list")] == ["telegram:1"]


def test_a_backup_that_leads_out_of_its_folder_is_refused(home: Path) -> None:
    parley("people", "allow", "telegram:1")
    with tarfile.open(home / "b.tar.gz", "w:gz") as tar:
        tar.add(home / "data" / "parley.db", "parley.db")
        tar.add(home / "data" / "parley.db", "media/../../evil")
    parley("restore", "b.tar.gz", "--yes", code=1)
    assert not list(home.rglob("evil"))


def test_pending_migrations_are_listed_and_applied(home: Path) -> None:
    assert "0001 initial" in parley("migrate", "--check", code=1).stdout
    assert not (home / "data" / "parley.db").exists()
    assert "0001 initial" in parley("migrate").stdout
    assert "nothing is pending" in parley("migrate", "--check").stdout


def test_a_reload_without_a_gateway_says_so() -> None:
    assert "no gateway is running" in parley("reload", code=1).stderr


# -- doctor ---------------------------------------------------------------------------------------------------


def test_on_a_fresh_folder_nothing_is_broken_and_the_demo_is_told() -> None:
    rows = {row["name"]: row for row in told("doctor")}
    assert {row["state"] for row in rows.values()} == {"ok", "warning"}
    assert rows["model"]["state"] == "warning" and "parley init" in rows["model"]["remedy"]
    assert "does not exist yet" in rows["database"]["text"]


def test_the_doctor_finds_a_damaged_database(home: Path) -> None:
    parley("people", "list")
    with (home / "data" / "parley.db").open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff" * 40_000)
    result = parley("doctor", code=1)
    assert "✗ database" in result.stdout and "parley restore" in result.stdout


def test_the_doctor_finds_sums_of_the_bill_that_are_not_the_ledger_s(home: Path) -> None:
    parley("chat", "-m", "hello")
    with closing(sqlite3.connect(home / "data" / "parley.db")) as database:

        def says(change: str) -> str:
            database.execute(change)
            database.commit()
            found = CliRunner().invoke(app, ["doctor"]).stdout
            return next(line for line in found.splitlines() if " bill " in line)

        assert "made at the next start" in says("DELETE FROM zone_offset")
        says("INSERT INTO zone_offset VALUES (0, 0)")
        says("INSERT INTO usage_day SELECT * FROM usage_day_true")
        assert says("INSERT INTO meta VALUES ('report_zone', 'UTC x')").startswith("✓")
        assert says("UPDATE usage_day SET cost = cost + 1 WHERE facet = 'total'").startswith("✗")
        # Whoever was stopped while making them has left some of them wrong, and unread.
        assert "made at the next start" in says(
            f"UPDATE meta SET value = '{MAKING}x' WHERE key = 'report_zone'"
        )


def test_the_doctor_names_the_line_of_a_wrong_setting(home: Path) -> None:
    (home / "parley.toml").write_text("[gateway]\ntimezon = 'UTC'\n")
    assert "✗ configuration  parley.toml:2" in parley("doctor", code=1).stdout


async def test_the_doctor_asks_each_server_and_tells_a_wrong_key_from_a_wrong_address(home: Path) -> None:
    async with FakeLLM() as llm:
        (home / "parley.toml").write_text(
            f'[providers.anthropic]\napi_key = "test-key"\nbase_url = "{llm.url}"\n'
            f'[providers.openai]\napi_key = "wrong"\nbase_url = "{llm.url}/v1"\n'
            '[providers.gone]\nkind = "openai"\nbase_url = "http://127.0.0.1:1/v1"\n'
        )
        result = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "--json"])
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert rows["anthropic"]["state"] == "ok"
    assert rows["openai"]["text"] == "the key was refused" and "api_key" in rows["openai"]["remedy"]
    assert "cannot be reached" in rows["gone"]["text"] and "base_url" in rows["gone"]["remedy"]
    assert rows["clock"]["text"].startswith("right to")


def test_a_clock_is_off_from_a_minute_on() -> None:
    assert clock([3.0, -60.0]).state == "ok"
    assert clock([3.0, -61.0]).text == "61 s behind the servers'"
    assert clock([61.0]).text == "61 s ahead of the servers'"


def test_the_packages_are_ours_and_the_disk_is_seen(home: Path) -> None:
    assert packages().state == "ok"
    assert "GB free" in disk(home / "not" / "there").text


# -- with a running gateway -----------------------------------------------------------------------------------


@pytest.fixture
def running(home: Path) -> Iterator[subprocess.Popen[str]]:
    """`parley run` as a service would start it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "run"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 20
    while not (home / "data" / "parley.sock").exists():
        assert process.poll() is None and time.monotonic() < until, "the gateway did not start"
        time.sleep(0.05)
    yield process
    process.kill()
    process.communicate()


def test_commands_use_the_gateway_that_runs(running: subprocess.Popen[str], home: Path) -> None:
    assert told("chat", "-m", "hello")["state"] == "done"
    parley("people", "allow", "telegram:7")
    assert "telegram:7" in parley("people", "list").stdout
    rows = {row["name"]: row for row in told("doctor")}
    assert rows["gateway"]["text"] == f"runs as process {running.pid} and answers"
    parley("backup", "live.tar.gz")
    assert f"kill {running.pid}" in parley("restore", "live.tar.gz", "--yes", code=3).stderr
    assert f"kill {running.pid}" in parley("run", code=3).stderr
    (home / "parley.toml").write_text(
        '[agent]\nsystem_prompt = "Be kind."\n[gateway]\ntimezone = "Europe/Berlin"\n'
    )
    assert told("reload") == {"now": ["agent.system_prompt"], "restart": ["gateway.timezone"]}


def test_it_ends_on_sigterm_with_0_and_has_said_what_is_on(running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 0
    assert "offline demo" in out and "parley init" in out and "parley chat" in out
    assert "started" in err


def test_a_silent_holder_of_the_database_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr("gateway.cli.client.SETTLE", 0.2)
    (home / "data").mkdir()
    with (home / "data" / "parley.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        result = parley("people", "list", code=3)
    assert "4711" in result.stderr and len(result.stderr.splitlines()) == 1


# -- the prompt -----------------------------------------------------------------------------------------------


class Echoing:
    """Answers in two pieces; what contains 'slow' only once it is stopped."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.stopped = asyncio.Event()
        self.slow = asyncio.Event()

    async def say(self, text: str) -> AsyncGenerator[Heard]:
        self.heard.append(text)
        if text == "/stop":
            self.stopped.set()
            yield Heard(kind="done", text="I have stopped.", state="command")
            return
        if text == "bad":
            raise ParleyError("the disk is full")
        yield Heard(kind="text", text="You ")
        if "slow" in text:
            self.slow.set()
            await self.stopped.wait()
        yield Heard(kind="done", text=f"You said {text}", state="done")


async def test_the_prompt_prints_answers_until_it_is_ended(capsys: pytest.CaptureFixture[str]) -> None:
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    talk = Echoing()
    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=DummyOutput()):
        keyboard.send_text("hello\rbad\r\r/quit\r")
        await asyncio.wait_for(converse(talk, commands=[("help", "")], ends="it"), 10)
    assert talk.heard == ["hello", "bad"]
    said = capsys.readouterr().out
    assert "You said hello\n" in said and "the disk is full" in said


async def test_ctrl_c_stops_the_answer_and_ctrl_d_ends(capsys: pytest.CaptureFixture[str]) -> None:
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    talk = Echoing()
    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=DummyOutput()):
        keyboard.send_text("\x03slow\r")
        talking = asyncio.create_task(converse(talk, commands=[], ends="the gateway"))
        await asyncio.wait_for(talk.slow.wait(), 10)
        keyboard.send_text("\x03next\r\x04")
        await asyncio.wait_for(talking, 10)
    assert talk.heard == ["slow", "/stop", "next"]
    assert "ends the gateway" in capsys.readouterr().out


def test_an_answer_that_begins_anew_is_printed_anew() -> None:
    out: list[str] = []
    printer = Printer(out.append, width=80)
    for text in ("The riv", "The river", "Once more"):
        printer.hear(Heard(kind="text", text=text))
    printer.hear(Heard(kind="done", text="Once more, then", state="done"))
    assert "".join(out) == "The river\nOnce more, then\n"


def test_nothing_an_answer_holds_can_steer_the_terminal() -> None:
    out: list[str] = []
    Printer(out.append, width=80).hear(Heard(kind="done", text="a\x1b]0;title\x07\u202eb\tc", state="done"))
    assert "".join(out) == "a]0;titleb\tc\n"


def test_lines_break_between_words_but_not_in_code() -> None:
    wrap = Wrap(20)
    text = (
        "one two three four five six\n```\n"
        + "x = 1  " * 5
        + "\n```\nand | so on it goes\n| a | table row that is long |\n"
    )
    shown = "".join(wrap.feed(character) for character in text) + wrap.end()
    assert [line.rstrip() for line in shown.splitlines()[:2]] == ["one two three four", "five six"]
    assert "x = 1  " * 5 in shown and "| a | table row that is long |" in shown


@pytest.mark.parametrize("width", [20, 33, 80])
def test_breaking_lines_changes_nothing_but_white_space(width: int) -> None:
    text = "Zwölf Boxkämpfer jagen 東京の猫 über den großen Deich, " * 6 + "\n\n    code stays\n"
    wrap = Wrap(width)
    shown = "".join(wrap.feed(text[at : at + 7]) for at in range(0, len(text), 7)) + wrap.end()
    assert shown.split() == text.split()
