"""Every route of the HTTP API: who gets to it (S32, S33), and that nobody gets to another person's things (S37)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.habits import Habits
from gateway.web.admission import MOST_WRONG
from gateway.web.api import build
from gateway.web.routes import Route
from tests.test_keys import ADA, BOB, OWNER, Locked, locked

__all__ = ["locked"]
WIDTH = {"read": 0, "operate": 1, "admin": 2}
RANK = {"user": 0, "admin": 1, "owner": 2, "machine": 3}
NEVER = "NOSUCHONE1"
# What a body must have to be understood, by the operation's id; the others take none, or {}.
BODIES: dict[str, dict[str, Any]] = {
    "sessions_title": {"title": "x"},
    "labels_rename": {"title": "x"},
    "labels_tag": {"tags": ["x"]},
    "turns_rewind": {"turns": 0},
    "turns_configure": {"system_prompt": "x"},
    "sessions_switched": {"automatic": "on"},
}


def routes(locked: Locked) -> list[Route]:
    return [each for each in build(locked.web.app, local=False).routes if isinstance(each, Route)]


async def asked(locked: Locked, route: Route, key: str, *, id: str = NEVER, **headers: str) -> Any:
    """Whoever gets in would be told what of it cannot be meant; nothing is done by that."""
    path = route.path
    for name in route.param_convertors:
        path = path.replace(f"{{{name}}}", id)
    async with (
        locked.web.remote(authorization=f"Bearer {key}", **headers) as http,
        http.stream(route.declared.method, path, params={"?": ""}) as answer,
    ):
        return answer.status_code, await answer.aread()


async def changes(locked: Locked) -> dict[str, int]:
    """How much there is of everything that a request could add to."""
    tables = ("session", "entry", "inbox", "identity", "job", "api_key", "budget", "audit", "digest")

    async def work(unit: Any) -> dict[str, int]:
        there = {row[0] for row in await unit.tx.all("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        return {
            name: (await unit.tx.one(f"SELECT count(*) FROM {name}"))[0] for name in tables if name in there
        }

    found: dict[str, int] = await locked.web.app.core.store.read(work)
    return found


async def test_a_key_gets_no_further_than_its_scope_and_its_person_on_any_route(locked: Locked) -> None:
    """S33: a 403 before the query or the body is looked at; else the misspelt query is a 422, and nothing is done."""
    keys = {
        (scope, who): await locked.key(scope, address)
        for scope in WIDTH
        for who, address in (("user", ADA), ("owner", OWNER), ("machine", ""))
    }
    locked.web.app.core.dispatcher.habits = _patient(locked)
    before = await changes(locked)
    for route in routes(locked):
        needs = route.declared.needs
        for (scope, who), key in keys.items():
            wide = WIDTH[scope] >= WIDTH[needs.scope] and RANK[who] >= RANK[needs.who]
            status, body = await asked(locked, route, key)
            expected = 403 if not wide else 400 if route.declared.id.startswith("openai_") else 422
            assert status == expected, (route.declared.id, scope, who, body)
            assert json.loads(body)["error"]
    assert await changes(locked) == before
    assert locked.web.app.manager.halted is None


async def test_no_route_is_reached_without_a_key_or_from_elsewhere(locked: Locked) -> None:
    """S32: no token, in the URL, rebound host, foreign page."""
    key = await locked.key("admin")
    before = await changes(locked)
    for route in routes(locked):
        path = route.path.replace("{id}", NEVER).replace("{name}", NEVER).replace("{prefix}", NEVER)
        method = route.declared.method
        async with locked.web.remote() as http:
            bare = await http.request(method, path)
            in_url = await http.request(method, path, params={"token": key, "access_token": key, "key": key})
        assert (bare.status_code, in_url.status_code) == (401, 401), route.declared.id
        assert bare.headers["www-authenticate"] == "Bearer" and key not in in_url.text
        assert (await asked(locked, route, key, host="evil.example"))[0] == 421
        status, _ = await asked(locked, route, key, origin="http://evil.example")
        # Looking is no harm: a browser shows another page nothing of it.
        assert status in ((403,) if method != "GET" else (400, 422)), route.declared.id
    assert await changes(locked) == before


async def test_nothing_of_a_session_is_there_for_anybody_else_on_any_route(locked: Locked) -> None:
    """S37: by a session's code, a user, an admin and an owner are told what they are told of one that never was."""
    admin = await locked.web.local.post("/v1/people/allow", json={"address": BOB, "role": "admin"})
    assert admin.status_code == 200
    mine = await locked.key("operate", ADA)
    said = await locked.ask(mine, "POST", "/v1/messages", {"text": "a narwhal secret"})
    session = said.json()["session_id"]
    others = [await locked.key("admin", who) for who in (BOB, OWNER)]
    locked.web.app.core.dispatcher.habits = _patient(locked)
    before = (await locked.web.local.get(f"/v1/sessions/{session}/export")).json()
    reached = [each for each in routes(locked) if each.path.startswith("/v1/sessions/{id}")]
    assert len(reached) > 30
    for route in reached:
        for key in others:
            found = []
            for id in (session, NEVER):
                path = route.path.replace("{id}", id)
                body = BODIES.get(route.declared.id)
                answer = await locked.ask(key, route.declared.method, path, body)
                found.append((answer.status_code, answer.text.replace(id, "")))
            assert found[0] == found[1], route.declared.id
            assert found[0][0] == 404, (route.declared.id, found[0])
    assert (await locked.web.local.get(f"/v1/sessions/{session}/export")).json() == before
    # Nor by looking for it, or through a question.
    for key in others:
        for path in ("sessions", "sessions?unread=false", "sessions/search?q=narwhal", "costs?by=session"):
            told = (await locked.ask(key, "GET", f"/v1/{path}")).text
            assert "narwhal" not in told, path
            assert session not in told or path.startswith("costs"), path
        nobody = await locked.ask(key, "GET", f"/v1/sessions/find?code={session[:6]}")
        assert nobody.status_code == 404 and "narwhal" not in nobody.text
        body = {"model": "parley", "messages": [{"role": "user", "content": "what was said?"}]}
        async with locked.web.remote(authorization=f"Bearer {key}", **{"x-parley-session": session}) as http:
            assert (await http.post("/v1/chat/completions", json=body)).status_code == 404


