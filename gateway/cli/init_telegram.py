"""`parley init`, Telegram: the token, and who the owner is."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import typer

from gateway.cli.asking import accepted
from gateway.cli.draft import Draft
from gateway.cli.show import safe

TOKEN = re.compile(r"[0-9]+:\S+")


def choose(draft: Draft, token: str, yes: bool) -> None:
    """Ask for a token until one is taken, or none is given; nothing is asked with *yes*."""
    from gateway.cli import probe

    if not token and yes:
        return
    if not token:
        print("\n2. Telegram. @BotFather there makes a bot with /newbot and gives you its token.")
    while True:
        if not token:
            token = str(
                typer.prompt("   The bot's token (hidden; Enter: no Telegram)", default="", hide_input=True,
                             show_default=False)
            ).strip()  # fmt: skip
        if not token:
            return
        if not TOKEN.fullmatch(token):
            taken = accepted("refused", "that is not a token; it looks like 123456:ABC-DEF", yes)
        else:
            found = asyncio.run(probe.telegram(token, draft.telegram_url))
            taken = accepted(found.state, found.text, yes)
            draft.bot = found.name
        if taken:
            draft.token = token
            return
        token = ""


def find_owner(draft: Draft) -> None:
    """Whoever writes first and is confirmed. The message stays at Telegram, so that the gateway answers it."""
    name = f"{draft.bot} (https://t.me/{draft.bot[1:]})" if draft.bot else "your bot"
    print(f"\n4. Write anything to {name} in Telegram now, so that I see who you are. (Ctrl-C: later)")
    declined: set[int] = set()
    try:
        while not draft.owners:
            person = asyncio.run(_first(draft.token, draft.telegram_url, declined))
            if person is None:
                print("   Another program polls with this token, or it has a webhook; end that first.")
                return
            if typer.confirm(
                f"   {person.name} (id {person.id}) has written. Is that you, the owner?", default=True
            ):
                draft.owners = (person.id,)
            else:
                declined.add(person.id)
                print("   Then I wait for another message.")
    except KeyboardInterrupt:
        print("\n   Later: `parley people list` shows who has written.")
    except typer.Abort:
        print()


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    name: str


async def _first(token: str, api_url: str, declined: set[int]) -> Person | None:
    """Who wrote to the bot in private and was not declined; None when another program is in the way.

    Bot API, getUpdates: without an offset nothing is confirmed, and everything comes again.
    """
    import aiohttp

    from gateway.cli.probe import TELEGRAM

    url = f"{api_url or TELEGRAM}/bot{token}/getUpdates"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=40)) as session:
        while True:
            try:
                async with session.get(url, params={"timeout": "20"}) as answer:
                    if answer.status == 409:
                        return None
                    updates = (await answer.json(content_type=None)).get("result", [])
            except (aiohttp.ClientError, OSError, ValueError, AttributeError):
                updates = []
            for update in updates if isinstance(updates, list) else []:
                person = _writer(update.get("message") or {})
                if person is not None and person.id not in declined:
                    return person
            await asyncio.sleep(1.0)


def _writer(message: dict[str, dict[str, str]]) -> Person | None:
    sender, chat = message.get("from"), message.get("chat", {})
    if not sender or sender.get("is_bot") or chat.get("type") != "private":
        return None
    full = " ".join(filter(None, (sender.get("first_name"), sender.get("last_name"))))
    user = f" @{sender['username']}" if sender.get("username") else ""
    return Person(int(sender["id"]), safe(f"{full}{user}"))
