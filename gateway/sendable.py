"""Single values of a prompt, as every provider takes them; pure."""

from __future__ import annotations

import json
import re
from itertools import count

from gateway.storable import clean

# The narrower of both vendors' rules: Anthropic takes ^[a-zA-Z0-9_-]+$ for ids and up to 128 characters for
# names; OpenAI refuses ids above 40 characters and names above 64.
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NAME_LENGTH = 64


def json_object(args: str) -> str | None:
    """*args* as a JSON object that can be sent, the same text if it is one already; None if it is not one."""
    try:
        found = json.loads(args)
        # NaN and Infinity are read by Python and by nobody else.
        written = json.dumps(found, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    # An escaped half of a surrogate pair only shows once it is read.
    return args if clean(written) == written and clean(args) == args else clean(written)


def unused_id(id: str, seen: set[str]) -> str:
    """*id*, or another when it cannot be sent or was had before."""
    if not _ID.fullmatch(id) or id in seen:
        id = next(new for n in count(len(seen) + 1) if (new := f"call_{n}") not in seen)
    seen.add(id)
    return id


def tool_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_NAME_LENGTH] or "unnamed"
