"""What the settings say, as each part of the gateway takes it; pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from gateway import heartbeat
from gateway.access import LOCAL, Policy
from gateway.budgets import PERIODS, Period, Rules, Scope
from gateway.fetcher import Fetcher
from gateway.floods import Limits
from gateway.habits import Habits
from gateway.jobs.spec import JobSpec
from gateway.media.collecting import Bounds
from gateway.media.folder import Folder
from gateway.media.hearing import Speech
from gateway.models.catalogue import DEMO, ProviderConfig
from gateway.outside import Rules as Outside
from gateway.price import Own, Rates
from gateway.pricing import Pricing
from gateway.progress import Options
from gateway.protocols.tool import Tool
from gateway.settings import Settings
from gateway.tools import instructions
from gateway.tools.web_fetch import FetchBounds, WebFetch
from gateway.types.measures import DAY, DOLLAR, MINUTE
from gateway.types.people import Role
from gateway.vendors import VENDORS


def providers(settings: Settings) -> dict[str, ProviderConfig]:
    return {
        name: ProviderConfig(
            name=name,
            kind=each.kind,
            api_key=each.api_key.get_secret_value(),
            base_url=each.base_url,
            web_search=each.web_search,
        )
        for name, each in settings.providers.items()
    }


def default_model(settings: Settings) -> str:
    """The configured model; else the usual one of the first provider that can be asked; else the demo."""
    if settings.agent.model:
        return settings.agent.model
    for name, each in settings.providers.items():
        if each.api_key.get_secret_value() and (usual := VENDORS[each.kind].usual):
            return f"{name}:{usual}"
    return DEMO


def pricing(settings: Settings) -> Pricing:
    return Pricing(overrides(settings), discounts(settings))


def discounts(settings: Settings) -> dict[str, Decimal]:
    return {name: each.discount for name, each in settings.providers.items()}


def overrides(settings: Settings) -> dict[str, Own]:
    found: dict[str, Own] = {}
    for name, each in settings.providers.items():
        if each.price == "free" or (each.price is None and each.unbilled):
            found[f"{name}/*"] = "free"
        elif each.price:
            for model, price in each.price.items():
                found[f"{name}/{model}"] = Rates(
                    uncached=price.input,
                    output=price.output,
                    read=price.cache_read,
                    write_5m=price.cache_write_5m,
                    write_1h=price.cache_write_1h,
                    search=None if price.search is None else price.search / 1000,
                )
        elif each.nearby:
            found[f"{name}/*"] = "local"
    return found


def options(settings: Settings) -> Options:
    agent = settings.agent
    return Options(
        system_prompt=instructions(agent.system_prompt),
        max_output_tokens=agent.max_output_tokens,
        temperature=agent.temperature,
        cache=agent.cache,
        retries=agent.retries,
        max_requests=agent.max_requests,
        max_tool_calls=agent.max_tool_calls,
        max_same_calls=agent.max_same_calls,
        max_errors=agent.max_errors,
        turn_timeout=agent.turn_timeout_seconds,
        auto_compact=agent.auto_compact,
        compact_notice=agent.compact_notice,
        summary_model=agent.summary_model,
        context_window=agent.context_window,
        web_search=settings.tools.web_search,
        zone=settings.gateway.timezone,
    )


def usable(settings: Settings, fetcher: Fetcher, media: Path) -> Iterator[Tool]:
    """The tools that are on, besides the clock. *media*: the folder of files."""
    told = settings.tools
    if told.web_fetch:
        bounds = FetchBounds(megabytes=told.fetch_megabytes, characters=told.fetch_characters)
        yield WebFetch(fetcher=fetcher, folder=Folder(media), bounds=bounds)


def outside(settings: Settings) -> Outside:
    """Where the model may read."""
    return Outside(within=frozenset(settings.tools.allow_hosts), never=frozenset(settings.tools.deny_hosts))


def habits(settings: Settings) -> Habits:
    bots = dict(settings.channels.bots())
    local: dict[str, int | None] = dict.fromkeys(LOCAL)
    return Habits(
        policy=Policy(
            allow={key: frozenset(bot.allow) for key, bot in bots.items()},
            owners={key: frozenset(bot.owners) for key, bot in bots.items()},
            access={key: bot.access for key, bot in bots.items()},
        ),
        limits=Limits(
            messages_per_minute=settings.limits.messages_per_minute,
            most_waiting=settings.limits.most_waiting,
        ),
        job_interval=settings.limits.job_interval_minutes * MINUTE,
        jobs_each=settings.limits.jobs_per_person,
        budgets=rules(settings),
        digest_model=settings.digest.model,
        gap_minutes=local | {key: bot.gap_minutes for key, bot in bots.items()},
        speech=speech(settings),
        files=Bounds(
            most_bytes=settings.media.max_megabytes * 1_000_000, most_files=settings.media.max_files
        ),
        carry_over=settings.sessions.carry_over,
        each_member=settings.sessions.group_scope == "user",
        during={key: bot.during_turn for key, bot in bots.items()},
        overheard={key: bot.group_context for key, bot in bots.items()},
        reactions={key: bot.reactions for key, bot in bots.items()},
        language=settings.gateway.language,
        away_after=settings.gateway.away_after_minutes * MINUTE or 10_000 * DAY,
        zone=settings.gateway.timezone,
        most_turns=settings.gateway.max_turns_at_once,
    )


def rules(settings: Settings) -> Rules:
    """The budgets of the configuration, in nano-dollars."""
    told = settings.budgets
    names: dict[tuple[Scope, Period], str] = {
        (scope, period): scope if period == "total" else f"{scope}_{period}"
        for scope, periods in PERIODS.items()
        for period in periods
    }
    caps = {key: getattr(told, name) for key, name in names.items()}
    roles: dict[tuple[Role, Period], int | None] = {}
    for role, own in told.roles.items():
        for period in PERIODS["person"]:
            cap = getattr(own, f"person_{period}")
            if cap is not None:
                roles[role, period] = None if cap == "off" else int(cap * DOLLAR)
    return Rules(
        caps={key: int(cap * DOLLAR) for key, cap in caps.items() if cap is not None},
        roles=roles,
        unpriced=told.unpriced,
    )


def speech(settings: Settings) -> Speech | None:
    told = settings.transcription
    if not told.provider:
        return None
    return Speech(provider=told.provider, model=told.model, language=told.language)


def job_specs(settings: Settings) -> list[JobSpec]:
    return [*_jobs(settings), *_heartbeat(settings)]


def _heartbeat(settings: Settings) -> Iterator[JobSpec]:
    told = settings.heartbeat
    if told.file:
        yield JobSpec(
            name=heartbeat.NAME,
            kind="heartbeat",
            schedule=f"every {told.every_minutes}m",
            zone=told.zone or settings.gateway.timezone,
            prompt="",
            prompt_file=str((settings.folder / Path(told.file).expanduser()).absolute()),
            active_hours=told.active_hours,
            deliver_to=tuple(told.deliver_to),
            silent=True,
            catch_up="none",
            model=told.model,
        )


def _jobs(settings: Settings) -> list[JobSpec]:
    return [
        JobSpec(
            name=job.name,
            schedule=job.schedule,
            zone=job.zone or settings.gateway.timezone,
            prompt=job.prompt,
            deliver_to=tuple(job.deliver_to),
            mention=job.mention,
            silent=job.silent,
            enabled=job.enabled,
            session=job.session,
            catch_up=job.catch_up,
            overlap=job.overlap,
            timeout=job.timeout_seconds,
            retries=job.retries,
            model=job.model,
            kind=job.kind,
            bill=job.bill,
            budget_day=None if job.budget_day is None else int(job.budget_day * DOLLAR),
            budget_month=None if job.budget_month is None else int(job.budget_month * DOLLAR),
        )
        for job in settings.jobs
    ]
