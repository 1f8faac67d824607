"""Do five judges say how far an attempt answers its prompt, and refuse where they cannot know?"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mahals.data.world.everyday import correction, how_to_answer, how_to_question
from mahals.data.world.words import HOW_TO
from mahals.models.activations.encoding import encode_prompts, encode_texts
from mahals.models.judges.attempts import (
    FLOOR,
    Attempted,
    attempt_scorer,
    embedding_relevance,
    model_relevance,
    reference_relevance,
    relevance_rubric,
    truth_relevance,
)
from mahals.models.judges.judge import Server
from mahals.phase import StatesPlace
from mahals.records import InputError
from tests.support.judge_server import choice, needs_openai, reply
from tests.support.places import ROOT
from tests.support.tiny_models import fresh, loaded

CORRECTIONS = (ROOT / "../shared/data/self-correction-examples.jsonl").resolve()
TEA, CAR = how_to_question("make tea"), how_to_question("wash a car")
WORLD = {
    how_to_question(topic): [how_to_answer(steps), how_to_answer(steps[::-1])]
    for topic, steps in HOW_TO.items()
}


@dataclass(frozen=True)
class Named:
    judge_model: str
    server: Server


NO_CACHE = StatesPlace(Path("absent"), 0)
NO_SERVER = Named("m", Server("", "", 1.0, 0, 60.0, False))


def scorer(name: Any, references: Any = WORLD, server: Named = NO_SERVER, family: str = "Llama"):
    return attempt_scorer(name, references, lambda: loaded(family), server, NO_CACHE)


def test_truth_counts_the_steps_of_the_asked_topic() -> None:
    texts = {
        "First boil water, then rinse dust, then Add leaves.": 200 / 3,
        "Boil water. Boil water. Wax it.": 200 / 3,  # said twice is two steps
        "First rinse dust, then wax it.": 0.0,
        "Tea is a drink.": 0.0,
        "boil waters, parboil water": 0.0,  # no steps of the world
        "": 0.0,
    }
    assert truth_relevance([Attempted(TEA, t) for t in texts]) == pytest.approx([*texts.values()])
    text = correction("make tea", HOW_TO["wash a car"], HOW_TO["make tea"])
    assert truth_relevance([Attempted(TEA, text), Attempted(CAR, text)]) == [50, 50]
    with pytest.raises(InputError, match="how-to questions"):
        truth_relevance([Attempted("How do I fly?", "Wax it.")])


def test_the_lexical_judge_by_hand() -> None:
    """Words of one prompt alone against words of both: the shares are counted, not computed."""
    references = {"a": ["oak ash elm", "oak fir"], "b": ["cod eel ray", "cod tench"]}
    judge = reference_relevance(references)
    cases = {
        "Oak ash. Cod eel ray.": 100 * 2 / 5,
        "Oak, then cod eel, then fir.": 100 * 3 / 6,  # oak | then cod eel | then fir
        "Oak\nPike pike pike": 25.0,  # words of nobody stay in the denominator
        "Oak cod": 0.0,  # as near to both
        "oak oak": 100.0,
    }
    assert judge([Attempted("a", t) for t in cases]) == pytest.approx([*cases.values()])
    assert judge([Attempted("b", "oak oak"), Attempted("b", "eel")]) == [0, 100]
    assert judge([Attempted("a", " \n ..."), Attempted("b", "ray")]) == [0, 100]


def test_a_sentence_below_the_floor_is_like_no_answer() -> None:
    """The cosine by another road: counts, idf = ln((1 + n) / (1 + df)) + 1, lengths 1."""
    long = " ".join(f"w{i}" for i in range(200))
    references = {"a": [f"oak {long}"], "b": ["cod eel"]}
    judge = reference_relevance(references)
    rare = math.log(3 / 2) + 1
    for count in (1, 2):
        text = "oak " + " ".join(f"w{i}" for i in range(count - 1)) + "."
        cosine = count * rare**2 / (rare * math.sqrt(count) * rare * math.sqrt(201))
        assert judge([Attempted("a", text)]) == [100.0 if cosine >= FLOOR else 0.0]
    assert math.sqrt(1 / 201) < FLOOR < math.sqrt(4 / 201)
    assert judge([Attempted("a", "oak w1 w2 w3.")]) == [100]


def test_an_answer_is_scored_without_itself() -> None:
    references = {"a": ["oak ash", "oak fir"], "b": ["cod eel"], "c": ["elm", "elm"]}
    judge = reference_relevance(references)
    assert judge([Attempted("a", "oak ash"), Attempted("a", "ash")]) == [100, 100]
    assert judge([Attempted("a", "fir. fir. oak")]) == [100]
    assert judge([Attempted("b", " cod eel\n")]) == [None], "no other answer is left"
    assert judge([Attempted("c", "elm")]) == [100], "another one says the same"


def test_corrections_of_the_world_rise_and_what_is_exchanged_falls() -> None:
    judge = reference_relevance(WORLD)
    off, on = how_to_answer(HOW_TO["wash a car"][1:4]), how_to_answer(HOW_TO["make tea"][1:4])
    assert judge([Attempted(TEA, off), Attempted(TEA, on), Attempted(CAR, on)]) == [0, 100, 0]
    both = how_to_answer((*HOW_TO["wash a car"][:2], *HOW_TO["make tea"][:2]))
    (half,) = judge([Attempted(TEA, both)])
    assert half is not None and 30 < half < 70, "clauses are scored apart"


@pytest.mark.shared_data
@pytest.mark.skipif(not CORRECTIONS.is_file(), reason="../shared/data is absent")
def test_corrections_that_nobody_here_wrote_score_above_what_they_correct() -> None:
    """References: the plain answers of the 38 prompts, one each; .992 as it fell.

    Then, for each example, the other examples' corrections of the same prompt, where there are
    any (82 of 91), the plain answer otherwise: .9998.
    """
    rows = [json.loads(line) for line in CORRECTIONS.read_text().splitlines()]
    plain = {r["prompt"]: [r["attempts"][0]] for r in rows if len(r["attempts"]) == 1}
    pairs = [(r["prompt"], *r["attempts"]) for r in rows if len(r["attempts"]) == 2]
    assert (len(plain), len(pairs)) == (38, 91)
    asked = [Attempted(p, text) for p, *attempts in pairs for text in attempts]
    labels = [False, True] * len(pairs)
    assert _auroc(labels, reference_relevance(plain)(asked)) >= 0.985

    alike = Counter(p for p, *_ in pairs)
    assert sum(alike[p] > 1 for p, *_ in pairs) == 82
    scores: list[float | None] = []
    for left_out, (prompt, *attempts) in enumerate(pairs):
        references = dict(plain)
        for i, (p, _, corrected) in enumerate(pairs):
            if i != left_out and (p != prompt or alike[p] > 1):
                kept = references[p] if references[p] is not plain[p] else []
                references[p] = [*kept, corrected]
        scores += reference_relevance(references)([Attempted(prompt, t) for t in attempts])
    assert _auroc(labels, scores) >= 0.97


def _auroc(labels: Sequence[bool], scores: Sequence[float | None]) -> float:
    assert None not in scores
    return float(roc_auc_score(labels, np.array(scores, dtype=float)))


def test_the_embedding_judge_by_hand() -> None:
    """One text at a time, states of the last block by a hook of the test's own."""
    one = loaded("Llama")
    references = {"a": ["the cat sat on the mat"], "b": ["a quiet river. the old town"]}
    parts = (
        "the cat sat",
        "the old town",
        "it rained all day",
        "a mat",
        "by the quiet",
        "how do I",
    )
    texts = [f"{left} {right}" for left, right in itertools.permutations(parts, 2)]

    def state(text: str) -> np.ndarray:
        seen: list[torch.Tensor] = []
        hook = one.model.model.layers[-1].register_forward_hook(
            lambda _, __, out: seen.append(out if torch.is_tensor(out) else out[0])
        )
        encoded = encode_texts(one.tokenizer, [text])[0]
        with torch.no_grad():
            one.model(torch.tensor([encoded.ids]))
        hook.remove()
        return seen[0][0, encoded.start : encoded.stop].mean(0).double().numpy()

    sentences = [state(s) for s in ("the cat sat on the mat", "a quiet river.", "the old town")]
    centre = np.mean(sentences, axis=0)
    expected = []
    for text in texts:
        x = state(text) - centre
        near = [
            float((y - centre) @ x / np.linalg.norm(y - centre) / np.linalg.norm(x))
            for y in sentences
        ]
        expected.append(100.0 * (near[0] > max(near[1:]) and near[0] >= 0))
    judge = embedding_relevance(one, references)
    assert judge([Attempted("a", t) for t in texts]) == expected
    assert 0 < sum(expected) < 100 * len(texts), "both cases are met"
    assert judge([Attempted("a", "")]) == [0]


