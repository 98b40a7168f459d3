"""A plan without what no setting of ours can be: whatever was written there, the rest is taken over."""

from __future__ import annotations

from typing import Any

from gateway.imports.plan import Plan

MOST = 100  # rounds; each takes something out


def prove(plan: Plan) -> None:
    """Takes out each value that our configuration would refuse, and tells it."""
    from pydantic import ValidationError

    from gateway.settings import Settings

    for _ in range(MOST):
        try:
            Settings.model_validate(plan.tables)
            return
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            path = _without(plan.tables, tuple(problem["loc"]))
            plan.leave(".".join(str(part) for part in path), problem["msg"])


def _without(tables: Any, loc: tuple[Any, ...]) -> tuple[Any, ...]:
    """Remove what is at *loc*, or as deep as that leads; of a job all of it. Gives the path."""
    if loc[:1] == ("jobs",):
        loc = loc[:2]
    path: list[Any] = []
    table: Any = None
    at: Any = tables
    for part in loc:
        inside = part in at if isinstance(at, dict) else isinstance(at, list) and isinstance(part, int)
        if not inside:
            break
        path.append(part)
        table, at = at, at[part]
    if table is None:
        tables.clear()
        return ()
    del table[path[-1]]
    return tuple(path)
