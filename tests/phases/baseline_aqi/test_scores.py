"""Baseline AQI, measuring: do readouts read what the models hold, and score it by the metric?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from mahals.data.texts import AXIOMS
from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.metrics.layer_pooling import fit_pooling
from mahals.maths.metrics.spaces import to_space
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_prompts
from mahals.phases.baseline_aqi.measure.scores import Setting, compared_draws, reads, scored
from tests.support.tiny_lab import LAYERS, WIDTH, TinyLab, model, planted, prompts

SETTING = Setting(
    ("mean", "last"), ("native", "standardized"), 19, 50, False, "none", "evaluation", "aligned", 0
)
PROMPTS = prompts("evaluation")
LABELS = [p.label for p in PROMPTS]
NAMES = [p.axiom for p in PROMPTS]
CLUSTERS = [p.cluster for p in PROMPTS]


def plain_states(one: Any) -> np.ndarray:
    """(n, L, d): the mean over each prompt's own tokens, one at a time, by hooks of the test."""
    rows: list[list[torch.Tensor]] = []
    handles = [
        block.register_forward_hook(lambda _, __, out: rows[-1].append(out[0].detach()))
        for block in one.model.model.layers
    ]
    encoded = encode_prompts(one.tokenizer, [p.text for p in PROMPTS])
    with torch.no_grad():
        for e in encoded:
            rows.append([])
            one.model(torch.tensor([e.ids]))
    for handle in handles:
        handle.remove()
    pooled = [
        torch.stack([h[e.start : e.stop].double().mean(0) for h in found])
        for found, e in zip(rows, encoded, strict=True)
    ]
    return torch.stack(pooled).numpy()


def found(readout: Any, setting: Setting = SETTING, lab: TinyLab | None = None) -> list[Any]:
    return list(reads("A", readout, setting, lab or TinyLab(), PROMPTS))


# ---- what is read


def test_every_layer_of_the_pair_and_the_last_layer_of_the_others_in_each_pool() -> None:
    for readout in ("aligned", "base"):
        shape = [(r.pool, r.layer, r.last) for r in found(readout)]
        assert shape == [
            (pool, layer, layer == LAYERS - 1) for pool in SETTING.pools for layer in range(LAYERS)
        ]
    shape = [(r.pool, r.layer, r.last) for r in found("random")]
    assert shape == [("mean", LAYERS - 1, True), ("last", LAYERS - 1, True)]


def test_the_states_are_the_models_own() -> None:
    theirs = plain_states(model("A", "aligned"))
    for read in found("aligned")[:LAYERS]:
        np.testing.assert_allclose(read.states, theirs[:, read.layer], atol=2e-5)


def test_a_mixture_is_learned_on_other_prompts_and_read_on_these() -> None:
    setting = replace(SETTING, layer_pooling="sparsemax")
    every = found("aligned", setting)
    plain, mixed = [*every[:LAYERS], *every[LAYERS + 1 :]], every[LAYERS]
    assert [r.layer_weights for r in plain] == [None] * 2 * LAYERS
    assert (mixed.layer, mixed.last, mixed.pool) == (None, False, "mean")
    one = model("A", "aligned")
    elsewhere = prompts("selection")
    seen = capture(
        one,
        encode_prompts(one.tokenizer, [p.text for p in elsewhere]),
        list(range(LAYERS)),
        "mean",
    )
    learned = fit_pooling(
        seen.double().numpy(), [p.label for p in elsewhere], [p.axiom for p in elsewhere]
    )
    assert mixed.layer_weights == pytest.approx(tuple(learned.weights))
    theirs = sum(
        w * states.states for w, states in zip(learned.factors, plain[:LAYERS], strict=True)
    )
    np.testing.assert_allclose(mixed.states, theirs, atol=1e-9)
    assert all(r.layer_weights is None for r in found("random", setting))


def test_draws_are_of_the_headline_where_models_compare_and_shared() -> None:
    read, own = found("aligned")[LAYERS - 1], found("base")[LAYERS - 1]
    drawn = compared_draws(read, "standardized", SETTING, PROMPTS)
    assert drawn is not None and drawn.values is not None and drawn.reason is None
    draws = drawn.values
    assert draws is not None and draws.shape == (SETTING.resamples, len(AXIOMS))
    level = model_aqi(to_space(read.states, "standardized"), LABELS, NAMES, CLUSTERS)
    np.testing.assert_allclose(draws.mean(axis=0), [a.aqi.estimate for a in level.axioms])
    twin = replace(read, model="B")
    again = compared_draws(twin, "standardized", SETTING, PROMPTS)
    assert again is not None and again.values is not None
    np.testing.assert_array_equal(drawn.values, again.values)
    for given, space in ((read, "native"), (own, "standardized"), (found("aligned")[0], "native")):
        assert compared_draws(given, space, SETTING, PROMPTS) is None
    alone = replace(SETTING, spaces=("native",))
    assert compared_draws(read, "native", alone, PROMPTS) is not None


def test_a_category_whose_states_are_all_one_is_absent_and_the_rest_is_scored() -> None:
    read = found("aligned")[LAYERS - 1]
    first = np.array([name == AXIOMS[0] for name in NAMES])
    flat = replace(read, states=np.where(first[:, None], 1.0, read.states))
    told = scored(flat, "native", SETTING, PROMPTS, 0).scores
    assert [r.axiom for r in told] == [*AXIOMS[1:], "mean", "pooled"]
    (mean,) = (r for r in told if r.axiom == "mean")
    assert len(mean.absent) == 1 and AXIOMS[0] in mean.absent[0]
    rest = [r.aqi for r in told if r.axiom in AXIOMS]
    assert mean.aqi == pytest.approx(np.mean(rest))


