"""`python -m bench.render`: what rendering an answer of 4,000 characters costs, whole and while it grows.

Whole and cold: nothing of it has been seen before. Grown: a hundred beginnings, 40, 80, ... characters long, as
a preview shows them, and the whole at the end. Best of several runs, each with other words.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from channels.text import discord, telegram

SIZE, STEP, RUNS = 4000, 40, 7  # characters, characters, runs
WHOLE, GROWN = 2.0, 40.0  # goals in milliseconds
_LETTERS = "etaoinshrdlucmfwypvbgk"


def prose(words: Callable[[int], str]) -> Iterator[str]:
    """Paragraphs with some bold, code and links, as most answers are."""
    while True:
        yield f"{words(25)}. {words(12)} **{words(2)}** {words(18)}. {words(9)} `{words(1)}` {words(14)}."
        yield f"{words(30)}. {words(22)}."
        yield f"{words(8)} [{words(2)}](https://example.org/{words(1)}) {words(16)}."


def mixed(words: Callable[[int], str]) -> Iterator[str]:
    """Headings, lists, code, a table and prose by turns."""
    while True:
        yield f"## {words(3)}"
        yield f"{words(28)}. {words(6)} **{words(2)}** {words(14)}."
        yield "\n".join(f"- **{words(1)}**: {words(8)} `{words(1)}`" for _ in range(5))
        yield (
            "```python\n" + "\n".join(f"    {words(1)} = {words(1)}({words(1)})" for _ in range(8)) + "\n```"
        )
        yield f"{words(30)}. {words(12)}."
        yield "| a | b |\n|---|---|\n" + "\n".join(f"| {words(1)} | {words(1)} |" for _ in range(3))
        yield "\n".join(f"{number}. {words(10)}" for number in range(1, 4))


def code(words: Callable[[int], str]) -> Iterator[str]:
    """One block of code, longer than the answer."""
    yield "```python\n" + "\n".join(f"    {words(1)} = {words(1)}({words(1)})" for _ in range(400))


def steps(words: Callable[[int], str]) -> Iterator[str]:
    """One list, longer than the answer."""
    yield "\n".join(f"{number}. **{words(1)}** {words(9)}, `{words(1)}`" for number in range(1, 90))


KINDS = (prose, mixed, code, steps)


def answer(kind: Callable[[Callable[[int], str]], Iterator[str]], seed: int) -> str:
    """4,000 characters that no other seed gives."""
    chance = random.Random(seed)

    def words(count: int) -> str:
        return " ".join("".join(chance.choices(_LETTERS, k=chance.randint(2, 9))) for _ in range(count))

    text = ""
    for block in kind(words):
        text += block + "\n\n"
        if len(text) >= SIZE:
            break
    return text[:SIZE]


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - begun)


def _grown(grown: Callable[[str], object], whole: Callable[[str], object], text: str) -> None:
    for end in range(STEP, len(text) + 1, STEP):
        grown(text[:end])
    whole(text)


def main() -> int:
    print(
        f"{'milliseconds, best of ' + str(RUNS):<28}{'whole, cold':>14}{'grown in 100':>14}{'whole, after':>14}"
    )
    missed = 0
    for name, module in (("Telegram", telegram), ("Discord", discord)):
        render: Callable[[str], object] = module.render
        grown: Callable[[str], object] = module.grown
        render(answer(mixed, -1))  # the parser is made once
        for place, kind in enumerate(KINDS):
            cold, growing, warm = [], [], []
            for run in range(RUNS):
                first, second = (answer(kind, 1000 * place + 2 * run + more) for more in (0, 1))
                cold.append(_timed(partial(render, first)))
                growing.append(_timed(partial(_grown, grown, render, second)))
                warm.append(_timed(partial(render, second)))
            found = min(cold), min(growing), min(warm)
            late = kind is not steps and (found[0] > WHOLE or found[1] > GROWN)
            missed += late
            row = "".join(f"{value:>14.2f}" for value in found)
            print(f"{name + ', ' + kind.__name__:<28}{row}{'  MISSED' if late else ''}")
    print(f"goals: whole {WHOLE:g}, grown {GROWN:g}; a single list is measured without one")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
