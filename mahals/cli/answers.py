"""Kept answers: what does `show` print of a unit that steered, prompt by prompt?"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mahals.records import InputError, unknown

if TYPE_CHECKING:
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import Results
    from mahals.reporting.answers import ArmAnswers, KeptAnswer

Keys = Mapping[str, Any]
LISTED = 14  # prompts that are listed where none is asked for
CURE = "`mahals run same_arch` keeps answers (and cross_arch, recovery); or `dvc pull` stored ones"


def show(options: Namespace, keys: Keys) -> int:
    """Prints what each arm answered to a prompt, or which prompts there are."""
    from mahals.harness.workspace.paths import Workspace
    from mahals.reporting.answers import ORDER, asked_prompts, side_by_side

    workspace = Workspace.locate()
    results = answered_results(workspace, options.phase, options.unit)[0]
    every = read_arms(results)
    arms = chosen(every, options)
    where = f"{results.phase} {results.unit} ({workspace.relative(results.folder)})"
    beside = arms if options.arm else side_by_side(arms)
    if options.prompt is None:
        print("\n".join([f"{where}:", "", *_prompt_list(every, beside)]))
        return 0
    first, *more = asked_prompts(every, options.prompt)
    print("\n".join([f"{where}, {_heading(first)}", f"  {first.text}", "", _said(beside, first)]))
    left = sum(a.row.arm == "random" for a in arms) - sum(a.row.arm == "random" for a in beside)
    if left > 0:
        print(f"\n{left} more random draws: --arm random")
    lacking = [kind for kind in ORDER if kind not in {a.row.arm for a in beside}]
    if lacking and not options.arm:
        print(f"\nnot measured in {results.phase}: {', '.join(lacking)}")
    if more:
        others = ", ".join(str(a.prompt) for a in more[:LISTED])
        print(f"\nalso asked with these words: --prompt {others}")
    return 0


def answered_results(workspace: Workspace, phase: str, unit: str | None) -> list[Results]:
    """The units of a phase that kept answers (one, or all), each once: canonical, else the newest.

    Raises InputError where there are none.
    """
    from mahals.harness.workspace.results import all_results
    from mahals.reporting.answers import SUFFIX

    workspace.phase(phase)
    found = [r for r in all_results(workspace) if r.phase == phase and not r.is_gather]
    found.sort(key=lambda r: (r.is_canonical, str(r.run()["finished"])))
    by_unit = {r.unit: r for r in found}
    if unit is not None and found and unit not in by_unit:
        raise unknown(f"unit of {phase}", unit, by_unit)
    asked = by_unit.values() if unit is None else [by_unit[unit]] if unit in by_unit else []
    answered = [r for r in asked if any(n.endswith(SUFFIX) for n in r.kept().hashes)]
    if not answered:
        got = "results that keep none of arms" if found else "no results"
        raise InputError(
            f"answers of {phase}{f' {unit}' if unit else ''}",
            expected="results that kept what each arm answered",
            got=got,
            cure=CURE,
        )
    return sorted(answered, key=lambda r: r.unit)


def read_arms(results: Results) -> list[ArmAnswers]:
    """The arms of a unit with their answers."""
    from mahals.harness.workspace.artifacts import KeptFiles
    from mahals.reporting.answers import answers_of

    kept = KeptFiles(results.phase, {results.unit: results.kept()})
    return list(answers_of(results.rows(), kept))


def chosen(arms: Sequence[ArmAnswers], options: Namespace) -> list[ArmAnswers]:
    """The arms at the dose and of the kinds that the command line names."""
    from mahals.reporting.answers import at_dose, of_kinds

    found = at_dose(arms, options.dose)
    return of_kinds(found, options.arm) if options.arm else found


def _heading(answer: KeptAnswer) -> str:
    kind = "safe" if answer.label else "unsafe"
    return f"prompt {answer.prompt}, {kind}, {answer.axiom}:"


def _said(arms: Sequence[ArmAnswers], asked: KeptAnswer) -> str:
    from mahals.cli.tables import table
    from mahals.reporting.answers import dose_text
    from mahals.schema import arm_title

    rows = []
    for arm in arms:
        said = arm.to(asked.prompt)
        text = " ".join(said.answer.split()) or "(empty)"
        rows.append((arm_title(arm.row), dose_text(arm.row), said.verdict, text))
    judge = "the phrase list" if asked.truth is None else "the grammar of the world"
    judge = judge if asked.judged is None else "the suite's judge"
    heads = ("arm", "dose", "verdict", "answer")
    return f"{table(heads, rows)}\n\nrefused or answered is by {judge}"


def _prompt_list(every: Sequence[ArmAnswers], beside: Sequence[ArmAnswers]) -> list[str]:
    """Some prompts, one line each, with what the arms beside each other made of them."""
    from mahals.cli.tables import table

    answers = {a.prompt: a for arm in every for a in arm.answers}
    cells: dict[tuple[str, int], KeptAnswer] = {}
    for _, answer in sorted(answers.items()):
        cells.setdefault((answer.axiom, answer.label), answer)
    some = sorted(list(cells.values())[:LISTED], key=lambda a: a.prompt)
    first: dict[str, ArmAnswers] = {}
    for arm in beside:
        first.setdefault(arm.row.arm, arm)
    rows = []
    for answer in some:
        kind = "safe" if answer.label else "unsafe"
        verdicts = [arm.to(answer.prompt).verdict for arm in first.values()]
        rows.append((answer.prompt, kind, answer.axiom, answer.text, *verdicts))
    heads = ("number", "kind", "axiom", "text", *first)
    words = f"{len(answers)} prompts were answered: --prompt NUMBER, or --prompt 'part of its text'"
    return [table(heads, rows), "", words]
