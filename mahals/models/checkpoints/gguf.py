"""GGUF file: how does it become a folder of safetensors, with the tokenizer it was made with?"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from contextlib import redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahals.models.checkpoints.gguf_header import GgufHeader, read_header
from mahals.records import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ORIGIN = "origin.json"  # in the folder: the file's hash, what its weights are, what read it
_LIBRARIES = ("transformers", "gguf")  # whose versions decide what is read
_NEEDED = ("gguf", "accelerate")  # what transformers reads such a file with
_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell")
"""`tokenizer.ggml.pre` of byte-level vocabularies that split every digit before words."""
_PLAIN = ("gpt-2", "olmo", "mpt", "jais")
"""Those that split as GPT-2 does."""


def check_gguf(path: Path) -> GgufHeader:
    """The header of a file that can be read here.

    Raises InputError for an unknown architecture, for a vocabulary whose rule of splitting words
    is not known here (its tokens would be others, without an error), or a damaged file.
    """
    header = read_header(path)
    known = _architectures()
    if header.architecture not in known:
        raise InputError(
            f"checkpoint {path}",
            expected="a GGUF file of an architecture that transformers reads",
            got=header.architecture,
            cure="name the folder of safetensors it was made from; known are " + ", ".join(known),
        )
    pre = header.values.get("tokenizer.ggml.pre", "default")
    if header.values.get("tokenizer.ggml.model") == "gpt2" and pre not in _splits():
        raise InputError(
            f"tokenizer of {path}",
            expected="a known way to split words (tokenizer.ggml.pre)",
            got=repr(pre),
            cure="name the folder of safetensors with tokenizer.json it was made from",
        )
    return header


def convert(path: Path, sha256: str, folder: Path) -> None:
    """Writes a GGUF file's model (float32), config and tokenizer into an empty folder.

    Raises InputError as `check_gguf` does, without what reads such files, or where transformers
    does not read this one.
    """
    header = check_gguf(path)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"checkpoint {path}",
            expected="the packages that read GGUF files",
            got="no " + " and no ".join(missing),
            cure="pip install " + " ".join(missing),
        )
    try:
        _save(path, header, folder)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"checkpoint {path}",
            expected="a GGUF file that transformers reads",
            got=f"{type(error).__name__}: {error}".splitlines()[0][:200],
            cure="download it again, or name the folder of safetensors it was made from",
        ) from error
    origin = {"sha256": sha256, "weights": header.weights, "reader": reader()}
    (folder / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")


def reader() -> dict[str, str]:
    """What decides the weights and the tokenizer read from a file: this code, and the libraries.

    A library that is not installed is left out.
    """
    here = Path(__file__)
    files = (here, here.with_name("gguf_header.py"))
    found = {"code": hashlib.sha256(b"\0".join(f.read_bytes() for f in files)).hexdigest()}
    for name in _LIBRARIES:
        if importlib.util.find_spec(name) is not None:
            found[name] = version(name)
    return found


def is_made_here(folder: Path) -> bool:
    """Whether a folder was read by this code and the installed libraries.

    One that is not installed cannot read it anew, so whichever version read it stands.
    """
    try:
        origin = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        made = origin["reader"]
        return all(made[name] == now for name, now in reader().items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _save(path: Path, header: GgufHeader, folder: Path) -> None:
    """By a new model of the config: `save_pretrained` refuses the one that was read."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place: Any = {"gguf_file": path.name, "local_files_only": True}
    with redirect_stderr(StringIO()):  # its bars would break into ours
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **place)
        read = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **place)
        _correct(tokenizer, header)
        config = read.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        whole = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        whole.load_state_dict(read.state_dict())
        whole.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _correct(tokenizer: PreTrainedTokenizerBase, header: GgufHeader) -> None:
    """Gives a tokenizer what its file says and transformers passes over."""
    from tokenizers import pre_tokenizers

    backend: Any = tokenizer.backend_tokenizer
    model = header.values.get("tokenizer.ggml.model")
    if model == "gpt2" and header.values.get("tokenizer.ggml.pre") in _DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        words = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    begins = header.values.get("tokenizer.ggml.add_bos_token", model == "llama")
    ids = tokenizer("a")["input_ids"]
    if begins != (ids[0] == tokenizer.bos_token_id):
        raise InputError(
            "tokenizer of a GGUF file",
            expected=f"a BOS token: {begins}",
            got=f"{tokenizer.convert_ids_to_tokens(ids)} for 'a'",
            cure="name the folder of safetensors with tokenizer.json it was made from",
        )


def _architectures() -> list[str]:
    """What the installed transformers reads."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    return sorted(map(str, GGUF_SUPPORTED_ARCHITECTURES))


def _splits() -> set[str]:
    from transformers.integrations.gguf import gguf_tokenizer_mapping

    theirs = getattr(gguf_tokenizer_mapping, "GGUF_PRE_TOKENIZER_SPLITS", {})
    return {*_DIGITS, *_PLAIN, *theirs}
