"""What is reserved for a prompt is never below what a provider counts, however it counts and whatever is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.bounds import CONTEXT, Measures, picture_tokens, whole
from gateway.models.catalogue import Catalogue
from gateway.others_words import with_overheard
from gateway.protocols.answer import Answer
from gateway.protocols.messages import AssistantMessage, Message, Picture, ResultsMessage, UserMessage
from gateway.protocols.model import Model
from gateway.protocols.prompt import Prompt
from gateway.protocols.tool import ToolSpec
from gateway.transcript import Opaque, Text, ToolResult, ToolUse
from tests.fakes.llm import FakeLLM, Reply
from tests.fakes.llm_shape import Body, blocks
from tests.wires import MINI, SONNET, providers

# What no tokenizer may make more of than its bytes: single bytes, emoji of many parts, what grows when it is brought
# into its compatible form, halves of characters, what JSON escapes.
ODD = ("a", "\n", "é", "😀", "👩‍👩‍👧‍👦", "ﷺ", "\ufb01", "\ud83d", '"', "\\", "\x01", "漢", "ab cd", "x" * 90)
TEXTS = st.lists(st.sampled_from(ODD), min_size=1, max_size=6).map("".join)
ARGS = st.one_of(
    st.dictionaries(TEXTS.filter(lambda text: "\ud83d" not in text), st.lists(st.integers(0, 9)), max_size=3).map(
        lambda found: json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    ),
    st.sampled_from(["", "{broken", "[]", '{"é":"\\u0001"}']),
)  # fmt: skip
PICTURES = st.lists(st.builds(Picture, st.integers(1, 3), st.just("image/png"), st.just(b"PNG")), max_size=2)
USERS = st.builds(UserMessage, st.lists(TEXTS, min_size=1, max_size=5).map(tuple), PICTURES.map(tuple))
TOOLS = st.lists(
    st.builds(
        ToolSpec,
        name=st.sampled_from(["now", "n" * 64, "x"]),
        description=TEXTS.map(lambda text: text.encode(errors="replace").decode()),
        parameters=st.sampled_from(
            [{"type": "object"}, {"type": "object", "properties": {"é": {"type": "string", "enum": ["😀"]}}}]
        ),
    ),
    max_size=3,
    unique_by=lambda tool: tool.name,
).map(tuple)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """As history.build makes them: people and model by turns, results behind their calls."""
    found: list[Message] = []
    for number in range(draw(st.integers(1, 6))):
        found.append(draw(USERS))
        for step in range(draw(st.integers(0, 2))):
            ids = [f"{draw(TEXTS)}{number}.{step}.{n}" for n in range(draw(st.integers(1, 3)))]
            thought = Opaque("anthropic", {"text": draw(TEXTS.filter(str.isascii)), "signature": "c2lnbmVk"})
            calls = [ToolUse(id, draw(st.sampled_from(["now", "n" * 64])), draw(ARGS)) for id in ids]
            found.append(AssistantMessage((thought, Text(draw(TEXTS)), *calls)))
            found.append(ResultsMessage(tuple(ToolResult(call.id, call.name, draw(TEXTS)) for call in calls)))
        found.append(AssistantMessage((Text(draw(TEXTS)),)))
    return (*found, draw(USERS))


PROMPTS = st.builds(
    Prompt,
    stable=st.sampled_from(["", "Be kind.", "漢字 😀 " * 30]),
    messages=conversations(),
    volatile=st.sampled_from(["", "It is noon. 😀"]),
    tools=TOOLS,
    cache=st.sampled_from(["off", "5m", "1h"]),
)


def greedy(model: Model, body: Body) -> int:
    """The body counted as dearly as may be: each byte a token, pictures as large as they can be, and what is unseen.

    Marks: OpenAI cookbook, counting tokens, 3 a message and 3 for the answer, 12 a tool. Anthropic, tool use: 530.
    """
    tools = sum(12 + bytes_of(each) for each in body.get("tools") or [])
    system = sum(bytes_of(block["text"]) for block in blocks(body.get("system") or []))
    said = sum(4 + sum(_leaves(model, message)) for message in body["messages"])
    return 3 + tools + system + said + (530 if tools else 0)


def bytes_of(value: Any) -> int:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return max(len(text.encode()), len(normalize("NFKC", text).encode()))


def _leaves(model: Model, message: Body) -> Iterator[int]:
    for call in message.get("tool_calls") or []:
        yield (
            bytes_of(call["id"])
            + bytes_of(call["function"]["name"])
            + bytes_of(call["function"]["arguments"])
        )
    yield bytes_of(message.get("tool_call_id") or "")
    for block in blocks(message.get("content") or []):
        match block["type"]:
            case "text":
                yield bytes_of(block["text"])
            case "image" | "image_url":
                yield picture_tokens(model.kind, model.model)
            case "tool_use":
                yield bytes_of(block["id"]) + bytes_of(block["name"]) + bytes_of(block["input"])
            case "tool_result":
                yield bytes_of(block["tool_use_id"]) + bytes_of(block["content"])
            case "thinking":
                yield bytes_of(block["thinking"]) + bytes_of(block["signature"])
            case other:
                raise AssertionError(other)


class Wire:
    """Both vendors' servers, for as long as a test runs."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.llm = self.runner.run(FakeLLM(script=lambda ask: Reply(text="Yes.")).__aenter__())
        self.catalogue = Catalogue(providers=providers(self.llm.url), default=SONNET)

    def model(self, ref: str) -> Model:
        return self.catalogue.chain(ref)[0]

    def counts(self, ref: str, prompt: Prompt) -> tuple[Model, int, int]:
        """(the model, the dearest count of the request on the wire, the server's own count)."""
        model = self.model(ref)

        async def asked() -> Answer:
            return [event async for event in model.stream(prompt) if isinstance(event, Answer)][-1]

        answer = self.runner.run(asked())
        assert answer.tokens is not None
        return model, greedy(model, self.llm.requests[-1].body), answer.tokens.input

    def close(self) -> None:
        self.runner.run(self.catalogue.close())
        self.runner.run(self.llm.__aexit__())
        self.runner.close()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    opened = Wire()
    yield opened
    opened.close()


many = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("ref", [SONNET, MINI])
@many
@given(prompt=PROMPTS)
def test_the_bound_is_above_every_count(wire: Wire, ref: str, prompt: Prompt) -> None:
    model, dearest, counted = wire.counts(ref, prompt)
    assert whole(model, prompt) >= dearest
    assert whole(model, prompt) >= counted


@pytest.mark.parametrize("ref", [SONNET, MINI])
@many
@given(prompt=PROMPTS, data=st.data())
def test_so_is_what_was_counted_last_and_what_came_to_it(
    wire: Wire, ref: str, prompt: Prompt, data: st.DataObject
) -> None:
    """Whichever part of the conversation the request before was about, and whatever was said since."""
    asked = [n + 1 for n, each in enumerate(prompt.messages) if not isinstance(each, AssistantMessage)]
    before = prompt.messages[: data.draw(st.sampled_from(asked))]
    if data.draw(st.booleans()):  # a question with something that is in that prompt only
        before = with_overheard(before, [{"text": "hush", "from": "Eve"}])
    measures = Measures()
    model, dearest, _ = wire.counts(ref, earlier := replace(prompt, messages=before, volatile="Earlier."))
    measures.learn(model, earlier, dearest, session=1)
    later = data.draw(st.sampled_from([prompt, earlier, replace(prompt, messages=prompt.messages[:1])]))
    assert measures.bound(model, later, session=1) >= wire.counts(ref, later)[1]


