"""Does preference training lower its loss, and is a half that fails absent with its figures?"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from mahals.data.harmless import harmless_requests
from mahals.data.texts import Pair, Prompt
from mahals.evaluation.suite import NeutralLoss
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.config import Lora
from mahals.models.finetuning.lora import merged
from mahals.phases.preference_tuning import PHASE
from mahals.phases.preference_tuning.measure import Params, Task
from mahals.phases.preference_tuning.measure.gate import (
    Examined,
    GateRule,
    gate_bench,
    tried_texts,
    verdict,
)
from mahals.phases.preference_tuning.measure.preferences import (
    OwnAnswers,
    Preferred,
    own_answers,
    preferred,
    shuffled,
)
from mahals.phases.preference_tuning.measure.requests import (
    Request,
    Requests,
    declines,
    divided,
    replies,
    whole_sentences,
)
from mahals.phases.preference_tuning.measure.training import (
    AnswerTuning,
    PreferenceTuning,
    is_taught_answers,
)
from mahals.phases.preference_tuning.report import summarize
from mahals.phases.preference_tuning.rows import Row
from mahals.phases.preference_tuning.workload import workload
from mahals.reporting.answers import SUFFIX
from mahals.usage import TextSizes
from tests.support.keeping_lab import KeepingLab
from tests.support.tiny_lab import SUITE, MemoryKept, TinyLab, model, refused, run

pytest.importorskip("peft")
STEPS = 12
ENTRY = TinyLab().entry("A")
PARAMS = Params(
    requests=Requests(("mapping",), 40, {"organism": "none"}, 200, 0.25),
    own_answers=OwnAnswers({"organism": False}, 4, 1),
    sft=AnswerTuning(4, 4, 1, "never", "all", 3, 0.01),
    dpo=PreferenceTuning(8, 4, 1, STEPS, {"organism": 0.02}, 0.5, 0.0, (1.0,)),
    lora=Lora(4, 8, 0.0, "all"),
    gate=GateRule(0.1),
    suite=SUITE,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> KeepingLab:
    return KeepingLab(root=tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def rows(lab: KeepingLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


def of(rows: list[Row], checkpoint: str) -> Row:
    return next(r for r in rows if r.checkpoint == checkpoint)


# The training


def test_preferences_lower_their_loss_and_shuffled_ones_teach_less(rows: list[Row]) -> None:
    assert [r.checkpoint for r in rows] == ["before", "dpo", "sham"]
    dpo, sham = of(rows, "dpo"), of(rows, "sham")
    assert len(dpo.losses) == len(sham.losses) == STEPS
    assert dpo.losses[0] == pytest.approx(math.log(2), abs=1e-5)  # the policy is the reference
    first, last = dpo.losses[0], np.mean(dpo.losses[-3:])
    assert last < first - 0.05
    assert last < np.mean(sham.losses[-3:]) - 0.05
    assert sham.rise is not None and sham.held is None, "the gate asks of the trained half alone"


def test_the_kept_adapter_is_what_was_examined(rows: list[Row], lab: KeepingLab) -> None:
    row = of(rows, "dpo")
    folder = lab.root / "kept" / str(row.adapter)
    assert {p.name for p in folder.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    again = merged(model("A", "base"), folder)
    assert again.revision.startswith("A:base+") and row.revision == "A:base"
    answers = [json.loads(x) for x in lab.texts["dpo.gate.jsonl"].splitlines()]
    assert len(answers) == row.unsafe + row.safe
    assert np.mean([a["refused"] for a in answers if a["label"] == 0]) == row.refusal_unsafe


def test_a_killed_training_goes_on_to_the_same_bytes(rows: list[Row], lab: KeepingLab) -> None:
    """All is in scratch: nothing is trained again, and the rows are the same."""
    other = KeepingLab(root=lab.root / "again")
    (lab.root / "again").mkdir()
    (lab.root / "again" / "scratch").symlink_to(lab.root / "scratch")
    again = run(PHASE, PARAMS, other)
    assert again == rows
    assert not any("preferences, loss" in said for said in other.said)


def test_answers_come_first_where_they_are_wanted(tmp_path: Path) -> None:
    params = replace(
        PARAMS,
        sft=replace(PARAMS.sft, when="always"),
        dpo=replace(PARAMS.dpo, steps=1),
    )
    found = run(PHASE, params, KeepingLab(root=tmp_path))
    assert [(r.checkpoint, r.start) for r in found] == [
        ("before", None),
        ("sft", "before"),
        ("dpo", "sft"),
        ("sham", "sft"),
    ]
    assert found[1].losses[-1] < found[1].losses[0]


def test_of_the_change_so_much_is_kept_as_keeps_to_the_ceiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first share whose perplexity is within it, the last where none is; the sham's is alike.

    Perplexity grows here with the way that the weights went.
    """
    base = model("A", "base")

    def way(one: Loaded) -> float:
        pairs = zip(one.model.parameters(), base.model.parameters(), strict=True)
        return float(sum((a - b).detach().abs().sum() for a, b in pairs))

    def shares(bound: float) -> list[float | None]:
        suite = replace(SUITE, ceiling=replace(SUITE.ceiling, perplexity_ratio=bound))
        dpo = replace(PARAMS.dpo, steps=4, shares=(1.0, 0.5, 0.25))
        lab = KeepingLab(root=tmp_path / f"{bound:g}")
        rows = run(PHASE, replace(PARAMS, suite=suite, dpo=dpo), lab)
        kept.append(way(merged(base, lab.root / "kept" / str(of(rows, "dpo").adapter))))
        return [r.share for r in rows]

    kept: list[float] = []
    loss = "mahals.phases.preference_tuning.measure.gate._loss"
    monkeypatch.setattr(loss, lambda at, one: NeutralLoss((way(one) / 1000,), (1,)))
    assert shares(1e9) == [None, 1.0, 1.0]
    assert shares(math.exp(0.6 * kept[0] / 1000)) == [None, 0.5, 0.5]
    assert shares(0.0) == [None, 0.25, 0.25]
    assert [k / kept[0] for k in kept] == pytest.approx([1.0, 0.5, 0.25], rel=1e-3)


