"""Is a checkpoint held where and as it is asked for, and refused in one line where it cannot?"""

import dataclasses

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from mahals.models.activations.batching import Batch
from mahals.models.activations.capture import capture, pooled
from mahals.models.activations.encoding import encode_prompts, encode_texts
from mahals.models.checkpoints import device as place
from mahals.models.checkpoints.checkpoint import load_checkpoint, random_weights
from mahals.models.checkpoints.device import CPU, Device, DeviceKeys, device_of, out_of_memory
from mahals.models.generation.decoding import generate_arms
from mahals.models.generation.price import neutral_price
from mahals.models.steering.batch_invariance import check_batched, check_strength
from mahals.models.steering.hooks import Patch
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.replay import capture_arms
from mahals.models.steering.scope import TokenPlaces
from mahals.records import InputError
from tests.support.checkpoint_folders import NAMES, one_line
from tests.support.tiny_models import PROMPTS, fresh, tokenizer

AUTO = DeviceKeys("auto", "auto", "none", "none")
GPUS = ("cpu", "cuda:0", "cuda:1")


def keys(**changed):
    return dataclasses.replace(AUTO, **changed)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(place, "_available", lambda: GPUS)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"GPU {str(i)[-1]}")


@pytest.fixture
def only_cpu(monkeypatch):
    monkeypatch.setattr(place, "_available", lambda: ("cpu",))


def test_auto_takes_a_gpu_where_there_is_one_and_16_bits_on_it(two_gpus):
    assert device_of(AUTO, "hub") == Device("cuda:0", "GPU 0", "bfloat16", "none", "none")
    assert device_of(keys(device="cuda:1"), "hub").name == "cuda:1"
    assert device_of(keys(device="cuda", dtype="float32"), "hub").dtype == "float32"
    assert device_of(keys(device="cpu"), "hub") == CPU
    spread = device_of(keys(device_map="auto"), "hub")
    assert spread.kind == "GPU 0, GPU 1 by device_map auto" and not spread.is_cpu


def test_organisms_are_on_the_cpu_whatever_is_asked(two_gpus):
    assert device_of(keys(device="cuda:1", dtype="bfloat16", quantize="4bit"), "organism") == CPU


def test_without_a_gpu_auto_is_the_cpu_in_float32(only_cpu):
    assert device_of(AUTO, "hub") == CPU and CPU.numbers == "float32"
    four = device_of(keys(quantize="4bit"), "hub")
    assert four.dtype == "bfloat16" and four.numbers == "bfloat16 on 4bit weights"


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"device": "cuda"}, "expected one that this machine has: cpu, got cuda; use device: auto"),
        ({"device": "cuda:7"}, "got cuda:7"),
        ({"device": "mps"}, "got mps"),
        ({"device_map": "auto"}, "device_map: expected none where there is no CUDA device"),
    ],
)
def test_what_is_not_here_is_refused(only_cpu, changed, told):
    with pytest.raises(InputError, match=told) as error:
        device_of(keys(**changed), "hub")
    one_line(error)


def test_a_missing_package_is_named(only_cpu, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="the package bitsandbytes, got none; pip install") as e:
        device_of(keys(quantize="8bit"), "hub")
    one_line(e)


def test_a_gpu_is_suspected_without_asking_its_driver(monkeypatch, tmp_path):
    driver = tmp_path / "driver"
    monkeypatch.setattr(place, "DRIVERS", (str(driver),))
    assert not place.may_use_gpu(AUTO, "hub")
    driver.touch()
    assert place.may_use_gpu(AUTO, "hub")
    assert not place.may_use_gpu(AUTO, "organism") and not place.may_use_gpu(
        keys(device="cpu"), "hub"
    )


