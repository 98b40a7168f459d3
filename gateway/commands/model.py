"""/model and /think: which model answers in this session, and how long it may think."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from gateway.access import enough
from gateway.calls import Call, Offer, Reply
from gateway.commands.command import by, misread
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import Offered, SessionManager
from gateway.protocols.prompt import THINK
from gateway.texts import say
from gateway.texts.forms import rate

DEFAULT = "default"
OFFERED = 6  # buttons


async def model(manager: SessionManager, call: Call) -> Reply:
    """/model [NAME | default | default NAME]."""
    match call.args.split():
        case []:
            return await _list(manager, call)
        case [word] if word.lower() == DEFAULT:
            return await _back(manager, call)
        case [word, name] if word.lower() == DEFAULT:
            return await _swap(manager, call, name)
        case [name]:
            return await _pick(manager, call, name)
    raise misread(call, "model")


async def _list(manager: SessionManager, call: Call) -> Reply:
    lang, found = call.lang, manager.models()
    session = await manager.current_session(call.conversation.id, named=call.row.session)
    usual = manager.core.catalogue.default
    now = (session.model if session is not None and not session.is_closed else None) or usual
    lines = []
    for each in found:
        marks = [say("model.default", lang)] if each.ref == usual else []
        marks += [say("model.here", lang)] if each.ref == now else []
        mark = f" ({', '.join(marks)})" if marks else ""
        lines.append(f"- `{each.ref}`{mark} — {_price(each, lang)}")
    if now not in [each.ref for each in found]:
        lines.append(f"- `{now}` ({say('model.here', lang)})")
    text = "\n".join([say("model.list", lang), "", *lines, "", say("model.hint", lang)])
    others = [each.ref for each in found if each.ref != now][:OFFERED]
    return Reply(text=text, offers=[Offer.run(ref, "model", ref) for ref in others])


async def _pick(manager: SessionManager, call: Call, name: str) -> Reply:
    offered = manager.models()
    ref = chosen(name, [each.ref for each in offered])
    await manager.set_model(call.conversation.id, ref, identity=call.identity, named=call.row.session)
    price = next(_price(each, call.lang) for each in offered if each.ref == ref)
    return Reply(text=by(call, say("model.picked", call.lang, model=f"`{ref}`", price=price)))


async def _back(manager: SessionManager, call: Call) -> Reply:
    usual = manager.core.catalogue.default
    await manager.set_model(call.conversation.id, None, identity=call.identity, named=call.row.session)
    return Reply(text=by(call, say("model.back", call.lang, model=f"`{usual}`")))


async def _swap(manager: SessionManager, call: Call, name: str) -> Reply:
    """For everybody, until the next start or reload: the configuration has the last word there."""
    if not enough(call.role, "admin"):
        raise Refused(key="rights.admin", name="model default")
    refs = [each.ref for each in manager.models()]
    ref = name if ":" in name and name not in refs else chosen(name, refs)
    await manager.set_default_llm(ref)
    return Reply(text=by(call, say("model.swapped", call.lang, model=f"`{ref}`")))


def chosen(name: str, refs: Sequence[str]) -> str:
    """The one model that is meant: its whole name, its name without the provider, or a part of it; pure.

    Raises Refused with what is near, or with those among which it does not decide.
    """
    wanted = name.casefold()
    tries = (
        [ref for ref in refs if ref.casefold() == wanted],
        [ref for ref in refs if ref.partition(":")[2].casefold() == wanted],
        [ref for ref in refs if wanted in ref.casefold()],
    )
    found = next((each for each in tries if each), [])
    if len(found) == 1:
        return found[0]
    shown = plain(name)
    if found:
        raise Refused(key="model.several", name=shown, models=_listed(found))
    names = {ref.partition(":")[2].casefold(): ref for ref in refs} | {ref.casefold(): ref for ref in refs}
    near = dict.fromkeys(names[each] for each in get_close_matches(wanted, list(names), n=3, cutoff=0.4))
    if near:
        raise Refused(key="model.near", name=shown, models=_listed(list(near)))
    raise Refused(key="model.unknown", name=shown)


def _listed(refs: Sequence[str]) -> str:
    return ", ".join(f"`{ref}`" for ref in refs)


def _price(offered: Offered, lang: str) -> str:
    """Of a million tokens."""
    if offered.free:
        return say("model.free", lang)
    if offered.input is None or offered.output is None:
        return say("model.unpriced", lang)
    return say("model.price", lang, input=rate(offered.input, lang), output=rate(offered.output, lang))


async def think(manager: SessionManager, call: Call) -> Reply:
    """/think [off | low | medium | high | default], for this session."""
    word = call.args.strip().lower()
    if word and word not in (*THINK, DEFAULT):
        raise misread(call, "think")
    if not word:
        now = await manager.thinking(call.conversation.id, named=call.row.session)
        offers = [Offer.run(each, "think", each) for each in THINK if each != now]
        shown = say(f"think.{now or DEFAULT}", call.lang)
        return Reply(text=say("think.now", call.lang, level=shown), offers=offers)
    level = None if word == DEFAULT else word
    await manager.set_think(call.conversation.id, level, identity=call.identity, named=call.row.session)
    return Reply(text=by(call, say("think.set", call.lang, level=say(f"think.{word}", call.lang))))
