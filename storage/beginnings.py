"""Beginnings of words, spelt out: what has no index of its own is asked for as the words that begin so."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from storage.database import Tx

LONGEST = 4  # letters of a beginning that has an index, see the migration that made the table of words
MOST = 32  # words for a beginning: a look for so many costs about 1 ms
TOKENIZER = "unicode61 remove_diacritics 2"  # of the table of words
# From each word straight to the next one; no word has a character before the space.
FOLLOWING = """
WITH RECURSIVE word(term) AS (
  SELECT (SELECT term FROM said_word WHERE term >= :beginning LIMIT 1)
   UNION ALL
  SELECT (SELECT w.term FROM said_word w WHERE w.term >= word.term || char(1) LIMIT 1)
    FROM word WHERE substr(word.term, 1, :letters) = :beginning)
SELECT term FROM word WHERE substr(term, 1, :letters) = :beginning LIMIT :most"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """*text* for FTS5. *possible*: there may be something. *quick*: a look into one session costs next to nothing."""

    text: str
    possible: bool = True
    quick: bool = True


async def spelt(tx: Tx, terms: Sequence[str]) -> Query:
    """Of *terms*, each in quotes, those with a * behind them are beginnings."""
    asked, quick = list[str](), True
    for term in terms:
        before, last = _words(term) if term.endswith("*") else ("", "")
        if len(last) <= LONGEST:
            asked.append(term)
            continue
        found = await tx.all(FOLLOWING, beginning=last, letters=len(last), most=MOST + 1)
        if not found:
            return Query(text="", possible=False)
        if len(found) > MOST:
            asked.append(term)
            quick = False
        else:
            asked.append("({})".format(" OR ".join(f'"{before}{word}"' for (word,) in found)))
    return Query(text=" AND ".join(asked), quick=quick)


def _words(term: str) -> tuple[str, str]:
    """The last word of *term* as the table of words has it, without accents and case, and what is before it."""
    text = term.removesuffix("*")[1:-1].replace('""', '"')
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE VIRTUAL TABLE said USING fts5(text, tokenize = '{TOKENIZER}')")
        db.execute("CREATE VIRTUAL TABLE word USING fts5vocab(said, instance)")
        db.execute("INSERT INTO said VALUES (?)", (text,))
        words = [str(row[0]) for row in db.execute('SELECT term FROM word ORDER BY "offset"')]
    return "".join(f"{word} " for word in words[:-1]), words[-1] if words else ""
