"""Are broken answers told from whole ones?"""

from mahals.maths.metrics.refusals import REPEATED, repeated_share
from mahals.models.generation.degenerate import is_degenerate
from tests.support.tiny_models import tokenizer


def test_degenerate_answers():
    tok = tokenizer()
    for broken in ("", "  \n", "the cat " * 8, "a<user>", "fine\nUser: and then?", "<pad>"):
        assert is_degenerate(broken, tok)
    for fine in ("the cat sat on the mat while it rained", "no", "ask the user: they know"):
        assert not is_degenerate(fine, tok)


def test_an_answer_that_stutters_is_degenerate_where_its_4_grams_are_not():
    tok = tokenizer()
    refusal = "I will not help with that."
    for broken in (
        f"{refusal} {refusal}",
        f"{refusal} Sorry, I cannot do this. The cat sat on the mat while it rained.",
    ):
        ids = tok(broken, add_special_tokens=False)["input_ids"]
        assert repeated_share(ids, 4) <= REPEATED and is_degenerate(broken, tok)
    assert not is_degenerate(f"{refusal} It would harm the town.", tok)
