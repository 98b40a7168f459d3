"""Hermes Agent: config.yaml, .env and cron/jobs.json, as its documentation has them; .env goes before config.yaml."""

from __future__ import annotations

from datetime import datetime

from gateway.imports import bots, people, providers, scheduled
from gateway.imports.plan import Plan, among, listed, table
from gateway.imports.providers import Offer
from gateway.imports.sources import Sources
from gateway.types.json import Json

FOLDER = "~/.hermes"
# Variables of keys -> the provider, in their .env.example.
_KEYS = {
    "ANTHROPIC_API_KEY": "anthropic",
    "OPENAI_API_KEY": "openai",
    "OPENROUTER_API_KEY": "openrouter",
    "GOOGLE_API_KEY": "google",
    "GEMINI_API_KEY": "google",
    "GROQ_API_KEY": "groq",
    "DEEPSEEK_API_KEY": "deepseek",
    "XAI_API_KEY": "xai",
    "GLM_API_KEY": "zai",
    "MINIMAX_API_KEY": "minimax",
    "HF_TOKEN": "huggingface",
}
_ADDRESSES = {"zai": "GLM_BASE_URL", "minimax": "MINIMAX_BASE_URL"}
_OTHERS = ("SLACK_BOT_TOKEN", "EMAIL_ADDRESS", "MATRIX_ACCESS_TOKEN", "TEAMS_CLIENT_ID", "SIGNAL_HTTP_URL")
_SEEN = frozenset(
    {"model", "providers", "custom_providers", "fallback_providers", "fallback_model", "telegram", "discord"}
    | {"session_reset", "group_sessions_per_user", "timezone", "platforms", "gateway", "_config_version"}
)
_TRUE = ("1", "true", "yes", "on")


def plan(sources: Sources, now: datetime) -> Plan:
    """Raises Refused when there is nothing to read."""
    found = Plan("Hermes")
    variables = sources.variables(".env")
    sources.knows(variables)
    config = sources.main("config.yaml")
    _providers(found, config, sources)
    _agent(found, config)
    for name in bots.CHANNELS:
        _bot(
            found,
            name,
            {**table(table(config.get("platforms")).get(name)), **table(config.get(name))},
            sources,
        )
    if sources.variable("GATEWAY_ALLOW_ALL_USERS").lower() in _TRUE:
        found.close(f"GATEWAY_ALLOW_ALL_USERS lets everybody in: {people.OPEN}")
    for variable in _OTHERS:
        if variables.get(variable):
            found.leave(f"${variable}", bots.OTHER)
    _session(found, config)
    _jobs(found, sources, now)
    for name in sorted(config.keys() - _SEEN):
        found.leave(name, "there is nothing like it here, or Parley has its own way")
    bots.places(found)
    bots.nobody(found)
    return found


def _providers(plan: Plan, config: Json, sources: Sources) -> None:
    for variable, name in _KEYS.items():
        if (key := sources.variable(variable)) and plan.get(f"providers.{providers.name_of(name)}") is None:
            url = sources.variable(_ADDRESSES.get(name, ""))
            providers.take(plan, Offer(name=name, key=key, base_url=url, theirs=f"${variable}"))
    own = {str(each.get("name")): each for each in map(table, listed(config.get("custom_providers")))}
    for name, written in {**own, **table(config.get("providers"))}.items():
        settings, theirs = table(written), f"providers.{name}"
        url = str(among(settings, "base_url", "api", "url") or "")
        if settings.get("key_cmd"):
            why = "Parley runs no command for a key; put one into api_key or api_key_file"
            plan.leave(f"{theirs}.key_cmd", why)
            continue
        if not url:
            continue  # it only changes how a known provider is asked
        variable = str(settings.get("key_env") or "")
        found = sources.secret(settings.get("api_key")) or sources.variable(variable) or None
        speaks = "anthropic" if settings.get("api_mode") == "anthropic_messages" else ""
        providers.take(plan, Offer(name=str(name), key=found, base_url=url, speaks=speaks, theirs=theirs))
    _main(plan, config, sources)


