"""Do agents take turns, each steered alone, and is the cached reading the full one?"""

import copy
from dataclasses import replace

import pytest
import torch

from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.conversation import after as after_module
from mahals.models.conversation.after import (
    answers_after,
    capture_after,
    encode_after,
    shared_prefix,
)
from mahals.models.conversation.converse import converse, replayed, together_with_itself
from mahals.models.conversation.neutral import neutral_views, token_stream
from mahals.models.conversation.talks import Agent, Opening, TalkSchedule, read_talks, write_talks
from mahals.models.conversation.topology import hears
from mahals.models.conversation.views import View, choices_after, encode_view, view
from mahals.models.generation.decoding import generate_arms
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError
from tests.support.tiny_models import (
    FAMILIES,
    LAYERS,
    PROMPTS,
    TRIMMED,
    WIDTH,
    fresh,
    loaded,
    tokenizer,
)

NONE = Arm("unsteered", ())
TELL = ("the cat sat", "share a garden", "the old town", "by the river")


def push(strength: float = 3.0, block: int = 1) -> Arm:
    direction = torch.randn(WIDTH, generator=torch.Generator().manual_seed(3))
    return Arm("pushed", (Intervention(block, direction, strength, "add"),))


def agents(*families: str) -> list[Agent]:
    return [Agent(f"{f} {i}", loaded(f), NONE) for i, f in enumerate(families)]


def openings(count: int, each: int = 2) -> list[Opening]:
    return [Opening(f"o{c}", tuple(f"{TELL[i]} {c}" for i in range(each))) for c in range(count)]


PAIR = TalkSchedule("pair", rounds=2, max_new_tokens=3, loop=0)


def test_who_hears_whom_by_hand() -> None:
    assert hears("pair", 2) == ((1,), (0,))
    assert hears("ring", 4) == ((3,), (0,), (1,), (2,))
    assert hears("star", 3) == ((1, 2), (0,), (0,))
    assert hears("all_to_all", 3) == ((1, 2), (0, 2), (0, 1))


@pytest.mark.parametrize(("topology", "count"), [("pair", 3), ("ring", 1), ("chain", 2)])
def test_no_such_table(topology: str, count: int) -> None:
    with pytest.raises(InputError):
        hears(topology, count)


def test_a_talk_is_what_one_generates_by_hand() -> None:
    two = agents("Llama", "Qwen2")
    talk = converse(two, openings(3), PAIR)[1]
    assert [(t.round, t.speaker) for t in talk.turns] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert talk.stop == "length" and talk.rounds == 2
    said: list[str] = []
    heard = [["<user>the cat sat 1"], ["<user>share a garden 1"]]
    for turn in range(4):
        me, other = turn % 2, 1 - turn % 2
        text = "<begin>" + "<end>".join(heard[me]) + "<end><assistant>"
        ids = tokenizer()(text, add_special_tokens=False)["input_ids"]
        words = generate_arms(two[me].loaded, [Encoded(tuple(ids), 1, 2)], [NONE], 3)[0][0].strip()
        said.append(words)
        assert talk.turns[turn].read == len(ids)
        heard[me].append(f"<assistant>{words}")
        if turn == 0:
            heard[other][-1] += f"\n{words}"
        else:
            heard[other].append(f"<user>{words}")
    assert [t.text for t in talk.turns] == said


def test_a_talk_does_not_depend_on_the_others_and_replays() -> None:
    two = agents("Mistral", "Falcon")
    talks = converse(two, openings(4), PAIR)
    alone = [converse(two, [o], PAIR)[0] for o in openings(4)]
    assert talks == alone
    assert replayed(two, talks, PAIR) == []
    spoiled = replace(talks[2], turns=(replace(talks[2].turns[0], text="no"), *talks[2].turns[1:]))
    assert replayed(two, [*talks[:2], spoiled], PAIR) == ["o2"]


def test_transcripts_come_back() -> None:
    talks = converse(agents("Llama", "Phi3"), openings(2), PAIR)
    assert read_talks(write_talks(talks)) == talks
    with pytest.raises(InputError, match="line 2"):
        read_talks(write_talks(talks[:1]) + "not json\n")


def test_steering_stays_with_its_agent_though_weights_are_shared() -> None:
    one = fresh("Llama", 5)
    apart = [Agent("a", copy.deepcopy(one), push()), Agent("b", copy.deepcopy(one), NONE)]
    shared = [Agent("a", one, push()), Agent("b", one, NONE)]
    text = torch.tensor([tokenizer()("the cat sat on")["input_ids"]])
    with torch.no_grad():
        before = one.model(text).logits
    ours = converse(shared, openings(3), PAIR)
    assert ours == converse(apart, openings(3), PAIR)
    with torch.no_grad():
        assert torch.equal(before, one.model(text).logits)
    unsteered = converse([replace(shared[0], arm=NONE), shared[1]], openings(3), PAIR)
    assert [t.turns[0].text for t in ours] != [t.turns[0].text for t in unsteered]


