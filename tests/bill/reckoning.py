"""The ledger held against the providers' books, row by row; what is not as promised is a sentence."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.bill.truth import CENT, WORD, Prices, Seen, due, rates_of, told

ROWS = """
SELECT id, state, at, session, purpose, turn, provider || ':' || model_asked, model, provider_id, tok_in,
       tok_read, tok_w5m, tok_w1h, tok_out, cost, cost_state, reserved, uid, units FROM usage ORDER BY id"""
WORDS = """
SELECT session, body FROM entry WHERE kind = 'user'"""
PLACES = """
SELECT turn, step, attempt, count(*) FROM usage WHERE turn IS NOT NULL AND purpose <> 'search'
 GROUP BY 1, 2, 3 HAVING count(*) > 1"""
BESIDE = "/search"  # behind the uid of a request: that of its searches


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One of the ledger; *tokens* in the order of its columns."""

    id: int
    state: str
    at: int
    session: int | None
    notes: bool
    turn: int | None
    ref: str
    model: str | None
    provider_id: str | None
    tokens: tuple[int, int, int, int, int]
    cost: int | None
    cost_state: str
    reserved: int | None
    uid: str
    units: int | None


@dataclass(slots=True)
class Reckoning:
    """*wrong* is empty when the bill is as promised. Money in nano-dollars.

    *billed* and *owed* by known rows: what the ledger says, and what the providers' counts come to. *least*: what
    all requests come to that were answered; *total*: what the ledger says in all. *unseen*: rows whose request
    never arrived. *excused*: whole answers that are estimated, for their turn was stopped or killed.
    """

    rows: int = 0
    requests: int = 0
    states: Counter[str] = field(default_factory=Counter)
    billed: int = 0
    owed: int = 0
    total: int = 0
    least: int = 0
    estimated: int = 0
    unseen: int = 0
    excused: int = 0
    wrong: list[str] = field(default_factory=list)

    def miss(self, condition: object, text: str) -> None:
        if condition:
            self.wrong.append(text)

    @property
    def difference(self) -> int:
        """Between what is billed as known and what the providers counted for it."""
        return self.billed - self.owed