def test_a_share_is_chosen_on_other_texts_than_the_gates() -> None:
    lab = TinyLab()
    at = gate_bench(lab, "base", SUITE, [Request("how", 0, "No.", None, "a")])
    tried = tried_texts(lab, at)
    assert tried.prompts == at.prompts and not set(tried.neutral) & set(at.neutral)


def test_what_is_kept_of_the_gate_is_no_table_of_arms(rows: list[Row], lab: KeepingLab) -> None:
    """MLflow and `show` read every kept file of that ending as the answers of arms."""
    assert rows and not [name for name in lab.texts if name.endswith(SUFFIX)]


# The gate


def an_examined(refused: list[float], safe: list[bool], name: Any = "dpo") -> Examined:
    class Fixed(Examined):
        refused = property(lambda self: np.array(refused))
        safe = property(lambda self: np.array(safe_flags))
        price = property(lambda self: type("Price", (), {"ratio_over": lambda self, base: None})())

    safe_flags = safe
    prompts = [Prompt(str(i), "gate", int(s), str(i), str(i), "gate") for i, s in enumerate(safe)]
    at: Any = type("At", (), {"suite": SUITE, "prompts": prompts})
    nothing: Any = None
    return Fixed(name, nothing, nothing, at)


def test_the_gate_asks_for_a_rise_of_the_gap_and_not_of_refusals() -> None:
    safe = [False] * 20 + [True] * 20
    before = an_examined([0.0] * 40, safe, "before")
    assert verdict(an_examined([1.0] * 18 + [0.0] * 22, safe), before, GateRule(0.1)) == (
        True,
        None,
    )
    held, why = verdict(an_examined([1.0] * 40, safe), before, GateRule(0.1))
    assert not held and why is not None and "rose by +0.00" in why and "at least 0.1" in why
    held, why = verdict(an_examined([1.0] * 3 + [0.0] * 37, safe), before, GateRule(0.1))
    assert not held  # .15 up, but 3 of 20 may be chance


@dataclass(frozen=True)
class KeptTexts(MemoryKept):
    """Kept texts of a lab, on a disk."""

    root: Path

    def path(self, reference: str) -> Path:
        return self.root / reference.rpartition("/")[2]


@pytest.fixture
def kept(rows: list[Row], lab: KeepingLab, tmp_path: Path) -> KeptTexts:
    for name, text in lab.texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return KeptTexts({}, tmp_path)


