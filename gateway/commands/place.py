"""/queue, /verbose, /footer, /gap, /overhear: how the bot behaves in one chat."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.calls import Call, Offer, Reply
from gateway.commands.command import by, misread
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.sessions import gap_of, span
from gateway.texts import say

DEFAULT = "default"
NEVER = ("off", "never")
LENGTH = re.compile(r"([1-9]\d{0,4})\s*(m|min|h|d)?")
MINUTES = {"m": 1, "min": 1, "h": 60, "d": 24 * 60}
LONGEST = 365 * 24 * 60  # minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A setting with a few values. *key* is its name on disk; *stored* what a word stands for there, if another."""

    name: str
    key: str
    words: tuple[str, ...]
    stored: Mapping[str, object] = field(default_factory=dict)

    def word(self, value: object) -> str | None:
        """How a stored value is called; None for what is none of ours."""
        return next((word for word in self.words if self.stored.get(word, word) == value), None)

    async def handle(self, manager: SessionManager, call: Call) -> Reply:
        wanted = call.args.strip().lower()
        if not wanted:
            return await self._show(manager, call)
        if wanted not in (*self.words, DEFAULT):
            raise misread(call, self.name)
        value = None if wanted == DEFAULT else self.stored.get(wanted, wanted)
        await manager.set_place(call.conversation.id, **{self.key: value})
        now = manager.usual(call.conversation, self.key) if value is None else value
        return Reply(text=by(call, say(f"{self.name}.{self.word(now) or self.words[0]}", call.lang)))

    async def _show(self, manager: SessionManager, call: Call) -> Reply:
        own = call.conversation.settings.get(self.key)
        now = self.word(own) or self.word(manager.usual(call.conversation, self.key)) or self.words[0]
        mark = say("place.now", call.lang)
        lines = [
            f"- **{word}**{f' ({mark})' if word == now else ''}: {say(f'{self.name}.{word}', call.lang)}"
            for word in self.words
        ]
        head = say(f"{self.name}.head", call.lang)
        offers = [Offer.run(word, self.name, word) for word in self.words if word != now]
        return Reply(text="\n".join([head, "", *lines]), offers=offers)


queue = Choice(name="queue", key="queue", words=("queue", "steer", "interrupt", "reject"))
verbose = Choice(name="verbose", key="verbose", words=("off", "brief", "full"))
footer = Choice(name="footer", key="footer", words=("off", "tokens", "cost"))
_overhear = Choice(name="overhear", key="context", words=("on", "off"), stored={"on": 1, "off": 0})


async def overhear(manager: SessionManager, call: Call) -> Reply:
    if not call.conversation.shared:
        raise Refused(key="overhear.direct")
    if not manager.usual(call.conversation, "context"):
        raise Refused(key="overhear.none")
    return await _overhear.handle(manager, call)


async def gap(manager: SessionManager, call: Call) -> Reply:
    """/gap [off | 2h | 90m | 1d | default]: how long nobody writes until the next message begins a new session."""
    if call.conversation.kind == "thread":
        raise Refused(key="gap.thread")
    wanted = call.args.strip().lower()
    usual = manager.usual_gap(call.conversation)
    if not wanted:
        return Reply(text=_pause(gap_of(call.conversation, usual), call.lang))
    value = minutes(wanted)
    if value is None and wanted != DEFAULT:
        raise misread(call, "gap")
    await manager.set_place(call.conversation.id, gap=value)
    now = usual if value is None else None if value == "never" else value
    assert not isinstance(now, str)
    return Reply(text=by(call, _pause(now, call.lang)))


def minutes(text: str) -> int | str | None:
    """'never', or so many minutes; None for what is no length of time; pure. A bare number is of minutes."""
    if text in NEVER:
        return "never"
    found = LENGTH.fullmatch(text)
    if found is None:
        return None
    count = int(found[1]) * MINUTES[found[2] or "m"]
    return count if count <= LONGEST else None


def _pause(gap: int | None, lang: str) -> str:
    if gap is None:
        return say("gap.never", lang)
    return say("gap.always", lang) if gap == 0 else say("gap.after", lang, span=span(gap, lang))