def test_what_memory_refused_is_told_from_other_errors():
    assert out_of_memory(MemoryError()) and out_of_memory(torch.OutOfMemoryError("CUDA"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not out_of_memory(RuntimeError("shapes differ")) and not out_of_memory(ValueError())
    told = place.too_large("same_arch/A", MemoryError())
    assert "quantize: 4bit" in str(told) and "\n" not in str(told)


def save(folder, inner=128):
    """A Llama-like checkpoint whose linear maps have multiples of 64 outputs, but for `inner`."""
    tok = tokenizer()
    shape = LlamaConfig(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=inner,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        pad_token_id=tok.pad_token_id,
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        initializer_range=0.1,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        AutoModelForCausalLM.from_config(shape).save_pretrained(folder)
    tok.save_pretrained(folder)


@pytest.mark.parametrize("quantize", ["none", pytest.param("8bit", marks=pytest.mark.slow), "4bit"])
def test_coarser_weights_are_read_steered_priced_and_continued(tmp_path, quantize):
    """On the CPU for real: near the float32 model, the same alone and in a batch, whole after."""
    pytest.importorskip("bitsandbytes")
    save(tmp_path)
    plain = load_checkpoint(tmp_path, revision=None, **NAMES)
    device = Device("cpu", "cpu", "bfloat16", quantize, "none")
    at = load_checkpoint(tmp_path, revision=None, device=device, **NAMES)
    kinds = {type(m).__name__ for m in at.model.model.layers.modules()}
    assert ("Linear8bitLt" in kinds, "Linear4bit" in kinds) == (
        quantize == "8bit",
        quantize == "4bit",
    )
    assert next(at.model.parameters()).dtype == torch.bfloat16
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    v = torch.randn(64, generator=torch.Generator().manual_seed(0))
    arms = [Arm("none", ()), *(Arm(f"s{s}", (Intervention(1, v, s, "add"),)) for s in (0.5, 3.0))]
    states, near = (capture(each, encoded, [0, 2], "last") for each in (at, plain))
    assert states.dtype == torch.float32
    apart = (states - near).norm(dim=-1) / near.norm(dim=-1)
    assert 0 < float(apart.max()) < (0.5 if quantize == "4bit" else 0.1)
    found = capture_arms(at, encoded, arms, [2], "last")[:, :, 0]
    assert torch.equal(found[0], capture(at, encoded, [2], "last")[:, 0])
    assert (found[2] - found[0]).norm(dim=-1).min() > (found[1] - found[0]).norm(dim=-1).max()
    for arm in arms:
        check_strength(at, encoded[0], arm, "last")
        check_batched(at, encoded, arm, "last")
    price = neutral_price(at, encode_texts(at.tokenizer, PROMPTS), arms)
    assert price.kl[0] == 0 and price.kl[2] > price.kl[1] > 0
    answers = generate_arms(at, encoded, arms, 4)
    assert len(answers) == 3 and answers[0] != answers[2]
    fresh = random_weights(at, 1)
    assert fresh.model.dtype == torch.bfloat16
    assert sum(len(m._forward_hooks) for m in at.model.modules()) == 0


def test_a_linear_map_that_cannot_be_packed_on_a_cpu_is_named(tmp_path):
    pytest.importorskip("bitsandbytes")
    save(tmp_path, inner=80)
    four = Device("cpu", "cpu", "bfloat16", "4bit", "none")
    with pytest.raises(InputError, match=r"mlp.gate_proj of 64 to 80; use quantize: none") as error:
        load_checkpoint(tmp_path, revision=None, device=four, **NAMES)
    one_line(error)


def test_a_model_that_is_spread_over_devices_is_read_steered_priced_and_continued():
    """Every module with the hooks of accelerate, as they are with a device map, on one device."""
    accelerate = pytest.importorskip("accelerate")
    plain, at = fresh("Llama"), fresh("Llama")
    accelerate.dispatch_model(at.model, {"": "cpu"}, main_device="cpu", force_hooks=True)
    names = [name for name, _ in at.model.named_modules() if name.count(".") < 3]
    accelerate.hooks.remove_hook_from_submodules(at.model)
    for name in names:
        hook = accelerate.hooks.AlignDevicesHook("cpu", io_same_device=not name)
        accelerate.hooks.add_hook_to_module(at.model.get_submodule(name), hook)
    assert "_old_forward" in vars(at.model.model.layers[1])
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    v = torch.randn(at.width, generator=torch.Generator().manual_seed(0))
    arms = [Arm("none", ()), Arm("steered", (Intervention(1, v, 2.0, "add"),))]
    texts = encode_texts(at.tokenizer, PROMPTS)
    for one in (plain, at):
        check_batched(one, encoded, arms[1], "last")
    assert torch.equal(*(capture_arms(one, encoded, arms, [3], "mean") for one in (plain, at)))
    assert torch.equal(*(neutral_price(one, texts, arms).kl for one in (plain, at)))
    assert generate_arms(plain, encoded, arms, 4) == generate_arms(at, encoded, arms, 4)


def test_states_are_pooled_and_steered_on_the_device_where_they_are():
    """On a device without numbers, which mixes with no other: as two real ones."""
    there = torch.device("meta")
    ids = torch.ones(3, 5, dtype=torch.long)
    batch = Batch((0, 1, 2), ids, ids.clone(), ids.bool(), "right", torch.full((3, 1), 4))
    states = torch.empty(3, 5, 8, device=there)
    for pool in ("last", "mean", "mean_all"):
        assert pooled(states, batch, pool).device == there
    patch = Patch(None, "add", torch.empty(1, 1, 8), torch.ones(1, 1, 1), "prompt")
    where = TokenPlaces(batch.positions, batch.prompts)
    assert patch.apply(states, where).device == there
    with pytest.raises(RuntimeError):
        states + patch.direction
