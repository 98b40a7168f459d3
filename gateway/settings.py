"""What the operator has configured: loading it, comparing it and showing it without its secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from pydantic import Field, PrivateAttr, ValidationError

from gateway.config_bots import ChannelSettings
from gateway.config_budgets import BudgetSettings
from gateway.config_checks import contradictions
from gateway.config_file import Problem, SettingsError
from gateway.config_jobs import DigestSettings, HeartbeatSettings, JobSettings
from gateway.config_layers import (
    Layer,
    command_layer,
    credentials_layer,
    environment_layer,
    file_layer,
    merged,
)
from gateway.config_problems import explained, placed
from gateway.config_providers import Providers, TranscriptionSettings
from gateway.config_secrets import exposed, hidden, in_file, read_files, secrets_in, twice, vendor_layer
from gateway.config_tables import (
    AgentSettings,
    CommandRights,
    GatewaySettings,
    LimitSettings,
    MediaSettings,
    SessionSettings,
    StorageSettings,
    ToolSettings,
    WebSettings,
)
from gateway.config_upkeep import BackupSettings, RetentionSettings
from gateway.config_values import Table
from gateway.config_warnings import shortcomings
from gateway.types.json import Json

DEFAULT_FILE = Path("parley.toml")
EXAMPLE = "config.example.toml"

# What a reload takes over at once; everything else waits for a restart.
AT_ONCE = (
    "agent.*",
    "backup.*",
    "budgets.*",
    "channels.*.access",
    "channels.*.allow",
    "channels.*.during_turn",
    "channels.*.gap_minutes",
    "channels.*.group_context",
    "channels.*.owners",
    "channels.*.reactions",
    "commands.*",
    "digest.*",
    "gateway.alerts",
    "gateway.away_after_minutes",
    "gateway.language",
    "heartbeat.*",
    "jobs.*",
    "limits.*",
    "media.*",
    "providers.*",
    "retention.*",
    "sessions.*",
    "tools.web_search",
    "transcription.*",
)


class Settings(Table):
    """The whole of parley.toml; made by load, or in tests from keyword arguments alone."""

    gateway: GatewaySettings = Field(default_factory=GatewaySettings)  # the home folder of now
    storage: StorageSettings = StorageSettings()
    agent: AgentSettings = AgentSettings()
    providers: Providers = Field(default_factory=dict)
    transcription: TranscriptionSettings = TranscriptionSettings()
    sessions: SessionSettings = SessionSettings()
    channels: ChannelSettings = ChannelSettings()
    commands: CommandRights = Field(default_factory=dict)
    limits: LimitSettings = LimitSettings()
    budgets: BudgetSettings = BudgetSettings()
    media: MediaSettings = MediaSettings()
    tools: ToolSettings = ToolSettings()
    jobs: tuple[JobSettings, ...] = ()
    digest: DigestSettings = DigestSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    web: WebSettings = WebSettings()
    backup: BackupSettings = BackupSettings()
    retention: RetentionSettings = RetentionSettings()

    _source: Path | None = PrivateAttr(default=None)
    _warnings: tuple[Problem, ...] = PrivateAttr(default=())

    @property
    def folder(self) -> Path:
        """From where relative paths count."""
        return self._source.parent if self._source is not None else Path()

    @property
    def source(self) -> Path | None:
        """The file that was read; None when there was none."""
        return self._source

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is unwise but not wrong: files with secrets that everybody on the machine can read."""
        return self._warnings

    @property
    def database(self) -> Path:
        """The SQLite file behind [storage] url, which is always an absolute path or begins with ~."""
        path = self.storage.url.removeprefix("sqlite:///")
        if not path:
            return self.gateway.data_dir / "parley.db"
        return Path(path).expanduser() if path.startswith("~") else Path("/", path)

    def secrets(self) -> list[str]:
        """Every secret value, longest first: none of them may appear in a log."""
        return sorted(set(secrets_in(self.model_dump())), key=lambda secret: (-len(secret), secret))


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Keys that differ, with dots: those that a reload takes over now, and those that need a restart."""

    now: list[str]
    restart: list[str]


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] = MappingProxyType({}),
) -> Settings:
    """Defaults < vendors' keys < file < $CREDENTIALS_DIRECTORY < environment < *overrides*.

    *path* None means ./parley.toml if there is one. *overrides* are options as {"web.port": 8080}; None is
    an option that was not given. Raises SettingsError with everything that is wrong.
    """
    source = path if path is not None else DEFAULT_FILE if DEFAULT_FILE.exists() else None
    layers, problems = _layers(source, environ, overrides)
    values = merged(layers)
    wrong, warnings = read_files(values, layers)
    problems += wrong
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(problems + explained(error, values, layers, Settings)) from None
    problems += [placed(*contradiction, layers) for contradiction in contradictions(settings)]
    if problems:
        raise SettingsError(problems)
    settings._source = source
    lacking = [placed(*shortcoming, layers) for shortcoming in shortcomings(settings)]
    settings._warnings = (*warnings, *_open_files(source, layers), *lacking)
    return settings


def _layers(
    source: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[list[Layer], list[Problem]]:
    """What was set, lowest first; and what could not be read."""
    layers = [file_layer(source)] if source is not None else []
    problems: list[Problem] = []
    if folder := environ.get("CREDENTIALS_DIRECTORY"):
        credentials, problems = credentials_layer(Path(folder), Settings)
        layers.append(credentials)
    environment, more = environment_layer(environ, Settings)
    layers += [environment, command_layer(overrides)]
    problems += more
    problems += [problem for layer in layers for problem in twice(layer)]
    return [vendor_layer(environ, merged(layers)), *layers], problems


def _open_files(source: Path | None, layers: list[Layer]) -> list[Problem]:
    """A warning when the file itself holds secrets that everybody on the machine may read."""
    named = source is not None and any(layer.style == "file" and in_file(layer) for layer in layers)
    return exposed(source) if named and source is not None else []


def compare(old: Settings, new: Settings) -> Changes:
    """What differs between two configurations, each job as one key."""
    before, after = dict(_flat(old)), dict(_flat(new))
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    now = [key for key in changed if any(fnmatchcase(key, pattern) for pattern in AT_ONCE)]
    return Changes(now=now, restart=[key for key in changed if key not in now])


def _flat(settings: Settings) -> Iterator[tuple[str, object]]:
    tables = settings.model_dump()
    jobs = tables.pop("jobs")
    yield from ((f"jobs.{job['name']}", job) for job in jobs)
    yield from _leaves(tables, "")


def _leaves(table: Json, above: str) -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def redacted(settings: Settings) -> Json:
    """Everything as plain JSON, with *** in place of secrets."""
    return {name: hidden(value) for name, value in settings.model_dump().items()}


def example_text() -> str:
    """config.example.toml, from beside this module when installed, else from the checkout."""
    here = Path(__file__).resolve().parent
    installed = here / EXAMPLE
    return (installed if installed.exists() else here.parent / EXAMPLE).read_text(encoding="utf-8")
