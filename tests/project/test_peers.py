"""Are our vectors those of the libraries steering-vectors and repeng on the same texts?

They pin older libraries, so what they found is stored: tests/project/peers/make.py made it and
holds how. Its file has the weights too: the model here is theirs to the last bit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

from mahals.maths.vectors.estimators import contrast, pca, svd_k
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.tiny_models import tokenizer

FILE = Path(__file__).parent / "peers/steering_vectors_repeng.safetensors"
BLOCKS = [0, 1, 2, 3]


@dataclass(frozen=True)
class Stored:
    """The peers' tensors, and the model that they read."""

    said: dict[str, str]
    tensors: dict[str, torch.Tensor]
    loaded: Loaded

    def states(self, side: str) -> torch.Tensor:
        """(n, L, d) at the last token, read by our hooks."""
        texts = [[i for i in row if i] for row in self.tensors[side].tolist()]
        encoded = [Encoded(tuple(t), 0, len(t)) for t in texts]
        return capture(self.loaded, encoded, BLOCKS, "last")


@pytest.fixture(scope="module")
def stored() -> Stored:
    with safe_open(FILE, "pt") as file:
        said, tensors = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    config = json.loads(said["config"])
    model = LlamaForCausalLM(LlamaConfig(**config)).eval()
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    missing = model.load_state_dict(weights, strict=False)
    assert missing.missing_keys == ["lm_head.weight"] and not missing.unexpected_keys
    model.tie_weights()
    width, depth = config["hidden_size"], config["num_hidden_layers"]
    one = Loaded(model, tokenizer(), "peer", "base", "stored", depth, width, "organism")
    return Stored(said, tensors, one)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def test_the_file_says_who_made_it() -> None:
    with safe_open(FILE, "pt") as file:
        said = file.metadata()
    assert {"steering-vectors", "repeng", "transformers", "torch", "numpy"} <= said.keys()
    assert FILE.stat().st_size < 300_000


def test_the_mean_difference_is_that_of_steering_vectors(stored: Stored) -> None:
    ours = contrast(stored.states("chosen"), stored.states("rejected"))
    theirs = stored.tensors["mean"].numpy()
    assert cosine(ours.values, theirs).min() > 0.9999
    np.testing.assert_allclose(ours.values, theirs, atol=1e-5)


def test_the_same_logits_when_applied(stored: Stored) -> None:
    ours = contrast(stored.states("chosen"), stored.states("rejected")).values
    blocks, strength = json.loads(stored.said["blocks"]), float(stored.said["strength"])
    steps = tuple(Intervention(b, torch.from_numpy(ours[b]), strength, "add") for b in blocks)
    batch, model = stored.tensors["batch"], stored.loaded.model
    with torch.no_grad():
        plain = model(batch).logits
        with steered(model, [Arm("peer", steps)], [0] * len(batch)):
            moved = model(batch).logits
    torch.testing.assert_close(plain, stored.tensors["plain"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(moved, stored.tensors["steered"], atol=1e-5, rtol=1e-4)
    assert (moved - plain).abs().max() > 1  # steering is no small thing here


def test_pca_is_that_of_repeng_up_to_sign(stored: Stored) -> None:
    """repeng fits a centred PCA on the pair differences, of norm 1, signed by most pairs.

    Its last block is read after the final norm: there we put our states through that norm first.
    """
    sides = [stored.states(s) for s in ("chosen", "rejected")]
    ours = pca(*sides)
    theirs = stored.tensors["pca_diff"].numpy()
    np.testing.assert_allclose(np.linalg.norm(theirs, axis=1), 1.0, atol=1e-5)
    assert np.abs(cosine(ours.values, theirs))[:3].min() > 0.9999
    assert abs(cosine(ours.values, theirs)[3]) < 0.999
    with torch.no_grad():
        normed = pca(*(stored.loaded.model.model.norm(s[:, 3:]) for s in sides))
    assert abs(cosine(normed.values, theirs[3:])[0]) > 0.9999


def test_repengs_other_way_is_the_first_singular_vector_without_centring(stored: Stored) -> None:
    """pca_center takes each pair's middle out: both sides then lie at +- half the difference."""
    ours = svd_k(stored.states("chosen"), stored.states("rejected"), 1, centered=False)
    theirs = stored.tensors["pca_center"].numpy()
    assert np.abs(cosine(ours.values, theirs))[:3].min() > 0.9999
