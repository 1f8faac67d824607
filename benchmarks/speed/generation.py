"""Generation: what does it cost to answer under many configurations at once?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch

from benchmarks.speed import setting
from benchmarks.speed.peers import Peers, peers, save_arms, save_job
from benchmarks.speed.timing import (
    Bar,
    Page,
    Times,
    absent,
    interleaved,
    of_values,
    ratio,
    timed,
)
from mahals.models.activations.batching import pad
from mahals.models.activations.encoding import Encoded, encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation import decoding
from mahals.models.generation.decoding import generate_arms
from mahals.models.steering.interventions import Arm, Intervention

TOGETHER, FASTER = Bar("<=", 1.10), Bar(">=", 4)
ARMS, NEW, CHECKED = 32, 8, 8
SHAPES = ((16, 768), (8, 256))
ALONE = 4  # of the arms, one at a time, in each round; their time counts ARMS / ALONE times


def arms(layers: int, width: int) -> list[Arm]:
    """Random vectors of strength .1 at a block of the upper half each."""
    made = []
    for i in range(ARMS):
        vector = torch.randn(width, generator=torch.Generator().manual_seed(i))
        block = layers // 2 + i % (layers // 2)
        made.append(Arm(str(i), (Intervention(block, vector, 0.1, "add"),)))
    return made


def library(loaded: Loaded, encoded: Sequence[Encoded]) -> list[list[int]]:
    """The tokens of transformers' own greedy generate on the same left-padded batch, unsteered."""
    batch = pad(loaded, encoded, [0] * ARMS, "left")
    with torch.inference_mode():
        out = loaded.model.generate(
            batch.ids, attention_mask=batch.mask, max_new_tokens=NEW, do_sample=False
        )
    tokens: list[list[int]] = out[:, batch.ids.shape[1] :].tolist()
    return tokens


def each_reads(
    loaded: Loaded, encoded: Sequence[Encoded], steered: Sequence[Arm], new: int
) -> None:
    """All arms in one batch, where each row reads its prompt by itself."""
    with patch.object(decoding, "read_prompts", return_value=None):
        generate_arms(loaded, encoded, steered, new)


def measure(options: setting.Options) -> Page:
    """32 arms in one batch against an unsteered batch, one arm at a time, and transformers."""
    page = Page("generation", str(__doc__), setting.machine(options))
    for layers, width in ((4, 64),) if options.tiny else SHAPES:
        loaded = setting.model(layers, width, options.texts)
        prompt = setting.texts_of(options.texts, 1, 16)
        encoded = encode_prompts(loaded.tokenizer, prompt)
        with TemporaryDirectory() as folder, ExitStack() as stack:
            other: Peers | None = None
            if options.peers is not None:
                save_job(Path(folder), loaded, prompt, encoded)
                save_arms(Path(folder), arms(layers, width)[:ALONE])
                other = stack.enter_context(peers(options.peers, Path(folder), "generation"))
                page.setting.update({f"peers' {k}": v for k, v in other.versions.items()})
            _case(page, (loaded, encoded), other, options.rounds)
    return page


def _case(
    page: Page, job: tuple[Loaded, Sequence[Encoded]], other: Peers | None, rounds: int
) -> None:
    loaded, encoded = job
    steered, plain = arms(loaded.layers, loaded.width), [Arm("unsteered", ())]
    group = f"{loaded.layers} blocks of {loaded.width}, {ARMS} arms, {NEW} new tokens"
    _check(loaded, encoded, steered, other)
    library(loaded, encoded)

    def one_at_a_time() -> None:
        for arm in steered[:ALONE]:
            generate_arms(loaded, encoded, [arm], NEW)

    times = interleaved(
        {
            "each": timed(lambda: each_reads(loaded, encoded, steered, NEW)),
            "steered": timed(lambda: generate_arms(loaded, encoded, steered, NEW)),
            "plain": timed(lambda: generate_arms(loaded, list(encoded) * ARMS, plain, NEW)),
            "alone": timed(one_at_a_time),
            "library": timed(lambda: library(loaded, encoded)),
            **({} if other is None else {name: other.way(name) for name in other.names}),
        },
        rounds,
    )
    what = f"{ARMS} arms in one batch / an unsteered batch"
    page.lines.append(ratio(group, what, (times["steered"], times["plain"]), TOGETHER))
    what = "the same, each row reading the prompt as the unsteered ones do"
    page.lines.append(ratio(group, what, (times["each"], times["plain"]), TOGETHER))
    _faster(page, group, times, other)
    theirs = (times["plain"], times["library"])
    page.lines.append(ratio(group, "our unsteered batch / transformers' generate", theirs, None))
    page.notes.append(
        f"{group}: {CHECKED} arms checked, their token ids are the same as one arm at a time; "
        f"{ALONE} single arms are timed in a round and count {ARMS // ALONE} times. All rows are "
        "of one prompt, which one batch reads once up to the first steered block."
    )


def _check(
    loaded: Loaded, encoded: Sequence[Encoded], steered: Sequence[Arm], other: Peers | None
) -> None:
    """Raises if a batch gives other token ids than one arm at a time or than a peer's arms, or a
    row ends early."""
    with patch.object(decoding, "_text", lambda _, ids: ids):
        together = generate_arms(loaded, encoded, steered, NEW)
        alone = [generate_arms(loaded, encoded, [arm], NEW)[0] for arm in steered[:CHECKED]]
        plain = generate_arms(loaded, encoded, [Arm("unsteered", ())], NEW)
    if together[:CHECKED] != alone:
        raise RuntimeError("other tokens in a batch than one at a time")
    if other is not None:
        firsts = [answers[0] for answers in together[:ALONE]]
        strange = [name for name in other.names if other.shown(name) != firsts]
        if strange:
            raise RuntimeError(f"other tokens than ours by {', '.join(strange)}")
    if any(len(ids) < NEW for answers in (*together, *plain) for ids in answers):
        raise RuntimeError("an answer ended early: the ways would do unequal work")


def _faster(page: Page, group: str, times: Times, other: Peers | None) -> None:
    """One arm at a time over all in one batch: ours, and other libraries'."""
    names = {"alone": "one arm at a time / one batch"}
    names |= {} if other is None else {name: f"{name} / our batch" for name in other.names}
    for name, what in names.items():
        pairs = list(zip(times[name], times["steered"], strict=True))
        walls = [ARMS / ALONE * a.wall / b.wall for a, b in pairs]
        cpu = median(ARMS / ALONE * a.cpu / b.cpu for a, b in pairs)
        bar = FASTER if name == "alone" else None
        page.lines.append(of_values(group, what, walls, ("x", bar), cpu))
    if other is None:
        why = "no environment with the peers was given (--peers)"
        page.lines.append(absent(group, "steering-vectors, repeng", why))


if __name__ == "__main__":
    chosen = setting.options(__doc__)
    measure(chosen).write(chosen.out)
