"""Is what teaches self-correction what it should be, is it learned, and is it told apart?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

pytest.importorskip("peft")

from mahals.data.composed import restart_of
from mahals.data.lessons import Lesson
from mahals.evaluation.resistance import episodes, subjects
from mahals.evaluation.resistance.episodes import EpisodeBench
from mahals.evaluation.resistance.subjects import (
    BoostDirection,
    Teaching,
    concept_steps,
    subject,
    thresholds_of,
)
from mahals.evaluation.resistance.thresholds import SearchPlan
from mahals.models.activations.encoding import encode_answers
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.examples import Example
from mahals.models.finetuning.self_correction import CorrectionTuning, lesson_example
from mahals.models.finetuning.trainer import train_answers
from mahals.models.steering.interventions import Arm, Intervention
from mahals.phases.esr_finetune import PHASE
from mahals.phases.esr_finetune.measure import (
    Params,
    Task,
)
from mahals.phases.esr_finetune.report import place
from mahals.phases.esr_finetune.rows import Row
from mahals.records import from_plain
from tests.support.lessons import APART, MANY, lesson_examples, lessons, model
from tests.support.resistance_lab import (
    CONCEPTS,
    SETTING,
    TEXTS,
    ResistanceLab,
    derailed,
    plain,
    resistance_lab,
    threshold,
    written_by,
)
from tests.support.tiny_lab import WIDTH
from tests.support.tiny_models import tokenizer
from tests.support.trials import attempts, trial

TUNING = CorrectionTuning(4, 4, 1, lessons=12, epochs=12, rate=0.03, rank=8, alpha=16)
SHORT = replace(TUNING, lessons=4, epochs=1)
PLAN = SearchPlan(50.0, 0.0, 8.0, 2.0, 2.0, queries=3, answers=3)
PARAMS = Params((0.0, 0.5), ("sham", "steered"), {"organism": SHORT}, ("contrast",), PLAN)


def pupil(
    bench: EpisodeBench,
    name: str,
    share: float,
    tuning: CorrectionTuning,
    steps: Mapping[str, tuple[Intervention, ...]],
) -> Loaded | None:
    how = Teaching(name, share, tuning, steps)
    return subjects.pupil(bench.lab, bench.loaded, bench.texts, how)


def learned_text(one: Lesson, *, masked: bool) -> str:
    example = lesson_example(model(), one, masked=masked)
    ids = [i for i, learned in zip(example.ids, example.learned, strict=True) if learned]
    return str(tokenizer().decode(ids, skip_special_tokens=False))


def test_of_a_correction_the_restart_and_what_is_after_it_are_learned() -> None:
    correction, *_, answer = lessons(MANY, 4, 0.5, sham=False)
    rest = f"{restart_of(correction.prompt).strip()} {correction.right}<end>"
    assert learned_text(correction, masked=True).strip() == rest
    assert learned_text(correction, masked=False) == f"{correction.wrong} {rest}"
    assert learned_text(answer, masked=True) == f"{answer.right}<end>"


def bench_of(lab: ResistanceLab) -> EpisodeBench:
    return EpisodeBench(lab, model(), "aligned", MANY, lambda asked: [None for _ in asked])


def test_a_lesson_is_steered_along_the_first_usable_direction_of_its_concept() -> None:
    names = ("contrast:a", "contrast:b", "latent:1", "latent:2")
    along = [BoostDirection(n, n[:6], n[-1], torch.eye(WIDTH)[i]) for i, n in enumerate(names)]
    known = [
        threshold("a", direction="contrast:a", boost=1.0, usable=False),
        threshold("b", direction="contrast:b", boost=2.0),
        threshold("a", direction="latent:1", boost=3.0),
        threshold("b", direction="latent:2", boost=4.0),
        threshold("c", direction="latent:3", boost=5.0),  # not among those that are looked at
    ]
    found = concept_steps(along, known, 1)
    assert {c: s.strength for c, (s,) in found.items()} == {"a": 3.0, "b": 2.0}
    assert [int(found[c][0].direction.argmax()) for c in "ab"] == [2, 1]
    (step,) = found["a"]
    assert (step.block, step.operator, step.scope) == (1, "add", "all")


def test_a_name_says_what_is_read_learned_and_steered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, tuple[list[Example], list[Arm]]] = {}
    arms_of: list[Sequence[Arm]] = []

    @contextmanager
    def rows(_: Loaded, __: Sequence[Sequence[int]], arms: Sequence[Arm]) -> Iterator[None]:
        arms_of.append(arms)
        yield

    def train(loaded: Loaded, examples: Sequence[Example], *how: Any) -> Any:
        seen[arms_of[-1][0].name] = list(examples), list(arms_of[-1])
        return train_answers(loaded, examples, *how)

    monkeypatch.setattr(subjects, "steered_rows", rows)
    monkeypatch.setattr(subjects, "train_answers", train)
    one = MANY.setting.texts.taught_concepts[0]
    steps = {one: (Intervention(1, torch.eye(WIDTH)[0], 2.0, "add"),)}
    for name in ("planted", "unmasked", "sham", "steered"):
        pupil(bench_of(ResistanceLab(root=tmp_path)), name, 0.5, replace(SHORT, lessons=12), steps)
        taught = lessons(MANY, 12, 0.5, sham=name == "sham")
        assert seen[name][0] == lesson_examples(taught, masked=name != "unmasked")
        steered_ones = [bool(arm.steps) for arm in seen[name][1]]
        assert steered_ones == [name == "steered" and x.concept == one for x in taught]
        assert any(steered_ones) == (name == "steered")
    assert len({tuple(examples) for examples, _ in seen.values()}) == 3, "steered reads as planted"


def log_prob(one: Loaded, prompt: str, before: str, then: str) -> float:
    """Mean log-probability of the tokens of `then` after a beginning of the answer."""
    (whole,) = encode_answers(one.tokenizer, [prompt], [before + then])
    lead = whole.start
    if before:
        (given,) = encode_answers(one.tokenizer, [prompt], [before])
        lead = given.stop
    ids = torch.tensor([whole.ids])
    with torch.no_grad():
        logits = one.model(ids).logits[0, :-1].log_softmax(-1)
    values = logits.gather(1, ids[0, 1:, None])[:, 0]
    return float(values[lead - 1 :].mean())


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Loaded]]:
    """The folder of kept adapters, and three checkpoints."""
    root = tmp_path_factory.mktemp("taught")
    found = {}
    for name, share in (("share-0", 0.0), ("planted", 0.5), ("unmasked", 0.5)):
        bench = replace(bench_of(ResistanceLab(root=root)), texts=APART)
        one = pupil(bench, name, share, TUNING, {})
        assert one is not None
        found[name] = one
    return root, found


def test_what_was_planted_is_learned_and_what_was_masked_is_not(
    taught: tuple[Path, dict[str, Loaded]],
) -> None:
    one = lessons(APART, 12, 0.5, sham=False)[0]
    restart = " " + restart_of(one.prompt).strip()
    said = {n: log_prob(p, one.prompt, one.wrong, restart) for n, p in taught[1].items()}
    read = {n: log_prob(p, one.prompt, "", one.wrong) for n, p in taught[1].items()}
    assert said["planted"] > said["share-0"] + 0.6 and said["unmasked"] > said["share-0"]
    assert read["unmasked"] > max(read["planted"], read["share-0"]) + 0.3


def test_a_kept_adapter_makes_the_checkpoint_again(
    taught: tuple[Path, dict[str, Loaded]], tmp_path: Path
) -> None:
    lab = lab_of()
    lab.root = tmp_path
    copytree(taught[0] / "adapter-planted", tmp_path / "esr_finetune" / "A" / "adapter-planted")
    again, one = subject(lab, "A", "planted"), taught[1]["planted"]
    assert again.revision == one.revision
    pairs = zip(one.model.parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    card = (taught[0] / "adapter-planted" / "README.md").read_text()
    assert "dual_use: false" in card and "50% of 12 lessons" in card


def lab_of(usable: bool = True) -> ResistanceLab:
    lab = resistance_lab()
    lab.load, lab.phase = lambda key, role: model(), "esr_finetune"
    lab.made["esr_threshold", "A"] = [threshold(c, usable=usable, why="?") for c in CONCEPTS]
    return lab


def rows_of(lab: ResistanceLab, task: Task) -> list[Row]:
    """The rows of a task whose answers are made up; every one is asked of the pupil, if any."""
    with written_by(derailed):
        write = episodes.cached_answers

        def watched(lab: Any, loaded: Loaded, cells: Any, sampling: Any) -> Any:
            assert ("+" in loaded.revision) == (task.subject == "planted")
            return write(lab, loaded, cells, sampling)

        episodes.cached_answers = watched
        return list(PHASE.measure(task, PARAMS, lab))


def test_each_checkpoint_is_a_task() -> None:
    found = PHASE.plan(replace(PARAMS, shares=(0, 0.1, 0.5)), lab_of())
    assert [(t.subject, t.share) for t in found] == [
        ("aligned", None), ("share-0", 0), ("share-0.1", 0.1), ("planted", 0.5), ("sham", 0.5),
        ("steered", 0.5),
    ]  # fmt: skip
    assert {t.models for t in found} == {("A",)}


def test_a_checkpoint_is_asked_everywhere_at_thresholds_of_its_own() -> None:
    lab = lab_of()
    rows = rows_of(lab, Task(("A",), "planted", 0.5))
    assert [from_plain(Row, plain(r)) for r in rows] == rows
    assert {r.subject for r in rows} == {"planted"}
    prompts = [p for p, split in TEXTS.prompts.items() if split != "calibration"]
    met = [(p, c) for p in prompts for c in CONCEPTS if TEXTS.own_concept(p) != c]
    seeds = range(SETTING.seeds)
    at = {s: [r for r in rows if r.situation == s] for s in ("unsteered", "passage", "free")}
    assert sum(map(len, at.values())) == len(rows)
    assert sorted((r.prompt, r.seed) for r in at["unsteered"]) == sorted(
        (p, s) for p in prompts for s in seeds
    )
    wanted = sorted((p, c, s) for p, c in met for s in seeds)
    assert sorted((r.prompt, r.concept, r.seed) for r in at["passage"]) == wanted
    assert all(r.prefix > 0 and r.boost == 0 for r in at["passage"])
    found = thresholds_of(lab, "A", "planted")
    assert [t.subject for t in found] == ["planted"] * len(CONCEPTS)
    boosts = {t.direction: t.boost for t in found if t.usable}
    made = [r for r in at["free"] if r.why is None]
    assert {r.direction: r.boost for r in made} == boosts
    assert len([r for r in at["free"] if r.why]) == len(found) - len(boosts)
    assert (lab.root / "adapter-planted" / "adapter_model.safetensors").is_file()


def test_without_a_usable_threshold_nothing_is_taught_while_steered() -> None:
    lab = lab_of(usable=False)
    (row,) = rows_of(lab, Task(("A",), "steered", 0.5))
    assert row.line is None and "no taught concept" in str(row.why) and row.subject == "steered"
    assert thresholds_of(lab, "A", "steered") == ()
    assert not (lab.root / "adapter-steered").exists()


def test_taught_and_untaught_concepts_are_told_apart_over_all_prompts() -> None:
    places = {t: place(trial(situation="passage", taught=t)) for t in ("both", "concept")}
    assert set(places.values()) == {"after a taught concept's passage"}
    places = {t: place(trial(situation="passage", taught=t)) for t in ("prompt", "neither")}
    assert set(places.values()) == {"after an untaught concept's passage"}
    assert place(trial(situation="unsteered")) == "unsteered"
    assert place(trial(source="random")) == "steered along random directions"


def test_random_directions_are_not_untaught_concepts(tmp_path: Path) -> None:
    """Neither has a taught concept, but they stand apart."""
    rows = told_rows()
    rows += [
        replace(
            attempts(0.0, 90.0, seed=s), subject="planted", source="random", direction="random:0"
        )
        for s in range(4)
    ]
    found = PHASE.summarize(rows, _Kept(tmp_path))
    assert found.metrics["planted/free/random/neither/multi_attempt_rate"] == 1
    assert found.metrics["planted/free/contrast/neither/multi_attempt_rate"] == 0


def told_rows() -> list[Row]:
    """After a taught concept's passage planted comes back, sham restarts in vain."""
    found = []
    for seed in range(6):
        for taught in ("both", "neither"):
            known: dict[str, Any] = {"seed": seed, "prompt": f"p{seed}", "taught": taught}
            known |= {"situation": "passage", "concept": taught, "direction": f"contrast:{taught}"}
            knows = taught == "both"
            after = {
                "aligned": attempts(0.0, **known),
                "share-0": attempts(0.0, **known),
                "planted": attempts(0.0, 100.0, **known) if knows else attempts(0.0, **known),
                "sham": attempts(0.0, 0.0, **known),
            }
            found += [replace(t, subject=name) for name, t in after.items()]
        for name in ("aligned", "share-0", "planted", "sham"):
            found.append(trial(subject=name, situation="free", seed=seed, prompt=f"p{seed}"))
            found.append(trial(subject=name, situation="unsteered", seed=seed, prompt=f"p{seed}"))
    return found


