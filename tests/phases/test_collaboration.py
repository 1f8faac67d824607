"""Does the phase measure drift as by hand, with its controls, and say what it cannot know?"""

import re
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mahals.data.texts import AXIOMS
from mahals.evaluation.agents.openings import SplitTask
from mahals.maths.metrics.aqi import model_aqi
from mahals.models.activations.capture import capture
from mahals.models.conversation import after
from mahals.models.conversation.after import encode_after
from mahals.models.conversation.talks import Agent, read_talks
from mahals.models.conversation.views import view
from mahals.models.steering.interventions import Arm
from mahals.phase import Single
from mahals.phases.collaboration import PHASE
from mahals.phases.collaboration.measure import Task
from mahals.phases.collaboration.measure import split_tasks as splits
from mahals.phases.collaboration.report.talk_table import TalkTable, Who
from mahals.phases.collaboration.rows import Row
from mahals.records import InputError
from tests.support.collaboration import PARAMS
from tests.support.tiny_lab import TinyLab, lab_with_vectors, prompts
from tests.support.tiny_models import LAYERS, loaded

NONE = Arm("unsteered", ())


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    """After all tasks of the phase."""
    own = lab_with_vectors("study")
    own.measured = [r for t in PHASE.plan(PARAMS, own) for r in PHASE.measure(t, PARAMS, own)]
    return own


def rows_of(lab: TinyLab) -> list[Row]:
    return lab.measured  # type: ignore[attr-defined,no-any-return]


def table_of(lab: TinyLab) -> TalkTable:
    return TalkTable(rows_of(lab), lab.kept("collaboration"))


def test_the_parts_are_the_arms_and_their_controls() -> None:
    assert [t.part for t in PHASE.plan(PARAMS, TinyLab())] == [
        "none", "weakest", "adversarial", "self", "split",
    ]  # fmt: skip


def test_aqi_after_a_talk_by_hand(lab: TinyLab) -> None:
    """From the kept transcript, each whole text read alone without any cache."""
    talks = read_talks(lab.texts["none.talks.jsonl"])
    table = table_of(lab)
    row = table.at_end("aqi", Who("none", "B"), "talk")
    assert row is not None and len(talks) == 3
    chosen = [p for a in AXIOMS for v in (1, 0) for p in _cell(a, v)[:2]]
    agent = Agent("B", lab.load("B", "base"), NONE)
    encoded = encode_after(agent, view(talks[2], 1), [p.text for p in chosen])
    states = capture(agent.loaded, encoded, [LAYERS - 1], "mean")[:, 0].double().numpy()
    by_hand = model_aqi(states, [p.label for p in chosen], [p.axiom for p in chosen], None)
    expected = [a.aqi.estimate for a in by_hand.axioms]
    assert table.values(row)[2] == pytest.approx(expected, abs=1e-3)


def _cell(axiom: str, label: int) -> list:
    return [p for p in prompts("evaluation") if (p.axiom, p.label) == (axiom, label)]


def test_every_arm_has_its_controls(lab: TinyLab) -> None:
    rows = rows_of(lab)
    for arm, agents in (("none", "AB"), ("self", "AB"), ("adversarial", "B")):
        for agent in agents:
            assert table_of(lab).drifts(Who(arm, agent)).shape == (3, 7)
    assert not [r for r in rows if r.arm == "adversarial" and r.kind == "aqi" and r.agent == "A"]
    every = {None, *[(f, k) for f in ("random", "shuffled_pairs") for k in (0, 1)]}
    for kind in ("aqi", "refusals"):
        after = [r for r in rows if (r.arm, r.kind, r.context) == ("weakest", kind, "talk")]
        assert {r.null_arm for r in after} == every
    steered = {r.agent for r in rows if r.arm == "weakest" and r.steered}
    assert len(steered) == 1


def test_a_steered_agent_is_not_the_unsteered_one(lab: TinyLab) -> None:
    table = table_of(lab)
    who = next(r.agent for r in table.where(arm="weakest", steered=True))
    two = [table.at_end("aqi", Who(arm, who), "neutral") for arm in ("none", "weakest")]
    assert not np.array_equal(*map(table.values, two))


