"""What a model thinks is shown with /verbose full, before its answer, and is in no transcript."""

from __future__ import annotations

import pytest

from gateway import verbose
from gateway.failpoints import Point
from gateway.tools import default_tools
from gateway.transcript import ToolUse
from gateway.types.places import Place
from storage import Store, Unit
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, Path, path


async def choose(gw: Path, how: str) -> None:
    async def work(unit: Unit) -> None:
        place = await unit.places.at(gw.account, Place(chat_id=ANN))
        await unit.places.set(place.id, {"verbose": how})

    await gw.store.commit(Point.PEOPLE, work)


@pytest.mark.parametrize("how", ["full", "brief", "off"])
async def test_thoughts_are_shown_in_full_only_and_never_kept(store: Store, clock: Clock, how: str) -> None:
    model = ScriptedModel(queue=[Script(text="Yes.", thoughts=("Is it\n", "so?"))])
    async with path(store, clock=clock, model=model) as gw:
        await choose(gw, how)
        await gw.says("is it?")
        await gw.channel.until(ANN, "Yes.")
        shown = "> 💭 Is it\n> so?\n\nYes." if how == "full" else "Yes."
        assert gw.channel.texts(ANN) == [shown]
        kept = await gw.rows("SELECT body FROM entry WHERE kind = 'assistant'")
        assert "so?" not in str(kept) and "Yes." in str(kept)


async def test_the_thoughts_of_each_step_stand_before_what_came_of_it(store: Store, clock: Clock) -> None:
    call = ToolUse("c1", "now", "{}")
    model = ScriptedModel(
        queue=[
            Script(text="One moment.", tool=call, thoughts=("A clock.",)),
            Script(text="Noon.", thoughts=("It said so.",)),
        ]
    )
    async with path(store, clock=clock, model=model, tools=default_tools()) as gw:
        await choose(gw, "full")
        await gw.says("when?")
        await gw.channel.until(ANN, "Noon.")
        (text,) = gw.channel.texts(ANN)
        order = [text.index(each) for each in ("💭 A clock.", "One moment.", "⚙", "💭 It said so.", "Noon.")]
        assert order == sorted(order)


def test_a_long_thought_is_shortened() -> None:
    shown = verbose.thinking("full", "word " * 1000)
    assert len(shown) < 620 and shown.endswith("…\n\n")
    assert verbose.thinking("full", "  \n") == ""