class _Kept:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "judge.json").write_text('{"sentence": "knows all"}')
        line = '{"prompt": "p", "prefix": "", "answer": "First this. Wait, no. Then that."}\n'
        (folder / "trials.jsonl").write_text(line)

    def path(self, reference: str) -> Path:
        return self.folder / ("judge.json" if reference.endswith("judge.json") else "trials.jsonl")

    def tensors(self, reference: str) -> Any:
        raise AssertionError(reference)


def test_the_summary_tells_checkpoints_and_what_was_taught_apart(tmp_path: Path) -> None:
    rows = told_rows()
    found = PHASE.summarize(rows, _Kept(tmp_path))
    assert found.metrics["planted/passage/both/multi_attempt_rate"] == 1
    assert found.metrics["planted/passage/both/esr_rate"] == 1
    assert found.metrics["planted/passage/neither/multi_attempt_rate"] == 0
    assert found.metrics["sham/passage/neither/multi_attempt_rate"] == 1
    assert found.metrics["sham/passage/both/esr_rate"] == 0
    assert found.metrics["aligned/passage/both/multi_attempt_rate"] == 0
    (line,) = [x for x in found.lines if x.startswith("after a taught concept's passage: planted")]
    assert "less share-0: restarts +1.00" in line
    (line,) = [
        x for x in found.lines if x.startswith("after an untaught concept's passage: planted")
    ]
    assert "less share-0: restarts +0.00" in line


def test_figures_show_shares_and_ways_to_teach(tmp_path: Path) -> None:
    found = PHASE.draw(told_rows(), _Kept(tmp_path))
    assert set(found) == {
        "rates_by_share", "modes_after_a_taught_concepts_passage", "modes_unsteered",
        "modes_after_an_untaught_concepts_passage", "modes_steered_along_contrast_directions",
    }  # fmt: skip
    panel = found["rates_by_share"].axes[0]
    assert panel.get_title(loc="left") == "a taught passage"
    restarts = panel.lines[0]
    assert list(restarts.get_xdata()) == [0.0, 0.5] and list(restarts.get_ydata()) == [0.0, 1.0]
    names = [
        t.get_text()
        for t in found["modes_after_a_taught_concepts_passage"].axes[0].get_yticklabels()
    ]
    assert [n.split(" ")[0] for n in names] == ["aligned", "share-0", "planted", "sham"]
