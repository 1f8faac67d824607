"""Steering arms: sets of arms for tiny models, and a full forward to compare with."""

import torch

from mahals.models.activations.batching import model_inputs
from mahals.models.activations.capture import state_of
from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.tiny_models import PROMPTS, vector

UNSTEERED = Arm("unsteered", ())


def arm(*steps):
    return Arm("arm", tuple(Intervention(b, vector(10 + b), s, op) for b, s, op in steps))


SEVEN_ARMS = (
    UNSTEERED,
    arm((1, 0.7, "add")),
    arm((1, 0.0, "add"), (2, 0.0, "ablate")),
    arm((2, 1.5, "add_preserve_norm")),
    arm((0, 0.5, "add"), (1, 1.0, "ablate"), (1, -0.4, "add"), (3, 0.3, "add_preserve_norm")),
    arm((3, 2.0, "ablate")),
    arm((1, 0.0, "add"), (2, 0.9, "add")),
)


def encoded_for(at):
    return encode_prompts(at.tokenizer, PROMPTS)


def forward(at, batch, arms=None, rows=None):
    """(block -> states, logits) of a full forward, steered if arms are given."""
    kept = {}

    def run():
        handles = [
            b.register_forward_hook(lambda m, a, out, i=i: kept.update({i: state_of(out)}))
            for i, b in enumerate(decoder_blocks(at.model))
        ]
        with torch.inference_mode():
            logits = at.model(**model_inputs(at, batch), use_cache=False).logits
        for handle in handles:
            handle.remove()
        return logits

    if arms is None:
        return kept, run()
    with steered(at.model, arms, rows):
        return kept, run()


NEW = 8  # tokens of an answer
FOUR_ARMS = (
    UNSTEERED,
    Arm("add", (Intervention(1, vector(1), 1.2, "add"),)),
    Arm("zero", (Intervention(0, vector(1), 0.0, "add"),)),
    Arm(
        "mix",
        (
            Intervention(2, vector(2), 0.6, "add_preserve_norm"),
            Intervention(3, vector(3), 1.0, "ablate"),
        ),
    ),
)
