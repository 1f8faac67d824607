"""Chat template: in which form does a checkpoint read turns that came without a form of its own?"""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from mahals.records import InputError

NAMED = {
    "qa": (
        "{{ bos_token or '' }}"
        "{% for m in messages %}"
        "{% if m['role'] == 'system' %}{{ m['content'] }}\n\n"
        "{% elif m['role'] == 'user' %}Question: {{ m['content'] }}\n\n"
        "{% else %}Answer: {{ m['content'] }}{{ eos_token }}\n\n{% endif %}"
        "{% endfor %}"
        "{% if add_generation_prompt %}Answer:{% endif %}"
    ),
}
"""Templates by name, in Jinja. `qa`: plain text, "Question: ..." and "Answer: ...", a blank line
after each turn; the end token ends an answer."""


def lend_template(tokenizer: PreTrainedTokenizerBase, template: str) -> None:
    """Gives a tokenizer a chat template, by name or as Jinja text; "" leaves it its own.

    Raises InputError for text that is no template of turns.
    """
    if not template:
        return
    text = NAMED.get(template, template)
    if "messages" not in text:
        raise InputError(
            "chat_template of benchmarks/models.yaml",
            expected="one of " + ", ".join(NAMED) + ", or Jinja text that reads `messages`",
            got=repr(template[:60]),
            cure="correct it, or leave it out for the tokenizer's own",
        )
    tokenizer.chat_template = text
