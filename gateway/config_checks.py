"""What no single key can show: settings that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.config_file import Key
from gateway.vendors import key_name

if TYPE_CHECKING:
    from gateway.config_jobs import JobSettings
    from gateway.settings import Settings

OUR_PATHS = ("/v1/", "/healthz", "/readyz", "/metrics")  # of the HTTP API

ADDED = {"anthropic": "/v1", "google": "/v1beta"}  # to base_url, by the vendors' SDKs

Contradiction = tuple[Key, str, str]  # the path of a key, what is wrong, the remedy


def contradictions(settings: Settings) -> Iterator[Contradiction]:
    yield from _bots(settings)
    yield from _open(settings)
    yield from _webhooks(settings)
    yield from _providers(settings)
    yield from _models(settings)
    yield from _transcription(settings)
    yield from _jobs(settings)


def _bots(settings: Settings) -> Iterator[Contradiction]:
    platforms = (("telegram", settings.channels.telegram), ("discord", settings.channels.discord))
    for channel, platform in platforms:
        tables: list[tuple[Key, bool]] = [(("channels", channel), platform.active and not platform.token)]
        for name, account in platform.accounts.items():
            tables.append((("channels", channel, "accounts", name), account.active and not account.token))
        for path, missing in tables:
            if missing:
                name = "__".join(str(part) for part in path).upper()
                yield (
                    (*path, "enabled"),
                    "there is no token",
                    f"set token, token_file or PARLEY_{name}__TOKEN",
                )


def _open(settings: Settings) -> Iterator[Contradiction]:
    """An account that is open to everybody while the list it takes over says who may come in."""
    for channel, platform in (
        ("telegram", settings.channels.telegram),
        ("discord", settings.channels.discord),
    ):
        for name, account in platform.accounts.items():
            if account.access == "open" and platform.allow and "allow" not in account.model_fields_set:
                yield (
                    ("channels", channel, "accounts", name, "access"),
                    f"the account would be open although it takes over the list in [channels.{channel}]",
                    "write allow in the account too ([] for no list), or leave access out",
                )


def _webhooks(settings: Settings) -> Iterator[Contradiction]:
    paths: set[str] = set()
    for key, account in settings.channels.telegram.each():
        first, *rest = key.split(".")
        path: Key = ("channels", first, *(("accounts", *rest) if rest else ()), "webhook_url")
        if not account.webhook_url:
            continue
        if not account.webhook_secret:
            yield path, "there is no webhook_secret", "set webhook_secret: anybody could write to it without"
        elif not settings.web.port:
            yield path, "nothing listens for it", "set port in [web]"
        where = urlsplit(account.webhook_url).path or "/"
        if where in paths:
            yield path, f"another bot has the path {where!r}", "give each bot a path of its own"
        if where.startswith(OUR_PATHS):
            yield path, f"the path {where!r} is the API's", "use another, as in https://host/telegram"
        paths.add(where)


def _providers(settings: Settings) -> Iterator[Contradiction]:
    for name, provider in settings.providers.items():
        added = ADDED.get(provider.kind)
        if added and provider.base_url.endswith(added):
            yield (
                ("providers", name, "base_url"),
                f"ends in {added}, which is added to it",
                f"write {provider.base_url.removesuffix(added)}",
            )


def _models(settings: Settings) -> Iterator[Contradiction]:
    named: list[tuple[Key, str]] = [(("agent", "model"), settings.agent.model)]
    named += [
        (("agent", "fallback_models", i), model) for i, model in enumerate(settings.agent.fallback_models)
    ]
    named += [(("agent", "models", i), model) for i, model in enumerate(settings.agent.models)]
    named += [(("agent", "summary_model"), settings.agent.summary_model)]
    named += [(("jobs", i, "model"), job.model) for i, job in enumerate(settings.jobs)]
    named += [
        (("digest", "model"), settings.digest.model),
        (("heartbeat", "model"), settings.heartbeat.model),
    ]
    for path, model in named:
        name, colon, _ = model.partition(":")
        provider = settings.providers.get(name)
        if colon and provider is None:
            yield path, f"there is no provider {name!r}", f"add [providers.{name}] or set {key_name(name)}"
        elif colon and provider is not None and not provider.usable:
            yield path, f"provider {name!r} has no api_key", f"set {key_name(name)} or api_key_file"


def _transcription(settings: Settings) -> Iterator[Contradiction]:
    name = settings.transcription.provider
    provider = settings.providers.get(name)
    path: Key = ("transcription", "provider")
    if not name:
        return
    if provider is None:
        yield path, f"there is no provider {name!r}", f"add [providers.{name}] or set {key_name(name)}"
    elif provider.kind != "openai":
        yield path, f"provider {name!r} does not transcribe", 'name one whose kind is "openai"'
    elif not provider.usable:
        yield path, f"provider {name!r} has no api_key", f"set {key_name(name)} or api_key_file"


def _jobs(settings: Settings) -> Iterator[Contradiction]:
    seen: set[str] = set()
    for index, job in enumerate(settings.jobs):
        if job.name in seen:
            yield ("jobs", index, "name"), f"{job.name!r} is there twice", "give each job a name of its own"
        seen.add(job.name)
        if job.kind == "prompt" and not job.prompt.strip():
            yield ("jobs", index, "prompt"), "prompt is missing", "say what the agent is to be asked"
        if job.kind == "digest" and len(job.deliver_to) != 1:
            yield (
                ("jobs", index, "deliver_to"),
                "a digest is of the one person or chat that it goes to",
                'name one, as in deliver_to = "telegram:12345"',
            )
        if job.kind == "digest" and job.session == "chat":
            yield ("jobs", index, "session"), "a digest has a session of its own", "leave it out"
        if job.session == "chat" and (len(job.deliver_to) != 1 or job.deliver_to[0] == "main"):
            yield (
                ("jobs", index, "session"),
                '"chat" needs the one chat whose session it is',
                'name it, as in deliver_to = "telegram:12345", or leave session out',
            )
        yield from _schedule(job, index, job.zone or settings.gateway.timezone)


def _schedule(job: JobSettings, index: int, zone: str) -> Iterator[Contradiction]:
    from gateway.schedule import ScheduleError, parse

    try:
        # Compared with 1970: a single time that is over must not keep the gateway from starting.
        parse(job.schedule, zone, now=0)
    except ScheduleError as error:
        yield ("jobs", index, "schedule"), str(error).removesuffix(f"; {error.remedy}"), error.remedy
