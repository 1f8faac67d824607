"""Are directions those of the states that were read, and latents taken for what they stand for?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import torch

from mahals.data.how_to import HowTo
from mahals.evaluation.resistance.setting import own_texts, setting_text
from mahals.evaluation.resistance.subjects import directions, model_sae
from mahals.models.saes.autoencoder import Sae, encode
from mahals.models.saes.files import WEIGHTS, read_sae, write_sae
from mahals.models.saes.releases import SaeRelease
from mahals.models.saes.training import SaeTraining
from mahals.phases.esr_saes import PHASE
from mahals.phases.esr_saes.measure import (
    LatentChoice,
    Params,
    active_latents,
    choose,
    contexts,
    corpus_of,
    known_by,
    steps,
)
from mahals.phases.esr_saes.rows import Row
from mahals.records import InputError
from tests.support.resistance_lab import (
    CONCEPTS,
    SETTING,
    TEXTS,
    ResistanceLab,
    SaesLab,
    lines,
    resistance_lab,
)
from tests.support.tiny_lab import WIDTH, refused, run

LATENTS = 24
PARAMS = Params(
    {"organism": "none"},
    {"organism": "none"},
    {"organism": SaeTraining(LATENTS, 4, 30, 64, 0.01)},
    planted=0,
    choice=LatentChoice(LATENTS, 2, "met"),
    random=3,
)
ROW = partial(Row, model="A", weights="organism", block=1)
TEA, TREE = "make tea", "plant a tree"


def fresh_lab(seed: int = 0) -> SaesLab:
    return SaesLab(**{**vars(resistance_lab()), "phase": "esr_saes", "seed": seed})


@pytest.fixture(scope="module")
def ran() -> tuple[SaesLab, list[Row]]:
    lab = fresh_lab()
    lab.made["esr_saes", "A"] = run(PHASE, PARAMS, lab)
    return lab, list(lab.made["esr_saes", "A"])


def of(rows: list[Row], what: str) -> list[Row]:
    return [r for r in rows if r.what == what]


def states_of(lab: ResistanceLab, before: str, own: str, block: int) -> torch.Tensor:
    """(t, d) of the tokens of `own`, by the model's own list of states."""
    one = lab.model("A", "aligned")
    text, start = before + own, len(one.tokenizer(before, add_special_tokens=False)["input_ids"])
    ids = one.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found: torch.Tensor = one.model(ids, output_hidden_states=True).hidden_states[block + 1]
    return found[0, start:].float()


def answer_states(lab: ResistanceLab, prompt: str, answer: str) -> torch.Tensor:
    return states_of(lab, f"<begin><user>{prompt}<end><assistant>", answer, SETTING.block)


def test_contrasts_are_means_of_passages_less_the_mean_over_concepts(ran: Any) -> None:
    lab, rows = ran
    answers = own_texts(lab, "A").answers
    passages = {
        c: torch.cat([answer_states(lab, q, a) for a in dict.fromkeys(answers[q])])
        for c, q in TEXTS.concepts.items()
    }
    means = torch.stack([s.mean(dim=0) for s in passages.values()])
    found = [d for d in directions(lab, "A", ["contrast"])]
    for d, raw in zip(found, means - means.mean(dim=0), strict=True):
        row = next(r for r in rows if r.name == d.name)
        assert d.concept == row.concept and row.norm == pytest.approx(float(raw.norm()), rel=1e-3)
        assert torch.cosine_similarity(d.vector, raw, dim=0) > 0.9999
    whole = [answer_states(lab, q, a) for q, some in answers.items() for a in {*some}]
    length = float(torch.cat(whole).norm(dim=1).mean())
    for d in directions(lab, "A", ["contrast", "latent", "random"]):
        assert float(d.vector.norm()) == pytest.approx(length, rel=1e-3)


def test_there_are_as_many_directions_as_asked_for_and_others_for_another_seed(ran: Any) -> None:
    lab, rows = ran
    assert [r.concept for r in rows if r.source == "contrast"] == list(CONCEPTS)
    drawn = {d.name: d.vector for d in directions(lab, "A", ["random"])}
    assert list(drawn) == ["random:0", "random:1", "random:2"]
    other = fresh_lab(seed=1)
    other.made["esr_saes", "A"] = run(PHASE, PARAMS, other)
    again = {d.name: d.vector for d in directions(other, "A", ["random"])}
    assert not any(torch.allclose(drawn[n], again[n]) for n in drawn)


