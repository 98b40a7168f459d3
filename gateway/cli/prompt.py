"""The terminal prompt: what is typed goes to the gateway, what is answered is printed as it comes."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from gateway.cli.show import is_document, safe, unmarked
from gateway.cli.wrap import Wrap
from gateway.errors import ParleyError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyPress

    from gateway.cli.talk import Heard, Talk

QUIT = ("/quit", "/exit")
STOP = "/stop"
DIM, PLAIN = "\x1b[2m", "\x1b[0m"


async def converse(talk: Talk, *, commands: list[tuple[str, str]], ends: str) -> None:
    """Until Ctrl-D or /quit. *ends* is what that ends, as told to whoever presses Ctrl-C at an empty prompt."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    from gateway.cli.slash import Slash

    session: PromptSession[str] = PromptSession(completer=Slash(commands), complete_while_typing=True)
    while True:
        try:
            # The loop keeps its own handler of SIGINT: here Ctrl-C is a key like others.
            with patch_stdout(raw=True):
                text = (await session.prompt_async("> ", handle_sigint=False)).strip()
        except KeyboardInterrupt:
            aside(f"Ctrl-D or /quit ends {ends}.")
            continue
        except EOFError:
            return
        if text in QUIT:
            return
        if text:
            await exchange(talk, session, text)


async def exchange(talk: Talk, session: PromptSession[str], text: str) -> None:
    """One message and its answer; Ctrl-C meanwhile stops the answer, other keys wait for the prompt."""
    width = shutil.get_terminal_size().columns
    printer = Printer(sys.stdout.write, width=width, document=is_document(text))
    async with _keys(session, lambda: _stop(talk)):
        try:
            async with aclosing(talk.say(text)) as events:
                async for heard in events:
                    printer.hear(heard)
                    sys.stdout.flush()
        except ParleyError as error:
            aside(str(error))
    print()


class Printer:
    """Prints an answer that grows; what was printed is never taken back.

    *document*: what a command answers is the content of a file, to be printed as it is.
    """

    def __init__(self, write: Callable[[str], object], *, width: int, document: bool = False) -> None:
        self._document = document
        self._write = write
        self._width = sys.maxsize if document else width  # a line of JSON that is broken is none
        self._wrap = Wrap(self._width)
        self._shown = ""

    def hear(self, heard: Heard) -> None:
        match heard.kind:
            case "text":
                self._grow(heard.text)
            case "notice":
                self._end()
                self._line(safe(heard.text))
            case "done":
                self._done(heard)
            case _:
                pass

    def _grow(self, text: str) -> None:
        if not text.startswith(self._shown):
            # A new beginning, as after a request that broke off and was made again.
            self._end()
        self._write(self._wrap.feed(safe(text[len(self._shown) :])))
        self._shown = text

    def _done(self, heard: Heard) -> None:
        whole = heard.state == "command" and not self._document
        self._grow(unmarked(heard.text) if whole else heard.text)
        self._end()
        if heard.state in ("failed", "dead") and heard.error:
            self._line(safe(heard.error))

    def _end(self) -> None:
        """Nothing more comes on this line."""
        self._write(self._wrap.end())
        self._write("\n" if self._shown and not self._shown.endswith("\n") else "")
        self._wrap, self._shown = Wrap(self._width), ""

    def _line(self, text: str) -> None:
        wrap = Wrap(self._width)
        self._write(f"{DIM}{wrap.feed(text)}{wrap.end()}{PLAIN}\n")


def aside(text: str) -> None:
    """A line that is ours and not the agent's."""
    print(f"{DIM}{text}{PLAIN}", flush=True)


async def _stop(talk: Talk) -> None:
    try:
        async with aclosing(talk.say(STOP)) as events:
            async for _ in events:
                pass
    except ParleyError as error:
        aside(str(error))


@asynccontextmanager
async def _keys(session: PromptSession[str], interrupted: Callable[[], object]) -> AsyncIterator[None]:
    """Read the keyboard while no prompt does: Ctrl-C is for us, everything else is typed ahead."""
    from prompt_toolkit.input.typeahead import store_typeahead
    from prompt_toolkit.keys import Keys

    keyboard = session.app.input
    ahead: list[KeyPress] = []
    stops: list[asyncio.Task[None]] = []

    def pressed() -> None:
        for press in keyboard.read_keys():
            if press.key == Keys.ControlC:
                ahead.clear()
                stopping = interrupted()
                assert asyncio.iscoroutine(stopping)
                stops.append(asyncio.ensure_future(stopping))
            elif press.key != Keys.CPRResponse:
                ahead.append(press)

    with keyboard.raw_mode(), keyboard.attach(pressed):
        try:
            yield
        finally:
            await asyncio.gather(*stops)
    store_typeahead(keyboard, ahead)
