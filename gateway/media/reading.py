"""What is in a file: its text, or the picture as models take it. Strangers' files are opened in another process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from gateway.media.kinds import encoding_of
from gateway.types.json import Json

MOST_TEXT = 200_000  # characters of a text file
LONGEST = 40.0  # seconds for one file; the other process ends itself before
AT_ONCE = 2


class Reader:
    """Opens files in processes of their own, few at a time, without any of our secrets."""

    def __init__(self) -> None:
        self._seats = asyncio.Semaphore(AT_ONCE)

    async def pdf(self, path: Path) -> Json:
        """{"text", "pages", "read"}, or {"error": locked, too_much or unreadable}."""
        return await self._run("pdf", path)

    async def image(self, path: Path, target: Path) -> Json:
        """{"type", "width", "height"} of the picture, at *target* if that is there then; or {"error": …}."""
        return await self._run("image", path, target)

    async def page(self, path: Path, *, url: str, charset: str) -> Json:
        """{"title", "text", "cut"} of a web page that was at *url*, as Markdown; or {"error": …}."""
        return await self._run("page", path, told={"url": url, "charset": charset})

    async def _run(self, what: str, *paths: Path, told: Json | None = None) -> Json:
        root = str(Path(__file__).parents[2])
        async with self._seats:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.media.worker", what, *map(str, paths),
                stdin=asyncio.subprocess.DEVNULL if told is None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PYTHONPATH": root, "PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            )  # fmt: skip
            try:
                async with asyncio.timeout(LONGEST):
                    out, _ = await process.communicate(None if told is None else json.dumps(told).encode())
            except TimeoutError:
                return {"error": "too_much"}
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        try:
            answer = json.loads(out)
        except ValueError:
            return {"error": "too_much"}  # killed at one of its limits
        return answer if isinstance(answer, dict) else {"error": "unreadable"}


def text_of(path: Path) -> Json:
    """{"text"} of a text file, as much as there is room for, and {"cut": 1} where that is not all; blocking."""
    with path.open("rb") as file:
        data = file.read(4 * MOST_TEXT + 4)
    encoding = encoding_of(data[:4096]) or "utf-8"
    text = data.decode(encoding, "replace").replace("\r\n", "\n").replace("\x00", "")
    whole = len(text) <= MOST_TEXT and path.stat().st_size <= len(data)
    return {"text": text[:MOST_TEXT]} | ({} if whole else {"cut": 1})
