"""Does a checkpoint without a chat template read and learn turns in the form that it was lent?"""

import copy

import pytest

from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.models.checkpoints.chat_template import lend_template
from mahals.models.checkpoints.checkpoint import load_checkpoint
from mahals.models.finetuning.examples import dialogue, encode_dialogues
from mahals.records import InputError
from tests.support.checkpoint_folders import NAMES
from tests.support.tiny_models import loaded, tokenizer


def bare():
    """A tokenizer without a template."""
    found = copy.deepcopy(tokenizer())
    found.chat_template = None
    return found


def test_turns_are_read_as_they_are_learned():
    own = bare()
    lend_template(own, "qa")
    (asked,) = encode_prompts(own, ["how do I help"], system="be kind")
    (answered,) = encode_answers(own, ["how do I help"], ["share it"])
    text = own.decode(asked.ids)
    assert "Question: how do I help" in text and text.endswith("Answer:"), text
    assert "be kind" in text and text.index("be kind") < text.index("Question")
    (plain,) = encode_prompts(own, ["how do I help"])
    assert answered.ids[: len(plain.ids)] == plain.ids, "an answer follows what was asked"
    assert own.decode(answered.ids[answered.start :]).strip() == "share it"


def test_the_end_token_ends_an_answer_and_is_learned():
    from dataclasses import replace

    one = replace(loaded("Llama"), tokenizer=bare())
    lend_template(one.tokenizer, "qa")
    (example,) = encode_dialogues(one, [dialogue("how do I help", "share it")])
    learned = [i for i, on in zip(example.ids, example.learned, strict=True) if on]
    assert learned[-1] == one.tokenizer.eos_token_id
    assert one.tokenizer.decode(learned[:-1]).strip() == "share it"


def test_nothing_lent_leaves_a_tokenizer_its_own():
    own = tokenizer()
    before = own.chat_template
    lend_template(own, "")
    assert own.chat_template == before


def test_what_reads_no_messages_is_refused():
    with pytest.raises(InputError, match="one of qa, or Jinja text"):
        lend_template(bare(), "turn")


def test_a_checkpoint_is_loaded_with_the_template_of_its_entry(folder):
    at = load_checkpoint(folder, revision=None, template="qa", **NAMES)
    assert at.tokenizer.chat_template.startswith("{{ bos_token")
    assert load_checkpoint(folder, revision=None, **NAMES).tokenizer.chat_template != (
        at.tokenizer.chat_template
    )
