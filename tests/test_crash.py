"""kill -9 at any moment: nothing accepted is lost, nothing is done twice, every request is on the bill."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.failpoints import Point
from tests.crash.harness import Plan, Stage, run, stage
from tests.crash.judge import judge
from tests.crash.points import SIDES, WAYS, answers, besiege, dies, pressed

pytestmark = pytest.mark.crash
ROOT = Path(__file__).resolve().parents[1]


async def broken(on: Stage) -> list[str]:
    """What the judge finds on a stage whose gateway has stopped."""
    return judge(await on.collect()).wrong


async def lives(folder: Path, plans: list[Plan]) -> None:
    """All plans at once; a failure shows the seeds that bring it back."""
    folders = [folder / str(number) for number in range(len(plans))]
    for each in folders:
        each.mkdir()
    all_evidence = await asyncio.gather(*(run(*pair) for pair in zip(plans, folders, strict=True)))
    for plan, evidence in zip(plans, all_evidence, strict=True):
        assert judge(evidence).wrong == [], f"again with {plan}"
        assert evidence.kills == plan.kills


async def test_twenty_kills_lose_nothing_and_repeat_no_more_than_openings(tmp_path: Path) -> None:
    await lives(tmp_path, [Plan(kills=10, messages=25, seed=seed, chats=4) for seed in (11, 12)])


async def test_with_placeholders_no_text_is_ever_repeated(tmp_path: Path) -> None:
    plan = Plan(kills=3, messages=10, seed=21, chats=4, delivery="placeholder")
    other = Plan(kills=3, messages=10, seed=22, chats=4, delivery="placeholder", provider="anthropic")
    await lives(tmp_path, [plan, other])


async def test_with_drafts_no_more_than_a_message_is_repeated(tmp_path: Path) -> None:
    plan = Plan(kills=3, messages=10, seed=31, chats=4, delivery="draft")
    await lives(tmp_path, [plan])


async def test_on_discord_nothing_is_lost_and_nothing_repeated(tmp_path: Path) -> None:
    plans = [Plan(kills=10, messages=25, seed=seed, chats=4, platform="discord") for seed in (31, 32)]
    await lives(tmp_path, plans)


# Around each of these the promises are made or broken.
SIEGES = {
    "accept-begin": (Point.ACCEPT, Point.BEGIN),
    "settle-finish": (Point.SETTLE, Point.FINISH),
    "send-placed": (Point.SEND, Point.PLACED),
    "control": (Point.CONTROL,),
}


async def test_death_on_either_side_of_a_commit_is_made_good(tmp_path: Path) -> None:
    async def one(name: str) -> list[str]:
        (tmp_path / name).mkdir()
        async with stage(tmp_path / name) as on:
            await besiege(on, [(point, side, 1) for point in SIEGES[name] for side in SIDES])
            return await broken(on)

    assert await asyncio.gather(*(one(name) for name in SIEGES)) == [[]] * len(SIEGES)


async def test_a_pressed_button_counts_though_the_process_dies_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await pressed(on, 1)
        assert await broken(on) == []


async def test_a_turn_goes_on_where_it_died_and_runs_no_tool_twice(tmp_path: Path) -> None:
    deaths = {
        f"{Point.SETTLE}:after:1": "noted",  # between the first request and its tool
        f"{Point.TOOL}:after:1": "interrupted",  # the tool has run, nobody knows
        f"{Point.RESULTS}:after:1": "noted",  # between the tool and the second request
    }

    async def one(kill_at: str, told: str) -> None:
        folder = tmp_path / told / kill_at.partition(":")[0]
        folder.mkdir(parents=True)
        async with stage(folder) as on:
            said = await on.say(on.chats[0], "tool")
            await dies(on, kill_at)
            await answers(on)
            assert await broken(on) == []
        assert len(on.evidence.requests) == 2, f"{kill_at}: what was settled is not asked again"
        assert on.evidence.notes == [said.word], f"{kill_at}: the tool ran once"
        (answer,) = on.evidence.shown[said.chat]
        assert f"the tool said {told}" in answer.text, kill_at

    await asyncio.gather(*(one(*death) for death in deaths.items()))


async def test_a_request_cut_by_death_is_asked_again_and_booked_as_an_estimate(tmp_path: Path) -> None:
    async with stage(tmp_path, before=1.0) as on:
        await on.start()
        said = await on.say(on.chats[0], "short")
        await on.asked(1)
        await on.kill()
        await answers(on)
        verdict = judge(await on.collect())
    assert verdict.wrong == []
    assert verdict.numbers["requests"] == verdict.numbers["ledger rows"] == 2
    assert verdict.numbers["estimated"] == 1
    assert len(on.evidence.shown[said.chat]) == 1


async def test_the_judge_sees_what_is_lost_repeated_or_not_billed(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        said = [await on.say(chat, "medium") for chat in on.chats[:2]]
        await answers(on)
        assert await broken(on) == []
    evidence, damage = on.evidence, tmp_path / "damaged.db"
    shown = evidence.shown[said[0].chat]

    def found(sql: str) -> str:
        shutil.copy(evidence.database, damage)
        with closing(sqlite3.connect(damage)) as db:
            db.execute(sql)
            db.commit()
        return "; ".join(judge(replace(evidence, database=damage)).wrong)

    assert "lost" in found('UPDATE entry SET body = \'{"v":1,"text":""}\' WHERE turn = 1 AND kind = \'user\'')
    assert "twice" in found(
        "UPDATE entry SET body = (SELECT body FROM entry WHERE turn = 2 AND kind = 'user')"
        " WHERE turn = 1 AND kind = 'user'"
    )
    assert "the ledger has 1 rows" in found("DELETE FROM usage WHERE turn = 1")
    assert "1 turns still open" in found("UPDATE turn SET state = 'running' WHERE id = 2")
    assert "has 0 answers" in found("DELETE FROM entry WHERE turn = 1 AND kind = 'assistant'")
    assert "nothing accounts for" in found("UPDATE outbox SET message_id = '0' WHERE origin = 'turn:1'")
    shown.append(replace(shown[0], id=99, history=(shown[0].text,)))
    assert "nothing accounts for" in found("SELECT 1"), "a repeated whole text"
    shown[-1] = replace(shown[-1], history=(f"You said {said[0].word}.",))
    assert "was not killed" in found("SELECT 1"), "a repeated opening, without a kill"


def test_every_fail_point_is_passed_somewhere_in_the_product() -> None:
    source = "\n".join(
        path.read_text()
        for folder in ("gateway", "channels", "storage")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "failpoints.py"
    )
    passed = set(re.findall(r"(?:commit|passing)\(\s*Point\.([A-Z_]+)", source))
    assert set(Point.__members__) - passed == set()


def test_every_way_to_a_fail_point_leads_to_one_that_exists() -> None:
    assert set(WAYS) <= set(Point)


async def test_a_compaction_cut_by_death_is_whole_or_was_never_made(tmp_path: Path) -> None:
    deaths = (
        f"{Point.MODEL}:after:2",  # the notes are there, nothing of them is on disk
        f"{Point.COMPACT}:after:1",  # it is made, nobody was told
    )

    async def one(kill_at: str) -> None:
        folder = tmp_path / kill_at.replace(":", "-")
        folder.mkdir()
        async with stage(folder) as on:
            await on.say(on.chats[0], "medium")
            await on.say_text(on.chats[0], "/compact")
            last = await on.say(on.chats[0], "short")
            await dies(on, kill_at)
            await answers(on)
            assert await broken(on) == [], kill_at
        with closing(sqlite3.connect(on.evidence.database)) as db:
            made = db.execute("SELECT entry_seq, cost, usage_uid FROM compaction ORDER BY id").fetchall()
            summaries = db.execute("SELECT seq FROM entry WHERE kind = 'summary' ORDER BY seq").fetchall()
            booked = db.execute("SELECT uid, state FROM usage WHERE purpose = 'compaction'").fetchall()
        assert [row[0] for row in made] == [row[0] for row in summaries] and len(made) == 1, kill_at
        states = dict(booked)
        assert states[made[0][2]] == "known" and set(states.values()) <= {"known", "estimated"}, kill_at
        # What was lost is on the bill as an estimate, what was kept is not asked again.
        assert len(states) == (1 if kill_at == deaths[-1] else 2), kill_at
        prompts = [
            str(each["body"]["messages"]) for each in on.evidence.requests if each["body"].get("tools")
        ]
        assert "[Summary of the earlier conversation" in prompts[-1] and last.word in prompts[-1], kill_at

    await asyncio.gather(*(one(each) for each in deaths))