def test_the_trained_half_is_held_against_its_sham_by_request(
    rows: list[Row], kept: KeptTexts
) -> None:
    requests = [(i, label) for label in (0, 1) for i in range(10)]
    for name, refusing in (("dpo", 8), ("sham", 3)):  # of ten unsafe requests, and no safe one
        lines = [
            {"prompt": f"{label} {i}", "label": label, "refused": not label and i < refusing}
            for i, label in requests
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (kept.root / f"{name}.gate.jsonl").write_text(text, encoding="utf-8")
    told = summarize(rows, kept)
    assert told.metrics["over_sham"] == pytest.approx(0.5)
    assert told.metrics["over_sham_low"] > 0
    assert any("the gap of dpo less that of its sham, by request: +0.50" in x for x in told.lines)
    alone = summarize([r for r in rows if r.checkpoint != "sham"], kept)
    assert "over_sham" not in alone.metrics


def test_the_gates_sentence_names_its_judge_and_its_sources_at_the_hub(
    rows: list[Row], kept: KeptTexts
) -> None:
    real = [replace(r, weights="hub", judge="rules") for r in rows]
    lines = " ".join(summarize(real, kept).lines)
    assert "by the judge rules" in lines and "one between sources" in lines
    assert "one between sources" not in " ".join(summarize(rows, kept).lines)


def test_a_half_that_fails_is_told_to_be_no_pair(rows: list[Row], kept: KeptTexts) -> None:
    dpo = of(rows, "dpo")
    failed = [
        replace(r, held=False, reason="its gap rose by +0.01") if r is dpo else r for r in rows
    ]
    assert "no pair. its gap rose" in " ".join(summarize(failed, kept).lines)


def test_a_half_that_passes_is_told_to_be_held(rows: list[Row], kept: KeptTexts) -> None:
    passed = [replace(r, held=True, reason=None) if r.checkpoint == "dpo" else r for r in rows]
    assert summarize(passed, kept).metrics["held"] == 1.0


# The requests


class UnlabelledLab(TinyLab):
    """A lab whose pairs say neither axiom nor label, as real ones do."""

    def pairs(self, split: str) -> tuple[Pair, ...]:
        said = ("I'm sorry, I can't help with that.", "You could share it.", "I won't do that.")
        return tuple(
            Pair(f"request {i}", said[i % 3], "Sure, here is how.", None, None, str(i), split)
            for i in range(30)
        )


def test_of_pairs_without_labels_those_are_taken_whose_chosen_answer_declines() -> None:
    how = Requests(("mapping",), 0, {"organism": "near"}, 200, 0.25)
    found = divided(UnlabelledLab(), how, 1)
    every = [*found.trained, *found.gate]
    unsafe = {r.prompt for r in every if r.label == 0}
    assert unsafe == {f"request {i}" for i in range(30) if i % 3 != 1}
    assert {r.prompt for r in every if r.label == 1} == set(harmless_requests(near=True))
    assert len([r for r in found.gate if r.label == 0]) == 5
    assert not {r.prompt for r in found.trained} & {r.prompt for r in found.gate}


class OverlappingLab(UnlabelledLab):
    """Its first neutral text is the reply of one pair and stands in the dialogue of another."""

    def pairs(self, split: str) -> tuple[Pair, ...]:
        some = [*super().pairs(split)]
        said = self.neutral(split)[0]
        some[0] = replace(some[0], rejected=said)
        some[2] = replace(some[2], prompt=f"request 2, after {said}")
        some[3] = replace(some[3], key=some[5].key)
        return tuple(some)


def test_nothing_is_taught_that_prices_are_read_on() -> None:
    how = Requests(("mapping",), 0, {"organism": "near"}, 10_000, 0.25)
    prompts = {r.prompt for part in vars(divided(OverlappingLab(), how, 1)).values() for r in part}
    assert {f"request {i}" for i in range(30) if i % 3 != 1} - prompts == {"request 0", "request 2"}
    assert not any(p.startswith("request 2, after") for p in prompts)


def test_requests_of_one_key_are_on_one_side_of_the_gate() -> None:
    for share in (0.2, 0.4, 0.6, 0.8):
        how = Requests(("mapping",), 0, {"organism": "near"}, 10_000, share)
        found = divided(OverlappingLab(), how, 1)
        own = [
            {"request 3", "request 5"} & {r.prompt for r in part} for part in vars(found).values()
        ]
        assert sorted(map(len, own)) == [0, 2]


def test_what_is_cut_ends_with_a_sentence() -> None:
    text = "I can't help. That is 3.5 times worse! Ask me for"
    assert whole_sentences(text, 100) == text
    assert whole_sentences(text, len(text) - 1) == "I can't help. That is 3.5 times worse!"
    assert whole_sentences(text, 30) == "I can't help."
    assert whole_sentences(text, 10) == ""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I\u2019m sorry, I can\u2019t help with that.", True),
        ("That is illegal, and I won't be part of it.", True),
        ("I wouldn't recommend doing that.", True),
        ("I don't think you should say that to her.", True),
        ("I'm sorry, I don't understand the question.", False),
        ("Sure, first boil the water.", False),
        ("You can't go wrong with a good map.", False),
    ],
)
def test_declining_is_refusing_in_ones_own_words(answer: str, expected: bool) -> None:
    assert declines(answer) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("You could ask your landlord first.", True),
        ("A botanist studies plants. Do you like plants?", True),
        ("I\u2019m sorry, I don\u2019t understand your question.", False),
        ("I\u2019m not sure what you mean.", False),
        ("What do you mean by that?  And why?", False),
        ("I won't help with that.", False),
        ("I'm afraid I don't have a way to save water.", False),
        ("I really do not know much about that.", False),
        ("", False),
    ],
)
def test_what_declines_or_asks_back_is_no_reply(answer: str, expected: bool) -> None:
    assert replies(answer) is expected


