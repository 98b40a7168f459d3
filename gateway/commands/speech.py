"""/lang: the language somebody is spoken to in, wherever they write."""

from __future__ import annotations

from gateway.calls import Call, Offer, Reply
from gateway.commands.command import misread
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.texts import LANGUAGES, language_of, say

DEFAULT = "default"


async def lang(manager: SessionManager, call: Call) -> Reply:
    wanted = call.args.strip().lower()
    now = language_of(call.lang)
    if not wanted:
        known = ", ".join(f"{code} ({name})" for code, name in LANGUAGES.items())
        offers = [Offer.run(name, "lang", code) for code, name in LANGUAGES.items() if code != now]
        return Reply(text=say("lang.now", call.lang, name=LANGUAGES[now], known=known), offers=offers)
    if call.identity is None or call.identity.person is None:
        raise Refused(key="lang.nobody")
    if wanted == DEFAULT:
        await manager.set_lang(call.identity.person, "")
        return Reply(text=say("lang.default", call.lang))
    names = {name.lower(): code for code, name in LANGUAGES.items()}
    code = names.get(wanted) or language_of(wanted)
    if wanted not in names and wanted.replace("_", "-").partition("-")[0] not in LANGUAGES:
        raise misread(call, "lang")
    await manager.set_lang(call.identity.person, code)
    return Reply(text=say("lang.set", code))
