"""How the fake Bot API server delivers updates to a webhook."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.fakes.telegram_chat import World

SECRET = "X-Telegram-Bot-Api-Secret-Token"
FIRST_RETRY, LAST_RETRY = 0.05, 1.0  # seconds; the live server begins with one and goes up to sixty


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try: *status* is 0 when there was no answer."""

    update_id: int
    status: int
    error: str = ""


class Courier:
    """Brings updates to the webhook that is set, each chat's in order, until it is answered with 2xx.

    *reach* is where a public address is in truth: {"https://bot.example.org": "http://127.0.0.1:8080"}, as a
    proxy would have it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.reach: dict[str, str] = {}
        self.seconds = 5.0  # for one try
        self.tries: list[Delivery] = []
        self._due: dict[int, tuple[float, float]] = {}  # update -> (time of the next try, pause after it)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="webhook-courier")

    async def close(self) -> None:
        """Raises what went wrong with the courier itself."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def wake(self) -> None:
        self._wake.set()

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.seconds)) as session:
            while True:
                found = self._next()
                if found:
                    await asyncio.gather(*(self._bring(session, number, update) for number, update in found))
                else:
                    self._wake.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(FIRST_RETRY if self.world.webhook else None):
                            await self._wake.wait()

    def _next(self) -> list[tuple[int, Any]]:
        """The first update of each chat that may be tried now."""
        if self.world.webhook is None:
            return []
        found: dict[Any, tuple[int, Any]] = {}
        for number, update in self.world.pending:
            found.setdefault(_chat(update), (number, update))
        now = time.monotonic()
        ripe = [each for each in found.values() if self._due.get(each[0], (0.0, 0.0))[0] <= now]
        return ripe[: self.world.webhook.get("max_connections", 40)]

    async def _bring(self, session: aiohttp.ClientSession, number: int, update: Any) -> None:
        hook = self.world.webhook
        if hook is None:
            return
        url = hook["url"]
        for public, real in self.reach.items():
            if url.startswith(public):
                url = real + url.removeprefix(public)
        headers = {"Content-Type": "application/json"}
        if secret := hook.get("secret_token"):
            headers[SECRET] = secret
        status, error = 0, ""
        try:
            async with session.post(
                url, data=json.dumps(update), headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            error = type(failure).__name__
        if status and not 200 <= status < 300:
            error = f"Wrong response from the webhook: {status} {answer.reason}"
        self.tries.append(Delivery(number, status, error))
        if not error:
            self._due.pop(number, None)
            self.world.delivered(number)
            return
        self.world.failed_delivery(error)
        _, pause = self._due.get(number, (0.0, FIRST_RETRY))
        self._due[number] = (time.monotonic() + pause, min(2 * pause, LAST_RETRY))


def _chat(update: Any) -> Any:
    """Which queue an update is in."""
    if not isinstance(update, dict):
        return None
    body = next((value for name, value in update.items() if name != "update_id"), None)
    body = body if isinstance(body, dict) else {}
    holder = body.get("message", body)
    chat = holder.get("chat") if isinstance(holder, dict) else None
    return chat.get("id") if isinstance(chat, dict) else None