async def test_a_thousand_logins_in_a_minute_are_cut_off_and_the_right_key_still_opens(
    locked: Locked,
) -> None:
    """S32: guessing is slowed down; whoever has a key is not locked out by whoever guesses."""
    key = await locked.key("read")
    seen: dict[int, int] = {}
    async with locked.web.remote() as http:
        for number in range(1000):
            answer = await http.get("/v1/sessions", headers={"authorization": f"Bearer guess-{number}"})
            seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        assert answer.headers["retry-after"] == "60"
    assert seen == {401: MOST_WRONG, 429: 1000 - MOST_WRONG}
    assert (await locked.ask(key, "GET", "/v1/sessions")).status_code == 200


@pytest.mark.parametrize(
    ("content", "type"),
    [
        (b"text=hello", "application/x-www-form-urlencoded"),
        (b'{"text": "hello"}', "text/plain"),
        (b"--x\r\n\r\nhello\r\n--x--", "multipart/form-data; boundary=x"),
    ],
)
async def test_what_a_form_of_another_page_can_send_is_not_taken(
    locked: Locked, content: bytes, type: str
) -> None:
    """S32, CSRF: these are the types that a page may send without being asked; a key in a cookie is none."""
    key = await locked.key("admin")
    before = await changes(locked)
    async with locked.web.remote(**{"content-type": type}) as http:
        by_cookie = await http.post("/v1/messages", content=content, headers={"cookie": f"key={key}"})
        right = {"authorization": f"Bearer {key}"}
        by_form = await http.post("/v1/messages", content=content, headers=right)
        foreign = await http.post("/v1/halt", headers={**right, "origin": "https://evil.example"})
    assert (by_cookie.status_code, by_form.status_code, foreign.status_code) == (401, 422, 403)
    assert await changes(locked) == before and locked.web.app.manager.halted is None


@pytest.mark.parametrize("origin", ["https://evil.example", ""])
async def test_no_web_socket_is_opened_for_anybody(locked: Locked, origin: str) -> None:
    """S32: there is none to hijack; asked for one, a path answers as it always does."""
    key = await locked.key("admin")
    head = [
        "GET /v1/messages/events HTTP/1.1",
        f"Host: 127.0.0.1:{locked.web.app.settings.web.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *([f"Origin: {origin}"] if origin else []),
    ]
    for authorization, expected in (("", b"401"), (f"Authorization: Bearer {key}", b"200")):
        reader, writer = await asyncio.open_connection("127.0.0.1", locked.web.app.settings.web.port)
        writer.write("\r\n".join([*head, *([authorization] if authorization else []), "", ""]).encode())
        async with asyncio.timeout(10):
            line = await reader.readline()
        writer.close()
        assert line.split()[1] == expected


async def test_no_route_shows_the_log_or_a_secret(locked: Locked) -> None:
    """S33: what is told of the configuration and the trouble there was has no secret in it."""
    key = await locked.key("admin")
    looking = [
        each
        for each in routes(locked)
        if each.declared.method == "GET" and not each.param_convertors and "events" not in each.path
    ]
    assert not [each.path for each in looking if "log" in each.path]
    for route in looking:
        told = (await locked.ask(key, "GET", route.path)).text
        assert "1:a" not in told and key not in told, route.path


def _patient(locked: Locked) -> Habits:
    """More requests in a minute than a person makes."""
    habits = locked.web.app.core.dispatcher.habits
    return replace(habits, limits=replace(habits.limits, messages_per_minute=10_000))
