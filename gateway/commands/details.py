"""/session and /history: what there is to know of one session, and what was said in it."""

from __future__ import annotations

from gateway.amounts import duration, line, messages, requests
from gateway.calls import Call, Reply
from gateway.commands.command import misread, viewer_of
from gateway.commands.listed import meant
from gateway.commands.quote import plain, titled
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.session_views import SessionDetails
from gateway.texts import say

SHOWN = 6  # messages
MOST_SHOWN = 50
LONGEST = 400  # characters of one of them


async def session(manager: SessionManager, call: Call) -> Reply:
    found = await meant(manager, call, call.args.strip())
    return Reply(text=described(await manager.show(found.id, viewer=viewer_of(call)), call.lang))


def described(found: SessionDetails, lang: str) -> str:
    """A line for each thing that there is to say."""
    meta = found.session
    state = "running" if found.running else meta.state
    lasts = say(
        "details.ended" if meta.is_closed else "details.state",
        lang,
        state=say(f"details.{state}", lang),
        age=duration(found.duration, lang),
    )
    stands = say("details.turns", lang, count=found.turns)
    taken_back = found.turns_run - found.turns
    if taken_back > 0:
        stands += f" ({say('details.taken_back', lang, count=taken_back)})"
    model = found.effective_model + (f" · {found.thinking}" if found.thinking else "")
    lines = [
        lasts,
        say("details.said", lang, messages=messages(meta.message_count, lang), turns=stands),
        say("details.model", lang, model=plain(model)),
        say("details.used", lang, used=f"{line(found.usage, lang)} · {requests(found.usage.requests, lang)}"),
    ]
    if found.tool_calls:
        lines.append(say("details.tools", lang, count=found.tool_calls))
    if meta.tags:
        lines.append(say("details.tags", lang, tags=" ".join(f"#{plain(tag)}" for tag in meta.tags)))
    if meta.triggered_by:
        lines.append(say("details.trigger", lang, name=plain(meta.triggered_by)))
    if meta.summary:
        lines.append(say("details.summary", lang, text=plain(meta.summary, LONGEST)))
    for key, codes in (
        ("parent", (found.parent,) if found.parent else ()),
        ("children", found.children),
        ("forks", found.forks),
    ):
        if codes:
            lines.append(say(f"details.{key}", lang, codes=", ".join(f"`{code}`" for code in codes)))
    head = f"**{titled(meta, lang)}** `{meta.id}`"
    return "\n".join([head, "", *(f"- {each}" for each in lines)])


async def history(manager: SessionManager, call: Call) -> Reply:
    """A number is how many; anything else is the code of another session."""
    count, code = SHOWN, ""
    for word in call.args.split():
        if word.isascii() and word.isdigit() and len(word) < 4:
            count = int(word)
        elif code:
            raise misread(call, "history")
        else:
            code = word
    if not 1 <= count <= MOST_SHOWN:
        raise Refused(key="details.most", most=MOST_SHOWN)
    found = await meant(manager, call, code)
    said = await manager.last_messages(found.id, count, viewer=viewer_of(call))
    if not said:
        raise Refused(key="details.nothing")
    lines = [f"**{say(f'details.{each.role}', call.lang)}** {plain(each.text, LONGEST)}" for each in said]
    return Reply(text="\n\n".join([titled(found, call.lang), *lines]))
