"""How a route is declared: once, beside its handler. The door, the validation and the API's description go by it.

    class Noting(Body):
        text: Annotated[str, Field(min_length=1, max_length=2000)]

    def routes(app: App) -> Routes:
        routes = Routes("/v1/notes")

        @routes.get("", scope="read", who="user")
        async def listed(caller: Calling, limit: Limit = 20) -> list[Note]:
            "What was noted, newest first."
            return await app.manager.notes(limit, viewer=caller.viewer)

        @routes.post("/{id}", scope="operate", who="user", faults=(404, 409))
        async def noted(id: Id, noting: Noting, caller: Calling) -> Note:
            "Write a note about a session."
            return await app.manager.note(id, noting.text, by=caller.name)

        return routes

and `notes` joins the families in `gateway.web.api`.

* Parameters are read from the path, the query and, where their type is a `Body`, from the JSON of the request. What
  does not fit their types is a 422 and never comes to the handler; so is a name in the query that is no parameter.
  Bound every number and text (`Field`), so that none comes to the store that no table can hold.
* What the handler gives back is made JSON by `encoding.plain`; its annotation is what the description says of it. A
  handler may also give a ready Response (`-> Note | Response`), which goes out as it is.
* *scope* is what a key must have: read looks, operate does what a person in a chat may do, admin changes the gateway.
* *who* is the lowest role of the person it belongs to, or machine. It is admin unless said otherwise: only a handler
  that gives everybody no more than what is theirs, by `Calling`, says user. What touches a session is given
  `caller.viewer`, whoever it is for: admins do not see what others say in private either.
* *also*: other statuses that an answer can have, each with what it means and the type of its body; *media*: types of
  content that is no JSON.
* *faults* are the errors of its own (`faults.FAULTS`); those that any request can meet are described by themselves.
* The name of the handler, with the family's, is the operation's id; its docstring is its description.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Protocol, TypedDict, TypeVar, Union, Unpack, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from fastapi import FastAPI, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from gateway.keys import Scope as KeyScope
from gateway.web.caller import Needs, Who, caller_of
from gateway.web.encoding import Json
from gateway.web.span import BadField

Also = Mapping[int, tuple[str, Any]]
Media = Mapping[str, str | dict[str, Any]]
"""By type of content, what it is: in words, or as a JSON schema (of each event, where it is text/event-stream)."""
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


class Declare(Protocol):
    """What stands above a handler."""

    def __call__(self, handler: Handler, /) -> Handler: ...


class How(TypedDict, total=False):
    """Of a route, what is not as usual."""

    scope: KeyScope
    who: Who
    status: int
    faults: tuple[int, ...]
    also: Also
    media: Media


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A route as it was declared. *gives* is the type of the answer, None: it has no JSON form.

    *also* are answers with another status, *media* types of content besides JSON, each with what it is.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    needs: Needs
    gives: Any
    status: int
    faults: tuple[int, ...]
    also: Also
    media: Media
    id: str

    @property
    def methods(self) -> list[str]:
        """What is answered; whoever only looks may leave out the body (HEAD), where it does not go on and on."""
        heads = self.method == "GET" and "text/event-stream" not in self.media
        return [self.method, *(["HEAD"] if heads else [])]


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes of one family; *prefix* begins all of their paths, *family* all of their ids."""

    prefix: str = ""
    family: str = ""
    declared: list[Declared] = field(default_factory=list)

    def get(self, path: str, **how: Unpack[How]) -> Declare:
        return self._route("GET", path, how, "read")

    def post(self, path: str, **how: Unpack[How]) -> Declare:
        return self._route("POST", path, how, "operate")

    def delete(self, path: str, **how: Unpack[How]) -> Declare:
        return self._route("DELETE", path, how, "operate")

    def install(self, api: FastAPI) -> None:
        for each in self.declared:
            api.router.add_api_route(
                each.path,
                _answering(each),
                methods=[each.method],
                response_model=None,
                status_code=each.status,
                operation_id=each.id,
                route_class_override=Route,
            )
            made = api.router.routes[-1]
            assert isinstance(made, Route)
            made.declared = each

    def _route(self, method: str, path: str, how: How, scope: KeyScope) -> Declare:
        family = self.family or self.prefix.rpartition("/")[2]

        def declare(handler: Handler) -> Handler:
            self.declared.append(
                Declared(
                    method=method,
                    path=self.prefix + path,
                    handler=handler,
                    needs=Needs(scope=how.get("scope", scope), who=how.get("who", "admin")),
                    gives=_json_of(get_type_hints(handler, include_extras=True)["return"]),
                    status=how.get("status", 200),
                    faults=how.get("faults", ()),
                    also=how.get("also", {}),
                    media=how.get("media", {}),
                    id=f"{family}_{handler.__name__}",
                )
            )
            return handler

        return declare


class Route(APIRoute):
    """One that looks at the caller's rights, and at the names in the query, before the body is read."""

    declared: Declared

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(self._as_got(scope))

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = self._as_got(scope)
        if self.methods and scope["method"] in self.methods:
            missing = self.declared.needs.missing(caller_of(scope))
            if missing is not None:
                raise HTTPException(403, missing)
            known = {each.alias for each in self.dependant.query_params}
            given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            for name, _ in given:
                if name not in known:
                    raise BadField(name, "is not known here")
        await super().handle(scope, receive, send)

    def _as_got(self, scope: Scope) -> Scope:
        """HEAD is answered as GET; the server leaves out the body."""
        if scope["type"] == "http" and scope["method"] == "HEAD" and "HEAD" in self.declared.methods:
            return {**scope, "method": "GET"}
        return scope


def _answering(declared: Declared) -> Callable[..., Awaitable[Response]]:
    handler = declared.handler

    @functools.wraps(handler)
    async def answer(*args: Any, **kwargs: Any) -> Response:
        made = await handler(*args, **kwargs)
        return made if isinstance(made, Response) else Json(made, status_code=declared.status)

    # The types, where the handler's module has only their names.
    hints = get_type_hints(handler, include_extras=True)
    signature = inspect.signature(handler)
    typed = [each.replace(annotation=hints[name]) for name, each in signature.parameters.items()]
    answer.__signature__ = signature.replace(parameters=typed)  # type: ignore[attr-defined]
    return answer


def _json_of(given: Any) -> Any:
    """What of an answer's type is JSON: not a ready Response; None when nothing else is left."""
    parts = get_args(given) if get_origin(given) in (Union, UnionType) else (given,)
    left = [each for each in parts if not (isinstance(each, type) and issubclass(each, Response))]
    if not left:
        return None
    return functools.reduce(lambda one, other: one | other, left)
