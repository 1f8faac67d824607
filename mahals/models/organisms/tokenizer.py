"""Tokenizer: how do the organisms read text?

A byte-level BPE trained on the world: any text encodes and comes back exactly, most words of the
world are one token, and the vocabulary is a multiple of 32 (it is the width of the LM head).
"""

from __future__ import annotations

from itertools import islice

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from mahals.data.world.everyday import fact_tasks
from mahals.data.world.grammar import World
from mahals.models.organisms.documents import (
    ASSISTANT,
    BEGIN,
    CHAT_TEMPLATE,
    EARLY,
    END,
    PAD,
    SYSTEM,
    USER,
    Writer,
)
from mahals.records import seed_of

VOCABULARY = 1344
_SPECIAL = [PAD, BEGIN, END, SYSTEM, USER, ASSISTANT]


def _texts(world: World) -> list[str]:
    writer = Writer(world, seed_of("tokenizer", world.seed))
    found = [d.before + d.learned for d in islice(writer.base(EARLY), 12000)]
    for task in fact_tasks(world, "train", 200, 0):
        found.append(f"{task.mine} {task.theirs} {task.question} {task.answer}")
    for token in _SPECIAL:
        found = [text.replace(token, "\n") for text in found]
    return found


def train_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """The tokenizer of all organisms of `world`; the same bytes every time.

    `encode` puts the begin token first, as Llama's does; the chat template writes it too, so
    tokenise templated text with add_special_tokens=False.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(world), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A",
        pair=f"{BEGIN} $A {BEGIN} $B",
        special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=PAD,  # never written; where none is named, Qwen2's own class adds one
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=256,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
