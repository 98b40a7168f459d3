"""Buttons under a message."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.types.json import Json
from gateway.types.outbound import Button

ROW = 3  # buttons, and
ROW_TEXT = 30  # characters that a phone shows side by side


def keyboard(buttons: Sequence[Button]) -> Json:
    """An InlineKeyboardMarkup (Bot API): short labels side by side, long ones each in a row."""
    rows: list[list[Button]] = []
    for button in buttons:
        row = rows[-1] if rows else []
        if not row or len(row) == ROW or sum(len(each.label) for each in (*row, button)) > ROW_TEXT:
            rows.append([button])
        else:
            row.append(button)
    return {
        "inline_keyboard": [
            [{"text": each.label, "callback_data": each.token} for each in row] for row in rows
        ]
    }
