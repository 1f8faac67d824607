"""Is a merged adapter the live one, W + BA, also over four bits?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mahals.models.checkpoints.checkpoint import load_checkpoint
from mahals.models.finetuning.lora import attached, merged, quantized
from mahals.models.finetuning.trainer import train_answers
from mahals.records import InputError
from tests.support.tiny_models import fresh, loaded, tokenizer
from tests.support.tiny_training import RECIPE, examples, nll, told

pytest.importorskip("peft")


def test_a_merged_adapter_is_the_live_one_and_w_plus_ba(tmp_path: Path) -> None:
    one = loaded("Llama")
    recipe = replace(RECIPE, rate=0.05)
    folder = train_answers(one, examples(), recipe, told(tmp_path)).checkpoints[6]
    plain, live = merged(one, folder), attached(one, folder)
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        logits = [m.model(input_ids=ids).logits for m in (plain, live, one)]
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits[0], logits[2], atol=1e-3)
    saved = load_file(folder / "adapter_model.safetensors")
    name = "model.layers.2.self_attn.q_proj"
    a, b = (saved[f"base_model.model.{name}.lora_{x}.weight"] for x in "AB")
    own = one.model.get_submodule(name).weight + (4 / 2) * b @ a
    torch.testing.assert_close(plain.model.get_submodule(name).weight, own)
    assert plain.revision == live.revision != one.revision
    assert len(saved) == 4 * 4 * 2  # q k v o of four blocks, A and B


def test_peft_reads_the_adapter_and_no_path_is_in_it(tmp_path: Path) -> None:
    from peft import PeftConfig

    folder = train_answers(loaded("Llama"), examples(), RECIPE, told(tmp_path)).checkpoints[6]
    config = PeftConfig.from_pretrained(str(folder))
    assert (config.r, config.lora_alpha, config.task_type) == (2, 4, "CAUSAL_LM")
    assert config.base_model_name_or_path == "Llama/base"
    assert sorted(p.name for p in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no adapter_config\.json"):
        merged(loaded("Llama"), tmp_path)


def test_qlora_trains_an_adapter_on_four_bits(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    fresh("Llama").model.save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    one = load_checkpoint(
        tmp_path / "base", key="Llama", role="base", weights="organism", revision=None
    )
    small = quantized(one).model.model.layers[0].self_attn.q_proj
    assert type(small).__name__ == "Linear4bit" and small.weight.dtype == torch.uint8
    recipe = replace(RECIPE, steps=20, rate=0.05, quantize=True)
    found = train_answers(one, examples(), recipe, told(tmp_path / "run"))
    assert sum(found.losses[-4:]) < sum(found.losses[:4])
    plain = merged(one, found.checkpoints[20])  # the adapter fits the whole weights too
    assert nll(plain) < nll(one) - 0.2


def test_what_came_from_no_folder_cannot_be_quantized() -> None:
    pytest.importorskip("bitsandbytes")
    with pytest.raises(InputError, match="read from a folder"):
        quantized(loaded("Llama"))
