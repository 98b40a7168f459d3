"""Keys of the HTTP API over real sockets: who comes in, how far, as whom, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core import system_clock
from gateway.errors import NotFound, Refused
from gateway.floods import Limits
from gateway.key_secret import MARK
from gateway.keys import Keys
from gateway.roster import Actor
from gateway.types.measures import DAY, MINUTE
from gateway.types.people import Identity
from gateway.web.admission import MOST_WRONG
from gateway.web.caller import Caller, Needs
from gateway.web.span import BadField, until
from tests.fakes.model import Script
from tests.test_web import TOKEN, Web, free_port, listening, settings

ADA, BOB, OWNER = "telegram:11", "telegram:22", "telegram:99"


@dataclass
class Clock:
    ahead: int = 0

    def __call__(self) -> int:
        return system_clock() + self.ahead


@dataclass
class Locked:
    """A gateway on TCP; *clock* can be put ahead."""

    web: Web
    clock: Clock

    async def key(self, scope: str, who: str = "", **more: Any) -> str:
        made = await self.web.local.post(
            "/v1/keys", json={"scope": scope, **({"who": who} if who else {}), **more}
        )
        assert made.status_code == 201, made.text
        return str(made.json()["secret"])

    async def ask(self, key: str, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with self.web.remote(**headers) as client:
            return await client.request(method, path, json=body)


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncIterator[Locked]:
    clock = Clock()
    telegram = {"owners": [99], "allow": [22], "token": "1:a", "api_url": "http://127.0.0.1:1"}
    config = settings(tmp_path, web={"port": free_port()}, channels={"telegram": telegram})
    async with listening(config, clock) as web:
        assert (await web.local.post("/v1/people/allow", json={"address": ADA})).status_code == 200
        yield Locked(web, clock)


async def test_from_the_first_key_on_nobody_comes_in_without_one(locked: Locked) -> None:
    assert (await locked.ask("", "GET", "/v1/status")).status_code == 200
    key = await locked.key("read")
    refused = await locked.ask("", "GET", "/v1/status")
    assert (refused.status_code, "parley keys add" in refused.json()["error"]) == (401, True)
    assert refused.headers["www-authenticate"] == "Bearer"
    assert (await locked.ask(key, "GET", "/v1/status")).status_code == 200
    await locked.web.local.post(f"/v1/keys/{key.split('_')[1]}/revoke")
    # The last key is gone, and the door does not open again by that.
    assert (await locked.ask("", "GET", "/v1/status")).status_code == 401
    assert (await locked.web.local.get("/v1/status")).status_code == 200


@pytest.mark.parametrize(
    "scope, reads, says, sets",
    [("read", 200, 403, 403), ("operate", 200, 200, 403), ("admin", 200, 200, 200)],
)
async def test_a_scope_goes_so_far_and_no_further(
    locked: Locked, scope: str, reads: int, says: int, sets: int
) -> None:
    key = await locked.key(scope)
    budget = {"scope": "gateway", "id": "*", "period": "day", "amount": "5"}
    assert (await locked.ask(key, "GET", "/v1/sessions")).status_code == reads
    assert (await locked.ask(key, "POST", "/v1/messages", {"text": "hello"})).status_code == says
    assert (await locked.ask(key, "POST", "/v1/budgets", budget)).status_code == sets
    made = await locked.ask(key, "POST", "/v1/keys", {"scope": "admin"})
    assert made.status_code == (201 if scope == "admin" else 403)
    refused = await locked.ask(key, "POST", "/v1/halt") if scope == "read" else None
    assert refused is None or refused.json() == {
        "error": "This key's scope is read; this needs operate: parley keys add --scope operate."
    }


async def test_what_a_key_may_not_is_refused_before_the_body_is_looked_at(locked: Locked) -> None:
    key = await locked.key("read")
    assert (await locked.ask(key, "POST", "/v1/messages", {"nonsense": 1})).status_code == 403
    assert (await locked.web.local.get("/v1/sessions")).json() == []


async def test_a_key_that_is_not_quite_right_is_wrong(locked: Locked) -> None:
    key = await locked.key("admin")
    other = f"{MARK}_{key.split('_')[1]}_{'A' * 43}"
    nobody = f"{MARK}_aaaaaaaa_{'x' * 43}"
    async with locked.web.remote() as client:
        for given in ("x", f"{MARK}_", nobody, f"{key}x", key[:-1], other, f"{key} {key}", "\xe9"):
            headers = {"authorization": b"Bearer " + given.encode("latin-1")}
            refused = await client.get("/v1/status", headers=headers)
            told = (refused.status_code, refused.json()["error"])
            assert told == (401, "This key is not known here; see: parley keys list"), given


async def test_a_key_ends_when_it_was_to_end(locked: Locked) -> None:
    key = await locked.key("read", expires="2d")
    assert (await locked.ask(key, "GET", "/healthz")).status_code == 200
    locked.clock.ahead = 2 * DAY
    refused = await locked.ask(key, "GET", "/healthz")
    assert (refused.status_code, "expired" in refused.json()["error"]) == (401, True)
    (shown,) = (await locked.web.local.get("/v1/keys")).json()
    assert shown["state"] == "expired"


async def test_a_revoked_key_is_refused_from_the_next_request_on(locked: Locked) -> None:
    key, other = await locked.key("admin"), await locked.key("read")
    assert (await locked.ask(key, "GET", "/healthz")).status_code == 200
    revoked = await locked.ask(key, "POST", f"/v1/keys/{key}/revoke")
    assert revoked.json()["state"] == "revoked" and key not in revoked.text
    refused = await locked.ask(key, "GET", "/healthz")
    assert (refused.status_code, "revoked" in refused.json()["error"]) == (401, True)
    assert (await locked.ask(other, "GET", "/healthz")).status_code == 200
    again = await locked.web.local.post(f"/v1/keys/{key.split('_')[1]}/revoke")
    assert again.json()["revoked"] == revoked.json()["revoked"]
    assert (await locked.web.local.post("/v1/keys/nosuchkey/revoke")).status_code == 404


async def test_wrong_keys_slow_down_whoever_tries_them_and_nobody_with_a_right_one(locked: Locked) -> None:
    key = await locked.key("read")
    async with locked.web.remote() as client:
        for number in range(MOST_WRONG):
            wrong = await client.get("/healthz", headers={"authorization": f"Bearer {key}{number}"})
            assert wrong.status_code == 401
    assert (await locked.ask(f"{key}x", "GET", "/healthz")).status_code == 429
    assert (await locked.ask(key, "GET", "/healthz")).status_code == 200


async def test_a_person_asks_for_so_much_a_minute_by_all_their_keys(locked: Locked) -> None:
    habits = locked.web.app.core.dispatcher.habits
    locked.web.app.core.dispatcher.habits = replace(habits, limits=Limits(messages_per_minute=3))
    keys = [await locked.key("operate", ADA) for _ in range(2)]
    asked = [
        await locked.ask(keys[number % 2], "POST", "/v1/messages", {"text": "hello"}) for number in range(4)
    ]
    assert [each.status_code for each in asked] == [200, 200, 200, 429]
    assert asked[3].headers["retry-after"] == "60"
    assert (await locked.ask(keys[0], "GET", "/v1/sessions")).status_code == 200
    bob = await locked.key("operate", BOB)
    assert (await locked.ask(bob, "POST", "/v1/messages", {"text": "hello"})).status_code == 200


async def test_on_a_host_that_others_can_reach_a_key_is_needed_from_the_start(tmp_path: Path) -> None:
    config = settings(tmp_path, web={"port": free_port(), "host": "0.0.0.0"})
    async with listening(config) as web:
        locked = Locked(web, Clock())
        assert (await locked.ask("", "GET", "/healthz")).status_code == 401
        assert (await locked.ask(await locked.key("read"), "GET", "/healthz")).status_code == 200


async def test_the_secret_is_shown_once_and_kept_nowhere(locked: Locked, tmp_path: Path) -> None:
    key = await locked.key("admin", name="Ada's editor")
    await locked.ask(key, "GET", "/v1/keys")
    await locked.ask(f"{key}x", "GET", "/v1/keys")
    (listed,) = (await locked.web.local.get("/v1/keys")).json()
    assert (listed["name"], listed["prefix"], listed["who"]) == (
        "Ada's editor",
        key.split("_")[1],
        "main:local",
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "parley.db" for path in files)
    assert not [path for path in files if key.split("_", 2)[2].encode() in path.read_bytes()]


async def test_when_a_key_was_used_is_known_to_the_minute(locked: Locked) -> None:
    key = await locked.key("read")
    assert (await locked.web.local.get("/v1/keys")).json()[0]["used"] is None
    used = []
    for ahead in (0, MINUTE // 2, MINUTE):
        locked.clock.ahead = ahead
        await locked.ask(key, "GET", "/healthz")
        used.append((await locked.web.local.get("/v1/keys")).json()[0]["used"])
    assert used[0] == used[1] < used[2]


async def test_the_token_of_the_configuration_is_whoever_has_the_machine(tmp_path: Path) -> None:
    config = settings(tmp_path, web={"port": free_port(), "token": TOKEN})
    async with listening(config) as web:
        locked = Locked(web, Clock())
        key = await locked.key("read")
        assert (await locked.ask(TOKEN, "POST", "/v1/halt")).status_code == 200
        assert (await locked.ask(key, "POST", "/v1/unhalt")).status_code == 403


# -- as whom --------------------------------------------------------------------------------------------------


async def test_what_is_asked_with_a_key_is_asked_as_the_person_it_belongs_to(locked: Locked) -> None:
    ada, bob = await locked.key("operate", ADA), await locked.key("operate", BOB)
    said = {"text": "hello", "key": "desk", "event_id": "1"}
    answers = [(await locked.ask(key, "POST", "/v1/messages", said)).json() for key in (ada, bob)]
    mine = await locked.web.say("mine", key="desk", event_id="1")
    # The same key of a conversation and the same id of a message: three people, three conversations.
    assert len({each["session_id"] for each in (*answers, mine)}) == 3
    assert "mine" in mine["text"] and all(each["state"] == "done" for each in answers)
    again = (await locked.ask(ada, "POST", "/v1/messages", said)).json()
    assert again["session_id"] == answers[0]["session_id"] and again["text"] == answers[0]["text"]
    bill = (await locked.web.local.get("/v1/costs", params={"by": "user"})).json()
    assert {each["name"].rpartition("(")[2].rstrip(")") for each in bill["by_user"]} == {
        ADA,
        BOB,
        "main:local",
    }
    for key in (ada, bob):
        own = (await locked.ask(key, "GET", "/v1/costs")).json()
        assert (own["total"]["requests"], len(own["by_user"])) == (1, 1)


async def test_a_persons_key_opens_no_session_of_anybody_else(locked: Locked) -> None:
    ada, bob = await locked.key("operate", ADA), await locked.key("admin", BOB)
    mine = (await locked.ask(ada, "POST", "/v1/messages", {"text": "a secret"})).json()["session_id"]
    for id in (mine, (await locked.web.say("another"))["session_id"]):
        body = {"text": "what was said?", "session": id}
        refused = await locked.ask(bob, "POST", "/v1/messages", body)
        missing = await locked.ask(bob, "POST", "/v1/messages", {**body, "session": "NOSUCHONE1"})
        assert (refused.status_code, missing.status_code) == (404, 404)
        assert refused.json()["error"].replace(id, "") == missing.json()["error"].replace("NOSUCHONE1", "")
    again = await locked.ask(ada, "POST", "/v1/messages", {"text": "more", "session": mine})
    assert again.json()["session_id"] == mine


async def test_a_key_shows_the_sessions_of_its_person_and_nobody_elses(locked: Locked) -> None:
    ada, bob, owner = [await locked.key("admin", who) for who in (ADA, BOB, OWNER)]
    mine = (await locked.ask(ada, "POST", "/v1/messages", {"text": "a secret"})).json()["session_id"]
    local = (await locked.web.say("at the machine"))["session_id"]
    assert [each["id"] for each in (await locked.ask(ada, "GET", "/v1/sessions")).json()] == [mine]
    for other in (bob, owner):  # what an owner says is private, and so is what is said to them
        assert (await locked.ask(other, "GET", "/v1/sessions")).json() == []
        for what in ("", "/messages", "/usage", "/context", "/compactions", "/compactions/automatic"):
            seen = await locked.ask(other, "GET", f"/v1/sessions/{mine}{what}")
            none = await locked.ask(other, "GET", f"/v1/sessions/NOSUCHONE1{what}")
            assert (seen.status_code, none.status_code) == (404, 404)
            assert seen.json()["error"].replace(mine, "") == none.json()["error"].replace("NOSUCHONE1", "")
        for what in ("close", "read", "clear", "compact", "cancel", "compactions/undo", "compactions/redo"):
            assert (await locked.ask(other, "POST", f"/v1/sessions/{mine}/{what}")).status_code == 404
        titled = await locked.ask(other, "POST", f"/v1/sessions/{mine}/title", {"title": "mine now"})
        assert titled.status_code == 404
        assert (await locked.ask(other, "POST", f"/v1/sessions/{mine}/children")).status_code == 404
        # Nor by the place it is in, which would close it, or by all that is kept of her.
        opening = {"channel": "main", "key": "main", "user_id": ADA, "fresh": False}
        assert (await locked.ask(other, "POST", "/v1/sessions", opening)).status_code == 403
        assert (await locked.ask(other, "GET", f"/v1/data?address={ADA}")).status_code == 409
    everything = (await locked.web.local.get("/v1/sessions")).json()
    assert [(each["id"], each["is_closed"]) for each in everything] == [(local, False), (mine, False)]
    assert (await locked.ask(ada, "POST", f"/v1/sessions/{mine}/close")).json() == {"closed": True}


async def test_commands_over_http_see_no_session_of_anybody_else(locked: Locked) -> None:
    owner, ada = await locked.key("admin", OWNER), await locked.key("admin", ADA)
    mine = (await locked.ask(ada, "POST", "/v1/messages", {"text": "a secret"})).json()["session_id"]
    for command in ("/sessions", f"/resume {mine}", "/search secret", f"/show {mine}", f"/export {mine}"):
        told = await locked.ask(owner, "POST", "/v1/messages", {"text": command})
        assert "a secret" not in told.json()["text"], (command, told.text)


async def test_a_users_key_looks_at_nothing_of_the_gateways(locked: Locked) -> None:
    users, owners = await locked.key("admin", ADA), await locked.key("admin", OWNER)
    for path in ("status", "people", "keys", "budgets", "store"):
        refused = await locked.ask(users, "GET", f"/v1/{path}")
        assert refused.status_code == 403 and "belongs to somebody who is user" in refused.json()["error"]
        assert (await locked.ask(owners, "GET", f"/v1/{path}")).status_code == 200
    assert (await locked.ask(users, "GET", "/metrics")).status_code == 403


async def test_a_key_follows_what_becomes_of_its_person(locked: Locked) -> None:
    key = await locked.key("admin", ADA)

    async def change(what: str, **more: str) -> None:
        answer = await locked.web.local.post(f"/v1/people/{what}", json={"address": ADA, **more})
        assert answer.status_code == 200, answer.text

    assert (await locked.ask(key, "GET", "/v1/status")).status_code == 403
    await change("role", role="admin")
    assert (await locked.ask(key, "GET", "/v1/status")).status_code == 200
    await change("role", role="user")
    assert (await locked.ask(key, "GET", "/v1/status")).status_code == 403
    await change("block")
    refused = await locked.ask(key, "GET", "/v1/costs")
    assert (refused.status_code, "not let in" in refused.json()["error"]) == (401, True)


async def test_commands_over_http_have_the_rights_of_the_person(locked: Locked) -> None:
    async def told(key: str, text: str) -> str:
        return str((await locked.ask(key, "POST", "/v1/messages", {"text": text})).json()["text"])

    ada, owner = await locked.key("operate", ADA), await locked.key("operate", OWNER)
    assert ADA not in await told(ada, "/people") and ADA in await told(owner, "/people")
    await told(ada, "/halt")
    assert locked.web.app.manager.halted is None
    await told(owner, "/halt")
    assert locked.web.app.manager.halted


async def test_who_is_blocked_while_they_wait_is_not_answered(locked: Locked) -> None:
    gate, model = asyncio.Event(), locked.web.scripted()
    model.queue.append(Script(text="first", gate=gate))
    key = await locked.key("operate", ADA)
    first = asyncio.create_task(locked.ask(key, "POST", "/v1/messages", {"text": "one"}))
    async with asyncio.timeout(10):
        while not model.asked:
            await asyncio.sleep(0.01)
    second = asyncio.create_task(locked.ask(key, "POST", "/v1/messages", {"text": "two"}))
    store = locked.web.app.core.store
    async with asyncio.timeout(10):
        while await store.read(lambda unit: unit.inbox.total_waiting()) != 1:
            await asyncio.sleep(0.01)
    await locked.web.local.post("/v1/people/block", json={"address": ADA})
    gate.set()
    assert (await first).json()["text"] == "first"
    refused = await second
    assert (refused.status_code, len(model.asked)) == (409, 1)


# -- making them ----------------------------------------------------------------------------------------------


async def test_nobody_makes_a_key_for_who_may_do_more_than_they(locked: Locked) -> None:
    keys: Keys = locked.web.app.keys
    admin = Actor(name="key:x", role="admin")
    with pytest.raises(Refused):
        await keys.add("read", who=OWNER, by=admin)
    with pytest.raises(Refused):
        await keys.add("read", by=admin)
    made = await keys.add("operate", who=ADA, by=admin)
    owners = await keys.add("read", who=OWNER)
    with pytest.raises(Refused):
        await keys.revoke(owners.key.prefix, by=admin)
    assert (await keys.revoke(made.key.prefix, by=admin)).state == "revoked"
    trail = await locked.web.app.core.store.read(lambda unit: unit.audit.recent(3))
    assert [(each.actor, each.outcome) for each in trail] == [
        ("key:x", "revoked"),
        ("cli", "read"),
        ("key:x", "operate"),
    ]


async def test_a_key_is_for_somebody_who_is_let_in(locked: Locked) -> None:
    for who in ("telegram:77", "telegram:-100", "@ada", "planet:1"):
        with pytest.raises(Refused):
            await locked.web.app.keys.add("read", who=who)
    assert await locked.web.app.keys.list() == []


async def test_a_key_that_would_never_hold_is_not_made(locked: Locked) -> None:
    with pytest.raises(Refused):
        await locked.web.app.keys.add("read", expires=system_clock() - 1)
    assert not await locked.web.app.keys.any()


async def test_there_is_nothing_to_revoke_by_half_a_name(locked: Locked) -> None:
    key = await locked.key("read")
    with pytest.raises(NotFound):
        await locked.web.app.keys.revoke(key.split("_")[1][:7])


@pytest.mark.parametrize(
    "text, told",
    [
        ("90d", 90 * DAY),
        ("12h", DAY // 2),
        ("1970-01-03", DAY),
        ("0", -DAY),
        ("200000000000000", 2 * 10**14 - DAY),
    ],
)
def test_when_a_key_ends(text: str, told: int) -> None:
    assert until(text, field="expires", zone="UTC", now=DAY) == DAY + told


@pytest.mark.parametrize("text", ["", "soon", "0d", "-1d", "1w", "2026-02-30", "1.5d"])
def test_an_end_that_means_nothing_names_the_field(text: str) -> None:
    with pytest.raises(BadField, match="expires: write a number of days"):
        until(text, field="expires", zone="UTC", now=DAY)


def test_a_scope_and_a_role_are_both_needed() -> None:
    needs = Needs(scope="operate", who="admin")
    assert needs.missing(Caller(scope="operate", role="admin")) is None
    assert needs.missing(Caller(scope="admin", role="owner")) is None
    assert needs.missing(Caller(scope="read", role="owner"))
    assert needs.missing(Caller(scope="admin", role="user"))
    ada = Identity(id=1, person=1, channel="telegram", user_id="11", name="", state="allowed", role="owner")
    assert Needs(who="machine").missing(Caller(role="owner", identity=ada))
    assert Needs(who="machine").missing(Caller()) is None
