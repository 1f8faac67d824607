"""Are stored answers grouped, read as they were written, and paired with answers as long?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from mahals.evaluation.resistance.episodes import episode_bench
from mahals.evaluation.resistance.readings import (
    TokenReading,
    answer_groups,
    mean_of,
    random_latents,
    read,
    set_means,
    token_means,
)
from mahals.evaluation.resistance.subjects import directions
from mahals.maths.metrics.token_means import REGIONS, TokenMean
from mahals.models.activations.encoding import encode_answers
from mahals.models.saes.autoencoder import encode
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.held_latents import by_hand, wide
from tests.support.resistance_lab import SETTING
from tests.support.restarted_answers import AWAY, TOPIC_NAMES, reading_lab, stored
from tests.support.trials import trial

PROMPT, OTHER = SETTING.prompts("evaluation")[:2]
BREAD, TEA = "bake bread", "make tea"
ROW = partial(TokenMean, "A", "organism", "aligned", "free")


def test_answers_are_grouped_by_whether_they_left_the_topic_and_restart() -> None:
    some = [
        stored(PROMPT, BREAD, True),
        stored(PROMPT, BREAD, False),
        stored(PROMPT, BREAD, True, scores=(60.0, 0.0)),  # did not leave the topic
        stored(PROMPT, BREAD, True, degenerate=True),
        stored(PROMPT, BREAD, True, situation="passage"),
        stored(PROMPT, BREAD, True, subject="planted"),
        stored(PROMPT, BREAD, True, source="random"),
        stored(
            PROMPT, BREAD, True, prefix=90
        ),  # it was given the restart: what it goes on with is on the topic
        (stored(PROMPT, BREAD, False)[0], " "),
    ]
    groups = answer_groups(reading_lab(some), "A", "aligned", "free", ["contrast"])
    assert [t.line for t, _ in groups["episode"]] == [0]
    assert [t.line for t, _ in groups["derailed"]] == [1]
    assert groups["episode"][0][1] == some[0][1]
    assert {t.prompt for t, _ in groups["unsteered"]} == {PROMPT}
    assert len(groups["unsteered"]) == SETTING.seeds


@pytest.mark.parametrize("situation", ["free", "first", "passage"])
def test_states_are_those_of_the_writing_model_by_plain_hooks(situation: str) -> None:
    """Steered throughout, for the first tokens alone, or not; and all of it again without."""
    sae = wide()
    lab = reading_lab([stored(PROMPT, BREAD, True, situation=situation)], sae=sae)
    bench, along = episode_bench(lab, "A", "aligned"), directions(lab, "A", ["contrast"])
    groups = answer_groups(lab, "A", "aligned", situation, ["contrast"])
    (_, text), loaded = groups["episode"][0], bench.loaded
    (encoded,) = encode_answers(loaded.tokenizer, [PROMPT], [text])
    vector = along[TOPIC_NAMES.index(BREAD)].vector
    on = Arm("on", (Intervention(SETTING.block, vector, 2.0, "add"),))
    first = encoded.start + SETTING.first_tokens
    until = {"free": None, "first": first, "passage": 0}[situation]
    for steps, stop in ((along, until), (None, 0)):
        with by_hand(loaded, (), on, stop) as kept:
            loaded.model(input_ids=torch.tensor([encoded.ids]))
        expected = kept[SETTING.read_block][0, encoded.start : encoded.stop]
        reading = read(bench, sae, groups, steps, 9)["episode"][0]
        torch.testing.assert_close(reading.states, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(reading.latents, encode(sae, reading.states), rtol=1e-6)


def test_the_restart_is_marked_in_tokens_and_others_are_on_topic_throughout() -> None:
    lab = reading_lab([stored(PROMPT, BREAD, True), stored(PROMPT, BREAD, False)])
    groups = answer_groups(lab, "A", "aligned", "free", ["contrast"])
    found = read(episode_bench(lab, "A", "aligned"), wide(), groups, None, 9)
    e, d = found["episode"][0], found["derailed"][0]
    assert e.text[e.places[e.start] :].startswith(AWAY)
    assert not any(e.text[p].isspace() for p in e.places)
    assert (
        e.text[: e.places[e.stop]].rstrip().endswith(AWAY) and "To " in e.text[e.places[e.stop] :]
    )
    assert (d.start, d.stop) == (e.start, e.stop) and AWAY not in d.text
    assert [e.text[e.places[k]] for k in e.ends] == [".", "."] and e.ends[0] == e.start - 1
    assert d.ends[0] == e.ends[0] and d.text[d.places[d.ends[1]] :] == "."
    assert all((u.start, u.stop) == (0, 0) for u in found["unsteered"].values())


def test_a_twin_is_of_the_same_direction_if_it_can_be_then_the_least_used() -> None:
    bread, tea = (stored(p, c, False) for p, c in ((PROMPT, BREAD), (OTHER, TEA)))
    short = (bread[0], "First knead dough.")
    episodes = [stored(PROMPT, c, True) for c in (TEA, BREAD, BREAD, BREAD, "cook rice")]
    lab = reading_lab([*episodes, short, bread, tea, bread])
    groups = answer_groups(lab, "A", "aligned", "free", ["contrast"])
    bench = episode_bench(lab, "A", "aligned")
    twins = read(bench, wide(), groups, None, 9)["derailed"]
    assert [twins[i].trial.line for i in range(5)] == [7, 6, 8, 6, 7]
    groups["derailed"] = groups["derailed"][:1]
    assert read(bench, wide(), groups, None, 9)["derailed"] == {}
    assert [*read(bench, wide(), groups, None, 2)["episode"].values()][1].trial.line == 3


def reading(direction: str, start: int, stop: int, *values: float | None) -> TokenReading:
    """With `values` along the first latent, nan where there is none: what `known` gives."""
    told: dict[str, Any] = {"direction": direction, "prompt": direction}
    latents = np.array([[np.nan if v is None else v, 0.0, 0.0] for v in values])
    states, ends = torch.zeros(len(values), 2), (start, len(values))
    return TokenReading(trial(**told), "", (), start, stop, ends, states, latents)


def known(r: TokenReading) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in r.latents[:, 0]]


def test_ends_of_sentences_are_in_no_region() -> None:
    one = replace(reading("a", 2, 3, 1.0, 90.0, 7.0, 2.0, 90.0), ends=(1, 4))
    assert [one.mean(known(one), at) for at in REGIONS] == [1.0, 7.0, 2.0]
    assert [one.mean(known(one), k) for k in (-1, 2)] == [90.0, 90.0]


def test_means_by_region_and_token_are_those_by_hand() -> None:
    episodes = [
        reading("a", 2, 3, 1.0, 3.0, 7.0, None, 5.0),
        reading("b", 1, 3, 4.0, 1.0, 2.0),
        reading("c", 1, 2, 0.0, 0.0, 8.0),
    ]
    twins = {
        0: reading("a", 2, 3, 0.0, 1.0, 2.0, 2.0),
        1: reading("b", 1, 3, 0.0, 0.5, 0.5, 9.0),
        2: reading("z", 1, 2, 6.0, 6.0, 6.0),
    }
    groups = {
        "episode": dict(enumerate(episodes)),
        "derailed": twins,
        "unsteered": {0: reading("a", 0, 0, 2.0, 4.0)},
    }
    rows = {(r.group, r.place): r for r in token_means(ROW, groups, {"x": known}, 2)}
    assert {r.quantity for r in rows.values()} == {"x"}
    means = {key: (r.count, r.mean) for key, r in rows.items()}
    assert [means["episode", at] for at in REGIONS] == [
        (3, 2.0),
        (3, pytest.approx(17 / 6)),
        (2, 6.5),
    ]
    assert means["episode", 0] == (3, pytest.approx(8 / 3)) and means["episode", -2] == (1, 1.0)
    assert means["episode", 1] == (2, 5.0)  # the first has none there
    assert means["difference", "off topic"] == (2, pytest.approx((1.5 + 4.0) / 2))  # c is not of z
    assert means["unsteered", "on topic"] == (1, 3.0)
    assert not {("unsteered", 0), ("unsteered", "off topic")} & set(means)
    assert rows["difference", "off topic"].low is None  # two directions
    values, half = np.array([2.0, 4.0, 0.0]), 4.302652729911275  # t of 2 degrees, 97.5 %
    error = values.std(ddof=1) / np.sqrt(3)
    found = rows["episode", "off topic"]
    assert found.low == pytest.approx(2.0 - half * error)
    assert found.high == pytest.approx(2.0 + half * error)


def test_an_interval_is_over_directions_and_nothing_has_no_row() -> None:
    names = ["a", "b", "c"]
    (one,) = mean_of(ROW, [1.0, 2.0, 6.0], names)
    (twice,) = mean_of(ROW, [1.0, 2.0, 6.0] * 5, names * 5)
    assert (twice.mean, twice.low) == pytest.approx((one.mean, one.low)) and twice.count == 15
    assert list(mean_of(ROW, [], [])) == []


def test_random_latents_are_live_as_many_and_in_no_set() -> None:
    sets = {"few": [1], "many": [2, 3]}
    draws = [random_latents(range(1, 8), sets, seed) for seed in range(40)]
    assert {len(set(d)) for d in draws} == {2} and {i for d in draws for i in d} == {4, 5, 6, 7}
    r = replace(reading("a", 0, 0, 0.0, 0.0), latents=np.array([[1.0, 2.0, 6.0], [0.0, 1.0, 1.0]]))
    found = set_means({"s": [1, 2], "t": [0], "none": []})
    assert {name: of(r) for name, of in found.items()} == {"s": [4.0, 1.0], "t": [1.0, 0.0]}
