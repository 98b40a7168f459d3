"""The groups in which every message is meant for us, also after they have got another id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway.types.inbound import Inbound, Kind

MOVED = "moved:"  # begins the scope of a cursor that says where a chat has moved


class Always:
    """A container of chat ids: those of the configuration, and those that their groups have moved to."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = set(ids)

    def __contains__(self, chat_id: object) -> bool:
        return chat_id in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def recall(self, cursors: Mapping[str, str]) -> None:
        """Follow the moves of earlier: the account's cursors as they are on disk."""
        for scope, new in cursors.items():
            self._follow(scope, new)

    def seen(self, event: Inbound) -> Inbound:
        """The event itself, after a move that it tells of was followed."""
        if event.kind is Kind.MIGRATION and event.cursor is not None:
            self._follow(*event.cursor)
        return event

    def _follow(self, scope: str, new: str) -> None:
        if scope.startswith(MOVED) and scope.removeprefix(MOVED) in self._ids:
            self._ids.add(new)