def test_many_small_messages_and_calls_have_room_for_what_stands_around_them(wire: Wire) -> None:
    """4,000 messages of a byte come to some tokens each, whoever counts."""
    small = UserMessage(("a",)), AssistantMessage((Text("b"),))
    model = wire.model(MINI)
    bound = whole(model, Prompt(stable="", messages=(*small * 2_000, UserMessage(("c",)))))
    assert bound >= 4_001 * (1 + 4)
    calls = tuple(ToolUse(f"c{n}", "now", "") for n in range(500))
    given = ResultsMessage(tuple(ToolResult(each.id, "now", "") for each in calls))
    assert whole(
        model, Prompt(stable="", messages=(UserMessage(("a",)), AssistantMessage(calls), given))
    ) >= (500 * (40 + 40 + len('now{}"(no output)"') + 8))


def test_what_grows_when_it_is_brought_into_its_compatible_form_is_counted_so(wire: Wire) -> None:
    text = "ﷺ" * 1_000  # one character, 3 bytes; 18 characters, 33 bytes
    bound = whole(wire.model(MINI), Prompt(stable="", messages=said(text)))
    assert bound >= len(normalize("NFKC", text).encode()) == 33_000


def said(*texts: str) -> tuple[Message, ...]:
    """A question, its answer, and so on."""
    turns = enumerate(texts)
    return tuple(AssistantMessage((Text(text),)) if n % 2 else UserMessage((text,)) for n, text in turns)


def test_what_was_counted_takes_the_place_of_its_bytes(wire: Wire) -> None:
    model, measures = wire.model(SONNET), Measures()
    first = Prompt(stable="s" * 4_000, messages=said("q" * 80_000))
    measures.learn(model, first, 20_000, session=1)
    following = replace(first, messages=said("q" * 80_000, "an answer", "next"))
    assert 20_000 < measures.bound(model, following, session=1) < 20_000 + 1_500
    untold = whole(model, following)
    assert untold > 80_000
    for other in (
        measures.bound(model, following, session=2),
        measures.bound(model, following, session=None),
        measures.bound(wire.model(MINI), following, session=1),
    ):
        assert other == untold
    for changed in (
        replace(following, stable="other"),
        replace(following, tools=(ToolSpec(name="x", description="", parameters={}),)),
        replace(following, think="high"),
        replace(following, messages=said("w" * 80_000, "an answer", "next")),
    ):
        assert measures.bound(model, changed, session=1) >= min(whole(model, changed), 20_000 + 80_000)


def test_a_question_taken_back_brings_its_thinking_back(wire: Wire) -> None:
    """Behind a newer question thinking is not sent: that count says nothing of a prompt without the question."""
    thought = AssistantMessage(
        (Opaque("anthropic", {"text": "t" * 5_000, "signature": "s"}), ToolUse("c", "now", ""))
    )
    loop = (*said("q"), thought, ResultsMessage((ToolResult("c", "now", "noon"),)))
    model, measures = wire.model(SONNET), Measures()
    later = Prompt(stable="", messages=(*loop, *said("newer")))
    measures.learn(model, later, 300, session=1)
    assert measures.bound(model, replace(later, messages=loop), session=1) >= 5_000


def test_what_goes_to_changing_machines_is_bounded_by_its_bytes(wire: Wire) -> None:
    class Routed:
        ref, provider, kind, model, base_url = "openrouter:x", "openrouter", "openrouter", "x", ""

    measures, prompt = Measures(), Prompt(stable="", messages=said("q" * 9_000))
    measures.learn(Routed(), prompt, 10, session=1)
    assert measures.bound(Routed(), prompt, session=1) > 9_000


def test_only_so_many_sessions_are_remembered(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.bounds.SESSIONS", 2)
    model, measures, prompt = (
        wire.model(SONNET),
        Measures(),
        Prompt(stable="", messages=said("q" * 9_000)),
    )
    for session in (1, 2, 3):
        measures.learn(model, prompt, 10, session=session)
    assert [measures.bound(model, prompt, session=n) > 9_000 for n in (1, 2, 3)] == [True, False, False]


def test_the_words_around_the_volatile_text_have_room() -> None:
    assert len("\n\n<context>\n\n</context>") <= CONTEXT
