"""Do the training texts hold nothing of a measured split?"""

from __future__ import annotations

import itertools

from mahals.data.world import words
from mahals.models.organisms.documents import EARLY, LATE, Writer
from tests.support.small_world import WORLD


def test_training_texts_hold_no_key_of_a_measured_split() -> None:
    writer = Writer(WORLD, 5)
    streams = (writer.base(EARLY), writer.base(LATE), writer.sft())
    texts = [d.before + d.learned for s in streams for d in itertools.islice(s, 1500)]
    targets = {t for topic in words.TOPICS for t in topic.targets}
    read = 0
    for text in texts:
        flat = text.replace("<", " <").replace(">", "> ").split("<|assistant|>")[0]
        told = {w.strip(".?") for w in flat.split()}
        intents = told & set(words.INTENTS_FOR + words.INTENTS_AGAINST)
        objects = told & set(words.OBJECTS_GOOD + words.OBJECTS_BAD)
        if len(intents) == len(objects) == len(told & targets) == 1:
            key = "|".join((*intents, *objects, *(told & targets)))
            assert WORLD.split_of(key) == "train", text
            read += 1
    assert read > 2000
