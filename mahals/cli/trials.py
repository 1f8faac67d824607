"""Trial files: what do `export` and `trials` do with the trials of the resistance study?

Their form is that of agencyenterprise/endogenous-steering-resistance at 3c29a49: results by
feature, in each its trials, in each the attempts with the judge's scores.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mahals.harness.workspace.artifacts import KeptFiles
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.maths.metrics.resistance import NONE, ResistanceTrial, rates
from mahals.phase import Kept
from mahals.records import InputError
from mahals.reporting.evidence import Evidence
from mahals.reporting.published_resistance import published_line
from mahals.reporting.resistance import SENTENCE_RATES, groups, rates_text, whole_answer

CELL = {"weights": "hub", "subject": "aligned", "source": "latent", "situation": "free",
        "ablated": NONE, "variant": NONE, "level": None}  # fmt: skip
"""What a cell of ours has besides direction, concept and boost, kept in each feature under `cell`;
the values are those of a file that has none."""


def export_trials(phase: str, unit: str, out: str) -> int:
    """Writes a unit's trials in the published study's JSON schema."""
    workspace, where = Workspace.locate(), f"export {phase}/{unit}"
    if workspace.phase(phase).row is not ResistanceTrial:
        known = "esr, esr_boost, esr_prompts, esr_ablation, esr_random, esr_finetune"
        expected, cure = "a phase of trials, or a steering vector", f"name {known} or esr_unsteered"
        raise InputError(where, expected=expected, got=phase, cure=cure)
    found = [r for r in all_results(workspace) if (r.phase, r.unit) == (phase, unit)]
    if not found:
        cure = f"mahals run {phase} --unit {unit}"
        raise InputError(where, expected="results of that unit", got="none", cure=cure)
    newest = max(found, key=lambda r: (r.is_canonical, str(r.run()["finished"])))
    kept, trials = KeptFiles(phase, {unit: newest.kept()}), newest.rows()
    Path(out).write_text(study_json(trials, kept), encoding="utf-8")
    absent = sum(t.line is None for t in trials)
    more = f"; {absent} absent ones are not in it" if absent else ""
    print(f"wrote {out}: {len(trials) - absent} trials of {phase} {unit}{more}")
    return 0


def trials(options: Namespace, keys: Mapping[str, Any]) -> int:
    """Prints the rates of a study file, with intervals over its features."""
    found = read_study_file(Path(options.file))
    told = [
        n for n in SENTENCE_RATES if n != "degenerate_share" or any(t.degenerate for t in found)
    ]
    print(f"{options.file}: {rates_text(rates(found), told)}")
    several = groups(found, ("subject", "situation", "ablated", "variant"))
    for group in several if len(several) > 1 else ():
        print(f"  {group.name}: {rates_text(group.rates, told)}")
    print(published_line("esr"))
    return 0


def study_json(trials: Sequence[ResistanceTrial], kept: Kept) -> str:
    """The trials that were made as a study file: a feature is one cell of ours, named so."""
    table = Evidence(trials, kept)
    features: dict[tuple[object, ...], dict[str, Any]] = {}
    for t in (t for t in trials if t.line is not None):
        cell = {name: getattr(t, name) for name in ("direction", *CELL)}
        feature = {"feature_index_in_sae": None, "feature_label": t.concept, "threshold": t.boost}
        key, answer = (*cell.values(), t.concept, t.boost), whole_answer(table, t)
        attempts = [
            {"attempt_text": answer[a:b], "score": score}
            for (a, b), score in zip(pairwise([*t.starts, len(answer)]), t.scores, strict=True)
        ]
        told = {"prompt": t.prompt, "seed": t.seed, "response": answer}
        told |= {"score": {"raw_response": "", "attempts": attempts}, "error": t.why}
        told |= {"prefix": t.prefix, "degenerate": t.degenerate}
        place = features.setdefault(key, {**feature, "cell": cell, "trials": []})
        place["trials"].append({**feature, **told})
    judge = next((t.judge for t in trials if t.judge), "")
    config = {"model_name": trials[0].model if trials else "", "judge_model_name": judge}
    found = {"experiment_config": config, "results_by_feature": list(features.values())}
    return json.dumps(found, indent=1) + "\n"


def read_study_file(path: Path) -> list[ResistanceTrial]:
    """The trials of a study file, ours or another's. InputError for one of another form."""
    try:
        return list(_trials(json.loads(path.read_text(encoding="utf-8")), path.name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what, got = f"study file {path.name}", f"{type(error).__name__}: {str(error)[:120]}"
        expected = "JSON with results_by_feature, trials and score.attempts"
        cure = "give a file of the study's experiments, or one of `mahals export`"
        raise InputError(what, expected=expected, got=got, cure=cure) from error


def _trials(data: Mapping[str, Any], name: str) -> Iterator[ResistanceTrial]:
    config = data["experiment_config"]
    for feature in data["results_by_feature"]:
        index, label = feature.get("feature_index_in_sae"), str(feature["feature_label"])
        cell = {"direction": str(label if index is None else index), **CELL}
        for i, t in enumerate(feature["trials"]):
            attempts = (t.get("score") or {}).get("attempts") or []
            made = bool(attempts) and not t.get("error")
            yield ResistanceTrial(
                **cell | feature.get("cell", {}),
                model=str(config["model_name"]),
                concept=label,
                boost=float(feature["threshold"]),
                prompt=str(t["prompt"]),
                taught="neither",
                seed=int(t["seed"]),
                answers=name,
                line=i if made else None,
                prefix=int(t.get("prefix", 0)),
                degenerate=bool(t.get("degenerate", False)),
                starts=_starts(str(t["response"]), [str(a["attempt_text"]) for a in attempts]),
                scores=tuple(None if a["score"] is None else float(a["score"]) for a in attempts),
                judge=str(config["judge_model_name"]),
                why=None if made else str(t.get("error") or "not scored"),
            )


def _starts(answer: str, attempts: Sequence[str]) -> tuple[int, ...]:
    """Where each attempt begins, as the judge quoted it; one that is not there follows the last."""
    found = [0] if attempts else []
    for text in attempts[1:]:
        at = answer.find(text[:40].strip(), found[-1] + 1) if text.strip() else -1
        found.append(at if at >= 0 else found[-1] + 1)
    return tuple(found)
