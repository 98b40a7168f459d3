"""OpenClaw: openclaw.json (JSON5), its .env, auth-profiles.json and cron/jobs.json, as its documentation has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.imports import bots, people, providers, scheduled
from gateway.imports.plan import Plan, among, listed, table
from gateway.imports.providers import LOGIN, Offer
from gateway.imports.sources import Sources
from gateway.types.json import Json

FOLDER = "~/.openclaw"
_SPEAKS = {
    "anthropic-messages": "anthropic",
    "google-generative-ai": "google",
    "ollama": "ollama",
    "openai-completions": "openai",
    "openai-responses": "openai",
}
# Looked at here, or a matter of taste that Parley has its own of.
_SEEN = frozenset(
    {"agent", "agents", "auth", "channels", "commands", "cron", "env", "meta", "models", "session", "wizard"}
)
_JOBS = "cron/jobs.json"


def plan(sources: Sources, now: datetime) -> Plan:
    """Raises Refused when there is nothing to read."""
    found = Plan("OpenClaw")
    config = sources.main("openclaw.json")
    env = table(config.get("env"))
    sources.knows({**env, **table(env.get("vars")), **sources.variables(".env")})
    _providers(found, config, sources)
    _agent(found, config)
    people.owners(
        found, "commands.ownerAllowFrom", listed(table(config.get("commands")).get("ownerAllowFrom"))
    )
    channels = table(config.get("channels"))
    for name, settings in channels.items():
        if name == "defaults":
            continue
        if name in bots.CHANNELS:
            _channel(found, name, table(settings), sources)
        elif table(settings).get("enabled", True):
            found.leave(f"channels.{name}", bots.OTHER)
    _session(found, table(config.get("session")))
    _jobs(found, sources, now)
    for name in sorted(config.keys() - _SEEN):
        found.leave(name, "there is nothing like it here, or Parley has its own way")
    bots.nobody(found)
    return found


def _providers(plan: Plan, config: Json, sources: Sources) -> None:
    keys = _profiles(plan, sources)
    own = table(table(config.get("models")).get("providers"))
    for name, settings in own.items():
        settings, theirs = table(settings), f"models.providers.{name}"
        api = settings.get("api")
        if api is not None and not (isinstance(api, str) and api in _SPEAKS):
            plan.leave(theirs, f"it speaks {api}, which Parley does not")
            continue
        speaks = _SPEAKS[api] if isinstance(api, str) else ""
        key = sources.secret(settings.get("apiKey")) or keys.pop(name, None)
        url = str(settings.get("baseUrl") or "")
        providers.take(plan, Offer(name=name, key=key, base_url=url, speaks=speaks, theirs=theirs))
        for header in ("headers", "request", "authHeader"):
            if settings.get(header):
                plan.leave(f"{theirs}.{header}", "Parley sends no headers and takes no routes of its own")
    for name, key in keys.items():
        providers.take(plan, Offer(name=name, key=key, theirs=f"auth-profiles.json, {name}"))
    for name in providers.KINDS:
        if name not in own and name not in keys:
            _from_environment(plan, name, sources)


def _from_environment(plan: Plan, name: str, sources: Sources) -> None:
    from gateway.vendors import VENDORS

    for variable in VENDORS[providers.KINDS[name]].keys:
        if (key := sources.variable(variable)) and plan.get(f"providers.{providers.name_of(name)}") is None:
            providers.take(plan, Offer(name=name, key=key, theirs=f"${variable}"))


def _profiles(plan: Plan, sources: Sources) -> dict[str, str]:
    """Keys by provider, of the first agent's profiles."""
    keys: dict[str, str] = {}
    stored = sources.maybe("agents/main/agent/auth-profiles.json", "agents/default/agent/auth-profiles.json")
    for id, profile in table(table(stored).get("profiles")).items():
        profile = table(profile)
        name, theirs = str(profile.get("provider") or id.partition(":")[0]), f"auth-profiles.json, {id}"
        if profile.get("type") == "oauth":
            plan.leave(theirs, LOGIN.format(name=providers.name_of(name)))
            continue
        key = sources.secret(among(profile, "key", "token", "keyRef", "tokenRef"))
        if key is not None:
            keys.setdefault(name, key)
    return keys


