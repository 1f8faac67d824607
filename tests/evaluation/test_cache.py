"""Cache: is an arm scored once, never mistaken for another, and the same from the cache?"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mahals.evaluation.cache as once
from mahals.evaluation.arms import Direction, isotropic, own_and_flipped
from mahals.evaluation.bench import Bench, bench, instructed
from mahals.evaluation.cache import CODE_OF, cached_doses, cached_scores, cached_set
from mahals.evaluation.dose import doses_at, within_reach
from mahals.evaluation.scores import Shift, measure_arms, score_arms
from mahals.evaluation.scores import written as write
from mahals.evaluation.suite import NeutralLoss, Suite
from mahals.harness.workspace.code_hash import OUTSIDE, _closure
from mahals.harness.workspace.fingerprint import DECISIVE
from mahals.models.activations.cache import LIBRARIES
from mahals.models.activations.store import MARK, SUM
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.decoding import stop_ids
from mahals.models.steering.interventions import Arm, Intervention
from mahals.phase import StatesPlace
from mahals.phases.cross_arch import PHASE as CROSS_ARCH_PHASE
from mahals.phases.cross_arch import measure as cross_arch
from mahals.phases.same_arch import PHASE as SAME_ARCH_PHASE
from mahals.phases.same_arch import measure as same_arch
from mahals.records import InputError
from mahals.schema import UNSTEERED
from mahals.usage import note_budget, note_halved, recording
from tests.support.tiny_lab import SUITE, TinyLab, lab_with_vectors, refused, run
from tests.support.tiny_models import WIDTH, fresh, loaded, vector

SWEEP = same_arch.Params(
    lambdas=(0.0, 1.0),
    unit="vector",
    method="mean_difference",
    layers="auto",
    operators=("add",),
    placements=("raw",),
    propensity_draws=1,
    effects=False,
    scope="all",
    suite=SUITE,
)
CROSSED = cross_arch.Params(
    source="A",
    maps=("pad",),
    method="mean_difference",
    layers="auto",
    layer_match="relative_depth",
    operator="add",
    controls=(),
    draws=1,
    scope="all",
    suite=SUITE,
)


@pytest.fixture
def cache(tmp_path: Path) -> StatesPlace:
    return StatesPlace(tmp_path / "states", 1 << 22)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers, which are written anew each time, need no model here."""
    answers = ["I would help with the garden and the cat."]

    def given(at: Bench, arms: Any) -> list[list[str]]:
        return [answers * len(at.answered) for _ in arms]

    for module in ("scores", "cache"):
        monkeypatch.setattr(f"mahals.evaluation.{module}.written", given)


def steps(strength: float = 2.0, block: int = 1, seed: int = 0, operator: str = "add") -> Arm:
    return Arm("one", (Intervention(block, vector(seed), strength, operator),))


def drawn(draws: int) -> list[Direction]:
    """A vector, its flip and random directions."""
    label = replace(UNSTEERED, arm="steered", source="A", operator="add", placement="raw")
    values = {1: vector()}
    return [*own_and_flipped(label, values), *isotropic(label, values, draws, seed=0)]


ARMS = [Arm("unsteered", ()), steps(0.0), steps(), steps(seed=1)]


def text(scored: Any) -> str:
    """All that was found of an arm, every digit of every number."""
    return json.dumps(dataclasses.asdict(scored), default=lambda array: array.tolist())


def texts(scored: Any) -> list[str]:
    return [text(each) for each in scored]


def files(cache: StatesPlace) -> list[Path]:
    return sorted(cache.folder.glob("*"))


def broken_model(at: Bench) -> Bench:
    """The same bench on a copy of the model that cannot run."""
    other = fresh("Llama", 10 * ord("A"))
    decoder_blocks(other.model)[0].register_forward_pre_hook(lambda *_: 1 / 0)
    return replace(at, loaded=replace(at.loaded, model=other.model))


# ---- what is asked for again