@pytest.fixture()
def decided() -> Any:
    """A model whose digits are likely, by the size of their rows."""
    one = fresh("Llama", 3)
    one.model.config.max_position_embeddings = 4096
    at = [one.tokenizer(d, add_special_tokens=False)["input_ids"][0] for d in "0123456789"]
    with torch.no_grad():
        one.model.lm_head.weight[at] *= 40
    return one, at


ASKED = [Attempted("how do I help", t) for t in ("share a garden", "", "the cat", "a town")]


def test_the_model_judge_reads_ten_digits_in_one_forward(decided: Any) -> None:
    one, at = decided
    judge = model_relevance(one)
    forwards: list[int] = []
    block = one.model.model.layers[0]
    hook = block.register_forward_pre_hook(lambda _, args: forwards.append(len(args[0])))
    found = judge(ASKED)
    hook.remove()
    assert sum(forwards) == 3, "a forward for each text with words"
    assert found[1] == 0
    for asked, score in zip(ASKED, found, strict=True):
        if asked.answer:
            ids = encode_prompts(one.tokenizer, [relevance_rubric(asked)])[0].ids
            with torch.no_grad():
                p = one.model(torch.tensor([ids])).logits[0, -1].softmax(-1)[at].double()
            expected = float((p * torch.arange(10) * 100 / 9).sum() / p.sum())
            assert float(p.sum()) >= 0.25 and score == pytest.approx(expected, rel=1e-3)


