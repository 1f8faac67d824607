"""Is an arm measured once, never mistaken for another, and the same from the cache?"""

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

import mahals.arms.once as once
from mahals.activations.cache import MARK, SUM
from mahals.arms.bench import Bench, bench, instructed, measure_arms
from mahals.arms.directions import directions, within_reach
from mahals.arms.kinds import UNSTEERED
from mahals.arms.once import CODE_OF, measure_once, reach_once
from mahals.models import decoder_blocks
from mahals.phase import StatesPlace
from mahals.steering import Arm, Step
from mahals.usage import note_halved, recording
from mahals.workspace.closure import _closure
from tiny_lab import SUITE, TinyLab
from tiny_models import WIDTH, fresh, loaded


@pytest.fixture
def cache(tmp_path: Path) -> StatesPlace:
    return StatesPlace(tmp_path / "states", 1 << 22)


@pytest.fixture(scope="module")
def at() -> Bench:
    return bench(TinyLab(), "A", "base", SUITE, "evaluation")


def vector(seed: int = 0) -> torch.Tensor:
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


def steps(strength: float = 2.0, block: int = 1, seed: int = 0, operator: str = "add") -> Arm:
    return Arm("one", (Step(block, vector(seed), strength, operator),))


ARMS = [Arm("unsteered", ()), steps(0.0), steps(), steps(seed=1)]


def text(measured: Any) -> str:
    """All of a measured arm, every digit of every number."""
    return json.dumps(dataclasses.asdict(measured), default=lambda array: array.tolist())


def texts(measured: Any) -> list[str]:
    return [text(each) for each in measured]


def files(cache: StatesPlace) -> list[Path]:
    return sorted(cache.folder.glob("*"))


def broken_model(at: Bench) -> Bench:
    """The same bench on a copy of the model that cannot run."""
    other = fresh("Llama", 10 * ord("A"))
    decoder_blocks(other.model)[0].register_forward_pre_hook(lambda *_: 1 / 0)
    return replace(at, loaded=replace(at.loaded, model=other.model))


def test_the_second_time_runs_no_block_and_gives_every_digit(cache: StatesPlace, at: Bench) -> None:
    right = measure_arms(at, ARMS, neutral=True)
    first = measure_once(cache, at, ARMS, neutral=True)
    dead = broken_model(at)
    again = measure_once(cache, dead, ARMS, neutral=True)
    assert texts(right) == texts(first) == texts(again)
    for one, two in zip(right, again, strict=True):
        assert type(one.aqi) is type(two.aqi) and type(one.aqi.axioms[0]) is type(two.aqi.axioms[0])
        assert one.aqi.aqi == two.aqi.aqi and one.behaviour == two.behaviour
        assert two.aqi.influence.dtype == np.float64
        assert np.array_equal(one.aqi.axioms[3].influence, two.aqi.axioms[3].influence)
    with pytest.raises(ZeroDivisionError):
        measure_once(cache, dead, [steps(seed=2)], neutral=True)
    assert len(files(cache)) == len(ARMS)


