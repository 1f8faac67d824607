"""Command line: what can be typed after `mahals`, and what happens when it cannot be done?"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from mahals import __version__
from mahals.cli.overrides import FLAGS, HELP, KEYED, OPTIONS, RESERVED, Words, split
from mahals.cli.refusal_choice import add_judge
from mahals.harness.engines.process import quiet_libraries
from mahals.phases.registry import PHASES, load_phase
from mahals.records import InputError

USER_ERROR, INTERRUPTED = 2, 130

KEYS_HELP = """Any key of params.yaml goes as --<key> <value>, the value read as YAML: a key of the
phase or of a shared section (--lambdas '[0, 0.5]'), a dotted one (--steering_vectors.pairs 40), or
a top-level one (--seed 1, --limit 2, --weights hub, --overlay smoke, --models '[Mistral_7B]',
--upstream require). Unknown keys are refused. Other values than those of params.yaml leave results/
as it is and go to .mahals/runs/. `mahals run PHASE --help` lists the keys of a phase, with type,
value and meaning."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code: 0, 2 for what a user can correct, 130 when interrupted."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    quiet_libraries()
    try:
        return _run(words)
    except InputError as error:
        _say(f"mahals: {error}")
        return USER_ERROR
    except KeyboardInterrupt:
        _say("mahals: stopped; what was measured is kept, start again to go on")
        return INTERRUPTED


def _say(text: str) -> None:
    """One line on standard error; in a terminal over several, at its width."""
    print(_wrapped(text) if sys.stderr.isatty() else text, file=sys.stderr)


def _wrapped(text: str, first: str = "", rest: str = "") -> str:
    width = shutil.get_terminal_size().columns - 1
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def build_parser() -> argparse.ArgumentParser:
    """The parser of everything but keys of params.yaml."""
    return _parsers()[0]


def _parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="mahals",
        description="Does a steering vector raise a language model's alignment, within and across "
        "architectures?",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mahals {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_measuring(commands)
    _add_showing(commands)
    return parser, commands.choices


def _run(words: Sequence[str]) -> int:
    taken = Words(tuple(words), {})
    if words and words[0] in KEYED:
        taken = split(words, FLAGS, OPTIONS)
        if not set(HELP).isdisjoint(taken.known):
            print(_help([word for word in taken.known if word not in HELP], taken.keys), end="")
            return 0
    options = build_parser().parse_args(taken.known)
    module = importlib.import_module(_home(options.command))
    code: int = getattr(module, options.command)(options, taken.keys)
    return code


def _home(command: str) -> str:
    """The module that holds a command's function."""
    if command in KEYED:
        return "mahals.cli.run"
    own = {name: name for name in ("score", "compare", "models", "judge", "trials")} | {
        "show": "answers"
    }
    return f"mahals.cli.{own.get(command, 'show')}"


def _help(words: Sequence[str], keys: Mapping[str, Any]) -> str:
    """The help of a command that takes keys: with the keys of a phase, if one is among `words`."""
    parser, commands = _parsers()
    shown = commands[words[0]]
    if not set(PHASES).isdisjoint(words):
        from mahals.cli.keys import describe, sections_of
        from mahals.cli.run import typed_settings, uncollected

        options = parser.parse_args(words)
        workspace, settings = typed_settings(options, keys, options.phase)
        shown.description = workspace.phase(options.phase).question
        usage = f"mahals {words[0]} {options.phase} [OPTION ...] [--KEY YAML ...]"
        shown.usage = _wrapped(usage, " " * 7, " " * 14).lstrip()
        with uncollected():
            describe(shown, sections_of(workspace, settings, options.phase, RESERVED))
        return shown.format_help()
    parts = [_wrapped(KEYS_HELP)]
    if words[0] != "study":
        lines = [_wrapped(load_phase(name).question, f"  {name:17} ", " " * 20) for name in PHASES]
        parts.insert(0, "\n".join(["phases:", *lines]))
    shown.formatter_class = argparse.RawDescriptionHelpFormatter  # it is wrapped already
    shown.description = _wrapped(shown.description or "")
    shown.epilog = "\n\n".join(parts)
    return shown.format_help()


def _command(commands: argparse._SubParsersAction, name: str, help: str) -> argparse.ArgumentParser:  # type: ignore[type-arg]
    keyed = name in KEYED
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help,
        allow_abbrev=False,
    )
    if keyed:
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="the same as --KEY VALUE",
        )
    return parser


