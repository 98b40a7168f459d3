"""The bill as a picture: what is drawn is what was spent, and it reaches whoever asked."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image, ImageColor, ImageFont

from gateway.chart import COLOURS, OTHERS, SIZE, TOP, Day, chart, fitting, ticks
from gateway.types.measures import DOLLAR
from storage import Store
from tests.chats import chatting
from tests.conftest import Clock
from tests.path import ANN


def inked(days: Sequence[Day], *, rows: int) -> tuple[Image.Image, Counter[str]]:
    """The picture, and how many pixels of the plot have each colour; under it are so many *rows* of the legend."""
    picture = Image.open(BytesIO(chart(days, title="last 7 days", others="others")))
    names = {ImageColor.getrgb(each): each for each in (*COLOURS, OTHERS)}
    # Above the last dates: the legend has those colours too.
    plot = picture.crop((0, TOP, SIZE[0], SIZE[1] - 30 - rows * 46 - 60))
    return picture, Counter(names[each] for each in plot.get_flattened_data() if each in names)


def test_a_colour_covers_what_its_model_cost_and_the_smallest_models_share_one() -> None:
    models = {f"p:m{n}": (8 - n) * DOLLAR for n in range(8)}
    picture, found = inked(
        [Day(label="1 Jul", models=models), Day(label="2 Jul", models={"p:m0": 8 * DOLLAR})], rows=3
    )
    assert (picture.format, picture.size) == ("PNG", SIZE)
    per_dollar = found[COLOURS[0]] / 16
    for number, colour in enumerate(COLOURS[1:], 1):
        assert found[colour] / per_dollar == pytest.approx(8 - number, rel=0.05)
    assert found[OTHERS] / per_dollar == pytest.approx(3 + 2 + 1, rel=0.05)


def test_a_day_that_cost_next_to_nothing_can_still_be_seen() -> None:
    _, found = inked([Day(label="", models={"p:a": 100 * DOLLAR}), Day(label="", models={"p:b": 1})], rows=1)
    assert found[COLOURS[1]] > 0


@pytest.mark.parametrize("count", [2, 7, 30, 90, 92])
def test_any_number_of_days_is_drawn_and_every_one_of_them_apart(count: int) -> None:
    days = [Day(label=f"{n} Jul", models={"p:a": DOLLAR if n % 2 else 0}) for n in range(count)]
    picture = Image.open(BytesIO(chart(days, title="t" * 200, others="o", lang="de"))).convert("RGB")
    blue = ImageColor.getrgb(COLOURS[0])
    row = [picture.getpixel((x, 400)) == blue for x in range(SIZE[0])]
    assert sum(now and not before for before, now in zip([False, *row], row, strict=False)) == count // 2


@pytest.mark.parametrize("days", [[], [Day(label="1", models={})], [Day(label="1", models={"p:a": 0})]])
def test_nothing_is_no_picture(days: list[Day]) -> None:
    with pytest.raises(ValueError, match="nothing"):
        chart(days, title="t", others="o")


@pytest.mark.parametrize(
    "most, expected",
    [(1, [0, 1]), (4, [0, 1, 2, 3, 4]), (5, [0, 2, 4, 6]), (3 * DOLLAR, [n * DOLLAR for n in range(4)]),
     (11 * DOLLAR, [0, 5 * DOLLAR, 10 * DOLLAR, 15 * DOLLAR])],
)  # fmt: skip
def test_the_scale_is_in_round_amounts_and_reaches_the_dearest_day(most: int, expected: list[int]) -> None:
    assert ticks(most) == expected


def test_a_long_name_is_cut_and_letters_the_font_lacks_are_not_boxes() -> None:
    font = ImageFont.load_default(30)
    assert fitting("größere", 1000, font) == "grossere"
    cut = fitting("a-very-long-model-name" * 5, 200, font)
    assert cut.endswith("…") and font.getlength(cut) <= 200


def test_pillow_is_loaded_only_when_something_is_drawn() -> None:
    script = "import sys, gateway.chart, gateway.commands.table; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


async def test_who_asks_for_several_days_is_sent_the_picture_after_the_table(
    store: Store, clock: Clock
) -> None:
    async with chatting(store, clock) as chat:
        channel = chat.path.channel
        channel.can = replace(channel.can, file=True)
        await chat.told("hello", "You said: hello")
        await chat.told("/cost 7d", "Total", "")
        ((name, data),) = channel.sent_files.values()
        assert name == "cost.png" and Image.open(BytesIO(data)).size == SIZE
        assert list(channel.sent_files)[-1] == list(channel.messages[ANN])[-1]
        await chat.told("/cost today", "Cost, today")
        await chat.told("/cost all", "Cost, since ever")
        assert len(channel.sent_files) == 1


async def test_a_channel_without_files_is_sent_the_table_alone(store: Store, clock: Clock) -> None:
    async with chatting(store, clock) as chat:
        await chat.told("hello", "You said: hello")
        assert "Total" in await chat.told("/cost 7d", "Total")
        assert await store.read(lambda unit: unit.media.paths()) == set()
