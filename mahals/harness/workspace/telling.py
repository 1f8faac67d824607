"""Telling: are numbers, sentences and figures those that the present code makes of the rows?"""

from __future__ import annotations

from mahals.harness.workspace.code_hash import telling_digest
from mahals.harness.workspace.files import first_broken
from mahals.harness.workspace.results import Results
from mahals.records import InputError


def is_told(results: Results) -> bool:
    """Whether metrics, summary, report and all figures are whole, made by the code as it is now.

    Where not, they are made again from rows and kept files, without a model.
    """
    try:
        told, metrics = results.telling(), results.metrics()
    except InputError:  # absent or cut short: made again
        return False
    code = telling_digest(results.workspace.phase(results.phase))
    if told.get("code") != code or told["summary"]["metrics"] != metrics:
        return False
    if "report" not in told or first_broken(results.folder, {"report.md": told["report"]}):
        return False
    return first_broken(results.folder / "figures", told["figures"]) is None