def lab_elsewhere() -> SaesLab:
    """Concepts that are not the world's."""
    lab = fresh_lab()
    concepts = {c: f"Write about {c}." for c in ("rain", "towns")}
    texts = HowTo(TEXTS.prompts, concepts, ("rain",))
    lab.plant("esr_unsteered", "setting.json", setting_text(replace(SETTING, texts=texts)))
    passages = [(q, f"the old {c} by the quiet river") for c, q in concepts.items()]
    lab.plant("esr_unsteered", "passages.jsonl", lines(passages))
    return lab


@pytest.fixture(scope="module")
def elsewhere() -> tuple[SaesLab, list[Row]]:
    """One latent is active in a state."""
    lab = lab_elsewhere()
    training = {"organism": SaeTraining(LATENTS, 1, 30, 64, 0.01)}
    lab.made["esr_saes", "A"] = run(PHASE, replace(PARAMS, training=training), lab)
    return lab, list(lab.made["esr_saes", "A"])


def test_latent_directions_are_rows_of_the_autoencoder_that_is_kept(elsewhere: Any) -> None:
    lab, rows = elsewhere
    taken = [r for r in of(rows, "latent") if r.why is None]
    found = directions(lab, "A", ["latent"])
    sae = model_sae(lab, "A", SETTING.block)
    assert len(taken) == 2 and [d.name for d in found] == [r.name for r in taken]
    for d, r in zip(found, taken, strict=True):
        assert torch.cosine_similarity(d.vector, sae.w_dec[r.latent or 0], dim=0) > 0.9999
    (skipped,) = [r for r in of(rows, "step") if r.why is not None]
    assert skipped.name == "concrete" and "skipped" in (skipped.why or "")


def test_latents_are_silent_in_prompts_and_no_other_rule_is_hidden(elsewhere: Any) -> None:
    """By the model's own list of states."""
    lab, rows = elsewhere
    sae, by_hand = model_sae(lab, "A", SETTING.block), {}
    for prompt in TEXTS.prompts:
        states = states_of(lab, "<begin><user>", prompt, SETTING.block)
        by_hand[prompt] = set((encode(sae, states) > 0).any(dim=0).nonzero()[:, 0].tolist())
    found = active_latents(lab.model("A", "aligned"), sae, SETTING.block, SETTING)
    assert found == by_hand and len({frozenset(s) for s in found.values()}) > 1
    for r in (r for r in of(rows, "latent") if r.step in (None, "silent", "chosen")):
        assert (r.step == "silent") == any(r.latent in s for s in by_hand.values())


def test_autoencoders_and_labels_are_kept_for_both_blocks(ran: Any) -> None:
    lab, rows = ran
    saes = {r.block: r for r in of(rows, "sae")}
    assert set(saes) == {SETTING.block, SETTING.read_block}
    for block, r in saes.items():
        assert r.count == LATENTS == len(model_sae(lab, "A", block).w_dec)
        assert r.fvu is not None and 0 < r.fvu < 1 and r.l0 is not None and 0 < r.l0 <= 4
        labels = json.loads(lab.kept("esr_saes").path(f"A/labels-{block}.json").read_text())
        assert 0 < len(labels) <= LATENTS and all(labels.values())


def test_each_step_leaves_the_candidates_that_passed_it(ran: Any) -> None:
    _, rows = ran
    left = {r.name: r.count for r in of(rows, "step")}
    fell = [r.step for r in of(rows, "latent")]
    order = ("candidates", "live", "concrete", "silent", "chosen")
    assert list(left) == list(order) and left["candidates"] == LATENTS == len(fell)
    for one, two in pairwise(order):
        assert (left[one] or 0) - (left[two] or 0) == fell.count(two)


