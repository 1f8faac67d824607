"""References: are they the unsteered base, the base with an instruction, and the aligned half?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from mahals.evaluation.bench import bench, instructed
from mahals.evaluation.references import check_aligned, references
from mahals.evaluation.scores import Shift, measure_arms
from mahals.models.steering.interventions import Arm
from mahals.phase import Single
from mahals.records import InputError
from tests.support.tiny_lab import SUITE, TinyLab


def test_each_reference_is_measured_on_its_own_bench() -> None:
    lab = TinyLab()
    among = references(lab, "A", SUITE, "evaluation")
    at = bench(lab, "A", "base", SUITE, "evaluation")
    assert [label.arm for label, _ in among.measured] == ["unsteered", "prompt", "aligned", "sham"]
    assert all(label.operator is None for label, _ in among.measured)
    assert among.base is among.found["unsteered"] and among.at.loaded.role == "base"
    arm = [Arm("unsteered", ())]
    told = instructed(at, SUITE.instruction["organism"])
    aligned = bench(lab, "A", "aligned", SUITE, "evaluation")
    sham = bench(lab, "A", "sham", SUITE, "evaluation")
    benches = {"unsteered": at, "prompt": told, "aligned": aligned, "sham": sham}
    for kind, there in benches.items():
        (alone,) = measure_arms(there, arm, neutral=False)
        found = among.found[kind]  # type: ignore[index]
        assert found.readings.last.aqi == alone.readings.last.aqi
        assert found.behaviour == alone.behaviour
    gaps = {m.readings.last.aqi.estimate for m in among.found.values()}
    assert len(gaps) == 4, "all differ"


def test_the_unsteered_model_costs_nothing_and_the_others_have_no_kl() -> None:
    among = references(TinyLab(), "A", SUITE, "evaluation")
    assert among.base.shift == Shift(0.0, 0.0) and among.base.loss is not None
    prompt, aligned = among.found["prompt"], among.found["aligned"]
    assert (prompt.shift, prompt.loss) == (None, None), "an instruction is not on neutral text"
    assert aligned.shift is None and aligned.loss is not None, "another model, with its own loss"
    assert aligned.loss != among.base.loss


def test_states_that_depend_on_their_batch_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from mahals.evaluation import references as module

    seen = []
    monkeypatch.setattr(module, "check_batched", lambda *given: seen.append(given[2].name))
    references(TinyLab(), "A", replace(SUITE, neutral=2), "evaluation")
    assert seen == ["unsteered", "prompt", "aligned", "sham"]

    def depends(*_: object) -> None:
        raise RuntimeError("a state depends on its batch")

    monkeypatch.setattr(module, "check_batched", depends)
    with pytest.raises(RuntimeError, match="depends on its batch"):
        references(TinyLab(), "A", SUITE, "evaluation")


def test_without_a_pair_there_is_no_aligned_reference_but_its_reason() -> None:
    lab = TinyLab(singles={"A": Single("base", "its gap did not rise")})
    among = references(lab, "A", SUITE, "evaluation")
    assert list(among.found) == ["unsteered", "prompt"]
    assert among.missed == ("aligned checkpoint: its gap did not rise",)
    assert ("A", "aligned") not in lab.asked


def test_an_arm_of_the_aligned_half_is_refused_in_the_plan_where_there_is_none() -> None:
    check_aligned(TinyLab(), ["A", "B"], "phase.arms", "arms none")
    failed = TinyLab(singles={"B": Single("base", "its gate failed")})
    with pytest.raises(InputError, match=r"phase\.arms: .*its gate failed; leave B out"):
        check_aligned(failed, ["A", "B"], "phase.arms", "arms none")
