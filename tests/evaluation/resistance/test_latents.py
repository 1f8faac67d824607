"""Are a token's activations those of a forward by hand, and is it where it says?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mahals.evaluation.resistance.episodes import EpisodeBench, episode_bench
from mahals.evaluation.resistance.latents import latent_states, steering_arm, token_places
from mahals.evaluation.resistance.subjects import directions
from mahals.models.activations.encoding import encode_answers
from mahals.models.saes.autoencoder import Sae, encode
from tests.support.resistance_lab import BOOST, CONCEPTS, SETTING, resistance_lab
from tests.support.tiny_models import WIDTH
from tests.support.trials import trial

PROMPT = SETTING.prompts("evaluation")[0]
ANSWER = "First dig a hole. Wait, the cat sat on the mat."


@pytest.fixture(scope="module")
def bench() -> EpisodeBench:
    return episode_bench(resistance_lab(), "A", "aligned")


def sae() -> Sae:
    rng = torch.Generator().manual_seed(0)
    w, d = torch.randn(WIDTH, 12, generator=rng), torch.randn(12, WIDTH, generator=rng)
    return Sae(w, torch.zeros(12), d, torch.zeros(WIDTH), "topk", True, None, 5)


def by_hand(bench: EpisodeBench, added: torch.Tensor | None) -> Any:
    """(t, m) of the answer's tokens, by one plain forward and a hook of one's own."""
    (one,) = encode_answers(bench.loaded.tokenizer, [PROMPT], [ANSWER])
    blocks, found = bench.loaded.model.model.layers, []

    def add(_: Any, __: Any, out: Any) -> Any:
        states = out if isinstance(out, torch.Tensor) else out[0]
        states = states if added is None else states + added
        return states if isinstance(out, torch.Tensor) else (states, *out[1:])

    def read(_: Any, __: Any, out: Any) -> None:
        found.append(out if isinstance(out, torch.Tensor) else out[0])

    hooks = [
        blocks[SETTING.block].register_forward_hook(add),
        blocks[SETTING.read_block].register_forward_hook(read),
    ]
    with torch.no_grad():
        bench.loaded.model(torch.tensor([one.ids]))
    for hook in hooks:
        hook.remove()
    return encode(sae(), found[0][0, one.start : one.stop]).numpy()


def test_activations_are_those_of_a_plain_forward_with_steering_on_and_off(
    bench: EpisodeBench,
) -> None:
    along = directions(bench.lab, "A", ["contrast"])
    steered = trial(direction=along[1].name, boost=BOOST, situation="free")
    arms = [steering_arm(bench, t, along) for t in (steered, trial(situation="passage"))]
    assert [a.name for a in arms] == ["on", "off"]
    on, off = latent_states(bench, sae(), [(PROMPT, ANSWER)] * 2, arms)
    np.testing.assert_allclose(off, by_hand(bench, None), atol=1e-4)
    added = BOOST * along[1].vector
    np.testing.assert_allclose(on, by_hand(bench, added), atol=1e-4)
    assert np.abs(on - off).max() > 0.1


def test_unsteered_situations_are_read_unsteered(bench: EpisodeBench) -> None:
    along = directions(bench.lab, "A", ["contrast"])
    name = f"contrast:{CONCEPTS[0]}"
    for situation in ("unsteered", "own_text", "passage"):
        assert not steering_arm(bench, trial(direction=name, situation=situation), along).active
    assert not steering_arm(bench, trial(direction=name, boost=0.0), along).active
    (step,) = steering_arm(bench, trial(direction=name, boost=3.0), along).active
    assert (step.block, step.strength) == (SETTING.block, 3.0)


def test_tokens_are_where_their_text_is(bench: EpisodeBench) -> None:
    """Tokens from one place to another, decoded, are the answer's characters between them."""
    (one,) = encode_answers(bench.loaded.tokenizer, [PROMPT], [ANSWER])
    own = one.ids[one.start : one.stop]
    places = token_places(bench.loaded.tokenizer, one, ANSWER)
    assert len(places) == len(own)
    assert list(places) == sorted(places) and places[0] == 0
    for start in (0, ANSWER.index(" Wait"), ANSWER.index(" cat")):
        ids = [i for i, place in zip(own, places, strict=True) if place >= start]
        assert bench.loaded.tokenizer.decode(ids) == ANSWER[start:]
