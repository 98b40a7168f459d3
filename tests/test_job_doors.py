"""The same of jobs by every door: Python, a chat, the command line, HTTP; and what a key of somebody opens."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli import app as command_line
from gateway.errors import NotFound, Refused
from gateway.jobs.book import OPERATOR, JobSpec
from gateway.manager import Generated
from gateway.roster import Roster
from gateway.types.measures import DOLLAR
from tests.jobs import until
from tests.test_web import Web, free_port, listening, settings

FIXED = {"name": "fixed", "schedule": "@daily", "prompt": "What is new?"}
WATER = {"name": "water", "schedule": "every weekday at 8:00", "zone": "Europe/Berlin", "prompt": "Drink."}
FULL = {
    "name": "full", "schedule": "every 90m", "prompt": "Look.", "silent": "yes", "catch_up": "all", "overlap": "queue",
    "retries": "1", "timeout": "60", "budget_day": "0.50",
}  # fmt: skip


class Door(ABC):
    """*add* and the like by name; what is said of it, also when it is refused."""

    def __init__(self, web: Web) -> None:
        self.web = web

    @abstractmethod
    async def add(self, told: Mapping[str, str]) -> str: ...

    @abstractmethod
    async def do(self, what: str, name: str) -> str: ...

    @abstractmethod
    async def list(self) -> str: ...


class Python(Door):
    async def add(self, told: Mapping[str, str]) -> str:
        more = dict(told)
        spec: dict[str, Any] = {"zone": "", "deliver_to": ("main",), **more}
        for name, kind in (("retries", int), ("timeout", float)):
            spec |= {name: kind(more[name])} if name in more else {}
        spec |= {"silent": True} if "silent" in more else {}
        spec |= {"budget_day": DOLLAR // 2} if "budget_day" in more else {}
        spec.setdefault("name", "")
        return await self._said(self.web.app.manager.jobs.add(JobSpec(**spec), OPERATOR, "api"))

    async def do(self, what: str, name: str) -> str:
        jobs = self.web.app.manager.jobs
        does = {"run": jobs.run_now, "rm": jobs.remove}.get(what) or getattr(jobs, what)
        return await self._said(does(name))

    async def list(self) -> str:
        return await self._said(self.web.app.manager.jobs.list())

    async def _said(self, work: Any) -> str:
        try:
            return str(await work)
        except Refused as error:
            return str(error)


class InChat(Door):
    async def add(self, told: Mapping[str, str]) -> str:
        apart = ("schedule", "zone", "prompt")
        options = " ".join(f"{key}={value}" for key, value in told.items() if key not in apart)
        line = f'/job add {options} "{told["schedule"]}" {told.get("zone", "")} {told["prompt"]}'
        return await self._said(line)

    async def do(self, what: str, name: str) -> str:
        return await self._said(f"/job {what} {name}")

    async def list(self) -> str:
        return await self._said("/job")

    async def _said(self, text: str) -> str:
        async for event in self.web.app.manager.say(text):
            if isinstance(event, Generated):
                return event.text
        raise AssertionError("no answer")


class CommandLine(Door):
    """Through the gateway that runs, by its socket."""

    async def add(self, told: Mapping[str, str]) -> str:
        words = [told["schedule"], told["prompt"]]
        for key, value in told.items():
            if key == "silent":
                words.append("--silent")
            elif key not in ("schedule", "prompt"):
                words += [f"--{key.replace('_', '-')}", value]
        return await self._said("add", *words)

    async def do(self, what: str, name: str) -> str:
        return await self._said(what, name)

    async def list(self) -> str:
        return await self._said("list")

    async def _said(self, *words: str) -> str:
        env = {"PARLEY_GATEWAY__DATA_DIR": str(self.web.app.settings.gateway.data_dir), "COLUMNS": "200"}
        done = await asyncio.to_thread(CliRunner().invoke, command_line, ["jobs", *words], env=env)
        return done.output


class OverHttp(Door):
    async def add(self, told: Mapping[str, str]) -> str:
        body: dict[str, Any] = dict(told)
        body |= {"silent": True} if "silent" in told else {}
        body |= {"retries": int(told["retries"])} if "retries" in told else {}
        if "timeout" in body:
            body["timeout_seconds"] = float(body.pop("timeout"))
        return await self._said(self.web.local.post("/v1/jobs", json=body))

    async def do(self, what: str, name: str) -> str:
        if what == "rm":
            return await self._said(self.web.local.delete(f"/v1/jobs/{name}"))
        if what in ("show", "history"):
            path = f"/v1/jobs/{name}" + ("/runs" if what == "history" else "")
            return await self._said(self.web.local.get(path))
        return await self._said(self.web.local.post(f"/v1/jobs/{name}/{what}"))

    async def list(self) -> str:
        return await self._said(self.web.local.get("/v1/jobs"))

    async def _said(self, asking: Any) -> str:
        answer: httpx.Response = await asking
        return answer.text if answer.status_code < 400 else str(answer.json()["error"])


@pytest.mark.parametrize("kind", [Python, InChat, CommandLine, OverHttp])
async def test_every_door_does_the_same_and_refuses_the_same(tmp_path: Path, kind: type[Door]) -> None:
    async with listening(settings(tmp_path, jobs=[FIXED])) as web:
        door, jobs = kind(web), web.app.manager.jobs

        # -- made, with its next times
        assert "water" in await door.add(WATER)
        water = await jobs.show("water")
        assert (water.spec.schedule, water.spec.zone, water.spec.prompt) == (
            "0 8 * * 1-5",
            "Europe/Berlin",
            "Drink.",
        )
        assert (water.spec.deliver_to, water.state, len(water.next_times)) == (("main",), "on", 3)
        await door.add(FULL)
        full = (await jobs.show("full")).spec
        assert (full.silent, full.catch_up, full.overlap, full.retries) == (True, "all", "queue", 1)
        assert (full.timeout, full.budget_day, full.zone) == (60, DOLLAR // 2, "UTC")

        # -- refused, with what is wrong
        for change, said in (
            ({}, "There is a job named water already"),
            ({"name": "x", "schedule": "99 * * * *"}, "minute: cannot be '99'; use 0-59"),
            ({"name": "x", "schedule": "at 2020-01-01 09:00"}, "2020-01-01 09:00 is over"),
            ({"name": "x", "schedule": "whenever"}, "is not five crontab fields"),
            ({"name": "next"}, "next cannot be a job's name"),
            ({"name": "x", "session": "chat"}, "delivers to that one chat"),
            ({"name": "x", "model": "dear:model"}, "dear:model is not offered"),
        ):
            assert said in await door.add({**WATER, **change})
        assert [each.spec.name for each in await jobs.list()] == ["fixed", "full", "water"]
        for what in ("show", "pause", "resume", "run", "rm", "history"):
            assert "There is no job named nothing." in await door.do(what, "nothing")
        assert "is in the configuration" in await door.do("rm", "fixed")

        # -- looked after
        listed = await door.list()
        assert all(name in listed for name in ("fixed", "full", "water"))
        await door.do("pause", "water")
        assert (await jobs.show("water")).state == "paused"
        assert "paused" in await door.do("show", "water")
        await door.do("resume", "water")
        assert (await jobs.show("water")).state == "on"
        await door.do("run", "water")

        async def done() -> bool:
            return [run.state for run in await jobs.history("water")] == ["done"]

        await until(done)
        assert "done" in await door.do("history", "water")

        # -- removed; what it did stays
        await door.do("rm", "water")
        with pytest.raises(NotFound):
            await jobs.show("water")
        assert "done" in await door.do("history", "water")


async def test_a_key_opens_what_is_its_persons_own(tmp_path: Path) -> None:
    tables = {"web": {"port": free_port()}, "jobs": [FIXED]}
    async with listening(settings(tmp_path, **tables)) as web:
        web.app.core.dispatcher.expected.add("telegram")  # as if a bot were configured
        roster: Roster = web.app.roster
        await roster.allow("telegram:5", "user")
        made = await web.local.post("/v1/keys", json={"scope": "operate", "who": "telegram:5"})
        secret = made.json()["secret"]
        async with web.remote(authorization=f"Bearer {secret}") as theirs:
            assert (await theirs.get("/v1/jobs")).json() == []
            assert (await theirs.get("/v1/jobs/fixed")).status_code == 404
            assert (await theirs.post("/v1/jobs/fixed/run")).status_code == 404
            job = (await theirs.post("/v1/jobs", json=WATER)).json()
            # Of whose key it is; the answer goes to their own chat.
            assert (job["owner"], job["deliver_to"], job["source"]) == ("telegram:5", ["telegram:5"], "api")
            fast = await theirs.post("/v1/jobs", json={"schedule": "every 1m", "prompt": "x"})
            assert (fast.status_code, "once in 5 minutes" in fast.json()["error"]) == (409, True)
            other = await theirs.post("/v1/jobs", json={**WATER, "name": "x", "deliver_to": ["telegram:6"]})
            assert (other.status_code, "only an admin" in other.json()["error"]) == (409, True)
            assert (await theirs.delete("/v1/jobs/water")).json() == {"removed": "water"}


async def test_what_would_be_made_is_told_and_not_made(tmp_path: Path) -> None:
    async with listening(settings(tmp_path)) as web:
        found = (await web.local.post("/v1/jobs/check", json=WATER)).json()
        assert (found["schedule"], len(found["next_times"])) == ("0 8 * * 1-5", 3)
        assert (await web.local.get("/v1/jobs")).json() == []
        wrong = await web.local.post("/v1/jobs/check", json={**WATER, "schedule": "whenever"})
        assert wrong.status_code == 409
        odd = await web.local.post("/v1/jobs", json={**WATER, "colour": "red"})
        assert (odd.status_code, odd.json()["fields"][0]["field"]) == (422, "colour")