def _main(plan: Plan, config: Json, sources: Sources) -> None:
    """The server that `model` names itself."""
    model = table(config.get("model"))
    url, provider = str(model.get("base_url") or ""), str(model.get("provider") or "")
    if url and provider in ("custom", "ollama", "vllm", "llamacpp", "lmstudio"):
        name = provider if provider in ("ollama", "lmstudio") else "custom"
        key = sources.secret(model.get("api_key"))
        providers.take(plan, Offer(name=name, key=key, base_url=url, theirs="model.base_url"))


def _agent(plan: Plan, config: Json) -> None:
    model = table(config.get("model"))
    first = among(model, "default", "model") or config.get("model")
    provider = str(model.get("provider") or "")
    provider = {"auto": "", "vllm": "custom", "llamacpp": "custom"}.get(provider, provider)
    if (chosen := providers.model(plan, "model.default", first, provider=provider, router=True)) is not None:
        plan.take("model.default", "agent.model", chosen)
    fallbacks = [table(each) for each in listed(among(config, "fallback_providers", "fallback_model"))]
    named = [
        providers.model(
            plan, "fallback_providers", each.get("model"), provider=str(each.get("provider") or "")
        )
        for each in fallbacks
    ]
    found = [each for each in named if each is not None]
    if found:
        plan.take("fallback_providers", "agent.fallback_models", found)
    if isinstance(zone := config.get("timezone"), str) and zone:
        plan.take("timezone", "gateway.timezone", zone)
    plan.leave("SOUL.md, memories and skills", "put what matters into [agent] system_prompt")


def _bot(plan: Plan, name: str, settings: Json, sources: Sources) -> None:
    where, upper = f"channels.{name}", name.upper()
    token = sources.variable(f"{upper}_BOT_TOKEN") or sources.secret(settings.get("token"))
    if not token:
        return
    bots.token(plan, f"${upper}_BOT_TOKEN", where, token)

    def lists(variable: str, *keys: str) -> list[object]:
        return listed(sources.variable(variable)) or listed(among(settings, *keys))

    theirs = f"${upper}_ALLOWED_USERS"
    entries = [
        *lists(f"{upper}_ALLOWED_USERS", "allow_from", "allowed_users"),
        *listed(sources.variable("GATEWAY_ALLOWED_USERS")),
    ]
    allowed = people.ids(plan, theirs, entries)
    plan.add(theirs, f"{where}.allow", allowed)
    if sources.variable(f"{upper}_ALLOW_ALL_USERS").lower() in _TRUE:
        plan.close(f"${upper}_ALLOW_ALL_USERS lets everybody in: {people.OPEN}")
    people.only_here(
        plan,
        f"${upper}_GROUP_ALLOWED_USERS",
        lists(f"{upper}_GROUP_ALLOWED_USERS", "group_allow_from"),
        allowed,
    )
    chats = lists(f"{upper}_GROUP_ALLOWED_CHATS", "group_allowed_chats")
    if chats:
        bots.anybody_in(plan, f"${upper}_GROUP_ALLOWED_CHATS")
    places = [
        *chats,
        *lists(f"{upper}_ALLOWED_CHATS", "allowed_chats"),
        *lists(f"{upper}_ALLOWED_CHANNELS", "allowed_channels"),
    ]
    free = lists(f"{upper}_FREE_RESPONSE_CHANNELS", "free_response_channels", "free_response_chats")
    bots.groups(plan, f"${upper}_ALLOWED_CHATS", where, {str(each): False for each in places})
    bots.groups(plan, f"${upper}_FREE_RESPONSE_CHANNELS", where, {str(each): True for each in free})
    if lists(f"{upper}_ALLOWED_ROLES", "allowed_roles"):
        plan.leave(f"${upper}_ALLOWED_ROLES", "Parley lets people in by their ids, not by roles")
    mention = str(
        sources.variable(f"{upper}_REQUIRE_MENTION") or settings.get("require_mention", True)
    ).lower()
    if mention not in ("", *_TRUE):
        plan.leave(
            f"{name}.require_mention",
            f"list the groups where each message is meant for it in [{where}] always",
        )
    if sources.variable(f"{upper}_WEBHOOK_URL"):
        plan.leave(f"${upper}_WEBHOOK_URL", f"it leads to Hermes; set webhook_url in [{where}] for Parley")


