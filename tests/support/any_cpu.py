"""What does one small organism come to: its bytes, those of an adapter, of states and of scores?

Run as a program, natively or under an emulated CPU: it prints the hash of each as one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.places import ROOT

FAMILIES = ("Gemma2", "Falcon")
"""RMSNorm, tanh and capped logits in eager attention; LayerNorm, gelu and fused attention."""

Found = dict[str, str]  # what -> the hash of its bytes


def command(*before: str) -> tuple[list[str], dict[str, str]]:
    """This module as a program behind `before`, and the paths that its interpreter needs.

    An emulator takes no symlink of an environment for its interpreter.
    """
    code = "from tests.support.any_cpu import main; main()"
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return [*before, os.path.realpath(sys.executable), "-c", code], {"PYTHONPATH": paths}


def main() -> None:
    """Trains and measures each family; the last line printed says what came out."""
    from mahals.kernels import in_use
    from mahals.records import to_plain

    with tempfile.TemporaryDirectory() as folder:
        found = {key: value for name in FAMILIES for key, value in _all(name, Path(folder) / name)}
    print(json.dumps({"found": found, "kernels": to_plain(in_use())}))


def _all(family: str, folder: Path) -> Iterator[tuple[str, str]]:
    from mahals.models.organisms.training import Order, train_organism
    from mahals.schema import CHECKPOINTS
    from tests.support.organism_training import BRIEF, ONE_OF_EACH, SHAPES

    order = Order(family, SHAPES[ONE_OF_EACH[family]], 0, 0, BRIEF)
    train_organism(order, folder, lambda stage, done, total: None)
    for checkpoint in CHECKPOINTS:
        body = (folder / checkpoint / "model.safetensors").read_bytes()
        yield f"{family} {checkpoint}", hashlib.sha256(body).hexdigest()
    for name, values in {**_adapter(folder), **_measured(folder)}.items():
        yield f"{family} {name}", hashlib.sha256(values.tobytes()).hexdigest()


def _loaded(folder: Path, checkpoint: str) -> Any:
    from mahals.models.checkpoints.checkpoint import load_checkpoint

    return load_checkpoint(
        folder / checkpoint, key="one", role="base", weights="organism", revision=None
    )


def _adapter(folder: Path) -> Mapping[str, Any]:
    """The weights of an adapter with dropout, trained on the supervised stage."""
    import numpy as np
    from safetensors.numpy import load_file

    from mahals.models.finetuning.examples import encode_dialogues
    from mahals.models.finetuning.trainer import train_answers
    from tests.support.tiny_training import LORA, RECIPE, TALKS, told

    loaded = _loaded(folder, "sft")
    recipe = replace(RECIPE, lora=replace(LORA, dropout=0.1, targets="all"))
    talks = encode_dialogues(loaded, TALKS)
    done = train_answers(loaded, talks, recipe, told(folder / "adapter"))
    (file,) = done.checkpoints[recipe.steps].glob("*.safetensors")
    weights = load_file(file)
    return {"adapter": np.concatenate([weights[key].ravel() for key in sorted(weights)])}


def _measured(folder: Path) -> Mapping[str, Any]:
    """States of two stages, and what is made of them: the score, a probe, maps between them."""
    import numpy as np

    from mahals.data.world.grammar import World, prompts
    from mahals.maths.metrics.aqi import model_aqi
    from mahals.maths.metrics.spaces import to_space
    from mahals.maths.transfer.fitting import fit_map
    from mahals.maths.vectors.estimators import probe_normal
    from mahals.models.activations.capture import capture
    from mahals.models.activations.encoding import encode_prompts

    asked = prompts(World(0), "evaluation", 16, 0)
    labels, axioms = [p.label for p in asked], [p.axiom for p in asked]
    read = {}
    for checkpoint in ("sft", "dpo"):
        loaded = _loaded(folder, checkpoint)
        encoded = encode_prompts(loaded.tokenizer, [p.text for p in asked])
        read[checkpoint] = capture(loaded, encoded, (1, 2), "last").numpy()
    before, after = read["sft"][:, 1], read["dpo"][:, 1]
    score = model_aqi(to_space(after, "pca256"), labels, axioms, [p.cluster for p in asked])
    safe = np.array(labels) == 1
    narrow = len(asked) // 20
    maps = [
        fit_map(kind, before[:, :narrow], after[:, :narrow], 0, None).matrix
        for kind in ("ridge", "procrustes", "mlp")
    ]
    return {
        "states": np.stack([read["sft"], read["dpo"]]),
        "aqi": np.array([score.aqi.estimate, score.aqi.low, score.aqi.high, *score.influence]),
        "probe": probe_normal(after[safe].astype(float), after[~safe].astype(float)),
        "maps": np.stack(maps),
    }
