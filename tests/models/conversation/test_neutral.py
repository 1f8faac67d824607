"""Are neutral contexts as long as the talk, turn by turn?"""

from mahals.models.conversation.neutral import neutral_views, token_stream
from mahals.models.conversation.views import View
from tests.support.tiny_models import PROMPTS, tokenizer


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
