"""Is a checkpoint's size read from its files, and guessed within reason without them?"""

import dataclasses
import json

import pytest

from mahals.models.checkpoints.device import CPU
from mahals.models.checkpoints.size import folder_size, guessed_size
from mahals.records import InputError
from tests.support.tiny_models import LAYERS, WIDTH, fresh


@pytest.mark.parametrize("family", ["Llama", "Gemma2"])
def test_a_folder_has_the_size_of_its_model(tmp_path, family):
    at = fresh(family)  # saving one writes into its config
    at.model.save_pretrained(tmp_path)
    size = folder_size(tmp_path)
    own = at.model.state_dict()  # a tied head is saved once
    shared = {tensor.data_ptr(): tensor.numel() for tensor in own.values()}
    assert size.parameters == sum(shared.values()) and size.here
    assert (size.layers, size.width, size.inner) == (LAYERS, WIDTH, 48)
    assert size.vocabulary == at.model.config.vocab_size
    assert size.cached == 2 * LAYERS * 1 * 16  # one head of 16 keys and values
    assert size.held(CPU) == 4 * size.parameters


@pytest.mark.parametrize(
    ("named", "match"),
    [("mamba", "architecture mamba of .*recurrent"), ("no_such", "expected a model type that")],
)
def test_what_cannot_be_measured_has_no_size_and_one_line(tmp_path, named, match):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": named}))
    with pytest.raises(InputError, match=match) as error:
        folder_size(tmp_path)
    assert "\n" not in str(error.value) and named in str(error.value)


def test_a_checkpoint_that_is_not_here_is_guessed_by_its_blocks():
    size = guessed_size(32, 4096)
    assert 6.5e9 < size.parameters < 8.5e9 and not size.here
    half = dataclasses.replace(CPU, dtype="bfloat16")
    four = dataclasses.replace(half, quantize="4bit")
    eight = dataclasses.replace(half, quantize="8bit")
    assert size.held(half) == 2 * size.parameters
    assert 0.5 * size.parameters < size.held(four) < size.held(eight) < size.held(half)
