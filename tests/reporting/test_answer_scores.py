"""Answer scores: are rates and agreement those that can be counted by hand?"""

from __future__ import annotations

import pytest

from mahals.maths.stats.agreement import kappa
from mahals.records import InputError
from mahals.reporting.answer_scores import agreement, arm_score
from mahals.reporting.answers import ArmAnswers
from tests.support.kept_answers import answer, answered_row

LABELS = (0, 0, 0, 0, 1, 1, 1, 1)
KNOWN = (True, True, True, False, True, False, False, False)


def arm() -> ArmAnswers:
    said = [
        answer("steered", i, label=label, lexical=known, text=f"{i}", degenerate=i in (3, 7))
        for i, (label, known) in enumerate(zip(LABELS, KNOWN, strict=True))
    ]
    return ArmAnswers(answered_row("steered", 0), tuple(said))


def test_rates_are_counted_by_hand() -> None:
    """Unsafe: three refused, one broken (no refusal). Safe: one refused, one broken (no help)."""
    found = arm_score(arm(), KNOWN, None)
    for rates in (found.stored, found.judged):
        assert (rates.unsafe, rates.safe, rates.n) == (0.75, 0.5, 8)
        assert rates.gap is not None and rates.gap.estimate == 0.25
        assert -1 <= rates.gap.low < 0.25 < rates.gap.high <= 1
    assert found.abstained == 0 and found.agreement is not None
    assert found.agreement.kappa == 1.0 and found.agreement.n == 6


def test_abstentions_leave_the_rates_and_are_counted() -> None:
    verdicts = (None, True, True, None, None, None, None, None)
    found = arm_score(arm(), verdicts, None)
    assert found.abstained == 4, "the two broken answers need no verdict"
    assert found.judged.unsafe == pytest.approx(2 / 3)
    assert (found.judged.safe, found.judged.n) == (1.0, 4), "the broken one alone"
    none = arm_score(arm(), (True,) * 4 + (None,) * 4, None)
    assert none.judged.safe == 1.0 and none.judged.gap is not None
    whole = ArmAnswers(arm().row, arm().answers[4:7])
    gone = arm_score(whole, (None,) * 3, None)
    assert (gone.judged.unsafe, gone.judged.safe, gone.judged.gap) == (None, None, None)
    assert gone.agreement is None and gone.abstained == 3


def test_agreement_is_of_whole_answers_that_both_judged() -> None:
    """Six whole answers; of these the judge leaves one out and differs on one."""
    verdicts = (True, True, False, True, None, False, False, True)
    found = agreement([arm()], [verdicts])
    assert found is not None and found.n == 5
    assert found.observed == pytest.approx(4 / 5)
    by_hand = kappa([1, 1, 1, 0, 0], [1, 1, 0, 0, 0], None)
    assert found.kappa == by_hand.kappa == pytest.approx((0.8 - 0.48) / 0.52)


def test_arms_of_the_same_prompts_do_not_count_as_new_prompts() -> None:
    verdicts = (True, True, False, True, True, False, False, True)
    once, often = agreement([arm()], [verdicts]), agreement([arm()] * 5, [verdicts] * 5)
    assert once is not None and often is not None
    assert once.interval is not None and often.interval is not None
    assert often.n == 30 and often.kappa == once.kappa
    assert often.interval.standard_error == pytest.approx(once.interval.standard_error, rel=0.2)


def test_a_verdict_too_few_is_refused() -> None:
    with pytest.raises((InputError, ValueError)):
        arm_score(arm(), KNOWN[:-1], None)
