"""Setting: on what are speeds measured: which model, which texts, which options?"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ.update(ONE_THREAD)  # as the study's workers run: before torch is imported

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mahals.data.dialogues import turns
from mahals.data.sources import read_table
from mahals.data.world.everyday import neutral, tasks
from mahals.data.world.grammar import World
from mahals.models.activations.encoding import Encoded, encode_texts
from mahals.models.checkpoints.checkpoint import Loaded

VOCABULARY = 32_000
CONTEXT = 512
SPECIAL = ["<pad>", "<begin>", "<end>"]


@dataclass(frozen=True)
class Size:
    """A model's shape and how many texts it reads here, of at most how many tokens."""

    layers: int
    width: int
    texts: int
    longest: int

    def __str__(self) -> str:
        """As a heading of the table."""
        return f"{self.layers} blocks of {self.width}, {self.texts} texts of at most {self.longest}"


SIZES = (Size(16, 768, 200, 24), Size(8, 256, 200, 24), Size(8, 256, 200, 128))
"""The moderate model, and a small one whose LM head is larger than its blocks; longer texts."""


@dataclass(frozen=True)
class Options:
    """What a user chose."""

    texts: str | None
    peers: str | None
    out: Path
    rounds: int
    tiny: bool

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The models to measure."""
        return (Size(4, 64, 24, 16),) if self.tiny else SIZES


def options(question: str | None, arguments: Sequence[str] | None = None) -> Options:
    """The options of a script whose docstring is `question`."""
    parser = argparse.ArgumentParser(description=question)
    parser.add_argument("--texts", help="a JSONL file of texts; default: the synthetic world's")
    parser.add_argument("--peers", help="the python of an environment with the peers in it")
    parser.add_argument("--out", type=Path, default=Path(".mahals/speed"), help="where JSON goes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="toy sizes: shows that it runs")
    found = parser.parse_args(arguments)
    torch.set_num_threads(1)
    return Options(found.texts, found.peers, found.out, found.rounds, found.tiny)


def machine(options: Options | None = None) -> dict[str, str]:
    """What the numbers were measured on; of the texts that `options` name too."""
    import transformers

    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    load = os.getloadavg()[0]
    return {
        "processor": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "load average": f"{load:.1f}",
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        **({} if options is None else {"texts": _source(options.texts)}),
    }


def _commit() -> str:
    """The commit of the code that measures; with a + where files differ from it."""
    words = ["git", "describe", "--always", "--dirty=+", "--abbrev=7", "--exclude=*"]
    here = Path(__file__).parent
    found = subprocess.run(words, cwd=here, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _source(source: str | None) -> str:
    """Which file the texts come from, so that another can measure on the same."""
    whole = f"{len(all_texts(source))} different texts"
    if source is None:
        return f"{whole} of the synthetic world"
    mark = sha256(Path(source).read_bytes()).hexdigest()[:12]
    return f"{whole} of {Path(source).name} (SHA-256 {mark}...)"


@cache
def all_texts(source: str | None) -> tuple[str, ...]:
    """Every text of a file (a dialogue's last human turn), or of the synthetic world."""
    if source is None:
        return tuple(dict.fromkeys(world_texts(World(0))))
    found: dict[str, None] = {}
    for line in read_table(source).lines:
        first = next(str(line.values[k]) for k in ("text", "prompt", "chosen") if k in line.values)
        said = [turn.text for turn in turns(first) if turn.role == "Human"]
        text = said[-1] if said else first.strip()
        if text:
            found[text] = None
    return tuple(found)


def world_texts(world: World) -> list[str]:
    """Stories, questions and answers of the synthetic world: texts of many lengths."""
    stories = neutral(world, "train", 300, 0)
    asked = tasks(world, "train", 60, 0)
    return [*stories, *(t.prompt for t in asked), *(c for t in asked for c in t.choices)]


@cache
def tokenizer(source: str | None) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on the texts, of at most VOCABULARY tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(all_texts(source), trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single="<begin> $A", special_tokens=[("<begin>", bpe.token_to_id("<begin>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<begin>", eos_token="<end>", pad_token="<pad>"
    )


def texts_of(source: str | None, count: int, longest: int) -> list[str]:
    """`count` texts of at most `longest` tokens, in file order, spread over the whole source.

    Raises ValueError when the source has fewer.
    """
    whole = all_texts(source)
    lengths = [len(e.ids) for e in encode_texts(tokenizer(source), whole)]
    short = [text for text, n in zip(whole, lengths, strict=True) if n <= longest]
    if len(short) < count:
        raise ValueError(f"{len(short)} texts of at most {longest} tokens, {count} are needed")
    return [short[i * len(short) // count] for i in range(count)]


def config(layers: int, width: int) -> LlamaConfig:
    """A Llama of that shape, with heads of 64."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        num_key_value_heads=max(1, width // 64),
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def model(layers: int, width: int, source: str | None, dtype: str = "float32") -> Loaded:
    """A model of random weights with the tokenizer of the texts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = LlamaForCausalLM(config(layers, width)).to(getattr(torch, dtype)).eval()
    return Loaded(made, tokenizer(source), "speed", "random", "random:0", layers, width, "organism")


def encoded(loaded: Loaded, texts: Sequence[str]) -> list[Encoded]:
    """The texts as the model reads them."""
    return encode_texts(loaded.tokenizer, texts)