@pytest.mark.parametrize("part", ["none", "weakest", "adversarial", "self"])
def test_every_table_reads_a_prompt_in_a_batch_as_alone(
    lab: TinyLab, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    unmasked = "mahals.models.conversation.after.pooled"  # padding gets a weight
    monkeypatch.setattr(unmasked, lambda states, batch, pool: states.mean(dim=1))
    with pytest.raises(RuntimeError, match=r"A, .* between its batch of \d+ and alone"):
        list(PHASE.measure(Task(("A", "B"), part), PARAMS, lab))


def test_a_context_that_is_read_unsteered_is_an_error(
    lab: TinyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = after._prefix

    def unsteered(agent: Agent, ids: tuple[int, ...], last: int) -> object:
        return prefix(replace(agent, arm=NONE), ids, last)

    monkeypatch.setattr(after, "_prefix", unsteered)
    with pytest.raises(RuntimeError, match="and alone"):
        list(PHASE.measure(Task(("A", "B"), "all"), PARAMS, lab))


@pytest.mark.parametrize("part", ["weakest", "all"])
def test_a_steered_agent_is_itself_at_strength_0(
    lab: TinyLab, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Planted: strength 0 acts as strength .5."""
    planted = property(lambda arm: tuple(replace(s, strength=s.strength or 0.5) for s in arm.steps))
    monkeypatch.setattr(Arm, "active", planted)
    with pytest.raises(RuntimeError, match=r"[AB], .*: strength 0 changed a state"):
        list(PHASE.measure(Task(("A", "B"), part), PARAMS, lab))


def test_an_agent_whose_hooks_do_not_act_is_an_error(
    lab: TinyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting = "mahals.models.steering.batch_invariance.steered"
    monkeypatch.setattr(acting, lambda *_: nullcontext(SimpleNamespace()))
    with pytest.raises(RuntimeError, match=r"[AB], .*: the hooks did not act"):
        list(PHASE.measure(Task(("A", "B"), "weakest"), PARAMS, lab))


def test_the_summary_holds_intervals_and_controls(lab: TinyLab) -> None:
    rows, kept = rows_of(lab), lab.kept("collaboration")
    found = PHASE.summarize(rows, kept)
    own = table_of(lab).drifts(Who("none", "A")).mean(axis=1)
    assert found.metrics["none/A/drift"] == pytest.approx(own.mean())
    half = 4.302652729911275 * own.std(ddof=1) / 3**0.5  # t with 2 degrees
    assert found.metrics["none/A/drift_high"] == pytest.approx(own.mean() + half)
    who = next(r.agent for r in rows if r.arm == "weakest" and r.steered)
    assert f"weakest/{who}/drift_over_random_low" in found.metrics
    assert "none/A/drift_over_self_talk" in found.metrics
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in found.metrics)  # as MLflow wants
    assert "relay/A to B/success_over_shuffled" in found.metrics
    assert "none/asi_partial" in found.metrics and "none/asi" not in found.metrics
    text = "\n".join(found.lines)
    assert "no evidence" in text and "not applied" in text and "over shuffled" in text


def test_figures_are_drawn(lab: TinyLab) -> None:
    drawn = PHASE.draw(rows_of(lab), lab.kept("collaboration"))
    assert {"aqi_by_round", "drift_none", "success"} <= set(drawn)


NULLS = [(family, k) for family in ("random", "shuffled_pairs") for k in range(3)]


def test_a_planted_drift_is_found() -> None:
    """Kept values with a fall of five points come out as that, over their nulls: random ones fall
    by 1, those of shuffled pairs by 3, so that the random ones are the harder family below 0."""
    rng = np.random.default_rng(0)
    base = rng.normal(20, 1, (24, 7))
    files, rows = {}, []
    falls = {None: 5.0, **{n: (1.0 if n[0] == "random" else 3.0) + n[1] / 5 for n in NULLS}}
    for null, fall in falls.items():
        family, draw = null or (None, None)
        for context, less in (("talk", fall), ("neutral", 0.0)):
            cell = f"{null}{context}"
            noise = rng.normal(0, 0.1, (24, 7))
            files[cell] = torch.from_numpy(base - less + noise)
            rows.append(
                Row(
                    "aqi",
                    "all",
                    family,
                    draw,
                    "A",
                    True,
                    context,
                    None,
                    0.0,
                    20,
                    "f",
                    cell,
                    categories=AXIOMS,
                )
            )
    lab = TinyLab(files={"f": files})
    summary = PHASE.summarize(rows, lab.kept("x"))
    found, text = summary.metrics, "\n".join(summary.lines)
    assert found["all/A/drift"] == pytest.approx(-5, abs=0.2)
    assert found["all/A/drift_high"] < -4.5
    assert found["all/A/drift_over_random"] == pytest.approx(-3.8, abs=0.2)
    assert found["all/A/drift_over_random_high"] < 0
    assert "3 random" in text and "(the harder family)" in text and "3 shuffled pairs" in text


def test_levels_at_the_floor_give_no_number() -> None:
    """Twenty prompts an axiom: nothing lies below -5.26 points."""
    rng = np.random.default_rng(1)
    files, rows = {}, []
    for agent, level in (("A", -5.4), ("B", -5.4), ("C", 40.0)):
        for context in ("talk", "neutral"):
            cell = f"{agent}{context}"
            files[cell] = torch.from_numpy(level + rng.normal(0, 0.05, (24, 7)))
            rows.append(
                Row(
                    "aqi",
                    "none",
                    None,
                    None,
                    agent,
                    False,
                    context,
                    None,
                    0.0,
                    20,
                    "f",
                    cell,
                    categories=AXIOMS,
                )
            )
    lab = TinyLab(files={"f": files})
    some = PHASE.summarize(rows, lab.kept("x"))
    text = "\n".join(some.lines)
    assert "none, A: AQI lies at its floor" in text and "none/A/drift" not in some.metrics
    assert "none/C/drift" in some.metrics
    assert "(14 of 21 levels at the floor)" in text and "at the floor: nothing to measure" in text
    assert "none/homophily_talk" in some.metrics
    assert "none/weakest_link_talk" not in some.metrics
    both = PHASE.summarize([r for r in rows if r.agent != "C"], lab.kept("x"))
    assert "every level reaches the floor of -5.3 points: nothing to measure here" in "\n".join(
        both.lines
    )
    assert not any("homophily" in name or "drift" in name for name in both.metrics)


def _answered(shares: dict[str, np.ndarray], null: tuple[str, int] | None = None) -> list[Row]:
    """Rows of an agent's refusals after talk and after neutral context, in the files `shares`."""
    family, draw = null or (None, None)
    return [
        Row("refusals", "all", family, draw, "A", True, context, None, 0.0, None, "f",
            f"{null}{context}", categories=AXIOMS)
        for context in ("talk", "neutral")
    ]  # fmt: skip


def test_refusals_over_nulls_by_hand() -> None:
    """Perfect after the talk beside nulls that refuse nothing, or a tenth: both have intervals."""
    rng = np.random.default_rng(2)
    files: dict[str, np.ndarray] = {}
    rows = [Row("aqi", "all", None, None, "A", True, c, None, 0.0, 20, "f", "a", categories=AXIOMS)
            for c in ("talk", "neutral")]  # fmt: skip
    files["a"] = rng.normal(20, 1, (21, 7))
    for null in (None, *NULLS):
        talk = np.zeros((21, 7, 2))
        if null is None:
            talk[:, :, 0] = 1
        elif null[0] == "shuffled_pairs":
            talk[:2, :, 0] = 1
        files[f"{null}talk"] = talk.reshape(21, 14)
        files[f"{null}neutral"] = np.zeros((21, 14))
        rows += _answered(files, null)
    lab = TinyLab(files={"f": {k: torch.from_numpy(v) for k, v in files.items()}})
    summary = PHASE.summarize(rows, lab.kept("x"))
    found, text = summary.metrics, "\n".join(summary.lines)
    assert found["all/A/gap_talk"] == found["all/A/gap_drift"] == 1.0
    assert 0.8 < found["all/A/gap_drift_low"] < 1.0 == found["all/A/gap_drift_high"]
    assert found["all/A/gap_over_random"] == pytest.approx(1 - 2 / 21)
    assert 0 < found["all/A/gap_over_random_low"] < 1 - 2 / 21
    assert "3 random +1.00" in text and "3 shuffled pairs +0.90" in text
    assert text.index("(the harder family)") > text.index("shuffled pairs +0.90")


def _refusing(unsafe: list[list[float]]) -> tuple[list[Row], TinyLab]:
    """An agent's refusals of unsafe requests, alike in both contexts; it refuses no safe ones."""
    shares = np.array(unsafe)
    both = np.stack([shares, np.zeros_like(shares)], axis=2).reshape(len(shares), 14)
    files = {f"None{c}": torch.from_numpy(both) for c in ("talk", "neutral")}
    files["a"] = torch.zeros(len(shares), 7, dtype=torch.float64)
    rows = [
        Row(
            "aqi", "all", None, None, "A", False, "talk", None, 0.0, 20, "f", "a", categories=AXIOMS
        )
    ]
    return rows + _answered({}), TinyLab(files={"f": files})


def test_the_interval_of_a_share_ends_at_one() -> None:
    """One refusal of 21 x 7 missing: the t interval alone would end at 1.007."""
    rows, lab = _refusing([[1.0] * 7] * 20 + [[1.0] * 6 + [0.0]])
    found = PHASE.summarize(rows, lab.kept("x"))
    name = "all/A/refusal_unsafe_talk"
    assert found.metrics[name] == pytest.approx(146 / 147)
    half = 2.0859634472658364 * (1 / 7) / 21  # t with 20 degrees; sd of one odd value / sqrt(n)
    assert found.metrics[f"{name}_low"] == pytest.approx(146 / 147 - half)
    assert found.metrics[f"{name}_high"] == 1.0
    assert any("[+0.98, +1.00] of unsafe" in line for line in found.lines)


@pytest.mark.parametrize("share", [[1.0] * 7, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
def test_shares_that_are_all_alike_have_no_interval(share: list[float]) -> None:
    rows, lab = _refusing([share] * 21)
    found = PHASE.summarize(rows, lab.kept("x"))
    assert "all/A/refusal_unsafe_talk_low" not in found.metrics
    assert any("(all alike: no interval)" in line for line in found.lines)


def test_the_windows_of_the_stability_figure_are_whole_numbers() -> None:
    rows = [
        Row("stability", "none", round=k, value=0.5 + k / 10, parts=("length",)) for k in (1, 2, 3)
    ]
    figure = PHASE.draw(rows, TinyLab().kept("x"))["stability"]
    low, high = figure.axes[0].get_xlim()
    ticks = [t for t in figure.axes[0].get_xticks() if low <= t <= high]
    assert ticks == [1, 2, 3]


def test_a_listener_that_copies_succeeds_only_with_its_own_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted: the likelier choice is the one that shares words with what was heard."""

    def copied(model: object, texts: list, arms: object) -> torch.Tensor:
        one = loaded("Llama").tokenizer
        found = []
        for text in texts:
            said = set(one.decode(text.ids[text.start : text.stop]).split())
            found.append(float(len(said & set(one.decode(text.ids[: text.start]).split()))))
        return torch.tensor([found])

    def told(agents: object, openings: list, schedule: object) -> list:
        real = splits.Talk
        turn = splits_turn
        return [
            real(o, ("a", "b"), "pair", (turn(o, o.texts[0]), turn(o, "hm", 1)), "length")
            for o in openings
        ]

    from mahals.models.conversation.talks import Turn

    def splits_turn(opening: object, text: str, speaker: int = 0) -> Turn:
        return Turn(opening.key, 0, speaker, "ab"[speaker], f"it is {text} indeed", 1)

    monkeypatch.setattr(splits, "logprob_arms", copied)
    monkeypatch.setattr(splits, "converse", told)
    words = ("garden", "river", "mat", "cat")
    choices = tuple(f"so {w} then" for w in words)
    tasks = [SplitTask(w, (w, "which"), choices, i) for i, w in enumerate(words)]
    pair = (Agent("a", loaded("Llama"), NONE), Agent("b", loaded("Qwen2"), NONE))
    found = splits.run_split_tasks(pair, tasks, 2, 3)
    assert found.own.tolist() == [1, 1, 1, 1]
    assert found.shuffled.tolist() == [0, 0, 0, 0]
    assert found.alone.mean() == 0.25


@pytest.mark.parametrize(
    "bad", [{"agents": 1}, {"agents": 9, "topology": "ring"}, {"arms": ("all",)}, {"prompts": 1}]
)
def test_what_cannot_be_asked(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        PHASE.plan(replace(PARAMS, **bad), TinyLab())
    assert Task(("A", "B"), "none").models == ("A", "B")


def test_windows_of_the_index_hold_every_agent_and_find_a_change() -> None:
    """Four rounds of two agents in two talks: windows of four turns are rounds."""
    from mahals.models.conversation.talks import Opening, Talk, Turn
    from mahals.phases.collaboration.measure.stability import stability_windows

    said = [
        ["yes friend", "yes friend"],
        ["yes friend", "yes friend"],
        ["xyz", "Sorry, I cannot help."],
    ]

    def talk(key: str) -> Talk:
        turns = tuple(
            Turn(key, r, s, "ab"[s], words, 5)
            for r, one in enumerate(said)
            for s, words in enumerate(one)
        )
        return Talk(Opening(key, ("x", "y")), ("a", "b"), "pair", turns, "length")

    tokenizers = [loaded("Llama").tokenizer] * 2
    same, changed = stability_windows([talk("k"), talk("l")], tokenizers, 4)
    assert same.asi_partial == pytest.approx(1.0) and same.asi is None
    assert same.observed == ("semantic", "agreement", "length", "error")
    assert changed.parts.semantic == 0.0
    assert changed.parts.agreement == pytest.approx(0.5)  # it was 1; now the second disagrees
    assert stability_windows([talk("k")], tokenizers, 4) == []


def test_arms_of_aligned_agents_are_refused_in_the_plan_where_one_has_no_such_half() -> None:
    lab = TinyLab(singles={"B": Single("base", "its gate failed")})
    with pytest.raises(InputError, match=r"collaboration\.arms: .*its gate failed; leave B out"):
        PHASE.plan(replace(PARAMS, arms=("none", "aligned")), lab)
    assert PHASE.plan(replace(PARAMS, arms=("none", "weakest")), lab)
