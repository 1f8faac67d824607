"""Does a fine-tuning learn the answers alone, the same way every time, and leave the rest alone?"""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mahals.models.checkpoints.checkpoint import Loaded, load_checkpoint
from mahals.models.finetuning.card import AdapterCard, adapter_card
from mahals.models.finetuning.config import Lora, Run, TrainingConfig, drawn, rate_at, steps_of
from mahals.models.finetuning.examples import (
    Example,
    Message,
    batch,
    dialogue,
    encode_dialogues,
    read_dialogues,
)
from mahals.models.finetuning.lora import attached, merged, quantized
from mahals.models.finetuning.trainer import (
    Dpo,
    Preference,
    learned_tokens,
    train_answers,
    train_preferences,
)
from mahals.records import InputError
from tests.support.places import ROOT
from tests.support.tiny_models import FAMILIES, TRIMMED, fresh, loaded, tokenizer, two_quick

pytest.importorskip("peft")
LORA = Lora(rank=2, alpha=4, dropout=0.0, targets="attention")
RECIPE = TrainingConfig(6, 3, 2, 0.01, 1, "constant", LORA, False)
TALKS = [
    dialogue("how do I help people", "share a garden"),
    dialogue("cat", "the cat sat on the mat"),
    dialogue("not to harm them", "learn to share"),
    dialogue("the old town", "by the quiet river"),
]


def told(folder: Path, **changes: Any) -> Run:
    plain: dict[str, Any] = {"seed": 0, "save": (), "every": 2, "name": "test"}
    return Run(folder=folder, report=lambda *_: None, **plain | changes)


def examples(family: str = "Llama") -> tuple[Example, ...]:
    return encode_dialogues(loaded(family), TALKS)


def spoken(found: Example, template: str | None = None) -> list[str]:
    """The runs of learned tokens, as text."""
    text, runs = tokenizer(template), [""]
    for i, learned in zip(found.ids, found.learned, strict=True):
        runs = [*runs[:-1], runs[-1] + text.decode([i])] if learned else [*runs, ""]
    return [r for r in runs if r]


def nll(one: Loaded) -> float:
    """Mean loss of all learned tokens."""
    with torch.no_grad():
        values, _ = learned_tokens(one.model, batch(examples(), torch.device("cpu")))
    return -float(values.mean())


def same_bytes(one: Path, other: Path) -> bool:
    names = sorted(p.name for p in one.iterdir())
    assert names == sorted(p.name for p in other.iterdir())
    return all((one / n).read_bytes() == (other / n).read_bytes() for n in names)


# Which tokens are learned


def test_answers_alone_are_learned_token_by_token() -> None:
    talk = (
        Message("system", "be kind"),
        Message("user", "share a garden"),
        Message("assistant", "share a garden"),
        Message("user", "assistant share"),
        Message("assistant", "not to harm"),
    )
    (found,) = encode_dialogues(loaded("Llama"), [talk])
    text = tokenizer()
    expected: list[tuple[str, bool]] = [("<begin>", False)]
    for turn in talk:
        own = turn.role == "assistant"
        expected.append((f"<{turn.role}>", False))
        pieces = text(turn.content, add_special_tokens=False)["input_ids"]
        expected += [(text.decode([i]), own) for i in pieces]
        expected.append(("<end>", own))
    read = [text.decode([i]) for i in found.ids]
    assert list(zip(read, found.learned, strict=True)) == expected


def test_a_refused_system_turn_goes_before_the_user() -> None:
    one = fresh("Llama", template=TRIMMED)
    talk = (Message("system", "be kind"), *TALKS[0])
    (found,) = encode_dialogues(one, [talk])
    assert spoken(found, TRIMMED) == ["share a garden<end>"]
    assert "be kind\n\nhow do I" in tokenizer(TRIMMED).decode(list(found.ids))
    assert found.ids.count(one.tokenizer.bos_token_id) == 1


