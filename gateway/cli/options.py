"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def _inherited(ctx: typer.Context, value: Path | None) -> Path | None:
    """`parley -c FILE people list` means the same as `parley people list -c FILE`."""
    given: Any = value if value is not None else ctx.find_root().params.get("config")
    return Path(given) if given is not None else None


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration. Left out: ./parley.toml if there is one.",
        callback=_inherited,
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)]
