"""Settings: what is read from where, what is refused and how, and what a reload may change."""

import json
import os
import re
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from gateway import settings as module
from gateway.config_file import SettingsError, read
from gateway.config_problems import known_keys
from gateway.settings import Settings, compare, example_text, load, redacted

KEY = re.compile(r"# (?=(?:[a-z_0-9]+ = )|\[)")  # a commented key or table of the example, without prose


@pytest.fixture(autouse=True)  # nothing is written where the suite is run
def folder(tmp_path, monkeypatch):
    """A working directory of our own, with no parley.toml in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def configured(text, environ=None, **overrides):
    Path("parley.toml").write_text(text, encoding="utf-8")
    return load(environ=environ or {}, overrides=overrides)


def refused(text="", environ=None, overrides=None, path=None):
    """The lines of the refusal."""
    if path is None:
        Path("parley.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        load(path, environ=environ or {}, overrides=overrides or {})
    return str(error.value).splitlines()


# --- ten scripted mistakes, and more


MISTAKES = [
    pytest.param(
        '[channels.telegram]\n\ntokn = "1:secret"\n',
        {},
        "parley.toml:3: [channels.telegram] tokn: unknown key; did you mean 'token'?",
        id="a misspelt key",
    ),
    pytest.param(
        '# mine\n[telegram]\ntoken = "1:secret"\n',
        {},
        "parley.toml:2: [telegram]: unknown table; did you mean [channels.telegram]?",
        id="a table at the wrong place",
    ),
    pytest.param(
        "",
        {"PARLEY_TELEGRAM__TOKEN": "1:secret"},
        "PARLEY_TELEGRAM__TOKEN: unknown; did you mean PARLEY_CHANNELS__TELEGRAM__TOKEN?",
        id="a variable without its channel",
    ),
    pytest.param(
        "",
        {"PARLEY_WEB_PORT": "1"},
        "PARLEY_WEB_PORT: unknown; did you mean PARLEY_WEB__PORT?",
        id="a variable with one underscore",
    ),
    pytest.param(
        '[channels.telegram]\nallow = [\n  123,\n  "@anna",\n]\n',
        {},
        "parley.toml:4: [channels.telegram] allow: '@anna' is not a numeric id; "
        "use the numeric id; send /whoami or /start to the bot to see yours",
        id="a name in an allow list",
    ),
    pytest.param(
        "",
        {"PARLEY_CHANNELS__TELEGRAM__OWNERS": "@anna"},
        "PARLEY_CHANNELS__TELEGRAM__OWNERS: '@anna' is not a numeric id; "
        "use the numeric id; send /whoami or /start to the bot to see yours",
        id="a name in a variable",
    ),
    pytest.param(
        "[web]\nhost = localhost\n",
        {},
        'parley.toml:2:8: not TOML: Invalid value; put text in "quotes", close every bracket, name each key once',
        id="text without quotes",
    ),
    pytest.param(
        '[web]\nport = "eighty"\n',
        {},
        "parley.toml:2: [web] port: 'eighty' is not a whole number; write it as in port = 0",
        id="a word for a number",
    ),
    pytest.param(
        "[web]\nport = 70000\n",
        {},
        "parley.toml:2: [web] port: 70000 is out of range; use at most 65535",
        id="a port out of range",
    ),
    pytest.param(
        "[agent]\nauto_compact = 'sometimes'\n",
        {},
        "parley.toml:2: [agent] auto_compact: 'sometimes' is not true or false; write it as in auto_compact = true",
        id="a word for a condition",
    ),
    pytest.param(
        "[agent]\ncache = 'sometimes'\n",
        {},
        "parley.toml:2: [agent] cache: 'sometimes' is not one of its values; use 'auto', '5m', '1h' or 'off'",
        id="a lifetime that is none",
    ),
    pytest.param(
        '[channels.telegram]\nrate = "fast"\n',
        {},
        "parley.toml:2: [channels.telegram] rate: 'fast' is not one of its values; use 'adaptive' or 'strict'",
        id="a word that is not offered",
    ),
    pytest.param(
        '[gateway]\ntimezone = "Berlin"\n',
        {},
        "parley.toml:2: [gateway] timezone: no such time zone: 'Berlin'; is one of these meant: Europe/Berlin?",
        id="a city for a time zone",
    ),
    pytest.param(
        '[gateway]\nalerts = ["12345"]\n',
        {},
        "parley.toml:2: [gateway] alerts: '12345' is not an address; write channel:id, as in \"telegram:12345\"",
        id="an address without a channel",
    ),
    pytest.param(
        "[channels.telegram]\nenabled = true\n",
        {},
        "parley.toml:2: [channels.telegram] enabled: there is no token; "
        "set token, token_file or PARLEY_CHANNELS__TELEGRAM__TOKEN",
        id="a channel without a token",
    ),
    pytest.param(
        '[channels.telegram]\ntoken = "secret"\n',
        {},
        "parley.toml:2: [channels.telegram] token: is not a bot token; "
        "copy it from @BotFather; it looks like 123456:ABC-DEF",
        id="something else for a token",
    ),
    pytest.param(
        '[web]\nport = 8080\n[channels.telegram]\ntoken = "1:a"\nwebhook_secret = "s"\n'
        'webhook_url = "https://bot.example.org/v1/messages"\n',
        {},
        "parley.toml:6: [channels.telegram] webhook_url: the path '/v1/messages' is the API's; "
        "use another, as in https://host/telegram",
        id="a webhook in the place of the API",
    ),
    pytest.param(
        '[web]\nport = 8080\n[channels.telegram]\ntoken = "1:a"\nwebhook_secret = "s"\n'
        'webhook_url = "https://bot.example.org/hook"\n[channels.telegram.accounts.second]\ntoken = "2:a"\n'
        'webhook_url = "https://other.example.org/hook"\n',
        {},
        "parley.toml:9: [channels.telegram.accounts.second] webhook_url: another bot has the path '/hook'; "
        "give each bot a path of its own",
        id="two bots behind one path",
    ),
    pytest.param(
        '[channels.telegram]\napi_url = "https://api.telegram.org/bot1:secret"\n',
        {},
        "parley.toml:2: [channels.telegram] api_url: is more than the root of the Bot API; "
        "leave out /bot and the token",
        id="an address with the token in it",
    ),
    pytest.param(
        '[storage]\nurl = "postgres://u:secret@h/d"\n',
        {},
        "parley.toml:2: [storage] url: 'postgres' databases are not supported; "
        'write sqlite:///path/to/parley.db or leave it ""',
        id="another database",
    ),
    pytest.param(
        '[providers.local]\nbase_url = "http://127.0.0.1:8080/v1"\n',
        {},
        "parley.toml:1: [providers.local]: kind is missing; "
        "set it to one of: anthropic, openai, google, openrouter, ollama",
        id="a provider without a kind",
    ),
    pytest.param(
        '[providers.anthropic]\nbase_url = "http://127.0.0.1:8080/v1"\n',
        {},
        "parley.toml:2: [providers.anthropic] base_url: ends in /v1, which is added to it; "
        "write http://127.0.0.1:8080",
        id="a version in Anthropic's address",
    ),
    pytest.param(
        '[providers.google]\nbase_url = "https://generativelanguage.googleapis.com/v1beta"\n',
        {},
        "parley.toml:2: [providers.google] base_url: ends in /v1beta, which is added to it; "
        "write https://generativelanguage.googleapis.com",
        id="a version in Google's address",
    ),
    pytest.param(
        '[providers.openai]\nbase_url = "127.0.0.1:8080/v1"\n',
        {},
        "parley.toml:2: [providers.openai] base_url: is not an http address; "
        "write it as in https://host or http://127.0.0.1:8081",
        id="an address without http",
    ),
    pytest.param(
        '[providers.openai]\nprice = "cheap"\n',
        {},
        "parley.toml:2: [providers.openai] price: 'cheap' is not one of its values; use 'free'",
        id="a word for a price",
    ),
    pytest.param(
        '[providers.openai.price."gpt-5"]\ninput = -1\noutput = 2\n',
        {},
        "parley.toml:2: [providers.openai.price.gpt-5] input: -1 is out of range; use at least 0",
        id="a negative price",
    ),
    pytest.param(
        '[agent]\nmodel = "claude-sonnet-5"\n',
        {},
        "parley.toml:2: [agent] model: 'claude-sonnet-5' names no provider; "
        'write provider:model, as in "anthropic:claude-sonnet-5"',
        id="a model without a provider",
    ),
    pytest.param(
        '[agent]\nmodel = "openai:gpt-5"\n',
        {},
        "parley.toml:2: [agent] model: there is no provider 'openai'; "
        "add [providers.openai] or set OPENAI_API_KEY",
        id="a model of an absent provider",
    ),
    pytest.param(
        '[agent]\nfallback_models = [\n  "openai:gpt-5",\n]\n[providers.openai]\n',
        {},
        "parley.toml:3: [agent] fallback_models: provider 'openai' has no api_key; "
        "set OPENAI_API_KEY or api_key_file",
        id="a provider without a key",
    ),
    pytest.param(
        '[[jobs]]\nname = "a"\nschedule = "@daily"\nprompt = "x"\n\n[[jobs]]\nname = "b"\nschedule = "99 * * * *"\n'
        'prompt = "x"\n',
        {},
        "parley.toml:8: [[jobs]] schedule: minute: cannot be '99'; use 0-59, *, */5 or a list such as 0,30",
        id="a minute that no hour has",
    ),
    pytest.param(
        '[[jobs]]\nname = "a"\nschedule = "@daily"\nprompt = "x"\n[[jobs]]\nname = "a"\nschedule = "every 90m"\n'
        'prompt = "x"\n',
        {},
        "parley.toml:6: [[jobs]] name: 'a' is there twice; give each job a name of its own",
        id="two jobs of one name",
    ),
    pytest.param(
        '[[jobs]]\nname = "a"\nprompt = "x"\n',
        {},
        "parley.toml:1: [[jobs]]: schedule is missing; set it, see config.example.toml",
        id="a job without a time",
    ),
    pytest.param(
        'jobs = "daily"\n',
        {},
        "parley.toml:1: jobs: is not a list; see config.example.toml",
        id="a word for a list of tables",
    ),
    pytest.param(
        '[web]\ntoken = "secret"\ntoken_file = "web.token"\n',
        {},
        "parley.toml:3: [web] token_file: token_file and token are both set; keep one of them",
        id="a secret given twice",
    ),
    pytest.param(
        '[web]\ntoken_file = "/nowhere/web.token"\n',
        {},
        "parley.toml:2: [web] token_file: /nowhere/web.token does not exist; create it, or correct the path",
        id="a secret in a missing file",
    ),
    pytest.param(
        '[gateway]\napi_key = "sk-secret"\n',
        {},
        "parley.toml:2: [gateway] api_key: unknown key; did you mean 'api_key' in [providers.<name>]?",
        id="a key that belongs elsewhere",
    ),
    pytest.param(
        "[web]\nx = 1\n",
        {},
        "parley.toml:2: [web] x: unknown key; use one of host, port, token, token_file",
        id="a key like no other",
    ),
    pytest.param(
        "",
        {"PARLEY_JOBS": "daily"},
        "PARLEY_JOBS: is not JSON; "
        'write a list, as in [{"name":"news","schedule":"@daily","prompt":"What is new?"}]',
        id="a variable that is not JSON",
    ),
    pytest.param(
        "",
        {"PARLEY_WEB": '{"prt": 1}'},
        "PARLEY_WEB: prt: unknown key; did you mean 'port'?",
        id="an unknown key inside a variable",
    ),
    pytest.param(
        "",
        {"PARLEY_WEB__TOKN": "secret"},
        "PARLEY_WEB__TOKN: unknown; did you mean PARLEY_WEB__TOKEN?",
        id="a misspelt variable",
    ),
    pytest.param(
        "",
        {"PARLEY_PROVIDERS__OPENAI__URL": "http://127.0.0.1"},
        "PARLEY_PROVIDERS__OPENAI__URL: unknown; did you mean PARLEY_PROVIDERS__OPENAI__BASE_URL?",
        id="a misspelt variable of a provider",
    ),
    pytest.param(
        "",
        {"PARLEY_PROVIDERS__LOCAL__BASE_URL": "http://127.0.0.1:8080/v1"},
        "PARLEY_PROVIDERS__LOCAL__BASE_URL: providers.local: kind is missing; "
        "set it to one of: anthropic, openai, google, openrouter, ollama",
        id="a provider by variables without a kind",
    ),
    pytest.param(
        "",
        {"PARLEY_AGENT__AUTO_COMPACT__X": "1"},
        "PARLEY_AGENT__AUTO_COMPACT__X: agent.auto_compact: the value is not true or false; "
        "write it as in auto_compact = true",
        id="a variable that goes on after a key",
    ),
    pytest.param(
        "",
        {"PARLEY_WEB__PORT": "eighty"},
        "PARLEY_WEB__PORT: 'eighty' is not a whole number; write it as in port = 0",
        id="a word for a number in a variable",
    ),
    pytest.param(
        "",
        {"PARLEY_AGENT__MODEL": "openai:gpt-5"},
        "PARLEY_AGENT__MODEL: there is no provider 'openai'; add [providers.openai] or set OPENAI_API_KEY",
        id="a contradiction by a variable",
    ),
]


@pytest.mark.parametrize(("text", "environ", "line"), MISTAKES)
def test_a_mistake_is_refused_in_one_line_with_its_place_and_the_remedy(folder, text, environ, line):
    assert refused(text, environ) == [line]
    assert "secret" not in line


def test_a_named_file_that_is_missing_is_refused(folder):
    line = "other.toml: no such file; correct the path, or create it from config.example.toml"
    assert refused(path=Path("other.toml")) == [line]


def test_a_folder_for_a_file_is_refused(folder):
    assert refused(path=folder) == [f"{folder}: cannot be read (Is a directory); make it a readable file"]


def test_a_file_that_is_not_utf_8_is_refused(folder):
    Path("latin.toml").write_bytes('[agent]\nsystem_prompt = "grün"'.encode("latin-1"))
    assert refused(path=Path("latin.toml")) == ["latin.toml: is not UTF-8 text; save it as UTF-8"]


def test_an_unknown_option_is_refused_by_its_name(folder):
    assert refused(overrides={"web.prt": 1}) == ["command line: web.prt: unknown key; did you mean web.port?"]
    line = "command line: web.port: -1 is out of range; use at least 0"
    assert refused(overrides={"web.port": -1}) == [line]


def test_a_key_with_an_underscore_before_it_is_as_unknown_as_any_other(folder):
    assert refused("_cli_parse_args = true\n")[0].startswith("parley.toml:1: _cli_parse_args: unknown key;")


def test_all_mistakes_are_told_at_once(folder):
    text = '[web]\nprt = 1\n[channels.telegram]\nrate = "fast"\ntoken_file = "/nowhere/t"\n'
    lines = refused(text, {"PARLEY_X": "1", "PARLEY_JOBS": "["})
    assert [line.split(": ")[0] for line in lines] == [
        "PARLEY_JOBS",
        "parley.toml:5",
        "parley.toml:4",
        "parley.toml:2",
        "PARLEY_X",
    ]


def test_a_mistake_is_blamed_on_the_source_that_wins(folder):
    text = "[web]\nport = 99999\n"
    assert refused(text, {"PARLEY_WEB__PORT": "x"})[0].startswith("PARLEY_WEB__PORT: 'x'")
    assert refused(text, {"PARLEY_WEB__PORT": "x"}, {"web.port": "y"})[0].startswith(
        "command line: web.port: 'y'"
    )
    assert configured(text, {"PARLEY_WEB__PORT": "8080"}).web.port == 8080


def test_a_refused_secret_is_not_repeated(folder):
    lines = refused(
        "channels = '1:geheim'\nweb = '1:geheim'\n[providers]\nopenai = 'geheim'\nx = ['geheim']\n"
    )
    lines += refused("[web]\ntoken = ['geheim']\n[providers.openai]\napi_key = 5\n")
    lines += refused("token = 1:geheim\n")
    assert len(lines) == 7
    assert not [line for line in lines if "geheim" in line]


def test_a_secret_that_is_a_number_is_not_repeated_either(folder):
    assert refused("[web]\ntoken = 987654\n") == [
        "parley.toml:2: [web] token: the value is not text; see config.example.toml"
    ]


def test_a_refused_secret_is_not_repeated_when_settings_are_made_directly():
    with pytest.raises(ValueError, match="token") as error:
        Settings(web={"token": ["geheim"]})
    assert "geheim" not in str(error.value)


def test_a_byte_order_mark_is_no_mistake(folder):
    assert configured("\ufeff[web]\nport = 1\n").web.port == 1


# --- where a line is


def test_the_line_of_a_key_is_found_whatever_stands_before_it(folder):
    Path("a.toml").write_text(
        """# [no]