def _agent(plan: Plan, config: Json) -> None:
    defaults = table(table(config.get("agents")).get("defaults"))
    where = "agents.defaults" if defaults else "agent"
    settings = defaults or table(config.get("agent"))
    chosen = settings.get("model")
    first = chosen if isinstance(chosen, str) else table(chosen).get("primary")
    if (model := providers.model(plan, f"{where}.model", first)) is not None:
        plan.take(f"{where}.model", "agent.model", model)
    _models(plan, f"{where}.model.fallbacks", "fallback_models", listed(table(chosen).get("fallbacks")))
    _models(plan, f"{where}.models", "models", list(table(settings.get("models"))))
    if isinstance(zone := settings.get("userTimezone"), str):
        plan.take(f"{where}.userTimezone", "gateway.timezone", zone)
    if isinstance(seconds := settings.get("timeoutSeconds"), int | float) and seconds > 0:
        plan.take(f"{where}.timeoutSeconds", "agent.turn_timeout_seconds", seconds)
    for name in ("heartbeat", "sandbox", "memorySearch"):
        if settings.get(name):
            plan.leave(f"{where}.{name}", "there is nothing like it here")
    agents = table(config.get("agents"))
    if several := len(table(agents.get("entries"))) + len(listed(agents.get("list"))):
        plan.leave("agents", f"{several} of their own: Parley has one agent; run another one beside it")
    plan.leave(
        "the workspace (SOUL.md, AGENTS.md, memory, skills)", "put what matters into [agent] system_prompt"
    )


def _models(plan: Plan, theirs: str, key: str, names: list[Any]) -> None:
    found = [providers.model(plan, theirs, name) for name in names]
    models = [each for each in dict.fromkeys(found) if each is not None and each != plan.get("agent.model")]
    if models:
        plan.take(theirs, f"agent.{key}", models)


def _channel(plan: Plan, name: str, settings: Json, sources: Sources) -> None:
    where, theirs = f"channels.{name}", f"channels.{name}"
    environment = {"telegram": "TELEGRAM_BOT_TOKEN", "discord": "DISCORD_BOT_TOKEN"}[name]
    _bot(plan, name, theirs, where, settings, sources, fallback=sources.variable(environment) or None)
    for account, own in table(settings.get("accounts")).items():
        if account == "default":
            _bot(plan, name, f"{theirs}.accounts.default", where, table(own), sources)
            continue
        called = providers.name_of(str(account)).replace("_", "-")
        _bot(plan, name, f"{theirs}.accounts.{account}", f"{where}.accounts.{called}", table(own), sources)


def _bot(
    plan: Plan,
    name: str,
    theirs: str,
    where: str,
    settings: Json,
    sources: Sources,
    *,
    fallback: str | None = None,
) -> None:
    given = among(settings, "botToken", "token")
    token = sources.secret(given) or sources.file(settings.get("tokenFile")) or fallback
    if token is not None or given is not None:
        bots.token(plan, f"{theirs}.{'botToken' if name == 'telegram' else 'token'}", where, token)
    if settings.get("enabled") is False:
        plan.take(f"{theirs}.enabled", f"{where}.enabled", False)
    direct = table(settings.get("dm"))
    entries = [*listed(settings.get("allowFrom")), *listed(direct.get("allowFrom"))]
    allowed = people.ids(plan, f"{theirs}.allowFrom", entries)
    plan.add(f"{theirs}.allowFrom", f"{where}.allow", allowed)
    bots.policy(plan, f"{theirs}.dmPolicy", where, among(settings, "dmPolicy") or direct.get("policy"))
    if settings.get("groupPolicy") == "open":
        bots.anybody_in(plan, f"{theirs}.groupPolicy")
    people.only_here(plan, f"{theirs}.groupAllowFrom", listed(settings.get("groupAllowFrom")), allowed)
    if settings.get("groupPolicy") == "disabled":
        pass  # nor is any group let in here, unless it is listed
    elif name == "telegram":
        _telegram_groups(plan, theirs, where, table(settings.get("groups")), allowed)
    else:
        _guilds(plan, theirs, where, table(settings.get("guilds")), allowed)
    if settings.get("webhookUrl"):
        plan.leave(f"{theirs}.webhookUrl", f"it leads to OpenClaw; set webhook_url in [{where}] for Parley")
    if settings.get("proxy"):
        plan.leave(f"{theirs}.proxy", "set HTTPS_PROXY in the environment")


