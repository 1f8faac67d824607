"""Measure of collaboration: do agents drift when they talk, and does talk help?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mahals.data.texts import WorldChoice
from mahals.evaluation.agents.after_talk import (
    Questions,
    aqi_after,
    check_agents,
    neutral_of,
    questions,
    refused_after,
)
from mahals.evaluation.agents.openings import dilemmas, load_split_tasks
from mahals.evaluation.agents.teams import How, Team, TeamArm, seat, teams
from mahals.evaluation.bench import bench
from mahals.evaluation.native_vectors import MethodName
from mahals.evaluation.references import check_aligned
from mahals.evaluation.suite import Suite
from mahals.maths.stats.intervals import Floats
from mahals.models.conversation.converse import converse, together_with_itself
from mahals.models.conversation.talks import Agent, Talk, TalkSchedule, write_talks
from mahals.models.conversation.topology import Topology, hears
from mahals.models.conversation.views import view
from mahals.models.finetuning.examples import Dialogue
from mahals.models.steering.operators import OperatorName
from mahals.phase import Lab
from mahals.phases.collaboration.measure.retraining import (
    ALONE,
    Training,
    check_training,
    course,
    enter_alone,
    lessons,
    taught,
    with_adversary,
)
from mahals.phases.collaboration.measure.row_writer import Book
from mahals.phases.collaboration.measure.split_tasks import run_split_tasks
from mahals.phases.collaboration.measure.stability import stability_windows
from mahals.phases.collaboration.rows import BOTH, Context, Row
from mahals.records import Count, InputError, Positive, Several
from mahals.schema import NullArm

SPLIT = "evaluation"
OPENINGS = "selection"  # dilemmas are of other prompts than those that are measured


@dataclass(frozen=True)
class Params:
    """Who talks, for how long, about what, and what is measured after it."""

    agents: Positive  # the first so many models of the study
    topology: Topology
    rounds: Count
    max_new_tokens: Positive  # of one turn
    loop: Count  # so many repeated rounds running end a talk; 0: none does
    conversations: Positive  # 20 or more for evidence
    prompts: Several  # evaluation prompts per axiom and label whose states are read after a talk
    answers: Count  # of these, how many are answered after every talk
    arms: tuple[TeamArm, ...]
    draws: Count  # null directions of each family that control each steered arm
    method: MethodName
    layers: Literal["auto"] | tuple[float, ...]
    operator: OperatorName
    tasks: tuple[Literal["relay", "facts"], ...]  # split-information tasks
    split_tasks: Count  # of each kind
    shuffles: Count  # other conversations that a message is taken from
    user_tasks: str  # a JSON lines file, or none
    window: Positive  # turns in a window of the stability index
    training: Training  # of each agent on its talks of the arm none
    adversary: Training  # of the adversary on rejected answers; 0 steps: its base checkpoint
    world: WorldChoice
    suite: Suite


Part = TeamArm | Literal["self", "split", "trained"]


@dataclass(frozen=True)
class Task:
    """One arm with its null controls, the self-talk control, or the split-information tasks."""

    models: tuple[str, ...]
    part: Part


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """Every arm, self-talk and the tasks. Raises InputError where the table cannot be laid."""
    models = lab.models[: params.agents]
    hears(params.topology, len(models))
    if len(models) < params.agents or "none" not in params.arms or params.prompts < 2:
        raise InputError(
            "collaboration",
            expected=f"{params.agents} models, the arm none, and 2 prompts per axiom and label",
            got=f"{len(models)} models, arms {', '.join(params.arms)}, {params.prompts} prompts",
            cure="raise what is missing; drift is read against the arm none",
        )
    for training in (params.training, params.adversary):
        check_training(training, lab.weights)
    if {"aligned", "adversarial"} & {*params.arms}:
        check_aligned(lab, models, "collaboration.arms", "arms none, weakest, all")
    parts: tuple[Part, ...] = (*params.arms, "self", "split")
    parts += ("trained",) if params.training.steps else ()
    return [Task(models, part) for part in parts]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """The rows of one part; values per conversation and transcripts are in kept files.

    Raises RuntimeError as `check_agents`.
    """
    if task.part == "split":
        yield from _split(task, params, lab)
        return
    book = Book(task.part, {}, [])
    if task.part == "trained":
        _trained(book, task, params, lab)
        yield from book.kept(lab)
        return
    about = questions(lab, params.prompts, params.answers, params.suite)
    if task.part == "self":
        for model in task.models:
            agents = together_with_itself(seat(lab, model, "base"), len(task.models) - 1)
            check_agents(agents[:1], about)
            talks = _talk(agents, params, lab)
            _measure_agent(book, (agents[0], 0, False, None), talks, about, lab)
            _talk_row(book, talks, model, None, lab)
    else:
        how = How(params.method, params.layers, params.operator, params.draws, params.suite)
        found = teams(lab, task.models, task.part, how)
        for number, team in enumerate(found.teams):
            lab.report(f"arm {task.part}", number, len(found.teams))
            table = with_adversary(team, params.adversary, task, lab)
            check_agents(() if number else table.agents, about)
            _team(book, table, about, params, lab)
        book.rows += [Row("missed", task.part, reason=why) for why in found.missed]
    yield from book.kept(lab)


def _talk(agents: Sequence[Agent], params: Params, lab: Lab) -> list[Talk]:
    prompts = lab.prompts(OPENINGS)
    openings = dilemmas(prompts, params.conversations, len(agents), lab.seed)
    schedule = TalkSchedule(params.topology, params.rounds, params.max_new_tokens, params.loop)
    return converse(agents, openings, schedule)


def _team(book: Book, team: Team, about: Questions, params: Params, lab: Lab) -> None:
    """One table: talks, refusals and AQI of each agent, of the arm itself also rounds and index."""
    talks = _talk(team.agents, params, lab)
    for speaker, agent in enumerate(team.agents):
        if team.arm == "adversarial" and speaker == 0:
            continue  # the adversary itself is not measured
        seated = (agent, speaker, team.steered[speaker], team.null)
        _measure_agent(book, seated, talks, about, lab)
        if team.null is None:
            _rounds(book, seated, talks, about, params.rounds)
    _talk_row(book, talks, "", team.null, lab)
    if team.null is None:
        tokenizers = [a.loaded.tokenizer for a in team.agents]
        for number, index in enumerate(stability_windows(talks, tokenizers, params.window), 1):
            row = Row("stability", team.arm, round=number, value=index.asi_partial)
            seen = {"asi": index.asi, "parts": index.observed}
            book.rows.append(Row(**{**vars(row), **seen}))


Seated = tuple[Agent, int, bool, NullArm | None]  # agent, place, steered, null arm


def _measure_agent(
    book: Book, seated: Seated, talks: Sequence[Talk], about: Questions, lab: Lab
) -> None:
    """AQI and refusals after the talk and after neutral context; of nulls no neutral refusals."""
    agent, speaker, steered, null = seated
    views = [view(t, speaker) for t in talks]
    neutral = neutral_of(lab, agent, views)
    family, draw = null or (None, None)
    for context, seen in zip(BOTH, (views, neutral), strict=True):
        row = Row("aqi", book.part, family, draw, agent.loaded.key, steered, context)
        row = replace(row, categories=about.categories)
        book.enter(replace(row, n=about.per_axiom), aqi_after(agent, seen, about))
        if about.asked and book.part != "self" and (null is None or context == "talk"):
            refused = refused_after(agent, seen, about)
            gap = float(refused[:, :, 0].mean() - refused[:, :, 1].mean())
            book.enter(replace(row, kind="refusals"), refused.reshape(len(seen), -1), gap)


def _rounds(
    book: Book, seated: Seated, talks: Sequence[Talk], about: Questions, rounds: int
) -> None:
    """AQI after each round; a talk that ended earlier stays as it ended."""
    agent, speaker, steered, _ = seated
    for number in range(rounds + 1):
        views = [view(t, speaker, number) for t in talks]
        row = Row("aqi", book.part, agent=agent.loaded.key, steered=steered, round=number)
        row = replace(row, n=about.per_axiom, categories=about.categories)
        book.enter(row, aqi_after(agent, views, about))


def _talk_row(
    book: Book, talks: Sequence[Talk], agent: str, null: NullArm | None, lab: Lab
) -> None:
    """Keeps the transcript; its row says how the talks ended."""
    family, draw = null or (None, None)
    which = "" if family is None else f".{family}{draw}"
    whom = f".{agent}" if agent else ""
    name = lab.keep_text(f"{book.part}{whom}{which}.talks.jsonl", write_talks(talks))
    ends = [t.stop for t in talks]
    stops = (ends.count("length"), ends.count("loop"), ends.count("context"))
    book.rows.append(Row("talk", book.part, family, draw, agent, kept=name, stops=stops))


def _trained(book: Book, task: Task, params: Params, lab: Lab) -> None:
    """Each agent alone: before, trained on what it said among others, and on its self-talk."""
    agents = [seat(lab, m, "base") for m in task.models]
    among = _talk(agents, params, lab)
    for speaker, agent in enumerate(agents):
        alone = _talk(together_with_itself(agent, len(agents) - 1), params, lab)
        said: dict[Context, list[Dialogue]] = {
            "before": [],
            "trained": lessons(among, speaker),
            "self_trained": lessons(alone, 0),
        }
        at = bench(lab, agent.name, "base", params.suite, SPLIT)
        for context in ALONE:
            if context != "before" and not said[context]:
                why = f"{agent.name}, {context}: it said nothing that it could be trained on"
                book.rows.append(Row("missed", "trained", agent=agent.name, reason=why))
                continue
            loaded = agent.loaded
            if context != "before":
                where = lab.scratch(task) / f"{agent.name}.{context}"
                run = course(where, f"{agent.name} {context}", params.training, lab)
                loaded = taught(loaded, said[context], params.training, run)
            enter_alone(book, replace(at, loaded=loaded), agent.name, context)


def _split(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Every task by every two neighbours of different architectures, unsteered."""
    book = Book("split", {}, [])
    agents = [seat(lab, m, "base") for m in task.models]
    wanted = (params.tasks, params.split_tasks, params.user_tasks, params.world.seed)
    for kind, tasks in load_split_tasks(lab, *wanted).items():
        if len(tasks) < 2:
            why = "fewer than two tasks: the source has no questions"
            book.rows.append(Row("missed", kind, reason=why))
            continue
        for first, second in zip(agents, [*agents[1:], agents[0]], strict=True):
            done = run_split_tasks((first, second), tasks, params.max_new_tokens, params.shuffles)
            pair = f"{first.name} to {second.name}"
            heard: dict[Context, Floats] = {
                "talk": done.own, "shuffled": done.shuffled, "alone": done.alone
            }  # fmt: skip
            for context, success in heard.items():
                book.enter(Row("success", kind, agent=pair, context=context), success[:, None])
            name = f"{kind}.{first.name}.{second.name}.talks.jsonl"
            kept = lab.keep_text(name, write_talks(done.talks))
            book.rows.append(Row("talk", kind, agent=pair, kept=kept, stops=(len(tasks), 0, 0)))
    yield from book.kept(lab)