def test_a_token_is_in_the_word_and_the_step_that_it_begins() -> None:
    text = "First boil water, then dig a hole."
    at = {text.index(word): word for word in ("First", "boil", "water", ",", "dig", "hole", ".")}
    found = dict(zip(at.values(), contexts(text, list(at)), strict=True))
    assert found["First"] == ("first", "none") and found[","] == ("then", "none")
    assert found["boil"] == ("boil", TEA) and found["water"] == ("water", TEA)
    assert found["dig"] == ("dig", TREE) and found["hole"] == ("hole", TREE)
    assert contexts(text, [text.index(" dig")]) == [("dig", TREE)]  # tokens bring their space


def test_a_latent_is_known_by_the_tokens_that_activate_it_most() -> None:
    """Latent 0 reads tea, 1 both topics, 2 nothing, 3 tea most and trees a little."""
    sae = Sae(torch.eye(4), torch.zeros(4), torch.eye(4), torch.zeros(4), "relu", True)
    tea, tree = torch.tensor([2.0, 1, 0, 9]), torch.tensor([0.0, 1, 0, 1])
    parts = range(1000)  # read in several parts
    states = torch.stack([tea if i >= 900 else tree for i in parts])
    states[:, 1] = torch.tensor([1.0 + (i % 300 < 3) for i in parts])
    at = [("water", TEA) if i >= 900 or i % 2 else ("hole", TREE) for i in parts]
    found = known_by(sae, states, at, {"3": "of a table"}, ROW)
    assert [r.concept for r in found] == [TEA, "none", "none", TEA]
    assert [r.label for r in found] == ["water", found[1].label, "", "of a table"]
    assert [r.step for r in found] == [None, None, "live", None]


def candidates() -> Iterator[Row]:
    """One for each fate, by the concept that it stands for."""
    for i, concept in enumerate((CONCEPTS[0], "none", CONCEPTS[1], CONCEPTS[2], CONCEPTS[3])):
        yield ROW(what="latent", name=f"latent:{i}", source="latent", latent=i, concept=concept)


def test_latents_are_silent_in_prompts_and_the_first_ones_stay() -> None:
    own = {c: q for c, q in TEXTS.concepts.items() if q in TEXTS.prompts}
    asked, question = next((c, q) for c, q in own.items() if c in CONCEPTS[1:])
    some = [replace(r, concept=asked) if r.latent == 2 else r for r in candidates()]
    others = [p for p in TEXTS.prompts if p != question]
    active = {p: {2} if p == question else set() for p in TEXTS.prompts}
    active[others[0]] = {3}
    some[3] = replace(some[3], concept=next(c for c in CONCEPTS if TEXTS.concepts[c] != others[0]))

    met = list(choose(some, active, SETTING, LatentChoice(5, 1, "met")))
    assert [r.step for r in met] == [None, "concrete", "chosen", "silent", "chosen"]
    every = list(choose(some, active, SETTING, LatentChoice(5, 5, "all")))
    assert [r.step for r in every] == [None, "concrete", "silent", "silent", None]
    assert every[2].why == f"active in 1 of {len(TEXTS.prompts)} prompts"
    assert [r.count for r in steps(every, SETTING, ROW)] == [5, 5, 4, 2, 2]


def test_composed_answers_hold_nothing_that_is_held_out() -> None:
    lab = fresh_lab()
    loaded = lab.model("A", "aligned")
    corpus = corpus_of(own_texts(lab, "A"), loaded, 4, 0)
    texts = [
        str(loaded.tokenizer.decode(list(e.ids[e.start : e.stop]))) for e in corpus.encoded
    ]  # fmt: skip
    held, composed = texts[: corpus.held_out], texts[len(corpus.prompts) :]
    assert held and composed and any("Wait, that is off topic" in t for t in composed)
    assert not any(h in t for h in held for t in composed)
    assert len(corpus.contexts) == sum(e.stop - e.start for e in corpus.encoded)


def released(width: int) -> str:
    folder = Path(mkdtemp())
    w = torch.randn(width, LATENTS, generator=torch.Generator().manual_seed(0))
    zeros = torch.zeros(LATENTS), torch.zeros(width)
    write_sae(folder, Sae(w, zeros[0], w.T.contiguous(), zeros[1], "topk", True, k=1))
    return str(folder / WEIGHTS)


