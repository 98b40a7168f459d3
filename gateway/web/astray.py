"""What is told to who asks for a path that is not there, or with a method that is not taken."""

from __future__ import annotations

from starlette.requests import Request

from gateway import log
from gateway.web.routes import Route

MOST = 200  # characters of a path that are told


def nowhere(request: Request) -> str:
    """Of a path without a route."""
    path = request.url.path
    bare = path.rstrip("/")
    near = "GET /v1/openapi.json tells all there is"
    if bare != path and _fitting(request, bare):
        near = f"without the slash at its end there is: {_shown(bare)}"
    return f"There is nothing at {_shown(path)}; {near}."


def otherwise(request: Request) -> tuple[str, str]:
    """Of another method than that path has: what to say, and the methods, for the header Allow."""
    fitting = _fitting(request, request.url.path)
    # Of /jobs/next and /jobs/{name}, which fit both, the one that says more is meant. Each route knows its own only.
    meant = min((each.path for each in fitting), key=lambda path: path.count("{"))
    allowed = ", ".join(
        sorted({method for each in fitting if each.path == meant for method in each.declared.methods})
    )
    return (
        f"{log.clean(request.method)} is not taken at {_shown(request.url.path)}; it has {allowed}.",
        allowed,
    )


def _fitting(request: Request, path: str) -> list[Route]:
    return [each for each in request.app.routes if isinstance(each, Route) and each.path_regex.match(path)]


def _shown(path: str) -> str:
    return log.clean(path[:MOST])
