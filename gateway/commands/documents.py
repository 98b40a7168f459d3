"""/export, /close and /delete: a session written out, ended, gone."""

from __future__ import annotations

from gateway.access import LOCAL
from gateway.calls import Call, Offer, Reply
from gateway.commands.command import by, misread, session_of, viewer_of
from gateway.commands.listed import meant
from gateway.commands.quote import plain, titled
from gateway.manager import SessionManager
from gateway.manager.documents import FORMS, Form
from gateway.texts import say
from gateway.types.json import Json
from gateway.types.outbound import File

SUFFIX: dict[Form, tuple[str, str]] = {
    "markdown": ("md", "text/markdown"),
    "json": ("json", "application/json"),
}
SUMMARY = 500  # characters that are shown of a line of it
LINES = 8
SURE = "yes"


async def export(manager: SessionManager, call: Call) -> Reply:
    """As a file; in a terminal and over HTTP as the reply itself."""
    form: Form = "markdown"
    code = ""
    for word in call.args.split():
        low = "markdown" if word.lower() == "md" else word.lower()
        named = next((each for each in FORMS if each == low), None)
        if named is not None:
            form = named
        elif code:
            raise misread(call, "export")
        else:
            code = word
    session = await meant(manager, call, code)
    text = await manager.export_session(session.id, form, viewer=viewer_of(call))
    if call.conversation.channel in LOCAL:
        return Reply(text=text)
    suffix, kind = SUFFIX[form]
    file = File(name=f"{session.id}.{suffix}", type=kind, text=text)
    return Reply(text=say("documents.exported", call.lang, title=titled(session, call.lang)), files=[file])


async def close(manager: SessionManager, call: Call) -> Reply:
    """What stands behind it is the summary."""
    session = await session_of(manager, call)
    done = await manager.close_with_summary(
        session.id,
        call.args.strip() or None,
        identity=call.identity.id if call.identity is not None else None,
        viewer=viewer_of(call),
    )
    key = "documents.closed" if done.was_open else "documents.closed_already"
    text = say(key, call.lang, title=titled(done.session, call.lang), code=session.id)
    if done.session.summary:
        lines = [plain(line, SUMMARY) for line in done.session.summary.splitlines() if line.strip()]
        text += "\n\n" + "\n".join(f"> {line}" for line in lines[:LINES])
    return Reply(text=by(call, text))


async def delete(manager: SessionManager, call: Call) -> Reply:
    """Asks first; `yes` behind it, or the button, is the answer."""
    words = call.args.split()
    sure = bool(words) and words[-1].lower() == SURE
    if sure:
        words.pop()
    if len(words) > 1:
        raise misread(call, "delete")
    session = await meant(manager, call, "".join(words))
    if sure:
        return await _gone(manager, session.id, call)
    offer = Offer(label=say("documents.sure", call.lang), action="delete", args={"v": 1, "code": session.id})
    text = say(
        "documents.ask", call.lang, title=titled(session, call.lang), typed=f"/delete {session.id} {SURE}"
    )
    return Reply(text=text, offers=[offer])


async def press_delete(manager: SessionManager, args: Json, call: Call) -> Reply:
    return await _gone(manager, str(args.get("code", "")), call)


async def _gone(manager: SessionManager, code: str, call: Call) -> Reply:
    session = await meant(manager, call, code)
    done = await manager.delete(session.id, viewer=viewer_of(call))
    text = say(
        "documents.deleted",
        call.lang,
        title=titled(session, call.lang),
        messages=done.messages,
        files=done.files,
        requests=done.requests_kept,
    )
    return Reply(text=by(call, text))
