"""A text that grows with its spans, its gaps between blocks and its margins."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from channels.text.spans import Kind, Span


@dataclass(slots=True)
class Writer:
    """Collects text: blocks ask for a gap before them, and the next character pays the largest one."""

    lines: Sequence[str] = ()
    flat: bool = False  # in fixed-width text, where no span can be
    parts: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    margins: list[str] = field(default_factory=list)
    length: int = 0
    gap: int = 0
    fresh: bool = True  # at the begin of the text or right after a list marker
    quotes: int = 0
    links: list[tuple[str, int, int]] = field(default_factory=list)
    lists: list[int | None] = field(default_factory=list)  # the next number, None for bullets
    opened: dict[Kind, list[int]] = field(default_factory=dict)

    def ask(self, lines: int) -> None:
        if not self.fresh:
            self.gap = max(self.gap, lines)

    def here(self) -> int:
        """The position of the next character."""
        if self.gap:
            self._put("\n" * self.gap + "".join(self.margins))
            self.gap = 0
        elif not self.length:
            self._put("".join(self.margins))
        return self.length

    def write(self, text: str) -> None:
        if text:
            self.here()
            self._put(text)
            self.fresh = False

    def mark(self, kind: Kind, start: int, value: str = "") -> None:
        if start < self.length and not self.flat:
            self.spans.append(Span(kind, start, self.length, value))

    def open(self, kind: Kind) -> None:
        self.opened.setdefault(kind, []).append(self.here())

    def close(self, kind: Kind) -> None:
        start = self.opened[kind].pop()
        if not self.opened[kind]:  # the outermost only: bold in bold says nothing
            self.mark(kind, start)

    def solid(self, kind: Kind, text: str, value: str = "") -> None:
        start = self.here()
        self.write(text)
        self.mark(kind, start, value)

    def block(self, text: str, language: str = "") -> None:
        """Code on lines of its own and without margins."""
        if not text.strip():
            return
        self.fresh = self.length == 0
        self.ask(1 if self.lists else 2)
        if self.gap:
            self._put("\n" * self.gap)
            self.gap = 0
        start = self.length
        self._put(text)
        self.fresh = False
        self.mark("pre", start, language)
        self.ask(1 if self.lists else 2)

    def _put(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)
