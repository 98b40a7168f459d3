"""Whatever people do and whenever the process dies: each message comes to one end and is shown as it is stored."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fast import fast
from tests.walk.after import after
from tests.walk.legal import illegal
from tests.walk.steps import STEPS, Step
from tests.walk.world import Placing, World

SPEED = 12.0
WALKS = int(os.environ.get("WALKS", "40"))  # `make walk` takes more of them


async def walk(folder: Path, placing: Placing, steps: Sequence[Step]) -> list[str]:
    world = World(folder, placing)
    await world.begin()
    for step in steps:
        await step.happen(world)
    await world.settle()
    await world.close()
    wrong = after(world, folder / str(world.crashes) / "parley.db")
    return wrong + await illegal(world.model.asked)


@settings(
    max_examples=WALKS,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # no shrinking: what threads do is not repeatable
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    database=None,
)
@given(
    placing=st.sampled_from(["exact", "opening", "placeholder"]),
    steps=st.lists(STEPS, min_size=12, max_size=45),
)
def test_whatever_happens_every_message_comes_to_one_end(placing: Placing, steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wrong = fast(walk(Path(folder), placing, steps), speed=SPEED)
    assert not wrong, "\n".join(wrong)