def _add_measuring(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    run = _command(commands, "run", "measure a phase, and first what it lacks from upstream")
    run.add_argument("phase", metavar="PHASE", help="its name")
    run.add_argument("--unit", help="measure this unit alone (a model), and gather nothing")
    run.add_argument("--units-only", action="store_true", help="measure all units, gather nothing")
    study = _command(commands, "study", "run every phase of the study, then show the leaderboard")
    for parser in (run, study):
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only say what would be done: tasks, models, missing upstreams, time, disk",
        )
        parser.add_argument(
            "--workers", type=int, default=0, metavar="N", help="processes; 0 is one per core"
        )
    gather = _command(
        commands, "gather", "tell and draw a phase's units and sum them up, without a model"
    )
    gather.add_argument("phase", metavar="PHASE", help="its name")
    draw = _command(commands, "draw", "draw a phase's figures again from its rows")
    draw.add_argument("phase", metavar="PHASE", help="its name")


def _add_showing(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    _command(commands, "publish", "show stored results in MLflow; computes nothing")
    board = _command(commands, "leaderboard", "print the leaderboard and how to open it")
    board.add_argument("--top", type=int, default=20, metavar="N", help="lines to print")
    board.add_argument("--port", type=int, default=5000, metavar="N", help="of the MLflow UI")
    _add_answers(commands)
    _add_judge(commands)
    _add_comparing(commands)
    export = _command(commands, "export", "write a steering vector, or a phase's trials, to a file")
    export.add_argument(
        "vector",
        metavar="VECTOR",
        help="models:/NAME@champion, models:/NAME/VERSION, a vector's folder, a .safetensors file; "
        "or PHASE/MODEL of a phase of trials, as esr/Llama3_8B",
    )
    export.add_argument(
        "out", metavar="OUT", help="OUT.pth (read it with weights_only=True); of trials OUT.json"
    )
    trials = _command(commands, "trials", "the rates of a file of trials in the study's JSON")
    trials.add_argument("file", metavar="FILE.json", help="of `mahals export`, or the study's own")
    registry = _command(commands, "models", "the registry: what can be measured, what is here")
    registry.add_argument("--get", metavar="KEY", help="fetch that model's checkpoints")
    registry.add_argument(
        "--accept-licence", action="store_true", help="the terms that --get shows are accepted"
    )
    manifests = _command(commands, "manifests", "write MLproject, conda.yaml and dvc.yaml")
    manifests.add_argument(
        "--check", action="store_true", help="write nothing; fail when they are not up to date"
    )
    cache = _command(commands, "cache", "the size of journals, other runs and caches")
    cache.add_argument("--prune", action="store_true", help="remove all of them")


def _add_comparing(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _command(
        commands, "compare", "on how many numbers two results differ by more than chance"
    )
    parser.add_argument(
        "first", metavar="A", help="a results folder, another project's folder, or a fingerprint"
    )
    parser.add_argument("second", metavar="B", help="the same of another run")
    parser.add_argument(
        "--replication",
        metavar="FOLDER",
        help="hold B against these trainings (default: the project's own, where it has some)",
    )
    parser.add_argument("--top", type=int, default=20, metavar="N", help="differences to print")


def _add_judge(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _command(
        commands, "judge", "how far each answer of a file refuses, and whether its labels agree"
    )
    parser.add_argument(
        "file", metavar="FILE.jsonl", help="lines of prompt and answer; label and model if any"
    )
    add_judge(parser, "rules")
    parser.add_argument(
        "--out", metavar="FILE.jsonl", help="where the verdicts go (default: FILE.JUDGE.jsonl here)"
    )


def _add_answers(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    show = _command(commands, "show", "what each arm of a unit answered to a prompt, side by side")
    score = _command(
        commands, "score", "judge kept answers anew: rates and agreement; changes no result"
    )
    show.add_argument("phase", metavar="PHASE", help="one that steers: same_arch, cross_arch, ...")
    show.add_argument("unit", metavar="UNIT", help="a model")
    show.add_argument(
        "--prompt",
        metavar="N|TEXT",
        help="its number or a part of its text; without it some prompts are listed",
    )
    score.add_argument("phase", metavar="PHASE", help="one that steers: same_arch, cross_arch, ...")
    score.add_argument("unit", metavar="UNIT", nargs="?", help="a model; all that have answers")
    add_judge(score, None)
    for parser in (show, score):
        parser.add_argument(
            "--dose", metavar="DOSE", help="kl=0.1, lambda=0.5 or all; else the first line's"
        )
        parser.add_argument(
            "--arm",
            action="append",
            metavar="ARM",
            help="this kind of arm alone (steered, random, ...); may be given again",
        )
