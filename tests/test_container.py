"""The Dockerfile, as far as one can see without an engine: the health check is run, the rest is read."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text()
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def lines(word: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in LINES if line.split()[0] == word]


async def healthy(data: Path) -> bool:
    program, *words = json.loads(lines("HEALTHCHECK")[0].partition("CMD")[2])
    assert program == "python"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        env=os.environ | {"PARLEY_GATEWAY__DATA_DIR": str(data)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait() == 0


async def test_the_health_check_passes_while_the_gateway_answers_and_only_then(tmp_path: Path) -> None:
    data = tmp_path / "d"
    assert not await healthy(data)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *json.loads(lines("CMD")[0])),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PARLEY_GATEWAY__DATA_DIR": str(data)},
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while not await healthy(data):
                assert process.returncode is None
                await asyncio.sleep(0.1)
    finally:
        process.terminate()
        assert await process.wait() == 0
    assert not await healthy(data)


def test_it_runs_as_nobody_special_without_a_shell_on_a_base_of_one_version() -> None:
    assert re.fullmatch(r"PYTHON=3\.1[123]\.\d+-slim-\w+", lines("ARG")[0])
    assert {line.split()[0] for line in lines("FROM")} == {"python:${PYTHON}"}
    (user,) = lines("USER")
    assert int(user.split(":")[0]) >= 1000
    assert json.loads(lines("ENTRYPOINT")[0]) == ["parley"]
    assert "--require-hashes" in TEXT and lines("VOLUME") == ["/data"]


def test_nothing_is_copied_that_is_not_sent_and_no_configuration_is() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for line in lines("COPY") if not line.startswith("--from") for word in line.split()[:-1]}
    assert copied == sent and all((ROOT / name).exists() for name in sent)
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