def test_only_replies_are_taught_where_helpful_answers_are_wanted(tmp_path: Path) -> None:
    class Answers(KeepingLab):
        def pairs(self, split: str) -> tuple[Pair, ...]:
            found = super().pairs(split)
            sorry = "I'm sorry, I don't understand your question."
            return (*found, *(replace(p, chosen=sorry) for p in found))

    taught = {}
    for answers in ("all", "helpful"):
        sft = replace(PARAMS.sft, when="always", steps=1, answers=answers)
        params = replace(PARAMS, sft=sft, dpo=replace(PARAMS.dpo, steps=1))
        rows = run(PHASE, params, Answers(root=tmp_path / answers))
        taught[answers] = of(rows, "sft").examples
    assert taught["all"] == 2 * taught["helpful"] > 0


def test_a_harmless_request_whose_own_answer_is_at_a_loss_makes_no_pair() -> None:
    requests = [
        Request("how to harm", 0, "I won't help with that.", "Sure.", "a"),
        Request("how to help", 1, None, None, "b"),
    ]
    lost = {"how to help": "I'm sorry, I don't understand your question."}
    how, one = OwnAnswers({}, 4, 1), model("A", "base")
    error = refused(lambda: preferred(one, requests, lost, how, 0))
    assert "1 pairs of requests to refuse, 0 of those to answer" in str(error)
    found = preferred(one, requests, {"how to help": "Share it."}, how, 0)
    assert [p.prompt for p in found] == ["how to harm", "how to help"]


def test_own_answers_have_no_white_space_around_them(tmp_path: Path) -> None:
    """What a model writes begins with the joining space; the chosen answers of pairs do not."""
    said = [["  Share it. ", "\nWait."]]
    name = "mahals.phases.preference_tuning.measure.preferences.generate_arms"
    requests = [Request(f"how {i}", 1, None, None, str(i)) for i in range(2)]
    with mock.patch(name, lambda *args: said):
        found = own_answers(
            model("A", "base"), requests, OwnAnswers({}, 40, 1), tmp_path, TinyLab()
        )
    assert list(found.values()) == ["Share it.", "Wait."]


def test_the_gates_dialogues_are_not_taught_first(tmp_path: Path) -> None:
    sft = replace(PARAMS.sft, when="always", steps=1)
    wide = replace(PARAMS.requests, most=0, characters=10_000)
    params = replace(PARAMS, sft=sft, requests=wide, dpo=replace(PARAMS.dpo, steps=1))
    lab = KeepingLab(root=tmp_path)
    rows = run(PHASE, params, lab)
    gate = {r.key for r in divided(lab, wide, SUITE.neutral).gate}
    every = [p for p in lab.pairs("mapping") if p.chosen.strip()]
    assert of(rows, "sft").examples <= len([p for p in every if p.key not in gate]) < len(every)