def _session(plan: Plan, config: Json) -> None:
    reset = table(config.get("session_reset"))
    if (
        reset.get("mode") in ("idle", "both")
        and isinstance(minutes := reset.get("idle_minutes"), int)
        and minutes > 0
    ):
        for channel in bots.CHANNELS:
            if plan.get(f"channels.{channel}"):
                plan.take("session_reset.idle_minutes", f"channels.{channel}.gap_minutes", minutes)
    if reset.get("mode") in ("daily", "both"):
        plan.leave(
            "session_reset.at_hour",
            "no session ends at a fixed hour here; gap_minutes ends it after a silence",
        )
    if config.get("group_sessions_per_user") is True:
        plan.take("group_sessions_per_user", "sessions.group_scope", "user")


def _jobs(plan: Plan, sources: Sources, now: datetime) -> None:
    for number, job in enumerate(listed(table(sources.maybe("cron/jobs.json")).get("jobs"))):
        _job(plan, table(job), number, sources, now)


def _job(plan: Plan, job: Json, number: int, sources: Sources, now: datetime) -> None:
    theirs = f"cron/jobs.json, {job.get('name') or job.get('id') or number}"
    if job.get("no_agent") or job.get("script"):
        plan.leave(theirs, "it runs a script, and Parley's jobs ask the agent")
        return
    if not job.get("prompt"):
        plan.leave(theirs, "it asks nothing")
        return
    schedule = _when(table(job.get("schedule")), str(plan.get("gateway.timezone") or ""), now)
    if schedule is None:
        plan.leave(theirs, "its time is over, or there is no such schedule here")
        return
    made: Json = {
        "name": scheduled.name_of(plan, job.get("name"), f"job-{number + 1}"),
        "schedule": schedule,
        "prompt": str(job["prompt"]),
        "deliver_to": _targets(plan, theirs, job, sources),
    }
    provider = str(job.get("provider") or "")
    model = providers.model(plan, f"{theirs}, model", job.get("model"), provider=provider)
    if model is not None:
        made["model"] = model
    if listed(among(job, "skills", "skill")):
        plan.leave(f"{theirs}, skills", "Parley has no skills: write into the prompt what it needs")
    if table(job.get("repeat")).get("times"):
        plan.leave(f"{theirs}, repeat", "a job here runs until it is removed")
    scheduled.take(plan, theirs, made, enabled=job.get("enabled", True) is not False, now=now)


def _when(schedule: Json, zone: str, now: datetime) -> str | None:
    match schedule.get("kind"):
        case "cron":
            return scheduled.crontab(schedule.get("expr"))
        case "interval":
            minutes, seconds = schedule.get("minutes"), schedule.get("interval_seconds")
            if isinstance(minutes, int | float):
                return scheduled.interval(minutes * 60)
            return scheduled.interval(seconds) if isinstance(seconds, int | float) else None
        case "once":
            return scheduled.moment(among(schedule, "run_at", "at"), zone, now)
    return None


def _targets(plan: Plan, theirs: str, job: Json, sources: Sources) -> list[str] | str:
    found: list[str] = []
    for name in listed(job.get("deliver")) or ["local"]:
        channel, _, rest = str(name).partition(":")
        if channel == "local":
            continue
        if channel == "origin":
            origin = table(job.get("origin"))
            thread = f":{origin['thread_id']}" if origin.get("thread_id") else ""
            channel, rest = str(origin.get("platform") or ""), f"{origin.get('chat_id') or ''}{thread}"
        elif not rest:
            rest = sources.variable(f"{channel.upper()}_HOME_CHANNEL")
        to = scheduled.target(channel, rest)
        if to is None:
            plan.leave(f"{theirs}, deliver {name}", "it is no chat that Parley knows")
        elif to not in found:
            found.append(to)
    return found or "main"
