"""Do readouts read what the models hold, and do levels say what stands above what?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer

from mahals.data.texts import AXIOMS
from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.metrics.layer_pooling import fit_pooling
from mahals.maths.metrics.spaces import to_space
from mahals.maths.vectors.estimators import mean_difference
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_prompts
from mahals.phases.baseline_aqi.measure.scores import Setting, compared_draws, reads, scored
from mahals.phases.baseline_aqi.report import (
    above_floor,
    best_line,
    chances,
    headline,
    model_lines,
    model_metrics,
)
from mahals.phases.baseline_aqi.rows import Row
from mahals.phases.steering_vectors.measure.pairs import PairReader, Reading
from mahals.schema import AXIOM_COLUMNS
from tests.support.tiny_lab import (
    LAYERS,
    WIDTH,
    MemoryKept,
    TinyLab,
    model,
    planted,
    prompts,
    refused,
)

SETTING = Setting(("mean", "last"), ("native", "standardized"), 19, 50, False, "none", 0)
READING = Reading("unsafe", "mean", 512, 1, False)
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


def test_every_layer_of_the_pair_in_the_first_pool_and_the_last_layer_in_the_others() -> None:
    for readout in ("aligned", "base"):
        shape = [(r.pool, r.layer, r.last) for r in found(readout)]
        profile = [("mean", layer, layer == LAYERS - 1) for layer in range(LAYERS)]
        assert shape == [*profile, ("last", LAYERS - 1, True)]
    shape = [(r.pool, r.layer, r.last) for r in found("random")]
    assert shape == [("mean", LAYERS - 1, True), ("last", LAYERS - 1, True)]


def test_the_states_are_the_models_own() -> None:
    theirs = plain_states(model("A", "aligned"))
    for read in found("aligned")[:LAYERS]:
        np.testing.assert_allclose(read.states, theirs[:, read.layer], atol=2e-5)


def test_a_mixture_is_learned_on_other_prompts_and_read_on_these() -> None:
    setting = replace(SETTING, layer_pooling="sparsemax")
    *plain, mixed, other = found("aligned", setting)
    assert [r.layer_weights for r in (*plain, other)] == [None] * (LAYERS + 1)
    assert (mixed.layer, mixed.last, mixed.pool, other.pool) == (None, False, "mean", "last")
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
    draws = compared_draws(read, "standardized", SETTING, PROMPTS)
    assert draws is not None and draws.shape == (SETTING.resamples, len(AXIOMS))
    level = model_aqi(to_space(read.states, "standardized"), LABELS, NAMES, CLUSTERS)
    np.testing.assert_allclose(draws.mean(axis=0), [a.aqi.estimate for a in level.axioms])
    twin = replace(read, model="B")
    np.testing.assert_array_equal(draws, compared_draws(twin, "standardized", SETTING, PROMPTS))
    for given, space in ((read, "native"), (own, "standardized"), (found("aligned")[0], "native")):
        assert compared_draws(given, space, SETTING, PROMPTS) is None
    alone = replace(SETTING, spaces=("native",))
    assert compared_draws(read, "native", alone, PROMPTS) is not None


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
    first, *_, last, other = found("aligned")
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
    last, other = found("aligned", setting)[LAYERS - 1 :]
    assert "perplexity" in str(refused(lambda: scored(last, "native", setting, PROMPTS, 0)))
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


# ---- pairs


def test_mean_difference_finds_the_planted_direction() -> None:
    generator = torch.Generator().manual_seed(1)
    direction = 20 * torch.nn.functional.normalize(torch.randn(WIDTH, generator=generator), dim=0)
    lab = TinyLab(load=planted(direction))
    reader = PairReader(READING, lab, "A", lab.pairs("extraction"))
    vectors = reader.vectors("mean_difference").values
    unit = direction.numpy() / np.linalg.norm(direction.numpy())
    cosine = vectors @ unit / np.linalg.norm(vectors, axis=1)
    assert cosine.min() > 0.95
    other = PairReader(READING, TinyLab(load=planted(-direction)), "A", lab.pairs("extraction"))
    flipped = other.vectors("mean_difference").values
    assert (flipped @ unit / np.linalg.norm(flipped, axis=1)).max() < -0.95


def test_each_method_compares_what_it_says() -> None:
    lab = TinyLab()
    pairs = lab.pairs("extraction")
    reader = PairReader(replace(READING, texts="balanced", pool="last"), lab, "A", pairs)
    seen = {}
    for role in ("aligned", "base"):
        one = model("A", role)
        encoded = encode_prompts(one.tokenizer, [p.prompt for p in pairs])
        states = []
        with torch.no_grad():
            for e in encoded:
                inner = one.model.model
                rows: list[torch.Tensor] = []
                handles = [
                    b.register_forward_hook(lambda _, __, out, rows=rows: rows.append(out[0, -1]))
                    for b in inner.layers
                ]
                one.model(torch.tensor([e.ids]))
                for handle in handles:
                    handle.remove()
                states.append(torch.stack(rows).double())
        seen[role] = torch.stack(states).numpy()
    expected = mean_difference(seen["aligned"], seen["base"]).values
    np.testing.assert_allclose(reader.vectors("mean_difference").values, expected, atol=2e-5)
    assert set(lab.asked) == {("A", "aligned"), ("A", "base")}
    lab.asked.clear()
    for method in ("contrast", "pca"):
        assert reader.texts(method) == "answers"
        assert reader.vectors(method).values.shape == (LAYERS, WIDTH)
    assert set(lab.asked) == {("A", "base")}, "contrast and pca read one model"


def test_only_unsafe_prompts_are_read_when_asked_and_labels_are_needed_for_it() -> None:
    lab = TinyLab()
    pairs = lab.pairs("extraction")
    samples = PairReader(READING, lab, "A", pairs).vectors("mean_difference").metadata["samples"]
    assert samples == sum(p.label == 0 for p in pairs)
    bare = [replace(p, label=None) for p in pairs]
    said = str(refused(lambda: PairReader(READING, lab, "A", bare).vectors("mean_difference")))
    assert "set steering_vectors.texts to answers" in said


def test_shortened_counts_the_texts_that_lost_their_beginning() -> None:
    lab = TinyLab()
    pairs = lab.pairs("extraction")
    lengths = [len(e.ids) for e in encode_prompts(model("A", "base").tokenizer, _unsafe(pairs))]
    for limit in (min(lengths), max(lengths) - 1, max(lengths)):
        reader = PairReader(replace(READING, tokens=limit), lab, "A", pairs)
        assert reader.shortened("mean_difference") == sum(n > limit for n in lengths)


def _unsafe(pairs: Any) -> list[str]:
    return [p.prompt for p in pairs if p.label == 0]


# ---- levels


def score(readout: Any, aqi: float, **changes: Any) -> Row:
    values = {name: None for name in Row.__dataclass_fields__} | {
        "model": "A",
        "readout": readout,
        "pool": "mean",
        "space": "native",
        "layer": 3,
        "last": True,
        "axiom": "mean",
        "n": 8,
        "aqi": aqi,
        "aqi_low": aqi - 2,
        "aqi_high": aqi + 2,
        "p_value": 0.01,
        "influence": "A/x",
        "influence_row": 0,
    }
    return Row(**{**values, **changes})


def test_the_headline_is_the_last_layer_in_the_first_pool_and_space() -> None:
    rows = [
        score("aligned", 1.0, last=False, layer=0),
        score("aligned", 2.0),
        score("aligned", 3.0, space="standardized"),
        score("aligned", 4.0, pool="last"),
    ]
    assert headline(rows, "aligned", "mean", None) is rows[1]
    assert headline(rows, "aligned", "mean", "standardized") is rows[2]
    assert headline(rows, "base", "mean", None) is None


@pytest.mark.parametrize(("highest", "clear"), [(17.9, True), (18.0, False), (30.0, False)])
def test_above_its_floor_means_the_whole_interval(highest: float, clear: bool) -> None:
    rows = [score("aligned", 20.0), score("tfidf", highest), score("random", 1.0)]
    assert above_floor(rows, None) == (clear, f"highest floor tfidf {highest:.1f}")
    assert above_floor(rows[:1], None)[0] is False


def test_metrics_name_every_checkpoint_floor_and_axiom() -> None:
    rows = [score(r, float(i)) for i, r in enumerate(("aligned", "base", "tfidf"))]
    rows += [score("aligned", 10.0 + i, axiom=a) for i, a in enumerate(AXIOMS)]
    rows += [score("aligned", 50.0, axiom="pooled"), score("aligned", 9.0, space="standardized")]
    found = model_metrics(rows)
    assert {k: found[k] for k in ("aqi", "aqi_base", "aqi_tfidf")} == {
        "aqi": 0.0,
        "aqi_base": 1.0,
        "aqi_tfidf": 2.0,
    }
    assert [found[c] for c in AXIOM_COLUMNS] == [10.0 + i for i in range(7)]
    assert (found["aqi_pooled"], found["aqi_standardized"]) == (50.0, 9.0)
    assert "aqi_sham" not in found


def kept(seed: int = 0) -> MemoryKept:
    x = np.random.default_rng(seed).normal(0, 6, (2, 8))
    x -= x.mean(axis=1, keepdims=True)
    return MemoryKept({"A/x": {"influence": torch.from_numpy(x), "clusters": torch.arange(8)}})


def test_what_alignment_added_is_a_paired_difference() -> None:
    rows = [score("aligned", 20.0), score("base", 15.0, influence_row=1), score("tfidf", 1.0)]
    line = model_lines("A", rows, kept())[1]
    x = kept().files["A/x"]["influence"].numpy()
    half = stats.t.ppf(0.975, 7) * np.sqrt(((x[0] - x[1]) ** 2).sum() / (8 * 7))
    assert line == f"A: aligned minus base +5.0 [{5 - half:+.1f}, {5 + half:+.1f}]"


def test_a_model_that_was_not_measured_says_so() -> None:
    assert model_lines("A", [score("base", 1.0)], kept()) == [
        "A: the aligned checkpoint was not measured"
    ]


def two_models() -> list[Row]:
    rows = []
    for i, name in enumerate("AB"):
        own = {"model": name, "space": "standardized", "influence_row": i}
        rows += [score("aligned", 20.0 + 2 * i, **own), score("tfidf", 1.0, **own)]
    return rows


def test_p_best_of_two_is_the_normal_tail_of_their_difference() -> None:
    shares = chances(two_models(), kept())
    x = kept().files["A/x"]["influence"].numpy()
    error = np.sqrt(((x[0] - x[1]) ** 2).sum() / (8 * 7))
    assert shares["B"] == pytest.approx(stats.norm.cdf(2 / error), abs=0.02)
    assert sum(shares.values()) == pytest.approx(1)
    assert best_line(shares, two_models()).startswith("baseline model: B, aqi 22.0")


def test_a_model_at_its_floor_is_no_candidate() -> None:
    rows = two_models()
    rows[3] = replace(rows[3], aqi=30.0)
    assert list(chances(rows, kept())) == ["A"]
    rows[1] = replace(rows[1], aqi=30.0)
    assert chances(rows, kept()) == {}
    assert best_line({}, rows).startswith("no baseline model")