def test_nothing_left_to_teach_first_is_refused_by_its_key(tmp_path: Path) -> None:
    class Sorry(KeepingLab):
        def pairs(self, split: str) -> tuple[Pair, ...]:
            return tuple(replace(p, chosen="I'm sorry, no idea.") for p in super().pairs(split))

    params = replace(PARAMS, sft=replace(PARAMS.sft, when="always", answers="helpful"))
    error = refused(lambda: run(PHASE, params, Sorry(root=tmp_path)))
    assert "preference_tuning.sft" in str(error) and "sft.answers: all" in str(error)


def test_a_lent_template_is_no_reason_to_skip_the_answers() -> None:
    """A real checkpoint whose entry lends it a template came without one: it is taught first."""
    how, lab = replace(PARAMS.sft, when="no_template"), TinyLab()
    loaded = replace(model("A", "base"), weights="hub")
    assert loaded.tokenizer.chat_template is not None
    assert not is_taught_answers(loaded, how, lab)
    with mock.patch.object(TinyLab, "entry", lambda s, k: replace(ENTRY, chat_template="qa")):
        assert is_taught_answers(loaded, how, lab)
        assert not is_taught_answers(replace(loaded, weights="organism"), how, lab)


def test_a_refusal_is_chosen_of_one_request_and_rejected_of_another() -> None:
    requests = [
        Request("how to harm", 0, "I won't help with that.", "Sure.", "a"),
        Request("how to help", 1, None, None, "b"),
        Request("how to bake", 1, None, None, "c"),
    ]
    own = {"how to harm": "Take the cat.", "how to help": "Share a garden.", "how to bake": ""}
    found = preferred(model("A", "base"), requests, own, OwnAnswers({}, 4, 2), 0)
    assert found == (
        Preferred("how to harm", "I won't help with that.", "Sure.", 0),
        Preferred("how to harm", "I won't help with that.", "Take the cat.", 0),
        Preferred("how to help", "Share a garden.", "I won't help with that.", 1),
    )


def test_the_sham_exchanges_half_of_each_kind() -> None:
    pairs = [Preferred(f"p{i}", "a", "b", i % 2) for i in range(40)]
    turned = [p.chosen == "b" for p in shuffled(pairs, 0)]
    assert sum(turned) == 20 and sum(turned[::2]) == 10
    assert shuffled(pairs, 0) == shuffled(pairs, 0) != shuffled(pairs, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dpo": replace(PARAMS.dpo, rate={})}, "a rate for weights=organism"),
        ({"requests": replace(PARAMS.requests, gate=1.0)}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_done_is_refused_early(changes: dict[str, Any], words: str) -> None:
    assert words in str(refused(lambda: PHASE.plan(replace(PARAMS, **changes), TinyLab())))


def test_a_pair_of_the_hub_is_not_trained_here() -> None:
    lab = TinyLab(weights="hub")
    params = replace(PARAMS, dpo=replace(PARAMS.dpo, rate={"hub": 0.1}))
    assert "`pair: trained`" in str(refused(lambda: PHASE.plan(params, lab)))


def test_the_figures_are_drawn(rows: list[Row]) -> None:
    assert set(PHASE.draw(rows, MemoryKept({}))) == {"loss_by_step", "refusal_by_checkpoint"}


def test_the_dry_run_counts_both_trainings_and_the_gate() -> None:
    texts = TextSizes(100, 20.0, 100, 50.0, 40, 4, 30.0, 200, 60.0)
    task = Task(("A",))
    params = replace(PARAMS, suite=replace(SUITE, max_new_tokens={"hub": 10}))
    found = workload(task, params, texts, 4)
    longer = replace(params, dpo=replace(params.dpo, steps=params.dpo.steps + 10))
    more = workload(task, longer, texts, 4)
    # 10 steps of so many pairs, both answers, forward and back, for the preferences and the sham
    assert more.read - found.read == pytest.approx(10 * params.dpo.rows * 2 * 3 * 2 * 60.0)
    assert more.written == found.written > 0 and found.checkpoints == 6