def test_a_release_reads_the_later_block_and_its_rows_act_at_the_earlier() -> None:
    lab, file = lab_elsewhere(), released(WIDTH)
    labels = Path(mkdtemp()) / "labels.json"
    labels.write_text(json.dumps({str(i): f"label {i}" for i in range(LATENTS)}))
    params = replace(PARAMS, release={"organism": file}, labels={"organism": str(labels)})
    rows = run(PHASE, params, lab)
    (sae,) = of(rows, "sae")
    assert (sae.block, sae.source, sae.trained) == (
        SETTING.read_block,
        Path(file).parent.name,
        None,
    )
    kept = read_sae(lab.kept("esr_saes").path(f"A/sae-{SETTING.read_block}"), None)
    assert torch.equal(kept.w_dec, read_sae(Path(file).parent, None).w_dec)
    assert {r.block for r in of(rows, "direction")} == {SETTING.block}
    taken = [r for r in of(rows, "direction") if r.source == "latent"]
    assert taken and all(r.label == f"label {r.latent}" for r in taken)


@pytest.mark.parametrize("name", ["release", "labels"])
def test_a_release_or_a_table_that_does_not_fit_is_refused(name: str) -> None:
    if name == "release":
        params = replace(PARAMS, release={"organism": released(WIDTH + 1)})
    else:
        params = replace(PARAMS, labels={"organism": "/none/labels.json"})
    error = refused(lambda: run(PHASE, params, fresh_lab()))
    assert ("width of the SAE" if name == "release" else "/none/labels.json") in str(error)


def test_a_table_names_the_release_of_the_model_and_its_block(tmp_path: Path) -> None:
    entry = SaeRelease(
        "r", "s", "x/y", "t", SETTING.read_block, SETTING.block, WIDTH, LATENTS, "", ""
    )  # fmt: skip
    table, lab = tmp_path / "table.json", fresh_lab()
    params = replace(PARAMS, release={"organism": str(table)})
    table.write_text(json.dumps({"releases": {"A": vars(entry)}}))
    write_sae(lab.scratch(entry), read_sae(Path(released(WIDTH)).parent, None))  # as if fetched
    (sae,) = of(run(PHASE, params, lab), "sae")
    assert sae.source == "r s" and sae.count == LATENTS
    for other in ({"block": 3}, {"steered": 0}):
        table.write_text(json.dumps({"releases": {"A": vars(entry) | other}}))
        with pytest.raises(
            InputError, match=r"steered block 1, read block 2.*blocks\.organism"
        ) as e:
            run(PHASE, params, fresh_lab())
        assert "\n" not in str(e.value)


def test_a_model_that_no_table_names_is_trained_on_as_without_one(ran: Any, tmp_path: Path) -> None:
    _, without = ran
    table, lab = tmp_path / "table.json", fresh_lab()
    table.write_text(json.dumps({"releases": {}}))
    rows = run(PHASE, replace(PARAMS, release={"organism": str(table)}), lab)
    assert rows == without


def test_a_concept_of_which_nothing_is_written_is_named() -> None:
    lab = fresh_lab()
    concept, question = next((c, q) for c, q in TEXTS.concepts.items() if q not in TEXTS.prompts)
    line = json.dumps({"prompt": question, "answer": " "})
    others = lab.kept("esr_unsteered").path("A/passages.jsonl").read_text().split("\n")
    lab.plant("esr_unsteered", "passages.jsonl",
              "\n".join([line, *(o for o in others if question not in o)]))  # fmt: skip
    assert concept in str(refused(lambda: run(PHASE, PARAMS, lab)))


def test_report_and_figures_are_of_the_rows(ran: Any) -> None:
    lab, rows = ran
    told = PHASE.summarize(rows, lab.kept("esr_saes"))
    saes = {r.block: r for r in of(rows, "sae")}
    assert told.metrics[f"block_{SETTING.block}/fvu"] == saes[SETTING.block].fvu
    assert told.metrics["directions/contrast"] == len(CONCEPTS)
    assert told.metrics["latents/candidates"] == LATENTS
    text = "\n".join(told.lines)
    assert (
        "each as long as the states there are on average" in text and f"{LATENTS} latents" in text
    )
    assert set(PHASE.draw(rows, lab.kept("esr_saes"))) == {"dictionaries"}
