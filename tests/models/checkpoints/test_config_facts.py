"""Config facts: are family, depth and width read however a family names them, or refused?"""

import json

import pytest
from transformers import Gemma3Config

from mahals.models.checkpoints.config_facts import ConfigFacts, facts_of_config
from mahals.records import InputError
from tests.support.checkpoint_folders import one_line
from tests.support.tiny_models import FAMILIES, LAYERS, WIDTH, config


def saved(made, tmp_path):
    """A config as `save_pretrained` writes it, read back."""
    made.save_pretrained(tmp_path)
    return json.loads((tmp_path / "config.json").read_text())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_config_says_depth_and_width(family, tmp_path):
    found = facts_of_config(saved(config(family), tmp_path), "here")
    assert (found.layers, found.width) == (LAYERS, WIDTH)


@pytest.mark.parametrize(
    ("named", "family"),
    [
        ({"architectures": ["GPTNeoXForCausalLM"]}, "GPTNeoX"),
        ({"architectures": ["GPT2LMHeadModel"]}, "GPT2"),
        ({"architectures": ["LlamaModel"]}, "Llama"),
        ({"architectures": None}, "gpt2"),
    ],
)
def test_the_family_is_the_class_without_its_ending(named, family, tmp_path):
    read = {**saved(config("GPT2"), tmp_path), **named}
    assert facts_of_config(read, "here").family == family


def test_of_a_model_that_also_sees_the_text_part_is_read(tmp_path):
    text = {"num_hidden_layers": 3, "hidden_size": 40}
    vision = {"num_hidden_layers": 7, "hidden_size": 72}
    made = Gemma3Config(text_config=text, vision_config=vision)
    made.architectures = ["Gemma3ForConditionalGeneration"]
    assert facts_of_config(saved(made, tmp_path), "here") == ConfigFacts("Gemma3", 3, 40)


def test_a_config_without_depth_or_width_is_one_line(tmp_path):
    whole = saved(config("Llama"), tmp_path)
    for name in ("num_hidden_layers", "hidden_size"):
        read = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(InputError, match=f"there.*whose config has {name}") as error:
            facts_of_config(read, "there")
        one_line(error)
    with pytest.raises(InputError, match="an empty config"):
        facts_of_config({}, "there")
