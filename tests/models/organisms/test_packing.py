"""Is packing invisible to the models, and as by hand?"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from mahals.models.organisms.fitting import head_logits
from mahals.models.organisms.packing import (
    IGNORED,
    EncodedDocument,
    own_document,
    pack,
    packed_states,
)
from mahals.models.organisms.shapes import build
from tests.support.organism_training import ONE_OF_EACH, SHAPES


@pytest.mark.parametrize("family", sorted(ONE_OF_EACH))
def test_packed_logits_equal_unpacked(
    family: str, tokenizer: PreTrainedTokenizerFast, documents: list[EncodedDocument]
) -> None:
    model = build(SHAPES[ONE_OF_EACH[family]], tokenizer, 3)
    for parameter in model.parameters():  # large enough for a leak to show
        parameter.data *= 3
    batch = pack(iter(documents), 2, 128)
    with torch.no_grad():
        packed = head_logits(model, packed_states(model, batch))
        for row in range(2):
            starts = (batch.positions[row] == 0).nonzero()[:, 0].tolist()
            assert len(starts) > 2
            for start, end in zip(starts, [*starts[1:], 128], strict=True):
                alone = model(input_ids=batch.ids[row : row + 1, start:end]).logits[0]
                torch.testing.assert_close(packed[row, start:end], alone, atol=2e-4, rtol=1e-4)


def test_pack_by_hand() -> None:
    streams: Any = iter(
        [
            EncodedDocument([1, 7, 8, 2], 1),
            EncodedDocument([1, 9, 5, 6, 2], 3),
            EncodedDocument([1, 4], 1),
        ]
    )
    batch = pack(streams, 1, 7)
    assert batch.ids.tolist() == [[1, 7, 8, 2, 1, 9, 5]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 0, 1, 2]]
    assert batch.targets.tolist() == [[7, 8, 2, IGNORED, IGNORED, IGNORED, IGNORED]]
    seen = own_document(batch.positions)[0, 0].int().tolist()
    assert seen[3] == [1, 1, 1, 1, 0, 0, 0]
    assert seen[5] == [0, 0, 0, 0, 1, 1, 0]
