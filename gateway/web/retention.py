"""GET and POST /v1/retention: what is too old, and tidying it away now."""

from __future__ import annotations

from gateway.ageing import Aged
from gateway.app import App
from gateway.chores import keeping
from gateway.web.routes import Routes


def routes(app: App) -> Routes:
    routes = Routes("/v1/retention", family="gateway")

    @routes.get("", who="owner")
    async def too_old() -> Aged:
        """What is older than the settings keep it; the gateway tidies it away by night."""
        return await app.manager.too_old(keeping(app.settings))

    @routes.post("", scope="admin", who="owner")
    async def tidy() -> Aged:
        """Tidy it away now; what is deleted is gone for good. Gives what was done."""
        return await app.manager.tidy(keeping(app.settings))

    return routes
