"""Telling: are metrics, sentences and figures those that the present code makes of the rows?"""

from __future__ import annotations

from mahals.harness.workspace.code_hash import telling_digest
from mahals.harness.workspace.results import Results
from mahals.records import InputError


def is_told(results: Results) -> bool:
    """Whether metrics, summary and all figures are there, made by the code as it is now.

    Where not, they are made again from rows and kept files, without a model.
    """
    if not (results.folder / "metrics.json").is_file():
        return False
    try:
        told = results.telling()
    except InputError:  # absent or cut short: made again
        return False
    drawn = {path.name for path in results.figures()}
    code = telling_digest(results.workspace.phase(results.phase))
    return told.get("code") == code and drawn >= set(told["figures"])
