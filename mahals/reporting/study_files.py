"""Study files: how do trials look in the published study's JSON, and what rates has such a file?

The form is that of agencyenterprise/endogenous-steering-resistance at 3c29a49: results by feature,
in each its trials, in each the attempts with the judge's scores.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mahals.maths.metrics.resistance import NONE, ResistanceTrial
from mahals.phase import Kept
from mahals.records import InputError
from mahals.reporting.evidence import Evidence
from mahals.reporting.resistance import whole_answer

CELL = ("direction", "weights", "subject", "source", "situation", "ablated", "variant", "level")
"""What a cell of ours has besides concept and boost, kept in each feature under `cell`."""


def study_json(trials: Sequence[ResistanceTrial], kept: Kept) -> str:
    """The trials that were made as a study file: a feature is one cell of ours, named so."""
    table = Evidence(trials, kept)
    features: dict[tuple[object, ...], dict[str, Any]] = {}
    for t in (t for t in table.rows if t.line is not None):
        cell = {name: getattr(t, name) for name in CELL}
        feature = {"feature_index_in_sae": None, "feature_label": t.concept, "threshold": t.boost}
        key = (*cell.values(), t.concept, t.boost)
        place = features.setdefault(key, {**feature, "cell": cell, "trials": []})
        place["trials"].append({**feature, **_trial(t, whole_answer(table, t))})
    judge = next((t.judge for t in trials if t.judge), "")
    config = {"model_name": trials[0].model if trials else "", "judge_model_name": judge}
    found = {"experiment_config": config, "results_by_feature": list(features.values())}
    return json.dumps(found, indent=1) + "\n"


def _trial(t: ResistanceTrial, answer: str) -> dict[str, Any]:
    ends = [*t.starts[1:], len(answer)]
    attempts = [
        {"attempt_text": answer[a:b], "score": score}
        for a, b, score in zip(t.starts, ends, t.scores, strict=True)
    ]
    score = {"raw_response": "", "attempts": attempts}
    own = {"prefix": t.prefix, "degenerate": t.degenerate}
    about = {"prompt": t.prompt, "seed": t.seed, "response": answer, "score": score}
    return {**about, "error": t.why, **own}


def read_study_file(path: Path) -> list[ResistanceTrial]:
    """The trials of a study file, ours or another's. InputError for one of another form."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return list(_trials(data, path.name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"study file {path.name}",
            expected="JSON with results_by_feature, trials and score.attempts",
            got=f"{type(error).__name__}: {str(error)[:120]}",
            cure="give a file of the study's experiments, or one of `mahals export`",
        ) from error


def _trials(data: Mapping[str, Any], name: str) -> Iterator[ResistanceTrial]:
    config = data["experiment_config"]
    for feature in data["results_by_feature"]:
        cell, index = feature.get("cell", {}), feature.get("feature_index_in_sae")
        label = str(feature["feature_label"])
        for i, t in enumerate(feature["trials"]):
            attempts = (t.get("score") or {}).get("attempts") or []
            made = bool(attempts) and not t.get("error")
            texts = [str(a["attempt_text"]) for a in attempts]
            yield ResistanceTrial(
                model=str(config["model_name"]),
                weights=str(cell.get("weights", "hub")),
                subject=str(cell.get("subject", "aligned")),
                direction=str(cell.get("direction", label if index is None else index)),
                source=str(cell.get("source", "latent")),
                concept=label,
                boost=float(feature["threshold"]),
                level=cell.get("level"),
                situation=str(cell.get("situation", "free")),
                ablated=str(cell.get("ablated", NONE)),
                variant=str(cell.get("variant", NONE)),
                prompt=str(t["prompt"]),
                taught="neither",
                seed=int(t["seed"]),
                answers=name,
                line=i if made else None,
                prefix=int(t.get("prefix", 0)),
                degenerate=bool(t.get("degenerate", False)),
                starts=_starts(str(t["response"]), texts),
                scores=tuple(None if a["score"] is None else float(a["score"]) for a in attempts),
                judge=str(config["judge_model_name"]),
                why=None if made else str(t.get("error") or "not scored"),
            )


def _starts(answer: str, attempts: Sequence[str]) -> tuple[int, ...]:
    """Where each attempt begins, as the judge quoted it; one that is not there follows the last."""
    found: list[int] = []
    for text in attempts:
        after = found[-1] + 1 if found else 0
        at = answer.find(text[:40].strip(), after) if text.strip() else -1
        found.append(0 if not found else at if at >= 0 else after)
    return tuple(found)
