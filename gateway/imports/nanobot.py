"""nanobot (HKUDS): config.json and cron/jobs.json, as its documentation has them; keys in either spelling."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.imports import bots, people, providers, scheduled
from gateway.imports.plan import Plan, listed, table
from gateway.imports.providers import LOGIN, Offer
from gateway.imports.sources import Sources
from gateway.types.json import Json

FOLDER = "~/.nanobot"
_JOBS = "cron/jobs.json"
_LOGINS = frozenset({"openai_codex", "github_copilot"})
_SPEAKS = {"anthropic": "anthropic", "minimax_anthropic": "anthropic", "ollama": "ollama"}
_SEEN = frozenset({"agents", "channels", "providers", "model_presets"})
# Of [channels], how answers look; Parley has its own way.
_LOOKS = frozenset({"send_progress", "send_tool_hints", "send_max_retries", "transcription_provider"})


def plan(sources: Sources, now: datetime) -> Plan:
    """Raises Refused when there is nothing to read."""
    found = Plan("nanobot")
    config = _snake(sources.main("config.json"))
    _providers(found, table(config.get("providers")), sources)
    workspace = _agent(found, config)
    for name, settings in table(config.get("channels")).items():
        if name in _LOOKS or not isinstance(settings, dict):
            continue
        if name in bots.CHANNELS:
            _bot(found, name, settings, sources)
        elif settings.get("enabled"):
            found.leave(f"channels.{name}", bots.OTHER)
    _jobs(found, sources, workspace, now)
    for name in sorted(config.keys() - _SEEN):
        found.leave(name, "there is nothing like it here, or Parley has its own way")
    bots.places(found)
    bots.nobody(found)
    return found


def _snake(value: Any) -> Any:
    """Keys in one spelling: apiKey and api_key are the same."""
    if isinstance(value, dict):
        return {_key(str(key)): _snake(each) for key, each in value.items()}
    return [_snake(each) for each in value] if isinstance(value, list) else value


def _key(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _providers(plan: Plan, found: Json, sources: Sources) -> None:
    for name, settings in found.items():
        settings, theirs = table(settings), f"providers.{name}"
        written, url = settings.get("api_key"), str(settings.get("api_base") or "")
        if name in _LOGINS:
            if written or settings.get("enabled"):
                plan.leave(theirs, LOGIN.format(name=name))
            continue
        if not written and not url:
            continue  # their file lists every provider there is
        key = sources.secret(written)
        if written and key is None:
            plan.leave(f"{theirs}.apiKey", "the variable that it names is not set")
        providers.take(
            plan, Offer(name=name, key=key, base_url=url, speaks=_SPEAKS.get(name, ""), theirs=theirs)
        )
        if settings.get("extra_headers"):
            plan.leave(f"{theirs}.extraHeaders", "Parley sends no headers of its own")


def _agent(plan: Plan, config: Json) -> Path:
    """Where their workspace is."""
    defaults = table(table(config.get("agents")).get("defaults"))
    presets = table(config.get("model_presets"))

    def named(theirs: str, name: object) -> str | None:
        preset = table(presets.get(_key(name))) if isinstance(name, str) else {}
        provider = str(preset.get("provider") or defaults.get("provider") or "")
        provider = "" if provider == "auto" else provider
        return providers.model(plan, theirs, preset.get("model", name), provider=provider, router=True)

    first = defaults.get("model_preset") or defaults.get("model")
    if (model := named("agents.defaults.model", first)) is not None:
        plan.take("agents.defaults.model", "agent.model", model)
    theirs = "agents.defaults.fallbackModels"
    fallbacks = [named(theirs, _model_of(each)) for each in listed(defaults.get("fallback_models"))]
    fallbacks = [each for each in fallbacks if each is not None]
    if fallbacks:
        plan.take(theirs, "agent.fallback_models", fallbacks)
    if isinstance(zone := defaults.get("timezone"), str) and zone:
        plan.take("agents.defaults.timezone", "gateway.timezone", zone)
    if isinstance(heat := defaults.get("temperature"), int | float) and 0 <= heat <= 2:
        plan.take("agents.defaults.temperature", "agent.temperature", heat)
    if isinstance(most := defaults.get("max_tokens"), int) and most > 0:
        plan.take("agents.defaults.maxTokens", "agent.max_output_tokens", most)
    plan.leave(
        "the workspace (SOUL.md, USER.md, memory, skills)", "put what matters into [agent] system_prompt"
    )
    return Path(str(defaults.get("workspace") or f"{FOLDER}/workspace")).expanduser()


def _model_of(entry: object) -> object:
    return table(entry).get("model") if isinstance(entry, dict) else entry


def _bot(plan: Plan, name: str, settings: Json, sources: Sources) -> None:
    where = theirs = f"channels.{name}"
    if not settings.get("enabled") and not settings.get("token"):
        return
    bots.token(plan, f"{theirs}.token", where, sources.secret(settings.get("token")))
    if not settings.get("enabled"):
        plan.take(f"{theirs}.enabled", f"{where}.enabled", False)
    entries = listed(settings.get("allow_from"))
    # Their Telegram lists may say id|name.
    allowed = people.ids(plan, f"{theirs}.allowFrom", [str(each).partition("|")[0] for each in entries])
    plan.add(f"{theirs}.allowFrom", f"{where}.allow", allowed)
    if not entries:
        plan.close(
            f'{theirs}.allowFrom is empty, which let everybody in, or paired them: {people.OPEN}, or "pairing"'
        )
    channels = people.ids(plan, f"{theirs}.allowChannels", listed(settings.get("allow_channels")))
    plan.add(f"{theirs}.allowChannels", f"{where}.allow", channels)
    if settings.get("group_policy") == "open":
        plan.leave(
            f"{theirs}.groupPolicy",
            f"in no group is every message meant for the bot: list them in [{where}] always",
        )
    if settings.get("proxy"):
        plan.leave(f"{theirs}.proxy", "set HTTPS_PROXY in the environment")


def _jobs(plan: Plan, sources: Sources, workspace: Path, now: datetime) -> None:
    folders = (workspace, sources.folder / "workspace", sources.folder)
    path = next((path for each in folders if (path := each / _JOBS).is_file()), None)
    stored = sources.read(path) if path is not None else None
    for number, job in enumerate(listed(table(_snake(stored)).get("jobs"))):
        _job(plan, table(job), number, now)


def _job(plan: Plan, job: Json, number: int, now: datetime) -> None:
    theirs = f"{_JOBS}, {job.get('name') or number}"
    payload = table(job.get("payload"))
    if payload.get("kind", "agent_turn") != "agent_turn" or not payload.get("message"):
        plan.leave(theirs, f"it runs {payload.get('kind')}, and Parley's jobs ask the agent")
        return
    schedule, zone = scheduled.when(table(job.get("schedule")), plan, now)
    if schedule is None:
        plan.leave(theirs, "its time is over, or there is no such schedule here")
        return
    channel = payload.get("channel") or payload.get("origin_channel")
    to = scheduled.target(channel, payload.get("to") or payload.get("origin_chat_id"))
    if to is None:
        to = _of_session(payload.get("session_key"))
    made = {
        "name": scheduled.name_of(plan, job.get("name"), f"job-{number + 1}"),
        "schedule": schedule,
        "prompt": str(payload["message"]),
        "deliver_to": to or "main",
        **({"zone": zone} if zone else {}),
    }
    on = job.get("enabled", True) is not False
    scheduled.take(plan, theirs, made, enabled=on, now=now, lost=to is None)


def _of_session(key: object) -> str | None:
    """telegram:-100:topic:7 as they call a conversation."""
    channel, _, rest = str(key or "").partition(":")
    return scheduled.target(channel, rest)
