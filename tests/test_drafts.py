"""Answers shown as drafts: nothing is placed before the end, and groups get an opening."""

from gateway.access import Policy
from gateway.errors import DeliveryError
from gateway.types.places import Place
from tests.fakes.channel import LONGEST
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, path

GROUP = "-1001"
TEXT = "This is the opening sentence of it all. " + "word " * 60 + "end"


def made(channel, method):
    return [said for name, _, said in channel.calls if name == method]


async def test_in_a_private_chat_the_text_grows_as_a_draft_and_is_sent_whole(store, clock):
    model = ScriptedModel(queue=[Script(text=TEXT, pause=0.02)])
    async with path(store, clock=clock, model=model, placing="draft") as p:
        await p.says("tell me")
        await p.channel.until(ANN, "end", within=10)
        assert made(p.channel, "send") == [TEXT] and made(p.channel, "edit") == []
        drafts = [text for _, _, text in p.channel.drafts]
        assert len(drafts) >= 2 and all(TEXT.startswith(text) for text in drafts)
        assert drafts == sorted(set(drafts), key=len)
        (number,) = {id for _, id, _ in p.channel.drafts}
        assert number != 0


async def test_of_a_long_answer_the_newest_part_is_shown(store, clock):
    text = "word " * (LONGEST // 5) + "and so " * 30 + "end"
    model = ScriptedModel(queue=[Script(text=text, pause=0.01)])
    async with path(store, clock=clock, model=model, placing="draft") as p:
        await p.says("tell me")
        await p.channel.until(ANN, "end", within=10)
        assert made(p.channel, "send") == [text[:LONGEST], text[LONGEST:]]
        assert any(text[LONGEST:].startswith(shown) for _, _, shown in p.channel.drafts)


async def test_in_a_group_it_is_an_opening_that_grows(store, clock):
    model = ScriptedModel(queue=[Script(text=TEXT, pause=0.02)])
    policy = Policy(allow={"telegram": frozenset({ANN, GROUP})}, owners={})
    async with path(store, clock=clock, model=model, placing="draft", policy=policy) as p:
        await p.says("tell me", place=Place(chat_id=GROUP, kind="group"))
        await p.channel.until(GROUP, "end", within=10)
        assert p.channel.drafts == []
        (first,) = made(p.channel, "send")
        assert len(first) < len(TEXT) and TEXT.startswith(first)
        assert p.channel.texts(GROUP) == [TEXT]


async def test_a_draft_that_is_refused_harms_nothing(store, clock):
    model = ScriptedModel(queue=[Script(text=TEXT, pause=0.02)])
    async with path(store, clock=clock, model=model, placing="draft") as p:
        p.channel.fail["draft"] = [DeliveryError("no", kind=kind) for kind in ("server", "rejected")]
        await p.says("tell me")
        await p.channel.until(ANN, "end", within=10)
        assert p.channel.texts(ANN) == [TEXT]


async def test_a_lost_answer_repeats_one_message(store, clock):
    async with path(store, clock=clock, placing="draft") as p:
        p.channel.fail["send"] = [DeliveryError("lost", kind="lost")]
        await p.says("hello")
        await p.channel.until(ANN, "You said: hello", within=10)
        assert made(p.channel, "send") == ["You said: hello"] * 2