first = \'\'\'
[no]
no = 1
\'\'\'
second = \"\"\"a \\\"\"\" # [no]
no = 2\"\"\"
[channels . telegram]  # comment ]
"allow" = [ # [
  1,
  "2", "]",
  [ "x", "y" ],
  "# no",
]
rate.x = { y = "[", z = 1 }
[[jobs]]
name = "a"
[[jobs]]
  [jobs.inner]
  'dotted.key' = 1
[[jobs.inner.list]]
k = 1
""",
        encoding="utf-8",
    )
    lines = read(Path("a.toml")).lines
    telegram = ("channels", "telegram")
    assert lines == {
        ("first",): 2,
        ("second",): 6,
        telegram: 8,
        (*telegram, "allow"): 9,
        (*telegram, "allow", 1): 11,
        (*telegram, "allow", 2): 11,
        (*telegram, "allow", 3): 12,
        (*telegram, "allow", 4): 13,
        (*telegram, "rate", "x"): 15,
        ("jobs", 0): 16,
        ("jobs", 0, "name"): 17,
        ("jobs", 1): 18,
        ("jobs", 1, "inner"): 19,
        ("jobs", 1, "inner", "dotted.key"): 20,
        ("jobs", 1, "inner", "list", 0): 21,
        ("jobs", 1, "inner", "list", 0, "k"): 22,
    }


# --- what is read from where


def test_without_anything_the_defaults_hold_and_nothing_was_read(folder):
    settings = load(environ={})
    assert settings == Settings()
    assert settings.source is None
    assert settings.gateway.data_dir == folder / "home" / ".parley"
    assert settings.database == folder / "home" / ".parley" / "parley.db"


def test_a_parley_toml_in_the_working_directory_is_read(folder):
    settings = configured("[web]\nport = 1\n")
    assert (settings.web.port, settings.source) == (1, Path("parley.toml"))


def test_the_environment_wins_over_the_file_and_options_over_both(folder):
    text = "[web]\nport = 1\nhost = '127.0.0.2'\n[agent]\nretries = 1\nmax_requests = 1\n"
    environ = {"PARLEY_WEB__PORT": "2", "PARLEY_AGENT__RETRIES": "2", "OTHER": "x", "PARLEYX": "y"}
    settings = configured(text, environ, **{"web.port": 3, "agent.max_requests": None})
    assert (settings.web.port, settings.web.host) == (3, "127.0.0.2")
    assert (settings.agent.retries, settings.agent.max_requests) == (2, 1)


def test_an_empty_variable_counts_as_not_set(folder):
    assert configured("[web]\nport = 1\n", {"PARLEY_WEB__PORT": "", "PARLEY_NONSENSE": ""}).web.port == 1


def test_the_process_environment_is_not_looked_at(folder, monkeypatch):
    monkeypatch.setenv("PARLEY_WEB__PORT", "9")
    assert load(environ={}).web.port == 0
    assert Settings().web.port == 0


@pytest.mark.parametrize("text", ["123,-45", '["123", -45]', "[123,-45]", " 123 , -45 ,"])
def test_a_list_in_the_environment_is_json_or_words_between_commas(folder, text):
    settings = load(environ={"PARLEY_CHANNELS__TELEGRAM__ALLOW": text})
    assert settings.channels.telegram.allow == ("123", "-45")


def test_a_single_id_is_a_list_of_one(folder):
    assert load(environ={"PARLEY_CHANNELS__TELEGRAM__OWNERS": "7"}).channels.telegram.owners == ("7",)


def test_ids_are_digits_however_they_were_written(folder):
    settings = configured("[channels.telegram]\nallow = [1, '2', -1003]\n")
    assert settings.channels.telegram.allow == ("1", "2", "-1003")


def test_a_list_in_a_variable_replaces_the_one_in_the_file(folder):
    text = "[channels.telegram]\nallow = [1, 2]\n"
    assert configured(text, {"PARLEY_CHANNELS__TELEGRAM__ALLOW": "[]"}).channels.telegram.allow == ()


def test_a_provider_can_be_made_and_changed_by_variables(folder):
    environ = {
        "PARLEY_PROVIDERS__LOCAL__KIND": "openai",
        "PARLEY_PROVIDERS__LOCAL__BASE_URL": "http://127.0.0.1:1/v1/",
        "PARLEY_PROVIDERS__LOCAL__PRICE": "free",
        "PARLEY_PROVIDERS__OPENAI__PRICE": '{"gpt-5": {"input": 1.25, "output": 10}}',
        "PARLEY_PROVIDERS__OPENAI__API_KEY": "sk-env",
        "PARLEY_AGENT__FALLBACK_MODELS": "local:a,openai:gpt-5",
    }
    settings = configured(
        '[providers.openai]\napi_key = "sk-file"\nbase_url = "http://127.0.0.1:2/v1"\n', environ
    )
    local, openai = settings.providers["local"], settings.providers["openai"]
    assert (local.kind, local.base_url, local.price) == ("openai", "http://127.0.0.1:1/v1", "free")
    assert openai.kind == "openai"
    assert openai.api_key.get_secret_value() == "sk-env"
    assert openai.base_url == "http://127.0.0.1:2/v1"
    assert openai.price["gpt-5"].input == Decimal("1.25")
    assert openai.price["gpt-5"].cache_read is None
    assert settings.agent.fallback_models == ("local:a", "openai:gpt-5")


def test_a_price_in_the_file_is_exact(folder):
    prices = (
        configured('[providers.openai.price."gpt-4.1"]\ninput = 0.1\noutput = 0.4\n')
        .providers["openai"]
        .price
    )
    assert prices["gpt-4.1"].input == Decimal("0.1")


def test_jobs_can_come_from_a_variable(folder):
    job = {"name": "news", "schedule": "at 2020-01-01 09:00", "prompt": "x", "deliver_to": "none"}
    (read_job,) = load(environ={"PARLEY_JOBS": json.dumps([job])}).jobs
    assert (read_job.name, read_job.deliver_to, read_job.zone) == ("news", (), None)


@pytest.mark.parametrize("schedule", ["0 9 * * MON-FRI", "@daily", "every 90m", "at 2030-12-01 09:00"])
@pytest.mark.parametrize(
    ("deliver_to", "targets"),
    [
        ("main", ("main",)),
        ("telegram:1", ("telegram:1",)),
        (["main", "telegram:-1:7"], ("main", "telegram:-1:7")),
    ],
)
def test_a_job_takes_every_form_of_schedule_and_target(folder, schedule, deliver_to, targets):
    job = f'[[jobs]]\nname = "a"\nprompt = "x"\nschedule = "{schedule}"\ndeliver_to = {json.dumps(deliver_to)}\n'
    (read_job,) = configured(job).jobs
    assert (read_job.schedule, read_job.deliver_to) == (schedule, targets)


@pytest.mark.parametrize(("written", "minutes"), [("'never'", None), ("0", 0), ("30", 30)])
def test_a_gap_may_never_come(folder, written, minutes):
    assert (
        configured(f"[channels.telegram]\ngap_minutes = {written}\n").channels.telegram.gap_minutes == minutes
    )


def test_telegram_is_on_when_it_has_a_token_unless_it_is_turned_off(folder):
    assert not load(environ={}).channels.telegram.active
    text = '[channels.telegram]\ntoken = "1:a"\n'
    assert configured(text).channels.telegram.active
    assert not configured(text + "enabled = false\n").channels.telegram.active


def test_an_open_host_is_fine_with_a_token_and_loopback_without(folder):
    assert configured('[web]\nhost = "0.0.0.0"\ntoken = "t"\n').web.host == "0.0.0.0"
    for host in ("127.0.0.2", "::1", "localhost"):
        assert configured(f'[web]\nhost = "{host}"\n').web.host == host


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///var/parley.db", "/var/parley.db"),
        ("sqlite:////var/parley.db", "/var/parley.db"),
        ("sqlite:///~/parley.db", "HOME/parley.db"),
    ],
)
def test_the_database_is_the_file_of_its_url(folder, url, file):
    assert configured(f'[storage]\nurl = "{url}"\n').database == Path(
        file.replace("HOME", str(folder / "home"))
    )


def test_paths_in_a_file_count_from_its_folder_and_those_of_variables_from_here(folder):
    (folder / "etc").mkdir()
    (folder / "etc" / "p.toml").write_text('[gateway]\ndata_dir = "data"\n[web]\ntoken_file = "web.token"\n')
    (folder / "etc" / "web.token").write_text("there")
    (folder / "here.token").write_text("here")
    path = folder / "etc" / "p.toml"
    settings = load(path, environ={})
    assert settings.gateway.data_dir == folder / "etc" / "data"
    assert settings.web.token.get_secret_value() == "there"
    environ = {"PARLEY_WEB__TOKEN_FILE": "here.token", "PARLEY_GATEWAY__DATA_DIR": "~/d"}
    settings = load(path, environ=environ)
    assert settings.web.token.get_secret_value() == "here"
    assert settings.gateway.data_dir == folder / "home" / "d"


# --- secrets


def test_a_secret_may_be_in_a_file(folder):
    for name in ("telegram.token", "key", "web.token"):
        (folder / name).write_text("\n  123:abc \n")
        (folder / name).chmod(0o600)
    settings = configured(
        '[channels.telegram]\ntoken_file = "telegram.token"\n[providers.openai]\napi_key_file = "key"\n'
        '[web]\ntoken_file = "web.token"\n'
    )
    assert settings.channels.telegram.token.get_secret_value() == "123:abc"
    assert settings.providers["openai"].api_key.get_secret_value() == "123:abc"
    assert settings.web.token.get_secret_value() == "123:abc"
    assert settings.warnings == ()
    assert settings.secrets() == ["123:abc"]


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "is empty"), (b"\xff\xfe", "is not text"), (b"x" * 70_000, "is too large")]
)
def test_a_file_that_holds_no_secret_is_refused(folder, content, what):
    (folder / "t").write_bytes(content)
    line = f"parley.toml:2: [web] token_file: t {what}; put the secret alone in it"
    assert refused('[web]\ntoken_file = "t"\n') == [line]


@pytest.mark.parametrize("key", ["[gateway]\ndata_dir", "[web]\ntoken_file", "[storage]\nurl"])
@pytest.mark.parametrize(
    ("path", "what"),
    [("~nobody-here/x", "is in the home folder of nobody"), ("/a\\u0000b", "cannot be a path")],
)
def test_a_path_that_leads_nowhere_is_refused(folder, key, path, what):
    path = f"sqlite:///{path}" if key.endswith("url") else path
    (line,) = refused(f'{key} = "{path}"\n')
    assert line.startswith("parley.toml:2: ")
    assert what in line


def test_a_file_that_everybody_may_read_is_a_warning(folder):
    (folder / "t").write_text("geheim")
    (folder / "t").chmod(0o644)
    warnings = configured('[web]\ntoken_file = "t"\n').warnings
    assert [str(each) for each in warnings] == [
        "t: holds a secret and everybody may read it; run chmod o-rwx t"
    ]
    Path("parley.toml").chmod(0o644)
    warnings = configured('[web]\ntoken = "geheim"\n').warnings
    assert [each.where for each in warnings] == ["parley.toml"]
    Path("parley.toml").chmod(0o640)
    assert configured('[web]\ntoken = "geheim"\n').warnings == ()


def test_a_secret_set_later_replaces_a_file_set_earlier_and_the_other_way_round(folder):
    (folder / "t").write_text("from file")
    text = '[web]\ntoken_file = "/nowhere"\n'
    assert configured(text, {"PARLEY_WEB__TOKEN": "direct"}).web.token.get_secret_value() == "direct"
    text = '[web]\ntoken = "direct"\n'
    assert configured(text, {"PARLEY_WEB__TOKEN_FILE": "t"}).web.token.get_secret_value() == "from file"


def test_secrets_are_read_from_the_credentials_directory_below_the_environment(folder):
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "parley_channels__telegram__token").write_text("1:credential\n")
    (credentials / "PARLEY_WEB__TOKEN").write_text("credential\n")
    (credentials / "another").write_text("not ours")
    environ = {"CREDENTIALS_DIRECTORY": str(credentials), "PARLEY_WEB__TOKEN": "environment"}
    settings = configured('[channels.telegram]\ntoken = "1:file"\n', environ)
    assert settings.channels.telegram.token.get_secret_value() == "1:credential"
    assert settings.web.token.get_secret_value() == "environment"
    (credentials / "parley_web__tokn").write_text("geheim")
    assert refused(environ=environ) == [
        f"{credentials}/parley_web__tokn: unknown; did you mean PARLEY_WEB__TOKEN?"
    ]


def test_the_vendors_own_variables_are_a_convenience(folder):
    environ = {"ANTHROPIC_API_KEY": "sk-a", "OPENAI_API_KEY": "sk-o"}
    providers = load(environ=environ).providers
    assert {name: each.api_key.get_secret_value() for name, each in providers.items()} == {
        "anthropic": "sk-a",
        "openai": "sk-o",
    }
    more = {"GEMINI_API_KEY": "g-1", "GOOGLE_API_KEY": "g-2", "OPENROUTER_API_KEY": "sk-or"}
    providers = load(environ=more).providers
    assert {name: each.api_key.get_secret_value() for name, each in providers.items()} == {
        "google": "g-2",
        "openrouter": "sk-or",
    }
    assert load(environ={"GEMINI_API_KEY": "g-1"}).providers["google"].api_key.get_secret_value() == "g-1"
    providers = configured('[providers.openai]\nbase_url = "http://h/v1"\n', environ).providers
    assert providers["openai"].api_key.get_secret_value() == "sk-o"
    assert providers["openai"].base_url == "http://h/v1"


def test_a_vendors_key_is_not_used_beside_a_configured_one_nor_sent_to_another_server(folder):
    environ = {"OPENAI_API_KEY": "sk-vendor"}
    work = '[providers.work]\nkind = "openai"\napi_key = "sk-work"\n'
    assert set(configured(work, environ).providers) == {"work"}
    local = '[providers.local]\nkind = "openai"\nbase_url = "http://127.0.0.1:1/v1"\n'
    providers = configured(local, environ).providers
    assert not providers["local"].api_key
    assert providers["openai"].api_key.get_secret_value() == "sk-vendor"
    (folder / "key").write_text("sk-file")
    providers = configured('[providers.openai]\napi_key_file = "key"\n', environ).providers
    assert providers["openai"].api_key.get_secret_value() == "sk-file"


def test_no_secret_is_in_what_is_printed(folder):
    settings = configured(
        '[channels.telegram]\ntoken = "1:geheim"\n[web]\ntoken = "geheim-web"\n'
        '[providers.openai]\napi_key = "geheim-key"\nbase_url = "http://user:geheim%40@h/v1"\n'
    )
    shown = redacted(settings)
    for text in (
        repr(settings),
        str(settings),
        json.dumps(shown),
        settings.model_dump_json(exclude={"providers"}),
    ):
        assert "geheim" not in text
    assert shown["channels"]["telegram"]["token"] == "***"
    assert shown["providers"]["openai"]["api_key"] == "***"
    assert shown["providers"]["openai"]["base_url"] == "http://***@h/v1"
    assert (shown["web"]["token"], shown["web"]["token_file"]) == ("***", None)
    assert redacted(Settings())["web"]["token"] == ""


def test_every_secret_value_is_listed_for_the_log_longest_first(folder):
    settings = configured(
        '[channels.telegram]\ntoken = "1:geheim"\n[web]\ntoken = "geheim-web"\n'
        '[providers.openai]\napi_key = "k"\nbase_url = "http://user:geheim%40@h/v1"\n'
        '[providers.anthropic]\napi_key = "k"\n'
    )
    secrets = ["user:geheim%40", "geheim-web", "geheim%40", "1:geheim", "geheim@", "k"]
    assert settings.secrets() == secrets
    assert Settings().secrets() == []


# --- the example


def uncommented(text):
    return "\n".join(KEY.sub("", line) for line in text.splitlines())


def leaves(values, above=()):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*above, name))
        else:
            yield (*above, name), value


def test_the_example_as_it_is_changes_nothing(folder):
    assert configured(example_text()).model_dump() == Settings().model_dump()


def test_the_example_shows_every_key_and_no_other(folder):
    for name in ("anthropic.key", "telegram.token", "webhook.secret", "discord.token", "web.token"):
        (folder / name).write_text("1:a")
    settings = configured(uncommented(example_text()))  # an unknown key would be refused
    shown = {
        tuple(str(part) for part in path) for path, _ in leaves(tomllib.loads(uncommented(example_text())))
    }
    general = {("providers", "<name>", *path[2:]) if path[0] == "providers" else path for path in shown}
    general = {
        (*path[:3], "<name>", *path[4:]) if path[3:] and path[2] == "price" else path for path in general
    }
    general = {
        (*path[:2], "<name>", *path[3:])
        if path[:2] in (("budgets", "roles"), ("retention", "channels"))
        else path
        for path in general
    }
    # An account has the keys of its platform; the example shows one of them.
    known = [path for path, field in known_keys(Settings) if path[2:4] == ("accounts", "<name>")]
    general = {path for path in general if path[2:3] != ("accounts",)} | {path for path in known if path[4:]}
    general = {path[:1] if path[0] == "commands" else path for path in general}  # names that are open
    general |= {("jobs", "<name>", key) for key in settings.jobs[0].model_fields_set}
    tables = {path[:-1] for path, field in known_keys(Settings)}
    keys = {path for path, field in known_keys(Settings) if path not in tables and field is not None}
    keys.add(("providers", "<name>", "price"))  # a word or a table
    assert general - {("jobs",)} == keys


@pytest.mark.parametrize(
    ("text", "environ", "cache"),
    [
        ("", {}, "auto"),
        ("[agent]\ncache = true\n", {}, "auto"),
        ("[agent]\ncache = false\n", {}, "off"),
        ("[agent]\ncache = '1h'\n", {}, "1h"),
        ("", {"PARLEY_AGENT__CACHE": "False"}, "off"),
        ("", {"PARLEY_AGENT__CACHE": "5m"}, "5m"),
    ],
)
def test_how_long_a_prompt_is_kept_was_a_yes_or_no_once(folder, text, environ, cache):
    assert configured(text, environ).agent.cache == cache


def test_the_example_shows_the_defaults(folder):
    values = tomllib.loads(uncommented(example_text()))
    defaults = redacted(Settings())
    defaults["gateway"]["data_dir"] = "~/.parley"
    for path, value in leaves(
        {table: values[table] for table in values if table not in ("providers", "jobs")}
    ):
        default = defaults
        if path[0] == "commands" or "accounts" in path or path[1] in ("roles", "channels"):
            continue  # their names are the operator's
        for name in path:
            default = default[name]
        assert default in (value, None), path


def test_each_line_of_the_example_can_be_uncommented_alone(folder):
    for name in ("anthropic.key", "telegram.token", "webhook.secret", "discord.token", "web.token"):
        (folder / name).write_text("1:a")
    lines = example_text().splitlines()
    found = [number for number, line in enumerate(lines) if KEY.match(line)]
    # Keys of the commented tables need their header and, for jobs, the other required keys: tried above.
    alone = [number for number in found if not header_is_commented(lines, number)]
    assert len(alone) > 30
    for number in alone:
        text = "\n".join([*lines[:number], KEY.sub("", lines[number]), *lines[number + 1 :]])
        try:
            configured(text)
        except SettingsError as error:
            pytest.fail(f"{lines[number]}: {error}")


def header_is_commented(lines, number):
    return next(line for line in reversed(lines[: number + 1]) if re.match(r"(# )?\[", line)).startswith("#")


def test_the_example_is_found_beside_the_installed_module_too(folder, monkeypatch):
    installed = folder / "gateway"
    installed.mkdir()
    (installed / "config.example.toml").write_text("# installed\n")
    monkeypatch.setattr(module, "__file__", str(installed / "settings.py"))
    assert example_text() == "# installed\n"


# --- reload


def changes(before, after):
    changed = compare(configured(before), configured(after))
    return changed.now, changed.restart


RELOADED = """
[gateway]
alerts = ["telegram:1"]
[agent]
retries = 3
[providers.openai]
api_key = "sk-1"
price = "free"
[sessions]
carry_over = false
[channels.telegram]
allow = [1]
owners = [2]
[[jobs]]
name = "news"
schedule = "@daily"
prompt = "x"
"""
RESTARTED = """
[gateway]
data_dir = "/tmp/parley"
timezone = "Europe/Berlin"
[storage]
url = "sqlite:///tmp/x.db"
[channels.main]
enabled = false
[channels.telegram]
token = "1:a"
api_url = "http://127.0.0.1:1"
rate = "strict"
[web]
port = 1
"""


def test_what_a_reload_takes_over_is_told_from_what_needs_a_restart(folder):
    assert changes("", "") == ([], [])
    assert changes("", RELOADED) == (
        [
            "agent.retries",
            "channels.telegram.allow",
            "channels.telegram.owners",
            "gateway.alerts",
            "jobs.news",
            "providers.openai.api_key",
            "providers.openai.base_url",
            "providers.openai.discount",
            "providers.openai.kind",
            "providers.openai.price",
            "sessions.carry_over",
        ],
        [],
    )
    assert changes(RESTARTED, "") == (
        [],
        [
            "channels.main.enabled",
            "channels.telegram.api_url",
            "channels.telegram.rate",
            "channels.telegram.token",
            "gateway.data_dir",
            "gateway.timezone",
            "storage.url",
            "web.port",
        ],
    )


def test_a_changed_job_is_one_change_and_a_moved_one_is_none(folder):
    first = '[[jobs]]\nname = "a"\nschedule = "@daily"\nprompt = "x"\n'
    second = first.replace('"a"', '"b"')
    assert changes(first + second, second + first) == ([], [])
    assert changes(first + second, second + first.replace("@daily", "@hourly")) == (["jobs.a"], [])
    assert changes(first + second, first) == (["jobs.b"], [])


def test_a_new_content_of_a_secrets_file_is_a_change(folder):
    (folder / "t").write_text("one")
    before = configured('[web]\ntoken_file = "t"\n')
    (folder / "t").write_text("two")
    assert compare(before, configured('[web]\ntoken_file = "t"\n')).restart == ["web.token"]


def test_settings_cannot_be_changed_in_place(folder):
    settings = load(environ={})
    with pytest.raises(ValueError, match="frozen"):
        settings.web.port = 1


def test_importing_settings_stays_light():
    code = (
        "import sys, gateway.settings;"
        "heavy = {'anthropic', 'openai', 'pydantic_ai', 'telegram', 'aiohttp', 'fastapi', 'httpx2', 'apscheduler'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(module.__file__).parent.parent
    environ = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout.strip() == "[]"


# --- several bots


TWO = """
[channels.telegram]
token = "1:a"
allow = [7]
gap_minutes = 30
access = "open"
[channels.telegram.accounts.work]
token = "2:b"
gap_minutes = "never"
[channels.telegram.accounts.asleep]
enabled = false
token = "3:c"
"""


def test_an_account_takes_over_what_its_platform_says_and_not_what_opens_it(folder):
    bots = dict(configured(TWO).channels.bots())
    assert list(bots) == ["telegram", "telegram.work"]
    work = bots["telegram.work"]
    assert (work.token.get_secret_value(), work.allow, work.gap_minutes) == ("2:b", ("7",), None)
    assert (bots["telegram"].access, work.access) == ("open", "closed")


def test_an_account_can_be_set_in_the_environment(folder):
    environ = {
        "PARLEY_CHANNELS__DISCORD__ACCOUNTS__WORK__TOKEN": "abc",
        "PARLEY_CHANNELS__DISCORD__ALLOW": "7",
    }
    ((key, bot),) = load(environ=environ).channels.bots()
    assert (key, bot.token.get_secret_value(), bot.allow) == ("discord.work", "abc", ("7",))


def test_an_account_without_a_token_is_off_unless_it_was_switched_on(folder):
    assert list(configured("[channels.discord.accounts.a]\nallow = [1]\n").channels.bots()) == []
    with pytest.raises(SettingsError, match=r"\[channels.discord.accounts.a\] enabled: there is no token"):
        configured("[channels.discord.accounts.a]\nenabled = true\n")


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://discord.example", "https://discord.example/api/v10"),
        ("https://discord.example/api/", "https://discord.example/api/v10"),
        ("http://127.0.0.1:8081/api/v9", "http://127.0.0.1:8081/api/v9"),
        ("http://127.0.0.1:8081/elsewhere", "http://127.0.0.1:8081/elsewhere"),
    ],
)
def test_the_version_may_be_left_out_of_discords_address(folder, url, root):
    assert configured(f'[channels.discord]\napi_url = "{url}"\n').channels.discord.api_url == root


@pytest.mark.parametrize("wrong", ["0", "20", "-1", "0.12345", "nan"])
def test_a_discount_is_a_part_of_the_price_and_no_percentage(wrong):
    lines = refused(f'[providers.openai]\napi_key = "k"\ndiscount = {wrong}\n')
    assert len(lines) == 1 and "[providers.openai] discount" in lines[0] and "0.8" in lines[0]
