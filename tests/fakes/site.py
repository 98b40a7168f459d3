"""A web server of strangers, and the names by which it is found."""

from __future__ import annotations

from aiohttp import web

from gateway.fetcher import Fetcher
from gateway.outside import Rules


class Site:
    """A web server on this machine, which names can be made to point at."""

    def __init__(self, ssl_context=None):
        self.asked = []
        self.answers = {}
        self.ssl_context = ssl_context

    async def __aenter__(self):
        async def answer(request):
            self.asked.append(request)
            found = self.answers[request.path]
            return await found(request) if callable(found) else web.Response(**found)

        self.runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.ssl_context).start()
        self.port = self.runner.addresses[0][1]
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()

    def url(self, path="/", host="site.test"):
        return f"http://{host}:{self.port}{path}"


class Names:
    """A resolver; each name has its answers one after the other, the last one for ever."""

    def __init__(self, **names):
        self.names = {name.replace("_", "."): list(found) for name, found in names.items()}
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append(host)
        found = self.names.get(host)
        if found is None:
            raise OSError("no such name")
        return found.pop(0) if len(found) > 1 else found[0]


def on(site, **given):
    """A fetcher for which the site is the operator's own."""
    names = Names(site_test=[["127.0.0.1"]])
    return Fetcher(Rules(own="site.test"), resolve=names, **given)
