"""Dose search: does a dose reach its KL, whatever the length of the vector, in few rounds?"""

import pytest
import torch

from mahals.models.activations.encoding import encode_texts
from mahals.models.generation.dose_search import dose_for_kl, largest_kl
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError
from tests.support.tiny_models import PROMPTS, WIDTH, loaded, vector


@pytest.mark.parametrize("target", [0.001, 0.1])
def test_doses_reach_one_kl_whatever_the_vectors_length(target):
    at = loaded("Llama")
    encoded = encode_texts(at.tokenizer, PROMPTS)

    def at_strength(direction, operator):
        return lambda x: Arm("arm", (Intervention(1, direction, x, operator),))

    makers = [
        at_strength(vector(1), "add"),
        at_strength(100 * vector(1), "add"),
        at_strength(0.1 * vector(2), "add_preserve_norm"),
        lambda x: Arm("flipped", (Intervention(2, vector(1), -x, "add"),)),
    ]
    doses = dose_for_kl(at, [encoded], makers, target)
    for make, strength, kl in zip(makers, doses.strengths, doses.kl, strict=True):
        measured = neutral_price(at, encoded, [make(strength)]).kl.item()
        assert measured == pytest.approx(kl, rel=1e-6)
        assert measured == pytest.approx(target, rel=0.0101)
    assert doses.strengths[0] == pytest.approx(100 * doses.strengths[1], rel=0.02)
    alone = [dose_for_kl(at, [encoded], [make], target).strengths[0] for make in makers]
    assert list(doses.strengths) == pytest.approx(alone, rel=1e-6)


def test_the_set_that_an_arm_moves_most_counts():
    """At the dose one set of texts is at the target and none above it, wherever that set stands."""
    at = loaded("Llama")
    sets = [encode_texts(at.tokenizer, [text]) for text in PROMPTS[1:4]]
    both = [vector(k) for k in range(2)]
    makers = [lambda x, v=v: Arm("arm", (Intervention(1, v, x, "add"),)) for v in both]
    for some in (sets, sets[::-1], [sets[1], sets[0], sets[2]]):
        doses = dose_for_kl(at, some, makers, 0.05)
        arms = [make(x) for make, x in zip(makers, doses.strengths, strict=True)]
        each = torch.stack([neutral_price(at, texts, arms).kl for texts in some])
        assert each.max(dim=0).values.tolist() == pytest.approx([0.05] * 2, rel=0.0101)
        assert each.min(dim=0).values.max() < 0.04
        assert largest_kl(at, some, arms) == pytest.approx(doses.kl, rel=1e-6)


def test_an_arm_out_of_reach_has_no_strength_but_the_reason_and_spoils_no_other():
    at = loaded("Llama")
    encoded = encode_texts(at.tokenizer, PROMPTS)
    nil = torch.zeros(WIDTH)

    def jump(x):
        return Arm("jump", (Intervention(1, vector(1), 0.0 if x < 2.5 else 50.0, "add"),))

    def plain(x):
        return Arm("plain", (Intervention(1, vector(1), x, "add"),))

    makers = [lambda x: Arm("nil", (Intervention(1, nil, x, "add"),)), jump, plain]
    found = dose_for_kl(at, [encoded], makers, 0.1)
    assert found.strengths[:2] == (None, None) == found.kl[:2]
    assert found.missed[0] == "a KL of 0 at strength 256, the highest tried"
    assert found.missed[1].startswith("a jump of the KL over it near strength 2.5")
    alone = dose_for_kl(at, [encoded], [plain], 0.1)
    assert (found.strengths[2], found.missed[2]) == (alone.strengths[0], None)
    with pytest.raises(InputError, match="target_kl"):
        dose_for_kl(at, [encoded], [jump], 0.0)


def test_a_dose_is_found_in_few_rounds(monkeypatch):
    """KL is nearly a power of strength: a handful of forward passes, not a bisection's dozens."""
    from mahals.models.generation import dose_search

    rounds = []
    price = dose_search.neutral_price
    monkeypatch.setattr(dose_search, "neutral_price", lambda *a: rounds.append(1) or price(*a))
    at = loaded("Llama")
    encoded = encode_texts(at.tokenizer, PROMPTS)
    for size in (0.01, 1.0, 100.0):
        rounds.clear()
        arm = [lambda x, size=size: Arm("arm", (Intervention(1, size * vector(1), x, "add"),))]
        assert dose_for_kl(at, [encoded], arm, 0.1).missed == (None,)
        assert len(rounds) <= 12
