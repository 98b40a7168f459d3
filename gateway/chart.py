"""The bill as a picture: days stacked by model, readable on a phone; pure. Money is nano-dollars."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING

from gateway.reports import DayCost
from gateway.texts import say
from gateway.texts.forms import dated, money, rate
from gateway.types.measures import DOLLAR

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

SIZE = (1080, 720)  # pixels: as wide as most phones show a picture
# Okabe and Ito's colours, which people tell apart whatever colours they see; grey is for all the others.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
OTHERS = "#8A8A8A"
PAPER, INK, RULE = "#FFFFFF", "#1A1A1A", "#D8D8D8"
TITLE, TEXT = 42, 30  # pixels
MARGIN = 30
TOP = 130  # of the plot
ROW = 46  # of the legend, which has two columns
MOST_TICKS = 4
MOST_DATES = 7
FILLED = 0.72  # of a day's width


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """*label*: what to write under it; *models*: what each cost."""

    label: str
    models: Mapping[str, int]


def chart(found: Sequence[Day], *, title: str, others: str, lang: str = "") -> bytes:
    """A PNG of SIZE; the dearest models have colours of their own, *others* is what the rest is called.

    Raises ValueError without any cost: there is nothing to draw.
    """
    from PIL import Image, ImageDraw, ImageFont

    sums = _ranked(found, others)
    most = max((sum(day.models.values()) for day in found), default=0)
    if most <= 0:
        raise ValueError("a chart of nothing")
    big, font = ImageFont.load_default(TITLE), ImageFont.load_default(TEXT)
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    width, height = SIZE
    draw.text((MARGIN, MARGIN), fitting(title, width * 0.6, big), INK, big)
    draw.text((width - MARGIN, MARGIN), _plain(money(sum(sums.values()), lang)), INK, big, anchor="ra")
    bottom = height - MARGIN - ROW * ((len(sums) + 1) // 2) - 2 * TEXT
    left = _scale(draw, font, most, bottom, lang)
    _bars(draw, found, sums, (left, bottom), ticks(most)[-1])
    _dates(draw, font, [day.label for day in found], left, bottom)
    _legend(draw, font, sums, bottom + 2 * TEXT, lang)
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def drawn(found: Sequence[DayCost], dates: Sequence[date], lang: str = "") -> list[Day]:
    """Every day of *dates*, also those without any cost."""
    models = {each.date: each.by_model for each in found}
    pattern = say("cost.date", lang)
    return [
        Day(
            label=dated(datetime.combine(each, time()), pattern, lang),
            models=models.get(each.isoformat(), {}),
        )
        for each in dates
    ]


def ticks(most: int) -> list[int]:
    """Round amounts from 0 to the first that is not below *most*: 1, 2 or 5 times a power of ten apart."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            count = -(-most // step)
            if count <= MOST_TICKS:
                return [step * number for number in range(count + 1)]
        power *= 10


def fitting(text: str, width: float, font: Font) -> str:
    """The text, cut with an ellipsis where it is wider than so many pixels."""
    text = _plain(text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _plain(text: str) -> str:
    """In letters that Pillow's own font has: without accents and hard spaces."""
    letters = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(each for each in letters if each.isascii() and each.isprintable())


def _ranked(found: Sequence[Day], others: str) -> dict[str, int]:
    """Dearest first; what has no colour of its own is one sum at the end."""
    sums: dict[str, int] = {}
    for day in found:
        for model, cost in day.models.items():
            sums[model] = sums.get(model, 0) + cost
    ranked = sorted(((model, cost) for model, cost in sums.items() if cost > 0), key=lambda each: -each[1])
    kept = dict(ranked[: len(COLOURS)])
    if rest := ranked[len(COLOURS) :]:
        kept[others] = sum(cost for _, cost in rest)
    return kept


def _colour(number: int) -> str:
    return COLOURS[number] if number < len(COLOURS) else OTHERS


def _scale(draw: ImageDraw, font: Font, most: int, bottom: int, lang: str) -> int:
    """Rules across the plot and what they stand for; gives where the plot begins."""
    amounts = ticks(most)
    labels = [_plain(rate(Decimal(amount) / DOLLAR, lang)) for amount in amounts]
    left = MARGIN + int(max(font.getlength(label) for label in labels)) + 16
    for number, label in enumerate(labels):
        y = bottom - (bottom - TOP) * number // (len(amounts) - 1)
        draw.line((left, y, SIZE[0] - MARGIN, y), RULE, 2)
        draw.text((left - 16, y), label, INK, font, anchor="rm")
    return left


def _bars(
    draw: ImageDraw, found: Sequence[Day], sums: Mapping[str, int], corner: tuple[int, int], top: int
) -> None:
    left, bottom = corner
    slot = (SIZE[0] - MARGIN - left) / len(found)
    scale = (bottom - TOP) / top
    for at, day in enumerate(found):
        begin = left + round(slot * (at + (1 - FILLED) / 2))
        end = max(begin, left + round(slot * (at + (1 + FILLED) / 2)) - 1)
        parts = [day.models.get(model, 0) for model in sums]
        if len(sums) > len(COLOURS):
            parts[-1] = sum(day.models.values()) - sum(parts[:-1])
        below = 0
        for number, part in enumerate(parts):
            # Rounded from the ground up, so that a bar is as high as its sum.
            low, high = bottom - round(below * scale), bottom - round((below + part) * scale)
            if part > 0 and below == 0:
                high = min(high, low - 2)  # little is not nothing
            if high < low:
                draw.rectangle((begin, high, end, low - 1), _colour(number))
            below += part


def _dates(draw: ImageDraw, font: Font, labels: Sequence[str], left: int, bottom: int) -> None:
    """Under every day, or as many as there is room for, the last always."""
    slot = (SIZE[0] - MARGIN - left) / len(labels)
    every = -(-len(labels) // MOST_DATES)
    for at in range(len(labels) - 1, -1, -every):
        text = _plain(labels[at])
        half = font.getlength(text) / 2
        middle = min(left + slot * (at + 0.5), SIZE[0] - MARGIN - half)
        draw.text((middle, bottom + 10), text, INK, font, anchor="ma")


def _legend(draw: ImageDraw, font: Font, sums: Mapping[str, int], top: int, lang: str) -> None:
    column = (SIZE[0] - 2 * MARGIN) // 2
    names = _short(list(sums))
    for number, (name, cost) in enumerate(zip(names, sums.values(), strict=True)):
        x, y = MARGIN + column * (number % 2), top + ROW * (number // 2)
        draw.rectangle((x, y + 4, x + 26, y + 30), _colour(number))
        amount = _plain(money(cost, lang))
        end = x + column - 24
        draw.text((end, y + 2), amount, INK, font, anchor="ra")
        room = column - 24 - 40 - 16 - font.getlength(amount)
        draw.text((x + 40, y + 2), fitting(name, room, font), INK, font)


def _short(refs: Sequence[str]) -> list[str]:
    """Models without their providers, where no two are called the same."""
    models = [ref.rpartition("/")[2].rpartition(":")[2] for ref in refs]
    return models if len(set(models)) == len(models) else list(refs)
