"""Hub checkpoint: where on this machine does it lie, and if it does not, why not?

Only safetensors weights are used: a pickled checkpoint can run code when it is read.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mahals.models.checkpoints.registry import HubRef
from mahals.records import InputError

_WANTED = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_UNWANTED = ["consolidated*", "*/*"]  # the same weights a second time, other formats


def has_weights(folder: Path) -> bool:
    """Whether a folder holds a config and every safetensors file that its index names."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return all((folder / name).is_file() for name in names)
    return (folder / "model.safetensors").is_file()


def cached_folder(ref: HubRef, cache: Path | None = None) -> Path | None:
    """The snapshot folder of a checkpoint in the hub's cache; None when it is not all there.

    `cache` is the folder that holds models--<org>--<name>; None means the user's own.
    """
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = _snapshot(ref, cache, wanted=_WANTED, local=True)
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if has_weights(folder) else None


def cached_config(ref: HubRef, cache: Path | None = None) -> Path | None:
    """The config of a checkpoint in the hub's cache; None where that has it not."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(ref.id, "config.json", cache_dir=cache, revision=ref.revision)
    return Path(found) if isinstance(found, str) else None


def fetch_texts(ref: HubRef, cache: Path | None = None) -> Path:
    """The snapshot folder with config and tokenizer alone; from the cache where they are there.

    Raises InputError as `hub_folder` does.
    """
    found = cached_config(ref, cache)
    return found.parent if found is not None else _asked(ref, cache, ["*.json", "*.jinja"])


def commit_of(ref: HubRef, cache: Path | None = None) -> str:
    """The commit that a revision stands for, as far as the cache tells; else the revision."""
    found = None if is_commit(ref.revision) else cached_config(ref, cache)
    return ref.revision if found is None else found.parent.name


def is_commit(revision: str) -> bool:
    """Whether a revision is the hash of a commit, not a branch or tag that can move."""
    return _COMMIT.fullmatch(revision) is not None


def hub_folder(ref: HubRef, cache: Path | None = None) -> Path:
    """The snapshot folder of a checkpoint, fetched from the hub when the cache has it not.

    Raises InputError, one line, when it is gated, unknown, without safetensors, or when neither
    the cache nor the network has it.
    """
    folder = cached_folder(ref, cache) or _asked(ref, cache, _WANTED)
    if not has_weights(folder):
        cure = "name a revision that has model.safetensors"
        raise _refused(ref, "a repository without all its safetensors weights", cure)
    return folder


def _asked(ref: HubRef, cache: Path | None, wanted: list[str]) -> Path:
    from huggingface_hub import errors

    try:
        return _snapshot(ref, cache, wanted=wanted, local=False)
    except errors.GatedRepoError as error:
        cure = f"accept its licence at https://huggingface.co/{ref.id}, then run `hf auth login`"
        raise _refused(ref, "a gated repository and no access", cure) from error
    except (errors.RevisionNotFoundError, errors.RevisionResolutionError) as error:
        cure = "pin a commit that exists in benchmarks/models.yaml"
        raise _refused(ref, "a repository without that revision", cure) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        cure = "correct the id in benchmarks/models.yaml, or log in with `hf auth login`"
        raise _refused(ref, "no such repository, or a private one", cure) from error
    except Exception as error:  # not cached and offline, no network, a full disk, the server
        reason = _reason(error)
        cure = "connect, or fill the cache elsewhere with `hf download " + ref.id + "`"
        raise _refused(
            ref, f"nothing in the cache, and fetching it failed ({reason})", cure
        ) from error


def _snapshot(ref: HubRef, cache: Path | None, *, wanted: list[str], local: bool) -> Path:
    from huggingface_hub import snapshot_download

    found = snapshot_download(
        ref.id,
        revision=ref.revision,
        cache_dir=cache,
        local_files_only=local,
        allow_patterns=wanted,
        ignore_patterns=_UNWANTED,
    )
    return Path(found)


def _refused(ref: HubRef, got: str, cure: str) -> InputError:
    what = f"checkpoint {ref.id} at revision {ref.revision}"
    return InputError(what, expected="one that can be read", got=got, cure=cure)


def _reason(error: BaseException) -> str:
    """The deepest cause of an error, its first line, at most 120 characters."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = str(error).strip().splitlines()[:1]
    return f"{type(error).__name__}: {first[0] if first else 'no message'}"[:120]