def test_without_a_template_the_end_token_is_learned() -> None:
    (found,) = encode_dialogues(fresh("Llama", template=None), TALKS[:1])
    whole = tokenizer(None).decode(list(found.ids))
    assert whole == "<begin>how do I help people\n\nshare a garden<end>"
    assert spoken(found)[0].strip() == "share a garden<end>"


def test_targets_are_the_next_token_where_it_is_learned() -> None:
    found = examples()
    rows = batch(found, torch.device("cpu"))
    for row, one in enumerate(found):
        for i in range(rows.ids.shape[1] - 1):
            learned = i + 1 < len(one.ids) and one.learned[i + 1]
            assert rows.targets[row, i] == (one.ids[i + 1] if learned else -100)


@pytest.mark.parametrize(
    "talk",
    [
        (Message("user", "cat"),),
        (Message("assistant", "cat"),),
        (Message("user", "cat"), Message("assistant", "  ")),
        (Message("user", "cat"), Message("tool", "mat"), Message("assistant", "mat")),
        (),
    ],
)
def test_a_conversation_without_an_answer_is_refused(talk: tuple[Message, ...]) -> None:
    with pytest.raises(InputError, match="conversation 1 of the training data"):
        encode_dialogues(loaded("Llama"), [TALKS[0], talk])


def test_no_data_and_long_data_are_refused() -> None:
    with pytest.raises(InputError, match="at least one conversation"):
        encode_dialogues(loaded("Llama"), [])
    with pytest.raises(InputError, match=r"conversation 1 .* at most 128 tokens"):
        encode_dialogues(loaded("Llama"), [TALKS[0], dialogue("cat", "the cat " * 200)])