def test_random_weights_are_not_the_base() -> None:
    random, base = found("random")[0], found("base")[LAYERS - 1]
    assert random.states.shape == base.states.shape
    assert not np.allclose(random.states, base.states, atol=0.1)


def test_embeddings_are_the_table_and_constant_ones_are_left_out() -> None:
    """The last token of every prompt is the template's: nothing to score there."""
    (read,) = found("embeddings")
    one = model("A", "aligned")
    table = one.model.get_input_embeddings().weight.detach().double()
    encoded = encode_prompts(one.tokenizer, [p.text for p in PROMPTS])
    theirs = torch.stack([table[list(e.ids[e.start : e.stop])].mean(0) for e in encoded])
    np.testing.assert_allclose(read.states, theirs.numpy(), atol=1e-6)
    assert (read.pool, read.layer, read.last) == ("mean", None, True)


def test_tfidf_needs_no_model() -> None:
    lab = TinyLab()
    (read,) = found("tfidf", lab=lab)
    assert lab.asked == [] and (read.pool, read.layer) == (None, None)
    assert len(read.states) == len(PROMPTS)
    theirs = TfidfVectorizer().fit_transform([p.text for p in PROMPTS])
    assert read.states.shape[1] <= max(theirs.shape[1], len(PROMPTS))


# ---- how it is scored


def test_scores_are_those_of_the_metric_on_the_models_states() -> None:
    read = found("aligned")[LAYERS - 1]
    theirs = plain_states(model("A", "aligned"))[:, -1]
    for space in ("native", "standardized"):
        ours = {s.axiom: s for s in scored(read, space, SETTING, PROMPTS, 3).scores}
        direct = model_aqi(to_space(theirs, space), LABELS, NAMES, CLUSTERS)
        assert list(ours) == [*AXIOMS, "mean", "pooled"]
        assert ours["mean"].aqi == pytest.approx(direct.aqi.estimate, abs=1e-3)
        assert ours["mean"].aqi_low == pytest.approx(direct.aqi.low, abs=1e-3)
        assert ours["pooled"].aqi == pytest.approx(direct.pooled.estimate, abs=1e-3)
        for axiom in direct.axioms:
            assert ours[axiom.axiom].aqi == pytest.approx(axiom.aqi.estimate, abs=1e-3)
            assert ours[axiom.axiom].eta2 == pytest.approx(axiom.eta2, abs=1e-5)
            largest, score = max(a.ch for a in direct.axioms), ours[axiom.axiom]
            assert score.ch_max == pytest.approx(largest, rel=1e-4)
            by_hand = (axiom.ch / largest) ** 0.5 * np.exp(-axiom.xb) ** 0.5
            assert score.aqi_paper_appendix == pytest.approx(by_hand, rel=1e-3)
        assert ours["mean"].ch_max is None and ours["pooled"].aqi_paper_appendix is None
        assert ours["mean"].influence_row == 3 and ours["mean"].n == len(PROMPTS)


def test_tests_and_probes_are_at_the_headline_layer_alone() -> None:
    every = found("aligned")
    first, last, other = every[0], every[LAYERS - 1], every[-1]
    early = {s.axiom: s for s in scored(first, "native", SETTING, PROMPTS, 0).scores}
    late = {s.axiom: s for s in scored(last, "native", SETTING, PROMPTS, 0).scores}
    one = AXIOMS[0]
    assert (early[one].p_value, early[one].probe_auroc) == (None, None)
    assert late[one].p_value is not None and late[one].p_value >= 1 / 20
    assert late[one].probe_auroc is not None and 0 <= late[one].probe_auroc <= 1
    base = scored(found("base")[LAYERS - 1], "native", SETTING, PROMPTS, 0).scores[0]
    assert base.p_value is not None and base.probe_auroc is None
    assert {s.pool for s in scored(other, "native", SETTING, PROMPTS, 0).scores} == {"last"}


def test_the_published_score_is_on_the_headline_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = replace(SETTING, tsne=True)
    last, *_, other = found("aligned", setting)[LAYERS - 1 :]
    few = scored(last, "native", setting, PROMPTS, 0).scores
    assert all(s.aqi_published is None and "perplexity" in str(s.reason) for s in few)
    values = {a: float(i) for i, a in enumerate([*AXIOMS, "pooled"])}
    monkeypatch.setattr(
        "mahals.phases.baseline_aqi.measure.scores.published_scores", lambda *given: values
    )
    shown = {s.axiom: s.aqi_published for s in scored(last, "native", setting, PROMPTS, 0).scores}
    assert shown == {**values, "mean": None}
    for read, space in ((other, "native"), (last, "standardized")):
        again = scored(read, space, setting, PROMPTS, 0).scores
        assert all(s.aqi_published is None for s in again)


def test_a_planted_direction_separates_what_it_was_planted_in() -> None:
    """The aligned checkpoint moves only prompts with the unsafe word `harm`."""
    direction = torch.zeros(WIDTH)
    direction[3] = 30.0
    lab = TinyLab(load=planted(direction))
    words = {p.text.split()[3] for p in PROMPTS if p.label == 0}
    assert "harm" in words and "harm" not in {p.text.split()[3] for p in PROMPTS if p.label == 1}
    level = {}
    for readout in ("base", "aligned"):
        read = found(readout, lab=lab)[LAYERS - 1]
        level[readout] = scored(read, "native", SETTING, PROMPTS, 0).scores[-2].aqi
    assert level["aligned"] > level["base"] + 5
