"""Choice of a judge of refusals: which one was typed, and what does it need besides?"""

from __future__ import annotations

import typing
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mahals.records import from_plain, unknown

if TYPE_CHECKING:
    from mahals.harness.workspace.paths import Workspace
    from mahals.models.checkpoints.checkpoint import Loaded
    from mahals.models.judges.judge import RefusalChoice

JUDGES = (
    "rules, lexical, truth (organisms), words or states (fitted on --labelled; states: of "
    "--model), model (a checkpoint), openai (a server)"
)


def add_judge(parser: ArgumentParser, default: str | None) -> None:
    """The words that choose a judge; without a default one has to be named."""
    more = "" if default is None else f" (default: {default})"
    parser.add_argument(
        "--judge",
        required=default is None,
        default=default,
        metavar="NAME",
        help=JUDGES + more,
    )
    parser.add_argument(
        "--model", metavar="KEY", help="a registry key or a folder; openai: the server's name of it"
    )
    parser.add_argument(
        "--labelled", metavar="FILE", help="JSON lines of prompt, answer and label: to fit a judge"
    )
    parser.add_argument("--url", metavar="URL", help="of the server, up to /chat/completions")


def refusal_choice(workspace: Workspace, options: Namespace) -> RefusalChoice:
    """The judge that was typed; what was not typed is as suite.judging of params.yaml says."""
    from mahals.harness.workspace.settings import read_yaml
    from mahals.models.judges.judge import Judging, RefusalChoice, RefusalJudgeName

    names = typing.get_args(RefusalJudgeName)
    if options.judge not in names:
        raise unknown("judge", options.judge, names)
    values = read_yaml(workspace.params_file)["suite"]["judging"]
    usual = from_plain(Judging, values, "suite.judging")
    server = usual.server if options.url is None else replace(usual.server, url=options.url)
    model = usual.model if options.model is None else options.model
    if options.labelled is not None:
        labelled = str(Path(options.labelled).expanduser())
    else:
        labelled = str(workspace.file(usual.labelled)) if usual.labelled else ""
    return RefusalChoice(model, labelled, server, options.judge)


def choice_name(choice: RefusalChoice) -> str:
    """The judge as a file's name: with its model, where it is one."""
    if choice.name not in ("states", "model", "openai"):
        return choice.name
    model = "".join(c if c.isalnum() or c in "_.-" else "-" for c in choice.model).strip("-.")
    return f"{choice.name}-{model}"


def loader(workspace: Workspace) -> Callable[[str], Loaded]:
    """Gives the chat checkpoint in a folder, or the aligned one of a registry key."""

    def load(key: str) -> Loaded:
        from mahals.harness.workspace.model_registry import check_models, load_registry, places_of
        from mahals.models.checkpoints.checkpoint import load_checkpoint

        if Path(key).is_dir():
            return load_checkpoint(Path(key), revision=None, key=key, role="aligned", weights="hub")
        registry = load_registry(workspace)
        check_models([key], registry)
        entry = registry[key]
        found = places_of(workspace).place(entry.aligned or entry.refs[0])
        return load_checkpoint(
            found.folder,
            revision=None,
            known=found.revision,
            key=key,
            role="aligned",
            weights="hub",
            template=entry.chat_template,
        )

    return load
