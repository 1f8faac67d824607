"""Are the tokens of arms counted as they are read and written?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from mahals.evaluation.workload import ROUNDS, of_arms, of_doses, of_nulls, of_reading, share_above
from mahals.phases.cross_arch import workload as cross_arch
from mahals.phases.cross_arch.measure import CONTROLS, Task
from mahals.phases.same_arch import workload as same_arch
from mahals.phases.same_arch.measure import Task as Swept
from mahals.usage import NO_WORK, TextSizes, Workload
from tests.phases.test_same_arch import PARAMS
from tests.support import crossed
from tests.support.tiny_lab import SUITE

TEXTS = TextSizes(84, 10.0, 50, 20.0, 8, 2, 5.0, 30, 40.0)
ANSWERED, NEW = 14 * SUITE.answers, SUITE.new_tokens_of("hub")


def test_an_arm_reads_all_and_writes_its_answers() -> None:
    read = 84 * 10 + 4 * 10 + 4 * 20 + 4 * 5 + ANSWERED * 10
    assert of_arms(3, 1.0, SUITE, TEXTS) == Workload(4 * read, 3 * ANSWERED * NEW, 0)
    assert of_arms(3, 0.5, SUITE, TEXTS).read == 2.5 * read
    assert of_reading(3, 0.5, TEXTS) == Workload(2.5 * 840, 0, 0)
    assert of_doses(3, 0.5, SUITE, TEXTS) == Workload(ROUNDS * 2.5 * (4 * 10 + 4 * 20), 0, 0)
    assert of_doses(0, 0.5, SUITE, TEXTS) == NO_WORK
    nulls = of_nulls(2, 0.5, SUITE, TEXTS)
    assert nulls.written == len(SUITE.null_kls) * 2 * SUITE.nulls * ANSWERED * NEW


def test_blocks_up_to_the_first_steered_one_are_read_once() -> None:
    assert share_above((27, 31), 32) == 4 / 32 and share_above((0,), 4) == 3 / 4
    assert Workload(1, 2, 3) + Workload(4, 5, 1) == Workload(5, 7, 3)


def test_same_arch_counts_every_arm_that_it_answers_with() -> None:
    """By hand: unsteered, lambda 0, own, flip and 2 random at 2 lambdas, both at 2 doses, permuted;
    nulls of 2 families at 3 doses; on the selection split unsteered and own at 2 lambdas, 2 doses.
    """
    task = Swept(("A",), "add", "raw")
    work = same_arch.workload(task, PARAMS, TEXTS, 4)
    answers = (1 + 1 + 2 * 4 + 2 * 2 + 1) + 2 * 3 * SUITE.nulls + (1 + 2 + 2)
    assert work.written == answers * ANSWERED * NEW and work.checkpoints == 2
    references = same_arch.workload(replace(task, operator=None), PARAMS, TEXTS, 4)
    assert references.written == 3 * ANSWERED * NEW


@pytest.mark.parametrize(("source", "models"), [(CONTROLS, ("A",)), ("B", ("A", "B"))])
def test_cross_arch_holds_the_checkpoints_of_both_ends(source: str, models: tuple[str]) -> None:
    work = cross_arch.workload(Task(models, source, "base"), crossed.PARAMS, TEXTS, 4)
    assert work.checkpoints == 2 * len(models) and work.read > 0 < work.written