def reckon(database: Path, books: Sequence[Seen], prices: Prices, *, excused: int = 0) -> Reckoning:
    """*excused*: how many whole answers may be estimated at most."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
        rows = [_row(each) for each in db.execute(ROWS)]
        searches = {row.uid.removesuffix(BESIDE): row for row in rows if row.uid.endswith(BESIDE)}
        rows = [row for row in rows if not row.uid.endswith(BESIDE)]
        places = {
            word: place
            for place, body in db.execute(WORDS)
            for word in WORD.findall(json.loads(body)["text"])
        }
        twice = db.execute(PLACES).fetchall()
    found = Reckoning(rows=len(rows), requests=len(books))
    found.miss(twice, f"ledger rows of one attempt: {twice}")
    pairs = matched(rows, books, places, found)
    for row in rows:
        found.states[row.state] += 1
        found.total += row.cost or 0
        _judge(row, pairs.get(row.id), prices, found)
        _judge_searches(row, searches.pop(row.uid, None), pairs.get(row.id), found)
    found.miss(searches, f"searches without a request: {sorted(searches)}")
    for each in books:
        if each.made is not None:
            ref = next((row.ref for row in rows if row.id in pairs and pairs[row.id] is each), None)
            found.least += (due(rates_of(prices, ref), each.made) or 0) if ref else 0
            found.least += each.made.searches * CENT
    found.miss(found.excused > excused, f"{found.excused} whole answers are estimated, {excused} could be")
    found.miss(found.total < found.least, f"{found.total} is billed, the providers ask for {found.least}")
    found.miss(found.difference, f"known rows differ by {found.difference} nano-dollars")
    return found


def matched(
    rows: Sequence[Row], books: Sequence[Seen], places: dict[str, int], found: Reckoning
) -> dict[int, Seen]:
    """The request of each row, by the row's id.

    Most rows name theirs. In one session requests follow each other, so that any other one is that of the last row
    opened before it arrived. Notes may be about no more than what a session has from the one before: theirs may be in
    another one than its words say.
    """
    by_id = {each.response_id: each for each in books if each.response_id}
    pairs = {row.id: by_id[row.provider_id] for row in rows if row.provider_id in by_id}
    named = {id(each) for each in pairs.values()}
    found.miss(len(named) < len(pairs), "two rows are of one request")
    lines: defaultdict[tuple[int | None, bool], list[Row]] = defaultdict(list)
    for row in rows:
        lines[row.session, row.notes].append(row)
    for each in sorted(books, key=lambda each: each.at):
        if id(each) in named:
            continue
        line = lines[places.get(each.word), each.notes]
        at = bisect_right([row.at for row in line], each.at)
        row = line[at - 1] if at else None
        if each.notes and (row is None or row.id in pairs):
            others = [row for row in rows if row.notes and row.at <= each.at and row.id not in pairs]
            row = max(others, key=lambda row: row.at, default=None)
        if row is None or row.id in pairs:
            found.miss(True, f"request {each.id} about {each.word!r} has no row of its own")
            continue
        pairs[row.id] = each
    return pairs


def _judge(row: Row, request: Seen | None, prices: Prices, found: Reckoning) -> None:
    name, rates = f"row {row.id} ({row.ref}, {row.state})", rates_of(prices, row.ref)
    found.miss(request is not None and request.model != row.ref.partition(":")[2], f"{name}: another model's")
    found.miss(row.cost is not None and row.cost > (row.reserved or 0), f"{name}: over what was reserved")
    for trouble in _states(row, request, found):
        found.wrong.append(f"{name}: {trouble}")
    if row.state == "failed":
        return
    found.miss((row.cost is None) != (rates is None), f"{name}: cost {row.cost}, rates {rates}")
    found.miss(row.cost_state != ("unpriced" if rates is None else "priced"), f"{name}: {row.cost_state}")
    if request is None or request.made is None:
        return
    price = due(rates, request.made)
    if row.state == "known":
        found.billed, found.owed = found.billed + (row.cost or 0), found.owed + (price or 0)
        found.miss(row.cost != price, f"{name}: {row.cost} is billed, {price} is due")
    else:
        found.miss((row.cost or 0) < (price or 0), f"{name}: {row.cost} is billed, {price} was used")


def _judge_searches(row: Row, beside: Row | None, request: Seen | None, found: Reckoning) -> None:
    """The row of a request's searches, beside its own; each costs a cent."""
    made = request.made.searches if request is not None and request.made is not None else 0
    if beside is None:
        found.miss(made, f"row {row.id}: {made} searches have no row")
        return
    name, units = f"row {beside.id} ({row.ref}, {beside.state}, of {row.state})", beside.units or 0
    found.total += beside.cost or 0
    found.miss(beside.turn != row.turn or beside.session != row.session, f"{name}: of another turn")
    found.miss(beside.cost != units * CENT, f"{name}: {units} for {beside.cost}")
    found.miss((beside.cost or 0) > (beside.reserved or 0), f"{name}: over what was reserved")
    match beside.state:
        case "known":
            found.billed, found.owed = found.billed + (beside.cost or 0), found.owed + made * CENT
            found.miss(row.state != "known" or units != made, f"{name}: {units}, {made} were made")
        case "void":
            found.miss(row.state == "estimated" or made or units, f"{name}: {made} were made")
        case "estimated":
            found.estimated += beside.cost or 0
            found.miss(row.state != "estimated" or units < made, f"{name}: {units}, {made} were made")
        case _:
            found.miss(True, f"{name}: it is not settled")


def _states(row: Row, request: Seen | None, found: Reckoning) -> Iterator[str]:
    match row.state:
        case "known" if request is None or request.made is None:
            yield f"the provider knows no answer {row.provider_id!r}"
        case "known":
            if row.tokens != told(request.made):
                yield f"{row.tokens} are billed, {told(request.made)} were counted"
            if row.model != request.model:
                yield f"billed as {row.model}"
        case "estimated":
            found.estimated += row.cost or 0
            found.unseen += request is None
            found.excused += request is not None and request.told
            if request is not None and request.made is not None:
                sent, made = sum(row.tokens[:4]), request.made
                if sent < made.prompt_tokens or row.tokens[4] < made.output_tokens:
                    yield f"{row.tokens} is below {told(made)}"
        case "failed":
            found.unseen += request is None
            if any(row.tokens) or row.cost:
                yield f"billed with {row.tokens}, {row.cost}"
            if request is not None and not request.refused:
                yield f"the provider worked on it, status {request.status}"
        case _:
            yield "it is not settled"


def _row(row: tuple[object, ...]) -> Row:
    tokens = tuple(int(str(each)) for each in row[9:14])
    return Row(
        id=row[0], state=row[1], at=row[2], session=row[3], notes=row[4] == "compaction", turn=row[5],
        ref=row[6], model=row[7], provider_id=row[8], tokens=tokens, cost=row[14], cost_state=row[15],
        reserved=row[16], uid=row[17], units=row[18],
    )  # type: ignore[arg-type]  # fmt: skip
