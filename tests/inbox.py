"""The dispatcher's side of a channel, for tests of channels alone."""

import asyncio

from gateway.types.inbound import Lane, Receipt


class Inbox:
    """The dispatcher's side of accept: keeps what came once, refuses while *failures* are left."""

    def __init__(self):
        self.events = []
        self.pages = []
        self.failures = []
        self.refusing = set()  # ids of people who may not
        self.gate = None  # an Event that is waited for before a page is taken
        self.cursors = {}
        self.noted = {}  # cursors that came with no event
        self.seen = set()

    async def __call__(self, account, events):
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        await asyncio.sleep(0)
        self.pages.append(list(events))
        return [self._one(event) for event in events]

    def _one(self, event):
        if event.cursor:
            self.cursors[event.cursor[0]] = event.cursor[1]
        state = "waiting"
        if event.event_id in self.seen:
            state = "duplicate"
        elif event.error:
            state = "dead"
        elif event.sender and event.sender.user_id in self.refusing:
            state = "refused"
        self.seen.add(event.event_id)
        if state != "duplicate":
            self.events.append(event)
        return Receipt(event_id=event.event_id, inbox_id=1, state=state, lane=Lane.TURN, conversation=1)

    @property
    def texts(self):
        return [event.text for event in self.events]

    @property
    def addressed(self):
        return [event.text for event in self.events if event.addressed]
