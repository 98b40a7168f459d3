"""Jobs of a gateway that is a process of its own: kill -9 around planned times, and a clock that is set meanwhile."""

from pathlib import Path

import pytest

from gateway.jobs.slots import MISSED
from gateway.types.measures import HOUR
from tests.crash.jobs import astray, courses, proved, told
from tests.jobs import at

pytestmark = pytest.mark.crash

COURSES = courses(kills=4, seed=20301)


@pytest.mark.parametrize("name", COURSES)
async def test_each_planned_time_has_one_run_as_its_policy_says(tmp_path: Path, name: str) -> None:
    assert await proved(COURSES[name], tmp_path) == []


def test_the_judge_of_it_sees_a_slot_without_a_row_one_too_many_and_one_that_nothing_explains() -> None:
    noon = at("2030-06-01 12:00")
    whole = {(name, noon): ("done", None) for name in ("none", "last", "all")}
    assert astray(whole, noon - HOUR, noon) == []
    assert astray(whole | {("none", noon): ("skipped", MISSED["none"])}, noon - HOUR, noon) == []
    assert astray(whole | {("last", noon): ("skipped", MISSED["last"])}, noon - HOUR, noon) != []
    assert astray(whole | {("all", noon + HOUR): ("done", None)}, noon - HOUR, noon) != []
    assert astray({key: whole[key] for key in list(whole)[1:]}, noon - HOUR, noon) != []
    assert told(whole) == {"none": "x", "last": "x", "all": "x"}
