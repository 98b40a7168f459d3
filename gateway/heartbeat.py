"""The heartbeat: a job of ours that looks at a file now and then, and speaks only when there is something to say."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import transcript
from gateway.jobs import silence
from gateway.jobs.reasons import ASLEEP, FILE_EMPTY, FILE_MISSING
from gateway.moments import local
from gateway.types.measures import DAY

if TYPE_CHECKING:
    from gateway.jobs.runs import Owed
    from gateway.jobs.spec import JobSpec
    from storage import Store, Unit

NAME = "__heartbeat__"  # no name that anybody can give to a job of theirs
LARGEST = 64 * 1024  # bytes of the file
SAID = 500  # characters of what it said last that it is reminded of
TOO_BIG = f"its file has more than {LARGEST // 1024} kB"
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})")
_COMMENT = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
# Headings, rules, and items of a list that nobody has filled in.
_HOLLOW = re.compile(r"\s*(#{1,6}(\s.*)?|[-*_\s]*|([-*+]|\d+[.)])\s*(\[[ xX]?\])?\s*)")
_REMINDER = """\
What you reported last, {when}:
{said}
Report it again only if something about it has changed."""


class Idle(Exception):
    """Nothing is asked this time; the text says why."""


def hours(text: str) -> tuple[time, time]:
    """(from, until) of "08:00-22:00", until the next day where that is the earlier one. Raises ValueError."""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    first, last = time(int(found[1]), int(found[2])), time(int(found[3]) % 24, int(found[4]))
    if first == last or (int(found[3]) == 24 and last != time()) or int(found[3]) > 24:
        raise ValueError(text)
    return first, last


def awake(at: int, spec: JobSpec) -> bool:
    """Whether that time is within its active hours, by the clock of its zone; the last minute is not."""
    if not spec.active_hours:
        return True
    first, last = hours(spec.active_hours)
    there = local(at, spec.zone).time()
    return first <= there < last if first < last else there >= first or there < last


def instructions(text: str) -> str:
    """What the file asks, without comments; '' where there are only headings and empty items."""
    text = _COMMENT.sub("", text)
    told = any(not _HOLLOW.fullmatch(line) for line in text.splitlines())
    return text.strip() if told else ""


def read(path: Path) -> str:
    """The file's instructions. Raises Idle where there are none."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise Idle(FILE_MISSING) from None
    except OSError as error:
        raise Idle(f"its file cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise Idle(TOO_BIG)
    found = instructions(data.decode("utf-8", "replace").replace("\x00", ""))
    if not found:
        raise Idle(FILE_EMPTY)
    return found


def prompt(asked: str, said: str, when: str) -> str:
    """What the model is asked; *said*: what it reported last, '' for nothing in the last day."""
    if said:
        short = said if len(said) <= SAID else f"{said[:SAID]} …"
        asked = f"{asked}\n\n{_REMINDER.format(when=when, said=short)}"
    return silence.asked(asked)


async def beat(store: Store, owed: Owed, now: int) -> Owed:
    """The run with what its file asks at this moment. Raises Idle."""
    if not owed.manual and not awake(owed.planned, owed.spec):
        raise Idle(ASLEEP)
    asked = await asyncio.to_thread(read, Path(owed.spec.prompt_file))
    said, when = await store.read(_said_last, owed, now)
    return replace(owed, spec=replace(owed.spec, prompt=prompt(asked, said, when)))


async def _said_last(unit: Unit, owed: Owed, now: int) -> tuple[str, str]:
    """What the latest report of the last day said, and when; '' for none."""
    found = await unit.jobs.spoke(owed.job, since=now - DAY)
    if found is None:
        return "", ""
    session, turn, ended = found
    entries = await unit.transcript.of_turn(session, turn)
    texts = [transcript.visible(each.body) for each in entries if each.kind == "assistant"]
    return "\n\n".join(filter(None, texts)), f"{local(ended, owed.spec.zone):%Y-%m-%d %H:%M}"
