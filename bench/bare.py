"""The bot one would write in an hour: python-telegram-bot, the vendor's SDK and a dict of histories.

Parley is measured against it. It forgets everything at its end, loses messages at a crash and counts no money.
"""

import argparse
from collections import defaultdict

from telegram import Update
from telegram.ext import Application, ContextTypes, MessageHandler, filters

SYSTEM = "You are a helpful assistant in a chat. Answer briefly, and say so when you do not know."
REMEMBERED = 40  # messages of a chat that are sent again
MOST_TOKENS = 4096
LONGEST = 4096  # characters of a message; Bot API, sendMessage


def openai(url: str, key: str, model: str, whole: bool):
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=key, base_url=f"{url}/v1")

    async def ask(history: list[dict[str, str]]) -> str:
        messages = [{"role": "system", "content": SYSTEM}, *history]
        if whole:
            answer = await client.chat.completions.create(model=model, messages=messages)
            return answer.choices[0].message.content or ""
        stream = await client.chat.completions.create(model=model, messages=messages, stream=True)
        return "".join([each.choices[0].delta.content or "" async for each in stream if each.choices])

    return ask


def anthropic(url: str, key: str, model: str, whole: bool):
    from anthropic import AsyncAnthropic

    client = AsyncAnthropic(api_key=key, base_url=url)

    async def ask(history: list[dict[str, str]]) -> str:
        request = {"model": model, "max_tokens": MOST_TOKENS, "system": SYSTEM, "messages": history}
        if whole:
            return "".join(block.text for block in (await client.messages.create(**request)).content)
        async with client.messages.stream(**request) as stream:
            return "".join([text async for text in stream.text_stream])

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("telegram", "token", "llm", "key", "model"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--vendor", choices=("openai", "anthropic"), default="openai")
    parser.add_argument(
        "--whole", action="store_true", help="ask for the answer in one piece, not as a stream"
    )
    chosen = parser.parse_args()
    histories: dict[int, list[dict[str, str]]] = defaultdict(list)
    ask = (openai if chosen.vendor == "openai" else anthropic)(
        chosen.llm, chosen.key, chosen.model, chosen.whole
    )

    async def answer(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        history = histories[update.effective_chat.id]
        history.append({"role": "user", "content": update.message.text})
        text = await ask(history[-REMEMBERED:])
        history.append({"role": "assistant", "content": text})
        for start in range(0, len(text), LONGEST):
            await update.message.reply_text(text[start : start + LONGEST])

    bot = Application.builder().token(chosen.token).base_url(f"{chosen.telegram}/bot")
    app = bot.concurrent_updates(True).build()
    app.add_handler(MessageHandler(filters.TEXT & ~filters.COMMAND, answer))
    app.run_polling()


if __name__ == "__main__":
    main()
