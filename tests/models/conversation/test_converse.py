"""Do agents take turns, each steered alone, and stop for a reason?"""

import copy
from dataclasses import replace

import pytest
import torch

from mahals.models.activations.encoding import Encoded
from mahals.models.conversation.converse import converse, together_with_itself
from mahals.models.conversation.talks import Agent, Opening, TalkSchedule
from mahals.models.conversation.views import encode_view, view
from mahals.models.generation.decoding import generate_arms
from mahals.records import InputError
from tests.support.tiny_models import fresh, tokenizer
from tests.support.tiny_talks import NONE, PAIR, agents, openings, push, replayed


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