def test_the_logits_of_the_other_agent_are_its_own_bit_for_bit() -> None:
    """The agent that is not steered, on the very context it had: steered run against plain."""
    one = fresh("Gemma2", 4)
    two = [Agent("a", one, push()), Agent("b", one, NONE)]
    talk = converse(two, openings(1), PAIR)[0]
    encoded = encode_view(one.tokenizer, view(talk, 0, rounds=1))
    caught: list[torch.Tensor] = []
    handle = one.model.register_forward_hook(lambda m, a, o: caught.append(o.logits[:, -1]))
    generate_arms(one, [encoded], [two[1].arm], 1)
    generate_arms(one, [encoded], [two[0].arm], 1)
    handle.remove()
    with torch.no_grad():
        plain = one.model(torch.tensor([encoded.ids])).logits[:, -1]
    assert torch.allclose(caught[0], plain, atol=1e-5)
    assert not torch.allclose(caught[1], plain, atol=1e-2)


def test_it_says_why_it_stopped() -> None:
    two = agents("Llama", "Llama")
    once = replace(PAIR, rounds=30, loop=0, max_new_tokens=8)
    stopped = converse(two, openings(2), once)
    assert {t.stop for t in stopped} == {"context"}
    for talk in stopped:
        assert len(talk.turns) == 2 * talk.rounds
        assert max(t.read for t in talk.turns) + 8 <= 128


def test_a_loop_stops_when_rounds_repeat() -> None:
    two = agents("Llama", "Qwen2")
    still = [replace(a, loaded=replace(a.loaded, model=copy.deepcopy(a.loaded.model))) for a in two]
    for agent in still:  # models that always say the same
        with torch.no_grad():
            agent.loaded.model.lm_head.weight.zero_()
    talk = converse(still, openings(1), TalkSchedule("pair", 9, 2, 2))[0]
    assert talk.stop == "loop" and talk.rounds == 3
    assert converse(still, openings(1), TalkSchedule("pair", 4, 2, 0))[0].stop == "length"


def test_a_first_turn_that_does_not_fit_is_refused() -> None:
    long = [Opening("long", ("cat " * 200, "cat"))]
    with pytest.raises(InputError, match="first round"):
        converse(agents("Llama", "Qwen2"), long, PAIR)


@pytest.mark.parametrize("family", ["Llama", "Gemma2"])
def test_mail_brings_the_words_of_another_talk(family: str) -> None:
    two = agents(family, "Phi3")
    shifted = converse(two, openings(3), PAIR, mail=[1, 2, 0])
    plain = converse(two, openings(3), PAIR)
    assert [t.turns[0] for t in shifted] == [t.turns[0] for t in plain]  # nothing heard yet
    seen = view(shifted[0], 1, rounds=1, others=shifted[1])
    assert seen.turns[0][1].endswith(shifted[1].turns[0].text)
    assert converse(two, openings(3), PAIR, mail=[0, 1, 2]) == plain
    with pytest.raises(InputError, match="mail"):
        converse(two, openings(3), PAIR, mail=[0, 0, 1])


def test_all_to_all_names_the_speakers() -> None:
    three = agents("Llama", "Qwen2", "Phi3")
    talk = converse(three, openings(1, 3), TalkSchedule("all_to_all", 2, 2, 0))[0]
    words = view(talk, 2, rounds=1).turns[0][1]
    for turn in talk.turns[:2]:
        assert not turn.text or f"{turn.agent}: {turn.text}" in words


def test_agents_need_names_and_words() -> None:
    two = agents("Llama", "Llama")
    with pytest.raises(InputError, match="names of their own"):
        converse([two[0], two[0]], openings(1), PAIR)
    with pytest.raises(InputError, match="opening o0"):
        converse(two, [Opening("o0", ("cat", " "))], PAIR)
    assert [a.name for a in together_with_itself(two[0], 2)] == [
        "Llama 0",
        "Llama 0 2",
        "Llama 0 3",
    ]


@pytest.mark.parametrize("template", ["own", None])
def test_a_prompts_own_tokens_after_a_talk(template: str | None) -> None:
    one = fresh("Llama", 0, None) if template is None else loaded("Llama")
    agent = Agent("a", one, NONE)
    heard = (("user", "the old town"), ("assistant", "yes"))
    for turns in (heard, (*heard, ("user", "by the river"))):
        seen = View(turns)
        for prompt, text in zip(PROMPTS, encode_after(agent, seen, PROMPTS), strict=True):
            own = one.tokenizer.decode(text.ids[text.start : text.stop])
            assert own.strip() == prompt
            assert one.tokenizer.decode(text.ids).count("<begin>") == 1


