"""The configured bots, each as a channel of its platform; the one place that knows what these are made from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gateway.config_bots import TelegramAccount
from gateway.platforms import ChannelState, Platforms
from gateway.settings import Settings
from gateway.types.outbound import MenuEntry


def add(platforms: Platforms, settings: Settings, menu: Sequence[MenuEntry]) -> None:
    """Every bot that is on, not connected yet; *menu*: the commands that their platforms list."""
    for key, bot in settings.channels.bots():
        from channels import load_channel

        name = key.partition(".")[0]
        state = ChannelState(name=key, channel=None, since=platforms.clock())  # type: ignore[arg-type]
        commands = menu if bot.commands else ()
        health = partial(platforms.health, state)
        if isinstance(bot, TelegramAccount):
            state.channel = telegram = load_channel(name)(
                token=bot.token,
                api_url=bot.api_url,
                delivery=bot.delivery,
                rich_messages=bot.rich_messages,
                stream=bot.stream,
                rate=bot.rate,
                poll_seconds=bot.poll_seconds,
                always=bot.always,
                webhook_url=bot.webhook_url,
                webhook_secret=bot.webhook_secret,
                commands=commands,
                cursors=platforms.cursors,
                clock=platforms.clock,
                on_health=health,
            )
            platforms.webhooks += telegram.webhooks()
        else:
            state.channel = load_channel(name)(
                token=bot.token,
                api_url=bot.api_url,
                gateway_url=bot.gateway_url,
                stream=bot.stream,
                rate=bot.rate,
                always=bot.always,
                message_content=bot.message_content,
                threads=bot.threads,
                catch_up_minutes=bot.catch_up_minutes,
                catch_up_messages=bot.catch_up_messages,
                commands=commands,
                cursors=platforms.cursors,
                remember=platforms.remember,
                clock=platforms.clock,
                on_health=health,
            )
        platforms.channels.append(state)
        platforms.dispatcher.expected.add(name)
