"""Are broken answers told from whole ones?"""

from mahals.models.generation.degenerate import is_degenerate
from tests.support.tiny_models import tokenizer


def test_degenerate_answers():
    tok = tokenizer()
    for broken in ("", "  \n", "the cat " * 8, "a<user>", "fine\nUser: and then?", "<pad>"):
        assert is_degenerate(broken, tok)
    for fine in ("the cat sat on the mat while it rained", "no", "ask the user: they know"):
        assert not is_degenerate(fine, tok)
