"""What the steps of `parley init` have in common."""

from __future__ import annotations

import typer

from gateway.errors import Refused


def accepted(state: str, text: str, yes: bool) -> bool:
    """Tell what the check gave. Raises Refused for a wrong key that nobody is there to correct."""
    if state == "ok":
        print(f"   ✓ {text}")
        return True
    print(f"   ✗ {text}")
    if state == "refused":
        if yes:
            raise Refused("the key given is wrong; nothing was written")
        print("   Copy it again, whole.")
        return False
    return yes or typer.confirm("   Use it all the same?", default=False)
