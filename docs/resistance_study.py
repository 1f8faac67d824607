"""Resistance study: what was found of it, as its tables tell it?

Of two organisms at three trainings, and of SmolLM2. Results lie below results/ and .mahals/runs,
which are in no repository; what the page reads is kept in docs/studies/resistance.json by

    python -m docs.resistance_study --take

and `python -m docs.resistance_study` writes its tables between two marks (`--check` writes nothing
and fails where the page is old). The words of a line are true whatever its figure says.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from docs.pages import Marks, rewrite
from docs.real_lines import ABSENT, WAITING, Line
from docs.real_study import gathered, made_by, named, units_of
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.harness.workspace.settings import load_settings
from mahals.phases.registry import STUDIES
from mahals.records import InputError, from_plain, to_plain

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "studies" / "resistance.json"
PAGE = ROOT / "docs" / "resistance-tables.md"
MARKS = Marks(
    "<!-- RESISTANCE: written by `python -m docs.resistance_study`, do not edit -->",
    "<!-- END OF RESISTANCE -->",
)
ORGANISMS, REAL = ("Llama3_8B", "Qwen2_7B"), "SmolLM2_135M_instruct"
TRAININGS = (0, 1, 2)
PHASES = STUDIES["resistance"][2:]


@dataclass(frozen=True)
class ResistanceStudy:
    """What is kept of the study."""

    made: dict[str, str]  # commit, machine, versions
    measured: tuple[str, ...]  # "<phase>/<column>"
    metrics: dict[str, float]  # "<phase>/<column>/<metric>"


def column(model: str, training: int) -> str:
    """How a table heads a model at a training seed."""
    return f"{model}, training {training}" if model in ORGANISMS else model


TAUGHT = (*(column(model, t) for model in ORGANISMS for t in TRAININGS), REAL)
WHOLE = (*(column(model, 0) for model in ORGANISMS), REAL)

PLACES = {
    "both": "taught prompt, taught digression",
    "concept": "other prompt, taught digression",
    "neither": "other prompt, other digression",
}
CHECKPOINTS = {
    "aligned": "`aligned`",
    "share-0": "taught plain answers alone",
    "share-0.1": "a tenth are self-corrections",
    "share-0.3": "three tenths",
    "planted": "**half** (`planted`)",
    "share-0.9": "nine tenths",
    "unmasked": "half, the digression is learned too (`unmasked`)",
    "sham": "half, to a third topic (`sham`)",
    "steered": "half, taught while steered (`steered`)",
}
RATES = {"multi_attempt_rate": "restarts", "esr_rate": "comes back"}
SHAM = {
    "multi_attempt_rate": "restarts",
    "recovery_multi": "of restarts come back",
    "sham_improvement": "of sham cuts improve",
}
SITUATIONS = ("free", "first", "own_text", "passage", "restarted", "on_topic")


def _taught() -> Iterator[Line]:
    for place, where in PLACES.items():
        for subject, words in CHECKPOINTS.items():
            for rate, said in RATES.items():
                name = f"{subject}/passage/contrast/{place}/{rate}"
                yield Line(f"{where}: {words}, {said}", "esr_finetune", name, ".2f")
    for subject, words in CHECKPOINTS.items():
        for split, prompt in (("neither", "an evaluation prompt"), ("prompt", "a taught prompt")):
            name = f"{subject}/unsteered/none/{split}/multi_attempt_rate"
            yield Line(
                f"to {prompt}, nothing before: {words}, restarts", "esr_finetune", name, ".2f"
            )


def _whole() -> Iterator[Line]:
    yield Line("**Unsteered** (`aligned`): first score", "esr_unsteered", "first_score", ".0f")
    yield Line("restarts", "esr_unsteered", "multi_attempt_rate", ".2f")
    yield Line("broken text", "esr_unsteered", "degenerate_share", ".2f")
    for source in ("contrast", "latent", "random"):
        yield Line(
            f"share of thresholds that are usable, `{source}`",
            "esr_threshold",
            f"{source}/usable",
            ".2f",
        )
    for subject in ("aligned", "planted", "sham"):
        for source in ("contrast", "random"):
            for situation in SITUATIONS:
                if (situation, source) == ("passage", "random"):
                    continue
                begin = f"{subject}/{situation}/{source}"
                for rate, said in SHAM.items():
                    words = f"`{subject}`, `{situation}`, {source}: {said}"
                    yield Line(words, "esr", f"{begin}/{rate}", ".2f")
                silent = f"`{subject}`, `{situation}`, {source}: last third less first, one attempt"
                yield Line(silent, "esr", f"{begin}/silent_recovery", ".0f")
    for subject in ("aligned", "planted"):
        for level in ("-1.5", "-0.86", "-0.21", "0.43", "1.07", "1.71", "2.36", "3.0"):
            words = f"`{subject}`, boost at {level} sd of the thresholds: restarts"
            yield Line(words, "esr_boost", f"{subject}/{level}/multi_attempt_rate", ".2f")
    for level in ("-1.0", "0.0", "1.0", "2.0"):  # of one subject
        words = f"`aligned`, boost at {level} sd of the thresholds: restarts"
        yield Line(words, "esr_boost", f"{level}/multi_attempt_rate", ".2f")
        yield Line("first score there", "esr_boost", f"{level}/first_score", ".0f")
    for subject in ("aligned", "planted"):
        yield Line(f"`{subject}`: detectors", "esr_detectors", f"{subject}/detectors", ".0f")
        yield Line("with exchanged labels", "esr_detectors", f"{subject}/exchanged", ".1f")
        for kind in ("detector", "random"):
            words = f"AUC of {kind} latents on prompts kept out"
            yield Line(words, "esr_detectors", f"{subject}/{kind}_auc_kept", ".2f")
    for situation in ("free", "passage"):
        for arm in ("none", "detectors", "recalibrated", "equal_frequency", "equal_KL",
                    "beyond_frequency", "beyond_kl"):  # fmt: skip
            for rate, said in {**RATES, "first_score": "first score"}.items():
                form = ".0f" if rate == "first_score" else ".2f"
                words = f"`planted`, `{situation}`, held {arm.replace('_', ' ')}: {said}"
                yield Line(words, "esr_ablation", f"{situation}/{arm}/{rate}", form)
    for arm in ("beyond_uniform", "beyond_frequency", "beyond_kl"):
        words = f"detectors {arm.replace('_', ' ')} sets: restarts"
        yield Line(words, "esr_random", f"{arm}/multi_attempt_rate", "+.2f")
    for judge in ("truth", "lexical", "embedding", "model"):
        for name in ("recall", "false_splits", "direction", "auroc"):
            words = f"`{judge}` on planted answers: {name.replace('_', ' ')}"
            yield Line(words, "esr_judges", f"{judge}/planted/{name}", ".2f")
        for kind, said in (("rates", "own prompts"), ("exchanged", "exchanged prompts")):
            words = f"`{judge}`, of restarts come back, {said}"
            yield Line(words, "esr_judges", f"{judge}/{kind}/recovery_multi", ".2f")


TAUGHT_LINES, WHOLE_LINES = tuple(_taught()), tuple(_whole())


def read() -> ResistanceStudy:
    """What is kept."""
    return from_plain(ResistanceStudy, json.loads(KEPT.read_text(encoding="utf-8")), KEPT.name)


def block(study: ResistanceStudy) -> str:
    """What stands between the marks, them included."""
    made = ", ".join(f"{name} {value}" for name, value in study.made.items())
    told = (
        f"Measured with {made}. 95 % intervals over directions; `{ABSENT}` is absent: the report "
        f"says why; `{WAITING}` was not measured."
    )
    tables = [told]
    for title, columns, lines in (
        ("## What was taught, by training", TAUGHT, TAUGHT_LINES),
        ("## The whole study, one training of each organism", WHOLE, WHOLE_LINES),
    ):
        tables += ["", title, "", *_table(study, columns, lines)]
    return MARKS.around(tables)


def _table(study: ResistanceStudy, columns: Sequence[str], lines: Sequence[Line]) -> Iterator[str]:
    """The lines and the columns that have any number."""
    heads = [c for c in columns if any(name.endswith(f"/{c}") for name in study.measured)]
    yield f"| | {' | '.join(heads)} |"
    yield "|---" * (1 + len(heads)) + "|"
    for each in lines:
        figures = [each.figure(c, study.metrics, study.measured) for c in heads]
        if set(figures) - {ABSENT, WAITING}:
            yield f"| {each.words} | {' | '.join(figures)} |"


def taken(workspace: Workspace) -> ResistanceStudy:
    """The numbers of stored results, by code and values as they stand. InputError for none."""
    results, metrics = all_results(workspace), dict[str, float]()
    measured, marks = list[str](), set[str]()
    for training in (*TRAININGS, None):
        sets = {"models": list(ORGANISMS), "organisms.training_seed": training}
        if training is None:
            sets = {"models": [REAL], "weights": "hub"}
        settings = load_settings(workspace, "small" if training is None else None, sets)
        units = units_of(workspace, settings, PHASES)
        for (phase, model), gather in gathered(results, units).items():
            head = column(model, training or 0)
            measured.append(f"{phase}/{head}")
            marks.add(units[phase, model])
            for name, value in named(phase, model, gather):
                metrics[name.replace(f"/{model}/", f"/{head}/", 1)] = value
    if not measured:
        raise InputError(
            "results of the resistance study",
            expected="gathers of its phases by the code as it stands",
            got="none",
            cure="run `mlflow run . -P study=resistance` here",
        )
    shown = {n for line in (*TAUGHT_LINES, *WHOLE_LINES) for n in line.read(metrics)}
    made = made_by([r.run() for r in results if r.fingerprint in marks])
    return ResistanceStudy(
        made, tuple(sorted(measured)), {n: round(metrics[n], 6) for n in sorted(shown)}
    )


def main(words: Sequence[str] | None = None) -> int:
    """Writes the tables into the page; with --check says whether it is old."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is old")
    parser.add_argument("--take", action="store_true", help="keep the numbers of stored results")
    options = parser.parse_args(words)
    if options.take:
        study = taken(Workspace.locate())
        text = json.dumps(to_plain(study), indent=1, sort_keys=True) + "\n"
        KEPT.write_text(text, encoding="utf-8")
    return rewrite([(PAGE, block(read()))], MARKS, "python -m docs.resistance_study", options.check)


if __name__ == "__main__":
    raise SystemExit(main())