def _telegram_groups(plan: Plan, theirs: str, where: str, groups: Json, allowed: list[int]) -> None:
    found: dict[str, bool] = {}
    for id, group in groups.items():
        group = table(group)
        found[str(id)] = group.get("requireMention") is False
        if group.get("groupPolicy") == "open":
            bots.anybody_in(plan, f"{theirs}.groups.{id}.groupPolicy")
        people.only_here(plan, f"{theirs}.groups.{id}.allowFrom", listed(group.get("allowFrom")), allowed)
        for setting in ("topics", "systemPrompt", "skills"):
            if group.get(setting):
                plan.leave(f"{theirs}.groups.{id}.{setting}", "there is nothing like it for one group")
    bots.groups(plan, f"{theirs}.groups", where, found)


def _guilds(plan: Plan, theirs: str, where: str, guilds: Json, allowed: list[int]) -> None:
    """A server, or those of its channels that are listed."""
    for id, guild in guilds.items():
        guild, path = table(guild), f"{theirs}.guilds.{id}"
        channels = {str(key): table(value) for key, value in table(guild.get("channels")).items()}
        free = guild.get("requireMention") is False
        if channels:
            on = {
                key: value
                for key, value in channels.items()
                if value.get("allow", value.get("enabled", True))
            }
            found = {key: value.get("requireMention", not free) is False for key, value in on.items()}
            bots.groups(plan, f"{path}.channels", where, found)
        else:
            bots.groups(plan, path, where, {str(id): free})
        members = listed(guild.get("users")) + [
            one for value in channels.values() for one in listed(value.get("users"))
        ]
        people.only_here(plan, f"{path}.users", members, allowed)
        if not members and not listed(guild.get("roles")):
            bots.anybody_in(plan, path)
        if guild.get("roles"):
            plan.leave(f"{path}.roles", "Parley lets people in by their ids, not by roles")


def _session(plan: Plan, session: Json) -> None:
    reset = table(session.get("reset"))
    minutes = among(reset, "idleMinutes") if reset.get("mode") in ("idle", "daily", None) else None
    minutes = minutes if minutes is not None else session.get("idleMinutes")
    if isinstance(minutes, int) and minutes > 0:
        for channel in bots.CHANNELS:
            if plan.get(f"channels.{channel}"):
                plan.take("session.reset.idleMinutes", f"channels.{channel}.gap_minutes", minutes)
    if reset.get("mode") == "daily":
        plan.leave(
            "session.reset.mode", "no session ends at a fixed hour here; gap_minutes ends it after a silence"
        )
    for name in ("resetByChannel", "resetByType", "identityLinks"):
        if session.get(name):
            plan.leave(f"session.{name}", "set gap_minutes for each channel, and join people with /link")


def _jobs(plan: Plan, sources: Sources, now: datetime) -> None:
    stored = sources.maybe(_JOBS)
    if stored is None:
        plan.leave(
            _JOBS,
            "it is not there; newer versions keep jobs in a database: `openclaw automations list --all`",
        )
        return
    for number, job in enumerate(
        listed(table(stored).get("jobs")) if isinstance(stored, dict) else listed(stored)
    ):
        _job(plan, table(job), number, now)


def _job(plan: Plan, job: Json, number: int, now: datetime) -> None:
    theirs = f"{_JOBS}, {among(job, 'name', 'jobId', 'id') or number}"
    payload, delivery = table(job.get("payload")), table(job.get("delivery"))
    prompt = among(payload, "message", "text")
    if payload.get("kind") not in ("agentTurn", "systemEvent", None) or not prompt:
        plan.leave(theirs, f"it runs {payload.get('kind')}, and Parley's jobs ask the agent")
        return
    schedule, zone = scheduled.when(table(job.get("schedule")), plan, now)
    if schedule is None:
        plan.leave(theirs, "its time is over, or there is no such schedule here")
        return
    made: dict[str, Any] = {
        "name": scheduled.name_of(plan, job.get("name"), f"job-{number + 1}"),
        "schedule": schedule,
        "prompt": str(prompt),
        **({"zone": zone} if zone else {}),
    }
    if (model := providers.model(plan, f"{theirs}, model", payload.get("model"))) is not None:
        made["model"] = model
    if isinstance(seconds := payload.get("timeoutSeconds"), int | float) and seconds > 0:
        made["timeout_seconds"] = seconds
    quiet = delivery.get("mode") == "none"
    to = None if quiet else scheduled.target(delivery.get("channel"), delivery.get("to"))
    made["deliver_to"] = "none" if quiet else to or "main"
    on = job.get("enabled", True) is not False
    scheduled.take(plan, theirs, made, enabled=on, now=now, lost=to is None and not quiet)
