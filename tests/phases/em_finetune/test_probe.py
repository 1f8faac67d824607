"""Is an adapter probed up to its last block, without the head, as in a whole forward?"""

import numpy as np
import pytest
import torch

from mahals.models.activations.batching import batches, model_inputs
from mahals.models.activations.capture import pooled
from mahals.models.activations.encoding import encode_prompts
from mahals.phases.em_finetune.measure.probe import _scalars
from tests.support.model_calls import Calls
from tests.support.tiny_models import LAYERS, PROMPTS, fresh


def adapted(folder, family, **layers):
    """A model with a live rank-1 adapter on what attention reads and writes, its values drawn."""
    peft = pytest.importorskip("peft")
    from mahals.models.finetuning.lora import attached, target_modules

    one = fresh(family)
    maps = target_modules(one.model, "attention")
    made = peft.LoraConfig(r=1, target_modules=maps, task_type="CAUSAL_LM", **layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        peft.get_peft_model(one.model, made).save_pretrained(folder)
    return attached(fresh(family), folder)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft's use of what transformers renames
@pytest.mark.parametrize("family", ["Llama", "Falcon", "Gemma2", "Phi3"])
def test_an_adapter_is_probed_without_the_head_and_as_in_a_whole_forward(tmp_path, family):
    live = adapted(tmp_path, family)
    encoded = encode_prompts(live.tokenizer, PROMPTS)
    with Calls(live) as seen:
        found = _scalars(live, encoded)
    groups = batches(live, encoded)
    assert (seen.blocks, seen.heads) == (LAYERS * len(groups), 0)
    maps = [m for n, m in live.model.named_modules() if n.endswith(".lora_A.default")]
    whole, kept = np.empty_like(found), {}
    for m in maps:
        m.register_forward_hook(lambda m, _, out: kept.update({m: out}))
    for batch in groups:
        with torch.inference_mode():
            live.model(**model_inputs(live, batch), use_cache=False)
        for column, m in enumerate(maps):
            whole[list(batch.rows), column] = pooled(kept[m], batch, "mean")[:, 0].double()
    assert found.shape == (len(PROMPTS), len(maps)) and len(maps) >= 2 * LAYERS
    assert np.array_equal(found, whole)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_adapter_on_a_lower_block_is_probed_up_to_there(tmp_path):
    live = adapted(tmp_path, "Llama", layers_to_transform=[1])
    with Calls(live) as seen:
        found = _scalars(live, encode_prompts(live.tokenizer, PROMPTS[:1]))
    assert found.shape == (1, 4) and (seen.blocks, seen.heads) == (2, 0)
