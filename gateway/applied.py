"""Which migrations a database has; the set decides what is still to be applied, not the highest number."""

from __future__ import annotations

from collections.abc import Collection, Sequence

# These came after later ones: what they make tells whether a database that kept no list has them.
LATE = {6: "appeal", 11: "compaction_session", 16: "turn_asked"}
# (highest number, the list, the names of all there is), each as text or NULL; needs the table meta.
ASK = """
SELECT (SELECT value FROM meta WHERE key = 'schema'), (SELECT value FROM meta WHERE key = 'migrations'),
       (SELECT group_concat(name, ' ') FROM sqlite_master)"""


def applied(row: Sequence[str | None], known: Collection[int]) -> frozenset[int]:
    """The numbers. *row* as ASK gives it, *known*: those there are, for a database from before lists were kept."""
    highest, noted, names = row
    if highest is None:
        return frozenset()
    if noted is not None:
        return frozenset({int(highest), *map(int, noted.split())})
    there = (names or "").split()
    lacking = {number for number, name in LATE.items() if name not in there}
    return frozenset({int(highest), *(each for each in known if each <= int(highest))} - lacking)


def listed(numbers: Collection[int]) -> str:
    """As the table meta has them."""
    return " ".join(map(str, sorted(numbers)))
