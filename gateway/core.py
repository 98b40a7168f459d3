"""The path of a message put together over a store: what a running gateway and a bare SessionManager share."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import log
from gateway.access import standing
from gateway.alerts import OVER
from gateway.approvals import Approvals
from gateway.asker import Asker
from gateway.billing import Biller
from gateway.budgets import Budget
from gateway.compacting import Compactor
from gateway.completions.pictures import Pictures
from gateway.delivery import Delivery
from gateway.digest.maker import DigestMaker
from gateway.dispatcher import Dispatcher
from gateway.drafts import Drafts
from gateway.errors import ModelError, Refused
from gateway.fetcher import Fetcher
from gateway.habits import Habits
from gateway.halt import Halt
from gateway.hub import Hub
from gateway.media.collecting import Collector
from gateway.media.enclosed import Enclosures
from gateway.media.folder import Folder
from gateway.media.gallery import Gallery
from gateway.media.hearing import Transcription
from gateway.models.catalogue import Catalogue
from gateway.pricing import Pricing
from gateway.progress import Options
from gateway.protocols.clock import Clock
from gateway.protocols.model import Model
from gateway.protocols.prompt import Prompt
from gateway.protocols.tool import Tool
from gateway.retention import Retention
from gateway.room import Room
from gateway.toolbox import Toolbox
from gateway.turn import TurnRunner
from gateway.types.sessions import Session
from gateway.types.turns import Entry

if TYPE_CHECKING:
    from storage import Store


def system_clock() -> int:
    """Now, in microseconds UTC."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """Everything between the channels and the store."""

    store: Store
    catalogue: Catalogue
    pricing: Pricing
    biller: Biller
    hub: Hub
    delivery: Delivery
    runner: TurnRunner
    dispatcher: Dispatcher
    gallery: Gallery
    pictures: Pictures
    compactor: Compactor
    toolbox: Toolbox
    approvals: Approvals
    clock: Clock


def build(
    *,
    store: Store,
    catalogue: Catalogue,
    pricing: Pricing,
    tools: Mapping[str, Tool],
    options: Options,
    habits: Habits,
    media: Path | None = None,
    fetcher: Fetcher | None = None,
    clock: Clock = system_clock,
    on_trouble: Callable[[str, str], None] = lambda cause, text: None,
    on_stranger: Callable[[str, str], None] = lambda channel, user_id: None,
) -> Core:
    """*media*: the folder of files that came in or were made; None: a temporary one.

    *fetcher* gets the pictures that programs only name; None: they must send them whole.

    *on_trouble*(cause, text) is told what the operator should know.
    """

    refusing: set[str] = set()  # by model: another one of the same provider may answer all the while

    def fault(error: ModelError, model: Model) -> None:
        if error.kind == "halted":
            return  # it is not the provider's doing
        refusing.add(model.ref)
        verb = "cannot be reached" if error.kind == "connect" else "refuses"
        on_trouble(f"provider:{model.provider}", f"{model.ref} {verb}: {error}")

    def answered(model: Model) -> None:
        if model.ref in refusing:
            refusing.discard(model.ref)
            on_trouble(f"provider:{model.provider}{OVER}", f"{model.ref} answers again.")

    def kind(provider: str) -> tuple[str, str]:
        """(wire format, address) of a provider that a ledger row names; it may be configured no longer."""
        try:
            model = catalogue.get(f"{provider}:-")
        except Refused:
            return provider, ""
        return model.kind, model.base_url

    def short(budget: Budget) -> None:
        whose = budget.id if budget.scope == "channel" else "the gateway"
        line = budget.line(now=clock(), zone=dispatcher.habits.zone)
        text = f"The {budget.period}'s budget of {whose} is nearly used up: {line}"
        on_trouble(f"budget:{budget.scope}:{budget.id}:{budget.period}", text)

    pricing.on_missing = lambda model: log.warning(
        "price.unknown", model=model, counted="unpriced", remedy="set providers.<name>.price"
    )
    halt = Halt(store)
    biller = Biller(
        store=store,
        pricing=pricing,
        halt=halt,
        clock=clock,
        rules=lambda: (dispatcher.habits.budgets, dispatcher.habits.zone),
        acting=lambda who: standing(who, dispatcher.habits.policy),
        on_short=short,
    )
    hub = Hub(clock)
    folder = Folder(media or Path(tempfile.gettempdir()) / f"parley-{os.getpid()}")
    gallery = Gallery(store, folder)
    delivery = Delivery(
        store=store,
        clock=clock,
        content=gallery.content,
        on_gone=lambda text: on_trouble("dead-letter", text),
    )
    enclosures = Enclosures(
        store=store,
        delivery=delivery,
        collector=Collector(
            folder=folder,
            bounds=lambda: dispatcher.habits.files,
            transcribe=Transcription(
                catalogue=catalogue,
                biller=biller,
                speech=lambda: dispatcher.habits.speech,
                on_fault=lambda ref, error: on_trouble(
                    f"provider:{ref.partition(':')[0]}", f"{ref} refuses: {error}"
                ),
            ),
        ),
        folder=folder,
        bounds=lambda: dispatcher.habits.files,
        clock=clock,
    )
    approvals = Approvals(store=store, delivery=delivery, tools=tools, clock=clock)
    toolbox = Toolbox(store=store, approvals=approvals, tools=tools, options=options, clock=clock)
    asker = Asker(
        biller=biller,
        retention=Retention(store=store, pricing=pricing, clock=clock),
        chain=catalogue.chain,
        gallery=gallery,
        options=options,
        on_fault=fault,
        on_answer=answered,
    )

    def prompt(session: Session, entries: Sequence[Entry]) -> Prompt:
        return asker.prompt(session, entries, toolbox.specs, ())

    drafts = Drafts(
        store=store, biller=biller, chain=catalogue.chain, prompt=prompt, options=lambda: asker.options
    )
    compactor = Compactor(store=store, drafts=drafts, clock=clock)
    room = Room(
        store=store,
        compactor=compactor,
        options=lambda: asker.options,
        model=asker.model,
        bound=drafts.bound,
    )
    runner = TurnRunner(
        store=store,
        room=room,
        asker=asker,
        toolbox=toolbox,
        approvals=approvals,
        gallery=gallery,
        clock=clock,
        digest=DigestMaker(
            store=store,
            delivery=delivery,
            biller=biller,
            gallery=gallery,
            clock=clock,
            model=catalogue.get,
            cheap=lambda: dispatcher.habits.digest_model,
            policy=lambda: dispatcher.habits.policy,
        ).make,
        # The dispatcher owns the runner, and knows what is to be taken in: the later one is bound by name.
        steers=lambda conversation: dispatcher.steers(conversation),
    )
    dispatcher = Dispatcher(
        store=store,
        delivery=delivery,
        runner=runner,
        room=room,
        compactor=compactor,
        biller=biller,
        halt=halt,
        hub=hub,
        habits=habits,
        clock=clock,
        model_kind=kind,
        enclosures=enclosures,
        on_trouble=on_trouble,
        on_stranger=on_stranger,
    )
    return Core(
        store=store,
        catalogue=catalogue,
        pricing=pricing,
        biller=biller,
        hub=hub,
        delivery=delivery,
        runner=runner,
        dispatcher=dispatcher,
        gallery=gallery,
        pictures=Pictures(folder=folder, bounds=lambda: dispatcher.habits.files, fetcher=fetcher),
        compactor=compactor,
        toolbox=toolbox,
        approvals=approvals,
        clock=clock,
    )
