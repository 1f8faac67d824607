"""Checkpoint of one's own: is what a user points at a folder of safetensors or a GGUF file?"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mahals.models.checkpoints.gguf_header import read_header
from mahals.models.checkpoints.hub import has_weights
from mahals.models.checkpoints.registry import FolderRef, HubRef
from mahals.records import InputError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def typed_ref(text: str, here: Path) -> FolderRef | HubRef:
    """What was typed as a checkpoint: a place on this machine, else a hub id (`org/name[@commit]`).

    A relative path begins at `here`. Raises InputError for a place without weights, and for what
    is neither.
    """
    path = (here / Path(text).expanduser()).absolute()
    if path.exists():
        own_checkpoint(path)
        return FolderRef(str(path))
    named, _, revision = text.partition("@")
    if not _HUB_ID.fullmatch(named) or named.endswith(".gguf"):
        raise InputError(
            f"checkpoint {text}",
            expected="a folder of safetensors, a GGUF file or a hub id (organisation/name)",
            got=f"nothing at {path}",
            cure="correct the path, or give organisation/name of the hub",
        )
    return HubRef(named, revision or "main")


def key_of(ref: FolderRef | HubRef) -> str:
    """A model's name from where it lies: letters, digits and _ alone.

    A folder that a trainer numbered (checkpoint-500) is named after the one it is in, too.
    """
    name = ref.id.rpartition("/")[2] if isinstance(ref, HubRef) else _name(Path(ref.path))
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "model"


def _name(path: Path) -> str:
    if path.suffix == ".gguf":
        return path.stem
    if path.parent.name == "snapshots":
        path = path.parent.parent
    if re.fullmatch(r"checkpoint-\d+", path.name):
        return f"{path.resolve().parent.name}-{path.name}"
    return path.name.rpartition("--")[2]


def has_template(folder: Path) -> bool:
    """Whether a folder's tokenizer has a chat template: a model tuned to answer has one."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    try:
        text = (folder / "tokenizer_config.json").read_text(encoding="utf-8")
        return bool(json.loads(text).get("chat_template"))
    except (OSError, ValueError):
        return False


def is_tuned(path: Path) -> bool:
    """`has_template` of a folder or of a GGUF file."""
    return has_template(path) if path.is_dir() else read_header(path).has_template


def own_checkpoint(path: Path) -> Path:
    """The folder with the weights, or the GGUF file, that a path means.

    A repository in the hub's cache (models--org--name) means its newest snapshot, a folder with
    one GGUF file and no config that file. Raises InputError where there are no weights.
    """
    if path.is_file():
        if path.suffix == ".gguf":
            return path
        raise _refused(path, "a file that is not .gguf")
    if not path.is_dir():
        raise _refused(path, "no such folder")
    if (path / "snapshots").is_dir():
        path = _snapshot(path)
    if has_weights(path):
        return path
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1 and not (path / "config.json").is_file():
        return files[0]
    if len(files) > 1:
        raise _refused(path, f"{len(files)} GGUF files; name one of them")
    if not (path / "config.json").is_file():
        raise _refused(path, "no config.json")
    pickled = sorted(file.name for form in _PICKLED for file in path.glob(form))
    if pickled:
        raise _refused(path, f"pickled weights alone ({pickled[0]}), which can run code when read")
    raise _refused(path, "a config and no weights, or not all that its index names")


def _snapshot(repository: Path) -> Path:
    main = repository / "refs" / "main"
    if main.is_file():
        return repository / "snapshots" / main.read_text(encoding="utf-8").strip()
    held = [each for each in (repository / "snapshots").iterdir() if each.is_dir()]
    if not held:
        raise _refused(repository, "a repository without a snapshot")
    return max(held, key=lambda each: each.stat().st_mtime)


def _refused(path: Path, got: str) -> InputError:
    return InputError(
        f"checkpoint {path}",
        expected="a folder with config.json and model.safetensors, or a GGUF file",
        got=got,
        cure="put the weights there as save_pretrained writes them, or correct the path",
    )
