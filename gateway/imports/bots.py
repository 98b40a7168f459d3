"""Bots' tokens and who may talk to them: what all of the three have on Telegram and Discord."""

from __future__ import annotations

from gateway.imports import people
from gateway.imports.plan import Plan

CHANNELS = ("telegram", "discord")
OTHER = "Parley has no such channel"


def token(plan: Plan, theirs: str, where: str, value: str | None) -> bool:
    """*where* as channels.telegram; False when there is none that can be one."""
    from pydantic import ValidationError

    from gateway.config_bots import DiscordAccount, TelegramAccount

    if value is None:
        plan.leave(theirs, f"the token was not found; put it into [{where}] token")
        return False
    bot = TelegramAccount if where.split(".")[1] == "telegram" else DiscordAccount
    try:
        bot.model_validate({"token": value})
    except ValidationError:
        plan.leave(theirs, f"it is no bot's token; put the right one into [{where}] token")
        return False
    plan.take(theirs, f"{where}.token", value)
    return True


def policy(plan: Plan, theirs: str, where: str, named: object) -> None:
    """How they treat people in no list."""
    match str(named or "").lower():
        case "pairing" | "pair":
            plan.take(theirs, f"{where}.access", "pairing")
        case "open":
            plan.close(f"{theirs} is open: {people.OPEN}")
        case "disabled":
            plan.leave(
                theirs, "direct messages cannot be switched off alone; who is in no list is not let in"
            )


def groups(plan: Plan, theirs: str, where: str, found: dict[str, bool]) -> None:
    """*found*: a group's id, and whether each message there is meant for the bot."""
    for key, always in found.items():
        if key == "*":
            plan.close(
                f"{theirs} lets the bot into every group: list the groups' numeric ids in [{where}] allow"
            )
            continue
        for id in people.ids(plan, theirs, [key]):
            plan.add(theirs, f"{where}.allow", [id])
            if always:
                plan.add(theirs, f"{where}.always", [id])


def anybody_in(plan: Plan, theirs: str) -> None:
    plan.close(f"{theirs} lets any member talk to the bot: here each must be in allow too, or be paired")


def places(plan: Plan) -> None:
    """Said where a bot would be let into no group: theirs go wherever they are invited."""
    for channel in CHANNELS:
        allow = plan.get(f"channels.{channel}.allow") or []
        shared = (
            any(id < 0 for id in allow) if channel == "telegram" else plan.get(f"channels.{channel}.always")
        )
        if plan.get(f"channels.{channel}") and not shared:
            what = "groups" if channel == "telegram" else "servers and channels"
            plan.leave(f"{what} on {channel}", f"put their numeric ids into [channels.{channel}] allow")


def nobody(plan: Plan) -> None:
    """Said at the end where nobody would be an owner."""
    for channel in CHANNELS:
        if plan.get(f"channels.{channel}") and not plan.get(f"channels.{channel}.owners"):
            text = f"nobody is named: put your numeric id into [channels.{channel}] owners"
            plan.leave(f"an owner on {channel}", text)
