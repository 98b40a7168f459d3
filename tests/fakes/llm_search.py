"""Searches of the web that the fake servers make for their models: Messages API, web search tool."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.fakes.llm_shape import Body, Refusal

if TYPE_CHECKING:
    from tests.fakes.llm import Usage

TYPE = re.compile(r"web_search_(20250305|20260209|20260318)")
SEALED = "EqSealed"  # what is encrypted begins so; a client sends it back as it is
FOUND = 400  # tokens that the pages of one search add to the prompt


@dataclass(frozen=True, slots=True)
class Page:
    url: str
    title: str


@dataclass(frozen=True, slots=True)
class Search:
    """One search of the model's: what it asked for, and the *pages* it found and cites."""

    query: str
    pages: tuple[Page, ...] = ()
    id: str = ""


def allowed(body: Body) -> int | None:
    """So many searches the request allows; None: as many as the model likes."""
    tools = [tool for tool in body.get("tools") or [] if str(tool.get("type")).startswith("web_search")]
    if not tools:
        return 0
    most = tools[0].get("max_uses", body.get("max_tool_calls"))
    return None if most is None else int(most)


def billed(usage: Usage, made: int) -> Usage:
    """The model is asked anew after each search, with what was found until then; each time is billed."""
    prompt = usage.prompt_tokens
    more = sum(prompt + n * FOUND for n in range(1, made + 1))
    return replace(usage, input_tokens=usage.input_tokens + more, searches=made)


def cited(searches: Sequence[Search]) -> list[Page]:
    return [page for search in searches for page in search.pages]


# ---- Anthropic's form ----


def use(search: Search) -> Body:
    return {
        "type": "server_tool_use",
        "id": search.id,
        "name": "web_search",
        "input": {"query": search.query},
    }


def result(search: Search) -> Body:
    found = [
        {
            "type": "web_search_result",
            "url": page.url,
            "title": page.title,
            "encrypted_content": f"{SEALED}{page.title}",
            "page_age": None,
        }
        for page in search.pages
    ]
    return {"type": "web_search_tool_result", "tool_use_id": search.id, "content": found}


def citation(page: Page) -> Body:
    return {
        "type": "web_search_result_location",
        "url": page.url,
        "title": page.title,
        "encrypted_index": f"{SEALED}{len(page.title)}",
        "cited_text": page.title,
    }


def check(body: Body) -> None:
    """Raises Refusal as POST /v1/messages answers 400 to what is wrong about searches."""
    for index, tool in enumerate(body.get("tools") or []):
        check_tool(index, tool)
    for index, message in enumerate(body["messages"]):
        if isinstance(message["content"], list):
            check_blocks(f"messages.{index}", message["content"])


def check_tool(index: int, tool: Body) -> None:
    """Raises Refusal as the Messages API does for its own tool."""
    if not TYPE.fullmatch(str(tool.get("type"))):
        return
    if tool.get("name") != "web_search":
        raise Refusal(f"tools.{index}.{tool['type']}.name: Input should be 'web_search'")
    most: Any = tool.get("max_uses")
    if most is not None and (not isinstance(most, int) or most < 1):
        raise Refusal(f"tools.{index}.{tool['type']}.max_uses: Input should be greater than 0")


def check_blocks(where: str, content: Sequence[Body]) -> None:
    """What was searched for comes back in its pairs, sealed as it was."""
    asked: str | None = None
    for block in content:
        if asked is not None and (
            block.get("type") != "web_search_tool_result" or block.get("tool_use_id") != asked
        ):
            raise Refusal(
                f"{where}: `web_search` tool use with id `{asked}` was found without a corresponding "
                "`web_search_tool_result` block"
            )
        if block.get("type") == "web_search_tool_result":
            if asked is None:
                raise Refusal(
                    f"{where}: unexpected `tool_use_id` found in `web_search_tool_result` blocks: "
                    f"{block.get('tool_use_id')}"
                )
            for page in block["content"]:
                if not str(page.get("encrypted_content", "")).startswith(SEALED):
                    raise Refusal(f"{where}: Invalid `encrypted_content` in `search_result` block")
        asked = block["id"] if block.get("type") == "server_tool_use" else None
    if asked is not None:
        raise Refusal(f"{where}: `web_search` tool use with id `{asked}` was found without a result")


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
