"""Does a training learn, the same way every time, by the loss of transformers?"""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mahals.models.checkpoints.checkpoint import Loaded, load_checkpoint
from mahals.models.finetuning.config import Lora, examples_of_step
from mahals.models.finetuning.examples import Example, batch, dialogue, encode_dialogues
from mahals.models.finetuning.lora import merged
from mahals.models.finetuning.trainer import (
    Dpo,
    Preference,
    learned_tokens,
    train_answers,
    train_preferences,
)
from mahals.records import InputError
from tests.support.places import ROOT
from tests.support.tiny_models import FAMILIES, fresh, loaded, two_quick
from tests.support.tiny_training import LORA, RECIPE, TALKS, examples, nll, same_bytes, told

pytest.importorskip("peft")


def test_the_loss_is_that_of_transformers(tmp_path: Path) -> None:
    """Its own loss with labels, over the same rows at once; here in parts of two."""
    run = told(tmp_path)
    found = train_answers(loaded("Llama"), examples(), replace(RECIPE, steps=1), run)
    rows = [examples()[i] for i in examples_of_step(0, 1, 3, 4)]
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
from mahals.models.finetuning.trainer import train_answers
from tests.support.tiny_models import loaded
from tests.support.tiny_training import RECIPE, examples, told
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


def test_progress_tells_the_loss(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    run = replace(told(tmp_path), report=lambda *words: said.append(words))
    found = train_answers(loaded("Llama"), examples(), RECIPE, run)
    assert said[-1] == (f"test, loss {found.losses[-1]:.3f}", 6, 6)


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
    picked = examples_of_step(0, 2, 3, 4)
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
    found = train_preferences(fresh("Llama"), preferences(), Dpo(0.1, 1.0), recipe, run)
    aligned = load_checkpoint(
        found.checkpoints[6], key="Llama", role="aligned", weights="organism", revision=None
    )
    assert (margins(aligned) > margins(loaded("Llama"))).all()
