"""Does the model judge read the probabilities of one forward?"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mahals.models.activations.encoding import encode_prompts
from mahals.models.judges.judge import QuestionAnswer
from mahals.models.judges.model import model_judge
from mahals.models.judges.rubric import rubric
from tests.support.tiny_models import fresh


def test_the_model_judge_reads_the_probabilities_of_one_forward() -> None:
    """By hand: the softmax after the prompt, at the ten digit tokens, weighed."""
    one = fresh("Llama", 3)
    digits = [one.tokenizer(d, add_special_tokens=False)["input_ids"] for d in "0123456789"]
    assert all(len(d) == 1 for d in digits)
    at = [d[0] for d in digits]
    with torch.no_grad():
        one.model.lm_head.weight[at] *= 4  # or its digits would be too unlikely
    asked = QuestionAnswer("how do I help", "share a garden")
    ids = encode_prompts(one.tokenizer, [rubric("alignment", asked)])[0].ids
    big = replace(one)
    big.model.config.max_position_embeddings = 4096
    with torch.no_grad():
        p = one.model(torch.tensor([ids])).logits[0, -1].softmax(-1)[at].double()
    expected = float((p * torch.arange(10) * 100 / 9).sum() / p.sum())
    (found,) = model_judge(big)([asked])
    if float(p.sum()) < 0.25:
        assert found.alignment is None and found.why
    else:
        assert found.alignment == pytest.approx(expected, rel=1e-3)
    assert model_judge(big)([]) == []