def test_a_template_that_trims_keeps_own_tokens() -> None:
    agent = Agent("a", fresh("Llama", 0, TRIMMED), NONE)
    seen = View((("user", "the old town "), ("assistant", " yes "), ("user", "hm ")))
    text = encode_after(agent, seen, ["share a garden"])[0]
    assert (
        agent.loaded.tokenizer.decode(text.ids[text.start : text.stop]).strip() == "share a garden"
    )


@pytest.mark.parametrize("arm", [NONE, push(), push(0.7, 3)], ids=["none", "early", "last"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pool", ["mean", "last"])
def test_the_cached_reading_is_the_full_one(family: str, pool: str, arm: Arm) -> None:
    agent = Agent("a", loaded(family), arm)
    seen = View((("user", PROMPTS[2]), ("assistant", PROMPTS[3]), ("user", "the town")))
    encoded = encode_after(agent, seen, PROMPTS)
    assert shared_prefix(encoded) > 30
    layers = list(range(LAYERS))
    ours = capture_after(agent, [seen], PROMPTS, layers, pool)[0]
    for number, text in enumerate(encoded):
        with steered(agent.loaded.model, [arm], [0]):
            full = capture(agent.loaded, [text], layers, pool)[0]
        apart = (ours[number] - full).norm(dim=-1) / full.norm(dim=-1)
        assert float(apart.max()) < 1e-5


def test_the_conversation_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, read = Agent("a", loaded("Llama"), NONE), []
    real = after_module._run
    monkeypatch.setattr(
        after_module, "_run", lambda m, b, n, c: (read.append(int(b.mask.sum())), real(m, b, n, c))
    )
    seen = View((("user", PROMPTS[2]), ("assistant", PROMPTS[3])))
    capture_after(agent, [seen], PROMPTS * 4, [3], "mean")
    encoded = encode_after(agent, seen, PROMPTS * 4)
    cut = shared_prefix(encoded)
    assert sum(read) == sum(len(e.ids) for e in encoded) - (len(encoded) - 1) * cut


def test_answers_after_are_those_of_the_whole_text() -> None:
    agent = Agent("a", loaded("Qwen2"), push())
    seen = View((("user", "the cat"), ("assistant", "sat")))
    said = answers_after(agent, [seen, seen], PROMPTS[:2], 3)
    by_hand = generate_arms(agent.loaded, encode_after(agent, seen, PROMPTS[:2]), [agent.arm], 3)[0]
    assert said == [by_hand, by_hand]


def test_choices_follow_what_was_heard() -> None:
    seen = View((("user", "where is the cat"),))
    texts = choices_after(tokenizer(), seen, ["on the mat", "by the river"])
    assert [tokenizer().decode(t.ids[t.start : t.stop]) for t in texts] == [
        "on the mat",
        "by the river",
    ]
    with pytest.raises(InputError, match="own words last"):
        choices_after(tokenizer(), View((("user", "a"), ("assistant", "b"))), ["c"])


def test_neutral_contexts_are_as_long_turn_by_turn() -> None:
    stream = token_stream(tokenizer(), PROMPTS)
    seen = View((("user", PROMPTS[2]), ("assistant", PROMPTS[0]), ("user", "the town")))
    first, second = neutral_views(tokenizer(), [seen, seen], stream, 0)
    assert [r for r, _ in first.turns] == [r for r, _ in seen.turns] and first != second
    lengths = [
        [len(tokenizer()(w, add_special_tokens=False)["input_ids"]) for _, w in one.turns]
        for one in (seen, first, second)
    ]
    for other in lengths[1:]:
        assert all(abs(a - b) <= 3 for a, b in zip(lengths[0], other, strict=True))
    assert neutral_views(tokenizer(), [seen], stream, 0) == [first]


def test_mean_all_is_refused() -> None:
    agent = Agent("a", loaded("Llama"), NONE)
    with pytest.raises(InputError, match="mean_all"):
        capture_after(agent, [View((("user", "cat"),))], ["cat"], [0], "mean_all")


def test_without_a_conversation_it_is_the_plain_reading() -> None:
    agent = Agent("a", loaded("Llama"), NONE)
    ours = capture_after(agent, [View(())], PROMPTS, [LAYERS - 1], "mean")[0]
    full = capture(agent.loaded, encode_after(agent, View(()), PROMPTS), [LAYERS - 1], "mean")
    assert torch.allclose(ours, full, atol=1e-5)