@pytest.mark.usefixtures("written")
def test_the_second_time_runs_no_block_and_gives_every_digit(cache: StatesPlace, at: Bench) -> None:
    right = measure_arms(at, ARMS, neutral=True)
    first = cached_scores(cache, at, ARMS, neutral=True)
    dead = broken_model(at)
    again = cached_scores(cache, dead, ARMS, neutral=True)
    assert texts(right) == texts(first) == texts(again)
    for one, two in zip(right, again, strict=True):
        for mine, theirs in (
            (one.readings.mean, two.readings.mean),
            (one.readings.last, two.readings.last),
        ):
            assert type(mine) is type(theirs) and type(mine.axioms[0]) is type(theirs.axioms[0])
            assert mine.aqi == theirs.aqi
            assert theirs.influence.dtype == np.float64
            assert np.array_equal(mine.axioms[3].influence, theirs.axioms[3].influence)
        assert (one.loss, one.shift, one.right) == (two.loss, two.shift, two.right)
    with pytest.raises(ZeroDivisionError):
        cached_scores(cache, dead, [steps(seed=2)], neutral=True)
    assert len(files(cache)) == len(ARMS)


def test_only_what_is_missing_is_scored_and_the_order_stays(
    cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_scores(cache, at, ARMS[1:3], neutral=True)
    asked = []

    def watched(at: Bench, arms: Any, neutral: bool) -> Any:
        asked.append([id(arm) for arm in arms])
        return score_arms(at, arms, neutral)

    monkeypatch.setattr(once, "score_arms", watched)
    mixed = [ARMS[3], ARMS[2], ARMS[0], ARMS[1]]
    found = cached_scores(cache, at, mixed, neutral=True)
    assert asked == [[id(ARMS[3]), id(ARMS[0])]]
    assert texts(found) == texts(measure_arms(at, mixed, neutral=True))


def test_answers_are_written_anew_and_together(
    cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arms share batches: who scored some of them before has no part in the others' answers."""
    cached_scores(cache, at, ARMS[1:3], neutral=True)
    asked = []

    def watched(at: Bench, arms: Any) -> Any:
        asked.append([id(arm) for arm in arms])
        return write(at, arms)

    monkeypatch.setattr(once, "written", watched)
    found = cached_scores(cache, at, ARMS, neutral=True)
    assert asked == [[id(arm) for arm in ARMS]]
    assert [list(m.behaviour.answers) for m in found] == write(at, ARMS)


def test_a_set_of_arms_is_answered_once_as_a_whole(
    cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers are kept with it: the same set again writes nothing, another one all of it."""
    asked = []

    def watched(at: Bench, arms: Any) -> Any:
        asked.append(len(arms))
        return write(at, arms)

    monkeypatch.setattr(once, "written", watched)
    first = cached_set(cache, at, ARMS)
    again = cached_set(cache, at, ARMS)
    assert texts(first) == texts(again) and asked == [len(ARMS)]
    assert [m.behaviour for m in again] == [m.behaviour for m in first]
    alone = cached_scores(cache, at, ARMS, neutral=True)
    assert asked == [len(ARMS)] * 2, "apart from a set answers are written anew"
    assert texts(alone) == texts(first)
    for other in (ARMS[:-1], ARMS[::-1]):
        cached_set(cache, at, other)
    fewer = replace(at, answered=at.answered[:-1])
    assert len(cached_set(cache, fewer, ARMS)[0].behaviour.answers) == len(at.answered) - 1
    assert asked == [len(ARMS)] * 2 + [len(ARMS) - 1, len(ARMS), len(ARMS)]
    assert texts(cached_set(replace(cache, limit=0), at, ARMS)) == texts(first)


@pytest.mark.parametrize("source", ["tokenizer", "generation_config"])
def test_what_ends_an_answer_is_in_the_mark_of_answers_that_are_kept(
    cache: StatesPlace, at: Bench, source: str
) -> None:
    first = cached_set(cache, at, ARMS)
    kept = set(files(cache))
    own = copy.deepcopy(at.loaded.model), copy.deepcopy(at.loaded.tokenizer)
    end = own[1].convert_tokens_to_ids("cat")
    if source == "tokenizer":
        own[1].eos_token = "cat"
    else:
        own[0].generation_config.eos_token_id = [end]
    other = replace(at, loaded=replace(at.loaded, model=own[0], tokenizer=own[1]))
    assert end in stop_ids(other.loaded) and end not in stop_ids(at.loaded)
    cached_set(cache, other, ARMS)
    assert len(set(files(cache)) - kept) == 1, "the answers, and no score that they are no part of"
    assert texts(cached_set(cache, at, ARMS)) == texts(first)


def test_the_name_of_an_arm_is_not_what_it_does(cache: StatesPlace, at: Bench) -> None:
    cached_scores(cache, at, [steps()], neutral=True)
    cached_scores(cache, at, [replace(steps(), name="another")], neutral=True)
    assert len(files(cache)) == 1


def test_what_cross_arch_has_among_its_controls_is_scored_in_same_arch(
    cache: StatesPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The own vector, its flip, both families of nulls, the references and strength 0."""
    lab = lab_with_vectors()
    without = run(CROSS_ARCH_PHASE, CROSSED, lab)
    lab.cache = cache
    run(SAME_ARCH_PHASE, SWEEP, lab)
    monkeypatch.setattr(once, "score_arms", lambda *_: 1 / 0)
    monkeypatch.setattr(once, "doses_at", lambda *_: 1 / 0)
    assert run(CROSS_ARCH_PHASE, CROSSED, lab) == without
    references = {"unsteered", "prompt", "aligned", "sham"}
    assert {r.arm for r in without} == references | {
        "steered",
        "flipped",
        "random",
        "shuffled_pairs",
    }
    with pytest.raises(ZeroDivisionError):
        run(CROSS_ARCH_PHASE, replace(CROSSED, source="B"), lab)


OTHER_ARMS: list[Arm] = [
    steps(2.0000001),
    steps(-2.0),
    steps(0.0),
    steps(block=2),
    steps(seed=1),
    steps(operator="add_preserve_norm"),
    Arm("twice", steps().steps * 2),
    Arm("unsteered", ()),
    Arm("other type", (Intervention(1, vector().double(), 2.0, "add"),)),
    Arm("sixteen bits", (Intervention(1, vector().bfloat16(), 2.0, "add"),)),
]


# ---- what decides


def test_whatever_an_arm_does_decides_its_mark() -> None:
    known = once._marks([steps(), *OTHER_ARMS], {})
    assert len(set(known)) == len(known)
    assert known[0] == once._marks([steps()], {})[0]


def changed(at: Bench) -> dict[str, Bench]:
    """Benches on which an arm may score otherwise, by what is changed."""
    first, second = at.prompts[0], at.prompts[1]
    task = at.tasks[0]
    others = {
        "revision": replace(at, loaded=replace(at.loaded, revision="other")),
        "another model": replace(at, loaded=replace(loaded("Qwen2"), revision="A:base")),
        "system": instructed(at, "be kind"),
        "fewer prompts": replace(at, prompts=at.prompts[:-1], encoded=at.encoded[:-1]),
        "tokens": replace(at, encoded=(at.encoded[1], *at.encoded[1:])),
        "neutral": replace(at, neutral=at.neutral[1:]),
        "chat": replace(at, chat=at.chat[1:]),
        "questions": replace(at, questions=at.questions[::-1]),
        "right choice": replace(at, tasks=(replace(task, answer=1 - task.answer), *at.tasks[1:])),
    }
    for name in ("text", "axiom", "cluster"):
        other = replace(first, **{name: getattr(at.prompts[-1], name)})
        others[name] = replace(at, prompts=(other, second, *at.prompts[2:]))
    flipped = replace(first, label=1 - first.label)
    others["label"] = replace(at, prompts=(flipped, second, *at.prompts[2:]))
    suite_of = {"readout": {"organism": "last"}, "space": "standardized"}
    suite_of["max_new_tokens"] = {"organism": 1}
    for field, value in suite_of.items():
        others[field] = replace(at, suite=replace(SUITE, **{field: value}))
    return others


@pytest.fixture(scope="module")
def benches(at: Bench) -> dict[str, Bench]:
    return changed(at)


WHAT = ["revision", "another model", "system", "fewer prompts", "tokens", "neutral", "questions"]
WHAT += ["chat", "right choice", "text", "axiom", "cluster", "label", "readout", "space"]
WHAT += ["max_new_tokens"]


def mark(of: Bench) -> str:
    return once._marks([steps()], once._asked(of))[0]


@pytest.mark.parametrize("what", WHAT)
def test_whatever_arms_are_scored_on_decides_the_mark(
    what: str, benches: dict[str, Bench], at: Bench
) -> None:
    assert set(benches) == set(WHAT)
    again = bench(TinyLab(), "A", "base", SUITE, "evaluation")
    assert mark(benches[what]) != mark(at) == mark(again)


IDLE: dict[str, Any] = {  # of a suite: asked of scores and answers, or in the hash of the texts
    "version": "other",
    "answers": 2,
    "neutral": 1,
    "tasks": 1,
    "single_method": "pca",
    "judge": {"organism": "lexical"},
    "judging": replace(SUITE.judging, labelled="other.jsonl"),
    "nulls": 5,
    "dose_kl": 0.7,
    "doses": (0.7,),
    "doses_beyond": (9.0,),
    "instruction": {"organism": "be brief"},
    "references": replace(SUITE.references, refusal={"organism": "No."}),
    "ceiling": replace(SUITE.ceiling, perplexity_ratio=9.0),
}


def test_another_judge_or_ceiling_leaves_the_mark(at: Bench) -> None:
    assert set(Suite.__dataclass_fields__) == {*IDLE, "readout", "space", "max_new_tokens"}
    for field, value in IDLE.items():
        assert getattr(SUITE, field) != value
        assert mark(replace(at, suite=replace(SUITE, **{field: value}))) == mark(at), field


def test_every_field_is_in_the_mark_or_has_no_part_in_scores() -> None:
    """A new field has to be put on one of the sides."""
    marked = {"loaded", "suite", "prompts", "encoded", "neutral", "chat", "questions", "tasks"}
    # answers are written anew, or `answered` is in their mark; so are calibration texts in a dose's
    assert set(Bench.__dataclass_fields__) == marked | {
        "answered",
        "calibration",
        "absent",
        "judge",
    }
    # tokens are in the mark; the budget is, which `weights` decides; the others name or follow
    known = {"tokenizer", "weights", "key", "role", "layers", "width"}
    assert set(Loaded.__dataclass_fields__) == {"model", "revision"} | known
    assert set(Intervention.__dataclass_fields__) == {
        "block",
        "direction",
        "strength",
        "operator",
        "scope",
    }
    assert set(Arm.__dataclass_fields__) == {"name", "steps"}
    idle = {"scikit-learn", "peft", "tokenizers"}  # which nothing here runs
    assert set(LIBRARIES) == set(DECISIVE) - idle


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("mahals.evaluation.cache.CODE", "7"),
        ("mahals.models.activations.cache.tokens_at", lambda *_: 7),
        ("mahals.models.activations.cache.torch.get_num_threads", lambda *_: 7),
        ("mahals.models.activations.cache.version", lambda _: "7"),
    ],
)
def test_code_machine_and_versions_decide_the_mark(
    what: str, value: Any, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mark(at)
    monkeypatch.setattr(what, value)
    assert mark(at) != before


def test_with_and_without_a_price_are_kept_apart(cache: StatesPlace, at: Bench) -> None:
    (cheap,) = cached_scores(cache, at, [steps()], neutral=False)
    (dear,) = cached_scores(cache, at, [steps()], neutral=True)
    assert cheap.shift is None and dear.shift is not None and len(files(cache)) == 2
    assert cached_scores(cache, at, [steps()], neutral=False)[0].shift is None


def test_the_code_is_all_that_scoring_runs_through() -> None:
    here = Path(once.__file__).parents[1]
    parts = ("bench", "scores", "dose", "cache")
    roots = tuple(f"mahals.evaluation.{part}" for part in parts)
    files = {p.relative_to(here).as_posix() for p in _closure(roots, frozenset(OUTSIDE))}
    run = {name for name in files if not name.endswith("__init__.py")}
    run.remove("kernels.py")  # the kernels in use are a fact in the mark itself
    assert {c for c in CODE_OF if any(n == c or n.startswith(f"{c}/") for n in run)} == set(CODE_OF)
    assert not [n for n in run if not any(n == c or n.startswith(f"{c}/") for c in CODE_OF)]
    assert once._code() == once.CODE


# ---- doses


def test_a_dose_is_searched_once_and_a_miss_is_kept_too(cache: StatesPlace, at: Bench) -> None:
    found = drawn(2)
    found[1] = replace(found[1], vectors={1: torch.zeros(WIDTH)})
    right = within_reach(at, found, 0.05)
    first = cached_doses(cache, at, found, 0.05)
    again = cached_doses(cache, broken_model(at), found, 0.05)
    for reached in (first, again):
        assert reached.missed == right.missed and len(reached.missed) == 1
        assert [d.label for d in reached.dosed] == [d.label for d in right.dosed]
        assert [d.strength for d in reached.dosed] == [d.strength for d in right.dosed]
    assert len(files(cache)) == len(found)


@pytest.mark.parametrize("what", ["target", "neutral", "chat", "model"])
def test_another_question_is_another_dose(what: str, cache: StatesPlace, at: Bench) -> None:
    found = drawn(1)[:1]
    cached_doses(cache, at, found, 0.05)
    dead, target = broken_model(at), 0.05
    if what == "target":
        target = 0.06
    elif what != "model":
        fewer = replace(dead.calibration, **{what: getattr(dead.calibration, what)[1:]})
        dead = replace(dead, calibration=fewer)
    else:
        dead = replace(dead, loaded=replace(dead.loaded, revision="other"))
    with pytest.raises(InputError, match="division by zero"):
        cached_doses(cache, dead, found, target)


# ---- what is kept


def test_zero_keeps_nothing_and_too_much_is_not_kept(cache: StatesPlace, at: Bench) -> None:
    right = texts(measure_arms(at, ARMS[:2], neutral=False))
    dosed = [d.strength for d in within_reach(at, drawn(1), 0.05).dosed]
    for limit in (0, 100):
        place = replace(cache, limit=limit)
        assert texts(cached_scores(place, at, ARMS[:2], neutral=False)) == right
        assert [d.strength for d in cached_doses(place, at, drawn(1), 0.05).dosed] == dosed
        assert not files(cache)


def test_what_was_used_is_noted_from_the_cache_too(cache: StatesPlace, at: Bench) -> None:
    seen = []
    for _ in range(2):
        with recording() as used:
            cached_scores(cache, at, ARMS, neutral=True)
        seen.append(used)
    assert seen[0] == seen[1] and len(seen[0].budgets) == 2


@pytest.mark.parametrize("short", [note_halved, lambda: note_budget(7)])
def test_scores_of_other_batches_than_the_mark_says_are_noted_and_not_kept(
    short: Callable[[], None], cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that were halved, or planned when less memory was free than a moment before."""

    def scored(*given: Any) -> Any:
        short()
        return score_arms(*given)

    monkeypatch.setattr(once, "score_arms", scored)
    with recording() as used:
        cached_scores(cache, at, ARMS[:1], neutral=True)
    assert (used.halved == 1 or 7 in used.budgets) and not files(cache)


def test_a_dose_of_other_batches_than_the_mark_says_is_not_kept(
    cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def searched(*given: Any) -> Any:
        note_budget(7)
        return doses_at(*given)

    monkeypatch.setattr(once, "doses_at", searched)
    assert len(cached_doses(cache, at, drawn(1), 0.05).dosed) == 3 and not files(cache)


@pytest.mark.parametrize("full", [False, True])
def test_a_cache_that_cannot_be_written_is_refused_with_a_cure(
    full: bool, cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in its place before anything is scored, a full disk after it."""
    if full:
        monkeypatch.setattr("mahals.models.activations.store.os.replace", no_space)
    else:
        cache.folder.write_text("a file")
        monkeypatch.setattr(once, "score_arms", lambda *_: 1 / 0)
    said = str(refused(lambda: cached_scores(cache, at, ARMS[:1], neutral=False)))
    assert str(cache.folder) in said and said.endswith("or set cache_gb to 0")


def no_space(*_: Any) -> None:
    raise OSError(28, "no space left on device")


def test_a_file_that_may_not_be_read_is_none(
    cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = texts(cached_scores(cache, at, [steps()], neutral=False))

    def theirs(self: Path) -> bytes:
        raise PermissionError(13, "permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", theirs)
    assert texts(cached_scores(cache, at, [steps()], neutral=False)) == right


def test_what_is_absent_or_odd_comes_back_as_it_was(cache: StatesPlace, at: Bench) -> None:
    (made,) = score_arms(at, [steps()], neutral=False)
    axiom = replace(made.aqi.axioms[0], xb=None, aqi_paper=None, p_value=0.25)
    aqi = replace(made.aqi, axioms=(axiom, *made.aqi.axioms[1:]))
    loss, shift = NeutralLoss((1e300, 0.0), (1, 2)), Shift(1e-320, 0.0)
    readings = replace(made.readings, mean=aqi)
    odd = replace(made, readings=readings, right=None, loss=loss, shift=shift)
    ask = once._Ask(cache, ["m"], set())
    for _ in range(2):
        (found,) = once._once(ask, lambda missing: [odd for _ in missing], once._scored)
        assert text(found) == text(odd) and found.aqi.axioms[0].xb is None
        assert (found.right, found.loss, found.shift) == (None, loss, shift)


def _digit(body: bytes) -> bytes:
    place = body.index(b"estimate") + 14
    return body[:place] + (b"1" if body[place : place + 1] != b"1" else b"2") + body[place + 1 :]


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "a digit": _digit,
    "cut": lambda body: body[:-8],
    "empty": lambda body: b"",
    "no text": lambda body: b"\xff\xfe" + body,
    "a list": lambda body: b"[]",
    "no hash": lambda body: json.dumps(
        {k: v for k, v in json.loads(body).items() if k != SUM}
    ).encode(),
    "another's name": lambda body: json.dumps(json.loads(body) | {MARK: "0" * 64}).encode(),
}


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("harm", HARMS)
def test_a_file_that_is_not_what_it_says_is_made_again(
    harm: str, cache: StatesPlace, at: Bench
) -> None:
    right = texts(cached_scores(cache, at, [steps()], neutral=False))
    (file,) = files(cache)
    body = file.read_bytes()
    assert HARMS[harm](body) != body
    file.write_bytes(HARMS[harm](body))
    assert texts(cached_scores(cache, at, [steps()], neutral=False)) == right
    assert texts(cached_scores(cache, broken_model(at), [steps()], neutral=False)) == right


def test_the_file_of_another_arm_is_not_this_ones(cache: StatesPlace, at: Bench) -> None:
    right = texts(cached_scores(cache, at, [steps()], neutral=False))
    (file,) = files(cache)
    cached_scores(cache, at, [steps(seed=1)], neutral=False)
    (other,) = set(files(cache)) - {file}
    os.replace(other, file)
    assert texts(cached_scores(cache, at, [steps()], neutral=False)) == right


@pytest.mark.usefixtures("written")
def test_an_arm_that_was_asked_for_is_not_the_next_to_leave(cache: StatesPlace, at: Bench) -> None:
    for seed in (0, 1):
        cached_scores(cache, at, [steps(seed=seed)], neutral=False)
    sizes = [file.stat().st_size for file in files(cache)]
    small = replace(cache, limit=sum(sizes) + max(sizes) // 2)
    for file in files(cache):
        os.utime(file, ns=(1, 1))
    cached_scores(small, at, [steps(seed=0)], neutral=False)
    cached_scores(small, at, [steps(seed=2)], neutral=False)
    cached_scores(small, broken_model(at), [steps(seed=0), steps(seed=2)], neutral=False)
    with pytest.raises(ZeroDivisionError):
        cached_scores(small, broken_model(at), [steps(seed=1)], neutral=False)
