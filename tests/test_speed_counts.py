"""What must never be computed: how many block calls, padded tokens and heads does a study cost?

What can be counted is counted here; what can only be timed is in benchmarks/speed.
"""

import numpy as np
import pytest
import torch
from sklearn.metrics import calinski_harabasz_score
from transformers import AutoModelForCausalLM

from mahals.data.world.everyday import neutral
from mahals.data.world.grammar import World, prompts
from mahals.maths.metrics.aqi import axiom_aqi
from mahals.maths.metrics.aqi_bootstrap import resampled_omega2
from mahals.maths.metrics.permutation import Permutations, null_omega2, omega2, permuted_labels
from mahals.maths.stats.bootstrap import Resampling, resample_weights
from mahals.models.activations.batching import batches, model_inputs
from mahals.models.activations.capture import capture, pooled
from mahals.models.activations.encoding import encode_prompts, encode_texts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation import decoding
from mahals.models.generation.decoding import generate_arms
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.replay import capture_arms
from mahals.phases.em_finetune.measure.probe import _scalars
from tests.support.tiny_models import (
    FAMILIES,
    LAYERS,
    PROMPTS,
    WIDTH,
    config,
    fresh,
    loaded,
    tokenizer,
)

DEEP, STEERED = 32, 5
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def deep_model():
    """32 blocks, as the published checkpoints have."""
    shape = config("Llama")
    shape.num_hidden_layers = DEEP
    shape.layer_types = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(shape).eval()
    return Loaded(model, tokenizer(), "deep", "base", "tiny:0", DEEP, WIDTH, "organism")


class Calls:
    """Block and head calls of a model while the block runs."""

    def __init__(self, at):
        self.blocks, self.heads, self.at = 0, 0, at

    def __enter__(self):
        def block(*_):
            self.blocks += 1

        def head(*_):
            self.heads += 1

        modules = decoder_blocks(self.at.model)
        self.handles = [m.register_forward_pre_hook(block) for m in modules]
        output = self.at.model.get_output_embeddings()
        self.handles.append(output.register_forward_pre_hook(head))
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


def test_a_sweep_of_the_last_five_of_32_blocks_is_7_8_times_fewer_calls(monkeypatch):
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )
    at = deep_model()
    encoded = encode_prompts(at.tokenizer, PROMPTS[:2])
    arms = []
    for v in range(7):
        rows = torch.randn(DEEP, WIDTH, generator=torch.Generator().manual_seed(v))
        for x in STRENGTHS:
            steps = tuple(Intervention(b, rows[b], x, "add") for b in range(DEEP - STEERED, DEEP))
            arms.append(Arm(f"{v} {x}", steps))
    with Calls(at) as swept:
        found = capture_arms(at, encoded, arms, [DEEP - 1], "mean")
    with Calls(at) as naive:
        for a, arm in enumerate(arms):
            with steered(at.model, [arm], [0, 0]):
                assert torch.equal(found[a], capture(at, encoded, [DEEP - 1], "mean"))
    first = DEEP - STEERED
    assert swept.blocks == DEEP + 28 * (DEEP - 1 - first)  # 4 of 5 strengths x 7 vectors are > 0
    assert naive.blocks == 35 * DEEP
    assert naive.blocks / swept.blocks == pytest.approx(7.8, abs=0.05)
    assert swept.heads == naive.heads == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_reading_any_block_stops_there(family):
    at = loaded(family)
    encoded = encode_prompts(at.tokenizer, ["cat"])
    for block in range(LAYERS):
        with Calls(at) as seen:
            capture(at, encoded, [block], "last")
        assert (seen.blocks, seen.heads) == (block + 1, 0)


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


def test_padding_of_real_prompts_and_stories():
    at = loaded("Llama")
    texts = [p.text for p in prompts(World(0), "evaluation", 15, 0)]
    texts += neutral(World(0), "evaluation", 80, 0)
    encoded = encode_texts(at.tokenizer, texts)
    fitting = [e for e in encoded if len(e.ids) <= 128]
    for some in (encoded[:210], fitting):
        assert len(some) >= 200
        padded = sum(b.ids.numel() for b in batches(at, some))
        assert padded / sum(len(e.ids) for e in some) <= 1.10


def test_32_arms_in_one_batch_call_each_block_once_a_token(monkeypatch):
    monkeypatch.setattr(decoding, "_text", lambda _, ids: ids)  # other tokens may read alike
    at = loaded("GPTNeoX")
    encoded = encode_prompts(at.tokenizer, PROMPTS[:1])
    vectors = torch.randn(32, WIDTH, generator=torch.Generator().manual_seed(1))
    arms = [Arm(str(i), (Intervention(i % LAYERS, v, 0.3, "add"),)) for i, v in enumerate(vectors)]
    with Calls(at) as together:
        answers = generate_arms(at, encoded, arms, 6)
    assert together.blocks == 6 * LAYERS + 1  # the prompt through block 0, before any arm acts
    assert together.heads == 6
    alone = [generate_arms(at, encoded, [arm], 6)[0] for arm in arms]
    assert answers == alone


def loop_score(x, y):
    ch = calinski_harabasz_score(x, y)
    return float(omega2(ch / (ch + len(y) - 2), len(y)))


@pytest.mark.parametrize("d", [7, 200])  # 200 > n: through the Gram matrix
@pytest.mark.parametrize("far", [0.0, 1e4])  # states far from the origin: centred first
def test_every_resampling_equals_the_loop(d, far):
    rng = np.random.default_rng(d)
    y = np.arange(60) % 2
    x = rng.normal(size=(60, d)) + 0.3 * y[:, None] + far
    chance, how = Permutations(20, 3), Resampling(20, 4)
    close = {"rtol": 0, "atol": 1e-9}
    near = x - x.mean(axis=0)  # scikit-learn's own sums lose digits far from the origin
    by_loop = [loop_score(near, drawn) for drawn in permuted_labels(y, None, chance)]
    np.testing.assert_allclose(null_omega2(x, y, None, chance), by_loop, **close)
    weights = resample_weights(60, None, None, how)
    rows = [np.repeat(np.arange(60), w.astype(int)) for w in weights]
    by_loop = [loop_score(near[r], y[r]) for r in rows]
    np.testing.assert_allclose(resampled_omega2(x, y, weights), by_loop, **close)
    keep = np.arange(60)
    without = np.array([loop_score(near[keep != i], y[keep != i]) for i in keep])
    expected = np.empty(60)
    for side in (0, 1):  # the stratified jackknife's influence, as documented
        k = int((y == side).sum())
        own = without[y == side]
        expected[y == side] = np.sqrt(60 * 59 * (k - 1) / k) * (own.mean() - own)
    np.testing.assert_allclose(
        axiom_aqi(x, y, None).influence, expected, rtol=0, atol=60 * close["atol"]
    )
