"""Albums: their parts come one by one, and only one of them has the words that say whether they are meant for us."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from gateway.types.inbound import Inbound

MOST = 1000  # albums to remember; the parts of one come within seconds


class Albums:
    """The albums of which a part was meant for us: the parts that come after it are, too.

    Those that came before it are left as they were, as overheard; the words are mostly on the first part. What
    is remembered does not outlive the process.
    """

    def __init__(self) -> None:
        self._ours: OrderedDict[tuple[str, str], None] = OrderedDict()

    def seen(self, event: Inbound) -> Inbound:
        """The event, meant for us if its album is."""
        if not event.album or event.place is None:
            return event
        key = (event.place.chat_id, event.album)
        if event.addressed:
            self._ours[key] = None
            if len(self._ours) > MOST:
                self._ours.popitem(last=False)
            return event
        return replace(event, addressed=True) if key in self._ours else event