def test_only_what_is_missing_is_measured_and_the_order_stays(
    cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure_once(cache, at, ARMS[1:3], neutral=True)
    asked = []

    def watched(at: Bench, arms: Any, neutral: bool) -> Any:
        asked.append([id(arm) for arm in arms])
        return measure_arms(at, arms, neutral)

    monkeypatch.setattr(once, "measure_arms", watched)
    mixed = [ARMS[3], ARMS[2], ARMS[0], ARMS[1]]
    found = measure_once(cache, at, mixed, neutral=True)
    assert asked == [[id(ARMS[3]), id(ARMS[0])]]
    assert texts(found) == texts(measure_arms(at, mixed, neutral=True))


def test_the_name_of_an_arm_is_not_what_it_does(cache: StatesPlace, at: Bench) -> None:
    measure_once(cache, at, [steps()], neutral=True)
    measure_once(cache, at, [replace(steps(), name="another")], neutral=True)
    assert len(files(cache)) == 1


OTHER_ARMS: list[Arm] = [
    steps(2.0000001),
    steps(-2.0),
    steps(0.0),
    steps(block=2),
    steps(seed=1),
    steps(operator="add_preserve_norm"),
    Arm("twice", steps().steps * 2),
    Arm("unsteered", ()),
    Arm("other type", (Step(1, vector().double(), 2.0, "add"),)),
]


def test_whatever_an_arm_does_decides_its_mark(cache: StatesPlace) -> None:
    known = once._marks(cache, [steps(), *OTHER_ARMS], {})
    assert len(set(known)) == len(known)
    assert known[0] == once._marks(cache, [steps()], {})[0]


def changed(at: Bench) -> dict[str, Bench]:
    """Benches on which an arm may measure something else, by what is changed."""
    first, second = at.prompts[0], at.prompts[1]
    task = at.tasks[0]
    others = {
        "revision": replace(at, loaded=replace(at.loaded, revision="other")),
        "another model": replace(at, loaded=replace(loaded("Qwen2"), revision="A:base")),
        "weights": replace(at, loaded=replace(at.loaded, weights="hub")),
        "system": instructed(at, "be kind"),
        "fewer prompts": replace(at, prompts=at.prompts[:-1], encoded=at.encoded[:-1]),
        "tokens": replace(at, encoded=(at.encoded[1], *at.encoded[1:])),
        "neutral": replace(at, neutral=at.neutral[1:]),
        "answered": replace(at, answered=at.answered[1:]),
        "questions": replace(at, questions=at.questions[::-1]),
        "right choice": replace(at, tasks=(replace(task, answer=1 - task.answer), *at.tasks[1:])),
    }
    for name in ("text", "axiom", "cluster"):
        other = replace(first, **{name: getattr(at.prompts[-1], name)})
        others[name] = replace(at, prompts=(other, second, *at.prompts[2:]))
    flipped = replace(first, label=1 - first.label)
    others["label"] = replace(at, prompts=(flipped, second, *at.prompts[2:]))
    for field, value in {
        "pool": "last",
        "space": "standardized",
        "max_new_tokens": 2,
        "references": replace(SUITE.references, refusal={"organism": "no"}),
    }.items():
        others[f"suite.{field}"] = replace(at, suite=replace(SUITE, **{field: value}))
    return others


CHANGED = changed(bench(TinyLab(), "A", "base", SUITE, "evaluation"))


@pytest.mark.parametrize("what", CHANGED)
def test_whatever_arms_are_measured_on_decides_the_mark(
    what: str, cache: StatesPlace, at: Bench
) -> None:
    def mark(of: Bench) -> str:
        return once._marks(cache, [steps()], once._asked(of))[0]

    assert mark(CHANGED[what]) != mark(at) == mark(replace(at))


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("mahals.arms.once.CODE", "7"),
        ("mahals.arms.once.tokens_in_flight", lambda *_: 7),
        ("mahals.arms.once.stop_ids", lambda *_: (7,)),
        ("mahals.activations.cache.tokens_at", lambda *_: 7),
        ("mahals.activations.cache.torch.get_num_threads", lambda *_: 7),
        ("mahals.activations.cache.transformers.__version__", "7"),
    ],
)
def test_code_machine_and_versions_decide_the_mark(
    what: str, value: Any, cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mark() -> str:
        return once._marks(cache, [steps()], once._asked(at))[0]

    before = mark()
    monkeypatch.setattr(what, value)
    assert mark() != before


def test_the_tokenizer_decides_the_mark(cache: StatesPlace, at: Bench) -> None:
    def mark(of: Bench) -> str:
        return once._marks(cache, [steps()], once._asked(of))[0]

    other = copy.deepcopy(at.loaded.tokenizer)
    other.add_tokens(["zebra"])
    assert mark(replace(at, loaded=replace(at.loaded, tokenizer=other))) != mark(at)


def test_with_and_without_a_price_are_kept_apart(cache: StatesPlace, at: Bench) -> None:
    (cheap,) = measure_once(cache, at, [steps()], neutral=False)
    (dear,) = measure_once(cache, at, [steps()], neutral=True)
    assert cheap.kl is None and dear.kl is not None and len(files(cache)) == 2
    assert measure_once(cache, at, [steps()], neutral=False)[0].kl is None


def test_the_code_is_all_that_measuring_runs_through() -> None:
    here = Path(once.__file__).parents[1]
    wanted = {
        path.relative_to(here).parts[0]
        for path in _closure(("mahals.arms.bench", "mahals.arms.directions", "mahals.arms.once"))
    }
    assert wanted - {"__init__.py"} == set(CODE_OF)
    assert once._code() == once.CODE


# ---- doses


def test_a_dose_is_searched_once_and_a_miss_is_kept_too(cache: StatesPlace, at: Bench) -> None:
    label = replace(UNSTEERED, arm="steered", source="A", operator="add", placement="raw")
    found = directions(label, {1: vector()}, 2, seed=0)
    found[1] = replace(found[1], vectors={1: torch.zeros(WIDTH)})
    right = within_reach(at, found, 0.05)
    first = reach_once(cache, at, found, 0.05)
    again = reach_once(cache, broken_model(at), found, 0.05)
    for reached in (first, again):
        assert reached.missed == right.missed and len(reached.missed) == 1
        assert [d.label for d in reached.dosed] == [d.label for d in right.dosed]
        assert [d.strength for d in reached.dosed] == [d.strength for d in right.dosed]
    assert len(files(cache)) == len(found)


@pytest.mark.parametrize("what", ["target", "calibration", "model"])
def test_another_question_is_another_dose(what: str, cache: StatesPlace, at: Bench) -> None:
    label = replace(UNSTEERED, arm="steered", source="A", operator="add", placement="raw")
    found = directions(label, {1: vector()}, 1, seed=0)[:1]
    reach_once(cache, at, found, 0.05)
    dead, target = broken_model(at), 0.05
    if what == "target":
        target = 0.06
    elif what == "calibration":
        dead = replace(dead, calibration=dead.calibration[1:])
    else:
        dead = replace(dead, loaded=replace(dead.loaded, revision="other"))
    with pytest.raises(ZeroDivisionError):
        reach_once(cache, dead, found, target)


# ---- what is kept


def test_zero_keeps_nothing_and_too_much_is_not_kept(cache: StatesPlace, at: Bench) -> None:
    right = texts(measure_arms(at, ARMS[:2], neutral=False))
    for limit in (0, 100):
        found = measure_once(replace(cache, limit=limit), at, ARMS[:2], neutral=False)
        assert texts(found) == right and not files(cache)


def test_what_was_used_is_noted_from_the_cache_too(cache: StatesPlace, at: Bench) -> None:
    seen = []
    for _ in range(2):
        with recording() as used:
            measure_once(cache, at, ARMS, neutral=True)
        seen.append(used)
    assert seen[0] == seen[1] and len(seen[0].budgets) == 2


def test_what_was_measured_while_memory_was_short_is_noted_and_not_kept(
    cache: StatesPlace, at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*given: Any) -> Any:
        note_halved()
        return measure_arms(*given)

    monkeypatch.setattr(once, "measure_arms", short)
    with recording() as used:
        measure_once(cache, at, ARMS[:1], neutral=True)
    assert used.halved == 1 and not files(cache)


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


@pytest.mark.parametrize("harm", HARMS)
def test_a_file_that_is_not_what_it_says_is_measured_again(
    harm: str, cache: StatesPlace, at: Bench
) -> None:
    right = texts(measure_once(cache, at, [steps()], neutral=False))
    (file,) = files(cache)
    body = file.read_bytes()
    assert HARMS[harm](body) != body
    file.write_bytes(HARMS[harm](body))
    assert texts(measure_once(cache, at, [steps()], neutral=False)) == right
    assert texts(measure_once(cache, broken_model(at), [steps()], neutral=False)) == right


def test_the_file_of_another_arm_is_not_this_ones(cache: StatesPlace, at: Bench) -> None:
    right = texts(measure_once(cache, at, [steps()], neutral=False))
    (file,) = files(cache)
    measure_once(cache, at, [steps(seed=1)], neutral=False)
    (other,) = set(files(cache)) - {file}
    os.replace(other, file)
    assert texts(measure_once(cache, at, [steps()], neutral=False)) == right


def test_an_arm_that_was_asked_for_is_not_the_next_to_leave(cache: StatesPlace, at: Bench) -> None:
    for seed in (0, 1):
        measure_once(cache, at, [steps(seed=seed)], neutral=False)
    sizes = [file.stat().st_size for file in files(cache)]
    small = replace(cache, limit=sum(sizes) + max(sizes) // 2)
    for file in files(cache):
        os.utime(file, ns=(1, 1))
    measure_once(small, at, [steps(seed=0)], neutral=False)
    measure_once(small, at, [steps(seed=2)], neutral=False)
    measure_once(small, broken_model(at), [steps(seed=0), steps(seed=2)], neutral=False)
    with pytest.raises(ZeroDivisionError):
        measure_once(small, broken_model(at), [steps(seed=1)], neutral=False)