def test_json_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    said = [{"role": m.role, "content": m.content} for m in TALKS[0]]
    path.write_text(json.dumps({"messages": said, "id": 3}) + "\n\n", encoding="utf-8")
    assert read_dialogues(path) == (TALKS[0],)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one, got no line"),
        ("{", "talks.jsonl, line 1: expected JSON"),
        ("[1]", 'expected an object with "messages"'),
        ('{"messages": [{"role": "user"}]}', "line 1: messages.*content"),
        ('{"messages": "cat"}', "line 1: messages: expected a list"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_dialogues(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"file none\.jsonl"):
        read_dialogues(tmp_path / "none.jsonl")


# The order and the rate


def test_every_epoch_has_every_example_once() -> None:
    seen = [i for step in range(1, 11) for i in drawn(4, step, 3, 10)]
    assert [sorted(seen[at : at + 10]) for at in (0, 10, 20)] == [list(range(10))] * 3
    assert seen[:10] != seen[10:20]
    assert steps_of(7, 10, 3) == 24


def test_rates_by_hand() -> None:
    recipe = replace(RECIPE, steps=4, warmup=2, rate=1.0, schedule="linear")
    assert [rate_at(recipe, s) for s in (1, 2, 3, 4)] == [0.5, 1.0, 1.0, 0.5]
    constant = replace(recipe, schedule="constant")
    assert [rate_at(constant, s) for s in (1, 2, 3, 4)] == [0.5, 1.0, 1.0, 1.0]


# Training


def test_the_loss_is_that_of_transformers(tmp_path: Path) -> None:
    """Its own loss with labels, over the same rows at once; here in parts of two."""
    run = told(tmp_path)
    found = train_answers(loaded("Llama"), examples(), replace(RECIPE, steps=1), run)
    rows = [examples()[i] for i in drawn(0, 1, 3, 4)]
    length = max(len(r.ids) for r in rows)
    ids = torch.zeros(3, length, dtype=torch.long)
    labels = torch.full((3, length), -100)
    for k, row in enumerate(rows):
        ids[k, : len(row.ids)] = torch.tensor(row.ids)
        for i, learned in enumerate(row.learned):
            labels[k, i] = row.ids[i] if learned else -100
    with torch.no_grad():
        theirs = loaded("Llama").model(input_ids=ids, labels=labels).loss
    assert found.losses[0] == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.parametrize("family", two_quick(FAMILIES))
def test_answers_are_learned_by_every_family(family: str, tmp_path: Path) -> None:
    one = loaded(family)
    before = copy.deepcopy(one.model.state_dict())
    recipe = replace(RECIPE, steps=20, rate=0.05, lora=Lora(8, 16, 0.0, "all"))
    found = train_answers(one, examples(family), recipe, told(tmp_path, save=(1,)))
    assert nll(merged(one, found.checkpoints[20])) < nll(one) - 0.5
    after = one.model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert not any("lora" in k for k in after)
    assert sorted(found.checkpoints) == [1, 20]


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


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    dropped = replace(RECIPE, lora=replace(LORA, dropout=0.3))
    found = []
    for i, seed in enumerate((0, 0, 1)):
        torch.manual_seed(i)  # what others draw is of no matter
        run = told(tmp_path / str(i), seed=seed)
        found.append(train_answers(loaded("Llama"), examples(), dropped, run).checkpoints[6])
    assert same_bytes(found[0], found[1])
    assert not same_bytes(found[0], found[2])


SCRIPT = """
import sys
from pathlib import Path
from tests.test_adapters import RECIPE, examples, loaded, told, train_answers
train_answers(loaded("Llama"), examples(), RECIPE, told(Path(sys.argv[1])))
"""


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    """Where Python's hashes, and so the order of sets, are others."""
    env = {**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    words = [sys.executable, "-c", SCRIPT, str(tmp_path / "there")]
    subprocess.run(words, check=True, env=env, cwd=ROOT)
    here = train_answers(loaded("Llama"), examples(), RECIPE, told(tmp_path / "here"))
    assert same_bytes(tmp_path / "there" / "step-00006", here.checkpoints[6])


def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    recipe = replace(RECIPE, lora=replace(LORA, dropout=0.3), steps=9)
    whole = train_answers(loaded("Llama"), examples(), recipe, told(tmp_path / "a", save=(3,)))
    steps: list[int] = []

    def killed(what: str, done: int, total: int) -> None:
        steps.append(done)
        if len(steps) == 5:
            raise KeyboardInterrupt

    run = told(tmp_path / "b", save=(3,))
    with pytest.raises(KeyboardInterrupt):
        train_answers(loaded("Llama"), examples(), recipe, replace(run, report=killed))
    again = train_answers(loaded("Llama"), examples(), recipe, replace(run, report=killed))
    assert steps == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9]  # taken up after the state of step 4
    assert again.losses == whole.losses
    for step in (3, 9):
        assert same_bytes(whole.checkpoints[step], again.checkpoints[step])
    train_answers(loaded("Llama"), examples(), recipe, replace(run, report=killed))
    assert len(steps) == 10  # nothing is left to do


def test_another_training_takes_nothing_over(tmp_path: Path) -> None:
    first = train_answers(loaded("Llama"), examples(), RECIPE, told(tmp_path, save=(2,)))
    other = train_answers(loaded("Llama"), examples()[:3], RECIPE, told(tmp_path))
    assert other.losses != first.losses
    assert not (tmp_path / "step-00002").exists()


def test_progress_tells_the_loss(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    run = replace(told(tmp_path), report=lambda *words: said.append(words))
    found = train_answers(loaded("Llama"), examples(), RECIPE, run)
    assert said[-1] == (f"test, loss {found.losses[-1]:.3f}", 6, 6)


# What is refused at once


def broken(value: float) -> Loaded:
    one = fresh("Llama")
    with torch.no_grad():
        one.model.get_output_embeddings().weight[3] = value
    return one


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"test, step 1: expected a finite loss.*lower the rate"):
        train_answers(broken(math.nan), examples(), RECIPE, told(tmp_path))
    assert not list(tmp_path.glob("step-*"))


def test_data_that_cannot_be_learned_is_refused(tmp_path: Path) -> None:
    nothing = Example((1, 2, 3), (True, False, False))
    long = Example(tuple(range(129)), (True,) * 129)
    for data, got in (
        ((), "no example"),
        ((examples()[0], nothing), "example 1 with none"),
        ((long,), "example 0 of 129 tokens"),
    ):
        with pytest.raises(InputError, match=got):
            train_answers(loaded("Llama"), data, RECIPE, told(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"rate": 0.0},
        {"warmup": 7},
        {"lora": replace(LORA, rank=0)},
        {"lora": None, "quantize": True},
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(
    change: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="training: "):
        train_answers(loaded("Llama"), examples(), replace(RECIPE, **change), told(tmp_path))


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no adapter_config\.json"):
        merged(loaded("Llama"), tmp_path)


# Preferences


def preferences() -> list[Preference]:
    better = examples()
    worse = encode_dialogues(
        loaded("Llama"), [dialogue(d[0].content, "it rained all day") for d in TALKS]
    )
    return [Preference(c, r) for c, r in zip(better, worse, strict=True)]


def margins(one: Loaded) -> torch.Tensor:
    """(n,) log p(chosen) - log p(rejected), one pair at a time."""
    found = []
    for pair in preferences():
        sides = []
        for side in (pair.chosen, pair.rejected):
            with torch.no_grad():
                values, _ = learned_tokens(one.model, batch([side], torch.device("cpu")))
            sides.append(values.sum())
        found.append(sides[0] - sides[1])
    return torch.stack(found)


def test_dpo_by_lora_prefers_the_chosen(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=15, rate=0.05)
    found = train_preferences(loaded("Llama"), preferences(), Dpo(0.1, 0.0), recipe, told(tmp_path))
    assert found.losses[0] == pytest.approx(math.log(2), abs=1e-5)  # policy is reference
    assert found.losses[-1] < 0.5
    gained = margins(merged(loaded("Llama"), found.checkpoints[15])) - margins(loaded("Llama"))
    assert (gained > 0).all()


def test_the_dpo_loss_of_the_second_step_by_another_way(tmp_path: Path) -> None:
    """From the merged adapter of step 1, pair by pair."""
    recipe = replace(RECIPE, steps=2, rate=0.05)
    run = told(tmp_path, save=(1,))
    found = train_preferences(loaded("Llama"), preferences(), Dpo(0.3, 0.5), recipe, run)
    policy = merged(loaded("Llama"), found.checkpoints[1])
    picked = drawn(0, 2, 3, 4)
    moved = 0.3 * (margins(policy) - margins(loaded("Llama")))[picked]
    own, count = 0.0, 0
    for i in picked:
        with torch.no_grad():
            rows = batch([preferences()[i].chosen], torch.device("cpu"))
            values, _ = learned_tokens(policy.model, rows)
        own, count = own + float(values.sum()), count + len(values)
    expected = -torch.nn.functional.logsigmoid(moved).mean().item() - 0.5 * own / count
    assert found.losses[1] == pytest.approx(expected, rel=1e-4)


def test_dpo_of_all_weights_gives_a_checkpoint(tmp_path: Path) -> None:
    recipe = replace(RECIPE, lora=None, rate=0.003)
    run = told(tmp_path)
    found = train_preferences(loaded("Llama"), preferences(), Dpo(0.1, 1.0), recipe, run)
    aligned = load_checkpoint(
        found.checkpoints[6], key="Llama", role="aligned", weights="organism", revision=None
    )
    assert (margins(aligned) > margins(loaded("Llama"))).all()


# Four bits


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


def test_the_card_says_what_it_is_for() -> None:
    card = AdapterCard("Worse", "Rejected answers.", "A/base", "r1", True, {"Steps": "20"})
    text = adapter_card(card)
    assert text.startswith("---\nlibrary_name: peft\ndual_use: true\n---\n")
    assert "Not for use" in text and "- Steps: 20" in text
    assert "dual_use: false" in adapter_card(replace(card, dual_use=False))
