"""A job in one line, as it is typed behind /job add: [name] [option=value …] schedule [zone] text; pure.

every 90m Drink a glass of water.
"0 8 * * 1-5" Europe/Berlin What is in the news?
report session=chat tomorrow at nine Sum up what we have decided here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import get_args

from gateway.errors import Refused
from gateway.jobs import phrases
from gateway.jobs.spec import CHAT, NAME, CatchUp, JobSpec, Joins, Overlap
from gateway.plain import plain
from gateway.types.measures import DOLLAR
from gateway.zones import meant, near

OPTION = re.compile(r"([a-z_]+)=(\"[^\"]*\"|\S+)(?:\s+|$)", re.IGNORECASE)
# A name with a slash, on its own, right behind the schedule.
ZONE = re.compile(r"([A-Za-z][\w+-]*(?:/[\w+-]+)+|UTC|GMT)[,:]?(?=\s|$)")
WRAPPED = re.compile(r'"([^"]*)"|“([^“”]*)”|„([^„“”]*)[“”]')
AREAS = frozenset(
    [
        "Africa",
        "America",
        "Antarctica",
        "Arctic",
        "Asia",
        "Atlantic",
        "Australia",
        "Brazil",
        "Canada",
        "Chile",
        "Etc",
        "Europe",
        "Indian",
        "Mexico",
        "Pacific",
        "US",
    ]
)
KEYS = (
    "name", "to", "session", "silent", "catch_up", "overlap", "retries", "timeout", "model", "mention",
    "budget_day", "budget_month",
)  # fmt: skip
WORDS: Mapping[str, tuple[str, ...]] = {
    "session": get_args(Joins),
    "catch_up": get_args(CatchUp),
    "overlap": get_args(Overlap),
    "silent": ("yes", "no"),
}
# How each is written, and an example.
NUMBERS: Mapping[str, tuple[str, str]] = {
    "retries": (r"\d{1,2}", "3"),
    "timeout": (r"\d{1,6}(\.\d+)?", "60"),
    "budget_day": (r"\d{1,6}(\.\d{1,9})?", "1.50"),
    "budget_month": (r"\d{1,6}(\.\d{1,9})?", "1.50"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """*schedule* '': there is none, so what stands there was not understood. *zone* '': none is named."""

    schedule: str
    zone: str
    prompt: str
    options: Mapping[str, str] = field(default_factory=dict)

    def spec(self, zone: str) -> JobSpec:
        """*zone*: of whoever says no other."""
        told = self.options
        targets = tuple(each for each in told.get("to", CHAT).split(",") if each and each != "none")
        return JobSpec(
            name=told.get("name", ""),
            schedule=self.schedule,
            zone=self.zone or zone,
            prompt=self.prompt,
            deliver_to=targets,
            mention=told.get("mention", ""),
            silent=told.get("silent") == "yes",
            session=told.get("session", "isolated"),  # type: ignore[arg-type] # `read` has looked at it
            catch_up=told.get("catch_up", "last"),  # type: ignore[arg-type]
            overlap=told.get("overlap", "skip"),  # type: ignore[arg-type]
            timeout=float(told["timeout"]) if "timeout" in told else None,
            retries=int(told.get("retries", "3")),
            model=told.get("model", ""),
            budget_day=_nano(told.get("budget_day")),
            budget_month=_nano(told.get("budget_month")),
        )


def read(text: str) -> Line:
    """Raises Refused, with an example, for what has no schedule at its beginning, and for a zone or an option that
    does not exist."""
    options, rest = _options(text.strip())
    size = phrases.head(rest)
    if not size:
        name, behind = _word(rest)
        more, behind = _options(behind.strip())
        size = phrases.head(behind)
        if not size or not NAME.fullmatch(name):
            raise Refused(key="job_line.unread", text=plain(rest))
        options, rest = {"name": name, **options, **more}, behind
    schedule, rest = rest[:size].strip().rstrip(","), rest[size:].strip()
    zone, rest = _zone(rest)
    more, rest = _options(rest, strict=False)
    wrapped = WRAPPED.fullmatch(rest)
    prompt = next(each for each in wrapped.groups() if each is not None) if wrapped is not None else rest
    return Line(schedule=schedule, zone=zone, prompt=prompt, options={**options, **more})


def _word(text: str) -> tuple[str, str]:
    """The first word, and what stands behind it."""
    word, *rest = text.split(maxsplit=1) or [""]
    return word, "".join(rest)


def _options(text: str, *, strict: bool = True) -> tuple[dict[str, str], str]:
    """Those at the beginning, and the rest. *strict*: a word of that form which is none is refused."""
    found: dict[str, str] = {}
    while (option := OPTION.match(text)) is not None:
        key, value = option[1].lower().replace("deliver_to", "to"), option[2].strip('"')
        if key not in KEYS:
            if strict:
                raise Refused(
                    key="job_line.option", name=f"`{key[:40]}`", known=", ".join(f"`{each}`" for each in KEYS)
                )
            break
        found[key] = _checked(key, value)
        text = text[option.end() :]
    return found, text


def _checked(key: str, value: str) -> str:
    known = WORDS.get(key)
    if known is not None:
        value = value.lower()
        if value not in known:
            raise Refused(key="job_line.value", name=key, text=plain(value, 40), known="|".join(known))
    if key in NUMBERS and not re.fullmatch(NUMBERS[key][0], value):
        raise Refused(key="job_line.value", name=key, text=plain(value, 40), known=NUMBERS[key][1])
    return value


def _zone(text: str) -> tuple[str, str]:
    """(zone, rest); a word with a slash that is not meant as a zone belongs to the text."""
    found = ZONE.match(text)
    if found is None:
        return "", text
    name = found[1]
    zones = meant(name)
    if len(zones) == 1:
        return zones[0], text[found.end() :].strip()
    if name.partition("/")[0] in AREAS:
        other = next(iter(near(name)), "Europe/Berlin")
        raise Refused(key="job_line.zone", name=plain(name), near=f"`{other}`")
    return "", text


def _nano(dollars: str | None) -> int | None:
    return None if dollars is None else int(Decimal(dollars) * DOLLAR)
