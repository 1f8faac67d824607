"""Chat template: in which form does a checkpoint read turns that came without a form of its own?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mahals.records import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAMED = {
    "qa": (
        "{{ bos_token or '' }}"
        "{% for m in messages %}"
        "{% if m['role'] == 'system' %}{{ m['content'] }}\n\n"
        "{% elif m['role'] == 'user' %}Question: {{ m['content'] }}\n\n"
        "{% else %}Answer:\n{{ m['content'] }}{{ eos_token }}\n\n{% endif %}"
        "{% endfor %}"
        "{% if add_generation_prompt %}Answer:\n{% endif %}"
    ),
}
"""Templates by name, in Jinja. `qa`: plain text, "Question: ..." and "Answer:", the answer on a
line of its own, a blank line after each turn; the end token ends an answer."""
_TURNS = (("user", "asked"), ("assistant", "said"))


def check_template(template: str, where: str) -> None:
    """Passes for a template by name, or Jinja text that shows what was asked and said.

    Raises InputError, which names `where`, for any other text.
    """
    if not template or template in NAMED:
        return
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    known = {
        "messages": [{"role": role, "content": said} for role, said in _TURNS],
        "bos_token": "",
        "eos_token": "",
        "add_generation_prompt": False,
    }
    try:
        shown = ImmutableSandboxedEnvironment().from_string(template).render(known)
    except TemplateError as error:
        raise _no_template(where, f"{type(error).__name__}: {error}") from error
    if not all(said in shown for _, said in _TURNS):
        raise _no_template(where, repr(template[:60]))


def _no_template(where: str, got: str) -> InputError:
    return InputError(
        where,
        expected="one of " + ", ".join(NAMED) + ", or Jinja text that writes out `messages`",
        got=got,
        cure="correct it, or leave it out",
    )


def lend_template(tokenizer: PreTrainedTokenizerBase, template: str) -> None:
    """Gives a tokenizer without a chat template one, by name or as Jinja text; "" lends none.

    Raises InputError for a tokenizer that has its own: what it was tuned in is how it is read.
    """
    if not template:
        return
    if tokenizer.chat_template is not None:
        raise InputError(
            "chat_template of benchmarks/models.yaml",
            expected="a checkpoint without a template of its own",
            got=f"one whose tokenizer has it, {tokenizer.name_or_path}",
            cure="leave chat_template out of the entry",
        )
    tokenizer.chat_template = NAMED.get(template, template)
