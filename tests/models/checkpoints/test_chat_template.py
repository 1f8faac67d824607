"""Does a checkpoint without a chat template read and learn turns in the form that it was lent?"""

import copy
from dataclasses import replace

import pytest
from transformers import AutoTokenizer

from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.models.checkpoints.chat_template import NAMED, lend_template
from mahals.models.checkpoints.checkpoint import load_checkpoint
from mahals.models.checkpoints.registry import entry_of
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
    assert "Question: how do I help" in text and text.endswith("Answer:\n"), text
    assert "be kind" in text and text.index("be kind") < text.index("Question")
    (plain,) = encode_prompts(own, ["how do I help"])
    assert answered.ids[: len(plain.ids)] == plain.ids, "an answer follows what was asked"
    assert own.decode(answered.ids[answered.start :]).strip() == "share it"


def test_the_end_token_ends_an_answer_and_is_learned():
    one = replace(loaded("Llama"), tokenizer=bare())
    lend_template(one.tokenizer, "qa")
    (example,) = encode_dialogues(one, [dialogue("how do I help", "share it")])
    learned = [i for i, on in zip(example.ids, example.learned, strict=True) if on]
    assert learned[-1] == one.tokenizer.eos_token_id
    assert one.tokenizer.decode(learned[:-1]).strip() == "share it"


@pytest.mark.parametrize("answer", ["share it", "1. share it", '"share" it', "\u2019tis so"])
def test_an_answer_follows_what_was_asked_token_by_token(answer):
    """The prompt's tokens are those that the answer's begin after: nothing is lost at the seam."""
    one = replace(loaded("Llama"), tokenizer=bare())
    lend_template(one.tokenizer, "qa")
    (asked,) = encode_prompts(one.tokenizer, ["how do I help"])
    (example,) = encode_dialogues(one, [dialogue("how do I help", answer)])
    seam = len(asked.ids)
    assert example.ids[:seam] == asked.ids
    assert example.learned.index(True) == seam


def test_nothing_lent_leaves_a_tokenizer_its_own():
    own = copy.deepcopy(tokenizer())
    before = own.chat_template
    lend_template(own, "")
    assert own.chat_template == before


def test_a_tokenizer_with_a_template_of_its_own_is_not_lent_another():
    own = copy.deepcopy(tokenizer())
    own.chat_template = "{{ messages }}"
    with pytest.raises(InputError, match="leave chat_template out of the entry"):
        lend_template(own, "qa")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("turn", "got 'turn'"),
        ("{% for m in messages %}{{ m.content }}", "TemplateSyntaxError"),
        ("{{ messages[0].content }}", "writes out"),
        ("{{ messages.nothing() }}", "UndefinedError"),
    ],
)
def test_what_writes_out_no_turns_is_refused_with_the_entry(template, words):
    plain = {"path": "./mine", "chat_template": template}
    with pytest.raises(InputError, match=r"mine\.chat_template") as error:
        entry_of("mine", plain, "benchmarks/models.yaml.mine")
    assert words in str(error.value)
    good = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    assert entry_of("mine", {**plain, "chat_template": good}, "x").chat_template == good


def test_a_checkpoint_is_loaded_with_the_template_it_is_lent(folder):
    with pytest.raises(InputError, match="of its own"):
        load_checkpoint(folder, revision=None, template="qa", **NAMES)
    made = AutoTokenizer.from_pretrained(folder)
    made.chat_template = None
    (folder / "chat_template.jinja").unlink()
    made.save_pretrained(folder)
    assert load_checkpoint(folder, revision=None, **NAMES).tokenizer.chat_template is None
    at = load_checkpoint(folder, revision=None, template="qa", **NAMES)
    assert at.tokenizer.chat_template == NAMED["qa"]