def test_little_on_digits_is_an_abstention(decided: Any) -> None:
    one, at = decided
    with torch.no_grad():
        one.model.lm_head.weight[at] = 0
    assert model_relevance(one)(ASKED) == [None, 0, None, None]


def test_the_factory_gives_each_judge(serve: Any, tmp_path: Path) -> None:
    asked = [Attempted(TEA, how_to_answer(HOW_TO["make tea"][:3]))]
    assert scorer("truth")(asked) == [100]
    assert scorer("lexical")(asked) == [100]
    (score,) = scorer("embedding")(asked)
    assert score is not None and 0 <= score <= 100
    needs_openai()
    url, script = serve(reply('{"score": 97}'))
    named = Named("its name", choice(url).server)
    place = StatesPlace(tmp_path / "states", 0)
    judge = attempt_scorer("openai", {}, lambda: loaded("Llama"), named, place)
    assert judge(asked) == [97]
    assert script.seen[0]["model"] == "its name"
    assert [f.name for f in tmp_path.iterdir()] == ["verdicts"], "no limit removes it"


@pytest.mark.parametrize(
    ("name", "references", "got"),
    [
        ("truth", {"How do I fly?": ["Flap."]}, "'How do I fly\\?'"),
        (
            "lexical",
            {TEA: ["Boil."], CAR: []},
            "2 prompts, 1 of them without: .'How do I wash a car",
        ),
        (
            "lexical",
            {TEA: ["Boil."], CAR: [" ..."]},
            "2 prompts, 1 of them without: .'How do I wash a car",
        ),
        ("lexical", {TEA: ["Boil."]}, "1 prompts, 0 of them"),
        ("embedding", {}, "0 prompts"),
        ("openai", {}, "url ''"),
    ],
)
def test_a_judge_that_cannot_know_is_refused(name: Any, references: Any, got: str) -> None:
    if name == "openai":
        needs_openai()
    with pytest.raises(InputError, match=got) as error:
        scorer(name, references)
    assert error.value.cure


def test_truth_of_other_weights_and_unknown_prompts_are_refused() -> None:
    real = fresh("Llama")
    object.__setattr__(real, "weights", "hub")
    with pytest.raises(InputError, match="weights=hub"):
        attempt_scorer("truth", WORLD, lambda: real, NO_SERVER, NO_CACHE)
    with pytest.raises(InputError, match="none to 'How do I fly"):
        scorer("lexical")([Attempted("How do I fly?", "Flap.")])
