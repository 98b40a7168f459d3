"""The control: the same people, fakes and kills over a plain python-telegram-bot; it must lose messages.

As its own process (`python -m tests.crash.control --data ...`) it is that bot: the library's documented way,
Application and run_polling, with a handler that asks the model and replies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.crash.harness import KINDS, Stage, stage
from tests.crash.model import TOOL, answer
from tests.fakes.llm import KEY, OPENAI_MODELS

WHOLE = 0.4  # seconds until the model's answer: what a long one takes when it is streamed
NOTE: Any = {"type": "function", "function": {"name": TOOL, "parameters": {"type": "object"}}}


class Bot(Stage):
    """The stage with the plain bot on it; there is no database to look at."""

    async def buried(self) -> None:
        assert self.life is not None
        await self.life.process.wait()
        self.evidence.killed_at.append(time.monotonic())
        self.life = None


async def lost(kills: int, messages: int, seed: int, folder: Path) -> list[str]:
    """What was said and never answered."""
    rng = random.Random(seed)
    async with stage(folder, kind=Bot, before=WHOLE) as on:
        on.module = "tests.crash.control"
        await on.start()
        for kind in KINDS:
            await on.say(on.chats[0], kind)
        await on.settled()  # left alone, it answers everything
        await on.kill()
        for number in range(kills):
            await on.start()
            await on.polling()
            count = (messages - len(on.evidence.said)) // (kills - number)
            until = time.monotonic() + rng.uniform(0.1, 0.9)
            for _ in range(count):
                await on.say(rng.choice(on.chats), rng.choice(KINDS))
            await asyncio.sleep(max(0.0, until - time.monotonic()))
            await on.kill()
        await on.start()
        await on.quiet(3.0)
        return on.unanswered


def main(*, kills: int, messages: int, seed: int) -> int:
    """0 when messages were lost, which is what this must show."""
    with tempfile.TemporaryDirectory(prefix="parley-control-") as folder:
        missing = asyncio.run(lost(kills, messages, seed, Path(folder)))
    said = f"{len(missing)} of {messages} messages lost at {kills} kill -9 under load"
    print(f"plain python-telegram-bot: {said}, seed {seed}")
    return 0 if missing else 1


def bot() -> None:
    import openai
    from telegram import Update
    from telegram.ext import Application, ContextTypes, MessageHandler, filters

    parser = argparse.ArgumentParser(prog="python -m tests.crash.control")
    for name in ("data", "notes", "clock", "platform", "settings", "model-url", "provider"):
        parser.add_argument(f"--{name}")
    chosen = parser.parse_args()
    told = json.loads(chosen.settings)
    client = openai.AsyncOpenAI(api_key=KEY, base_url=f"{chosen.model_url}/v1", max_retries=0)

    async def reply(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.message is not None
        asked = update.message.text or ""
        made = await client.chat.completions.create(
            model=OPENAI_MODELS[0], messages=[{"role": "user", "content": asked}], tools=[NOTE]
        )
        text = made.choices[0].message.content or answer(asked)  # a tool call: nothing runs it here
        for begin in range(0, len(text), 4096):
            await update.message.reply_text(text[begin : begin + 4096])

    app = Application.builder().token(told["token"]).base_url(f"{told['api_url']}/bot").build()
    app.add_handler(MessageHandler(filters.TEXT, reply, block=False))
    app.run_polling(timeout=2)


if __name__ == "__main__":
    bot()
