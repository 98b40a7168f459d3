"""The description of the API is true: of every route, and of what is answered (by schemathesis; more: make api)."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gateway import __version__
from gateway.manager import Message as Shown
from gateway.reports import UsageSummary, usage_summary
from gateway.web import document
from gateway.web.api import build
from gateway.web.body import Body
from gateway.web.encoding import TOO, plain
from gateway.web.routes import Route, Routes
from tests.api.__main__ import judged
from tests.test_web import Web, listening, settings

READING = {"costs_reconcile", "jobs_check"}  # what only looks and needs a body for it
MARKED = re.compile(r"\{(\w+)\}")


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with listening(settings(tmp_path)) as found:
        yield found


@pytest.fixture
async def described(web: Web) -> dict[str, Any]:
    answer = await web.local.get("/v1/openapi.json")
    assert answer.status_code == 200
    return answer.json()  # type: ignore[no-any-return]


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, name, each) for path, item in described["paths"].items() for name, each in item.items()]


async def test_every_route_is_described_and_nothing_else(web: Web, described: dict[str, Any]) -> None:
    assert (described["openapi"], described["info"]["version"]) == ("3.1.0", __version__)
    served = {
        (each.path, method.lower())
        for each in build(web.app, local=True).routes
        if isinstance(each, Route)
        for method in each.methods or ()
    }
    assert {(path, method) for path, method, _ in operations(described)} == served
    assert len(build(web.app, local=True).routes) == len(served)


async def test_every_operation_says_who_may_ask_and_what_comes_back(described: dict[str, Any]) -> None:
    ids = [each["operationId"] for _, _, each in operations(described)]
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"[a-z]+_[a-z_]+", id) for id in ids)
    for path, method, each in operations(described):
        assert each["summary"] and "Scope: " in each["description"], each["operationId"]
        ((scheme, scopes),) = each["security"][0].items()
        assert scheme in described["components"]["securitySchemes"] and scopes[0] in (
            "read",
            "operate",
            "admin",
        )
        # Who only reads changes nothing.
        assert scopes != ["read"] or method == "get" or each["operationId"] in READING, each["operationId"]
        assert {"401", "403", "413", "421", "422", "429", "500", "503"} <= set(each["responses"])
        whole = [each["responses"][status] for status in each["responses"] if status < "300"]
        assert whole and all(schema_of(response) for response in whole), each["operationId"]
        named = {parameter["name"] for parameter in each.get("parameters", ()) if parameter["in"] == "path"}
        assert named == set(MARKED.findall(path))


def schema_of(response: dict[str, Any]) -> dict[str, Any]:
    (first, *_) = response["content"].values()
    return dict(first["schema"])


async def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    for target in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(described))):
        found: Any = described
        for part in target.split("/"):
            found = found[part]
        assert found


def test_what_is_shown_besides_the_fields_is_described(tmp_path: Path) -> None:
    made = document.schemas_of([UsageSummary])[1]
    shown = plain(usage_summary([0] * 12))
    assert (
        set(made["UsageSummary"]["properties"])
        == set(made["UsageSummary"]["required"]) | {"saved"}
        == set(shown)
    )
    assert set(made["Tokens"]["properties"]) == set(shown["tokens"])
    assert len(TOO) == 8


async def test_two_types_of_one_name_are_not_described_as_one(web: Web) -> None:
    class Message(Body):
        text: str

    routes = Routes("/v1/clash")

    async def told(message: Message) -> list[Shown]:
        """What was said, as if it had been long ago."""
        return [Shown(seq=0, role="user", text=message.text, created_at=0)]

    told.__annotations__ = {"message": Message, "return": list[Shown]}
    routes.post("", who="user")(told)
    api = build(web.app, local=True)
    routes.install(api)
    with pytest.raises(ValueError, match="two types are called Message"):
        document.of(api, [routes])


@pytest.mark.parametrize("given", ["1", 1, None])
def test_bodies_are_strict(given: object) -> None:
    class Switching(Body):
        on: bool

    with pytest.raises(ValueError):
        Switching.model_validate({"on": given})
    assert issubclass(Switching, BaseModel)


@pytest.mark.parametrize(
    "method, path, field",
    [
        ("GET", "/v1/sessions?chanel=main", "chanel"),
        ("GET", "/v1/costs?by=model&sicne=7d", "sicne"),
        ("POST", "/v1/halt?why=x", "why"),
    ],
)
async def test_a_misspelt_name_in_the_query_is_not_ignored(
    web: Web, method: str, path: str, field: str
) -> None:
    answer = await web.local.request(method, path)
    assert (answer.status_code, answer.json()["fields"]) == (
        422,
        [{"field": field, "problem": "is not known here"}],
    )
    assert web.app.manager.halted is None


async def test_what_can_be_asked_of_a_path_is_told(web: Web) -> None:
    answer = await web.local.put("/v1/sessions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    answer = await web.local.post("/v1/jobs/next")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"] == "POST is not taken at /v1/jobs/next; it has GET, HEAD."
    answer = await web.local.head("/v1/messages/events")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    answer = await web.local.get("/v1/sessions/X/close")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_what_is_not_there_says_what_is(web: Web) -> None:
    slash = await web.local.get("/v1/sessions/")
    assert (slash.status_code, "there is: /v1/sessions." in slash.json()["error"]) == (404, True)
    for path in ("/v1/session", "/", "/v1/nothing/"):
        answer = await web.local.get(path)
        assert answer.status_code == 404
        assert (
            answer.json()["error"] == f"There is nothing at {path}; GET /v1/openapi.json tells all there is."
        )


@pytest.mark.parametrize(
    "path", ["/healthz", "/v1/sessions", "/v1/openapi.json", "/metrics", "/v1/sessions/X"]
)
async def test_whoever_only_wants_the_head_gets_it(web: Web, path: str) -> None:
    whole, head = await web.local.get(path), await web.local.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"") and whole.content
    assert head.headers["content-type"] == whole.headers["content-type"]
    if path != "/metrics":  # which is another one each time
        assert head.headers["content-length"] == str(len(whole.content))


async def test_where_a_body_stops_being_json_is_told(web: Web) -> None:
    answer = await web.local.post(
        "/v1/messages", content=b'{"text": hi}', headers={"content-type": "application/json"}
    )
    (told,) = answer.json()["fields"]
    assert (told["field"], told["problem"]) == ("body", "is not JSON: expecting value at character 9")


async def test_bytes_that_are_no_text_are_told_like_any_body(web: Web) -> None:
    answer = await web.local.post(
        "/v1/messages", content=b"\xff{", headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "body")


def test_nothing_is_found_by_one_that_looks_for_answers_that_are_not_as_described() -> None:
    """About 1,300 requests made from the description, each way that it allows and many that it does not."""
    code, report = judged("--phases", "coverage", "--seed", "1")
    assert code == 0, report
    assert re.search(r"\d{4} generated, \d{4} passed", report), report
