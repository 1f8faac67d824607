"""Restarts: where in an answer does its writer say that it begins again?

By words alone: the writer says that the answer itself went astray, is not what was asked, is taken
back or begins anew. What is quoted, code, a line of a dialogue, or told or offered to the reader is
no restart. Each word becomes the letter of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

Role = Literal["restart", "doubt", "link", "aside", "content"]
"""doubt: a restart where a restart or a link follows; link, aside (names what was asked; some
words): part of a restart that they follow; content: all else."""

ASIDE = 4  # words that count: less between two restart sentences is no attempt
_OTHERS = re.compile(  # words that are not the writer's own: code, quotations
    r"```.*?(?:```|\Z)|`[^`\n]*`|^[ \t]*>.*?$|(?<!\w)\"(?!\s)(?:(?!\n\n)[^\"])*\"|"
    r"\u201c(?:(?!\n\n)[^\u201d])*\u201d|(?<!\w)[\u2018'](?=\w)[^\n]*?[.,!?][\u2019'](?!\w)",
    re.DOTALL | re.MULTILINE,
)
_SPOKEN = re.compile(r"^[*_]*(?!Wait|Sorry|Correction)[A-Z][a-z]+(?: [A-Z][a-z]+)?[*_]*:.*$", re.M)
_CALLS = r"wait|hold (?:on|up)|hang on|hmm+|oops|whoa|ugh|sorry|(?:excuse|pardon|forgive) me"
_END = re.compile(
    r"[.!?\u2026]+[\"'\u201d\u2019)\]*_]*\s+|\n+\s*|"
    rf"\s*(?:--|[\u2013\u2014]|(?<=\s)-)\s*(?=(?:oh,? |no, )?(?:{_CALLS})\b)",
    re.IGNORECASE,
)
_FULL = {"let's": "let us", "n't": " not", "'s": " is", "'m": " am", "'ve": " have", "'ll": " will"}
_FILLER = re.compile(
    r"\b(?:(?!reply|only|apply)\w+ly|just|so|a bit|a little|quite|rather|there|very|now|all|please|"
    r"even|way|far|too|never|an?|the|of|to|been|gone|some) (?!,)"
)
_ASKED = r"(?:ask|want|need|request)ed"
_SAY = r"(?:talk|writ|rambl|describ|expla|discuss|tell|told|sa[iy]|go(?:ing)? on|end(?:ed)? up)\w*"
_KINDS = {  # a word is of the first kind that fits
    "Z": rf"take (?:that|this|it) back|question was (?:about|how)|where was i|answer you {_ASKED}|"
    r"you (?:did|have) not ask|(?:sure|know|idea) why i|wh\w+ (?:that |this )?came|digress|"
    rf"i (?:keep|kept|was|have|started|went) {_SAY}(?: \w+)? about|but (?:you|i was) {_ASKED}|"
    rf"i (?:(?:was|am) (?:not )?(?:supposed|meant)|should (?:be|have)) (?:be )?{_SAY}|(?:how|why|"
    rf"what) (?:am|was|did) i {_SAY}|(?<!think )i should (?:answer|focus|get (?:back|point))|"
    r"answering (?:another|different|wrong)|(?:start|beginn|try)ing (?:over|again)|(?:returning|"
    rf"\w+ing back) (?:your |what )?(?:question|topic|you {_ASKED})|redo(?= that| ,|$)",
    "C": rf"(?:{_CALLS}|no(?= , (?:that|this) )|apologies|my (?:mistake|bad|fault)|i (?:am sorry|"
    r"apologi[sz]e))(?: moment| second| minute)?(?: (?:about|for) that)?",
    "k": r"again|over|afresh|anew|fresh|once more|one more time|another (?:go|try|shot|run|stab)|"
    r"properly|this time|better|beginning|right this",
    "d": r"(?:no|nope)(?= ,| no| wait| hold|$)|(?<!not )(?:right|stop)(?= ,)|oh(?: dear| no)?|okay|"
    r"ok|alright|anyway|well|and|but|actually|,|i (?:think|am afraid|reali[sz]e|see|notice)(?: "
    r"that)?(?= (?:i|that|this|it) )",
    "h": r"if|unless|when(?:ever|(?! you asked))|once|let me know|he|she|they|people|his|her|their",
    "L": r"let (?:me|us)|allow me|i (?:will|should|must(?! have)|am going|need)",
    "Q": rf"(?:you|i) (?:have |had |was )?{_ASKED}|you were (?:asking|looking|after)|i meant|point|"
    r"(?:i )?(?:was|am) (?:supposed|meant)|question|request|prompt|topics?|subject|task",
    "A": r"off (?:track|topic|course|subject|rails)|tangent|detour|side ?tracked|distracted|"
    r"carried away|(?:drift|wander|stray|rambl|digress)(?:ed|ing)|digression|beside point|"
    r"lost (?:thread|track|sight|focus|my \w+ thought|my way)|got lost|elsewhere|mix up|stuck on|"
    r"wrong (?:direction|track|topics?|question|subject)|(?:belongs|answers) another question",
    "F": r"wrong|incorrect|confus\w+|mistake\w*|errors?|mis(?:read|underst|spoke|interp)\w*|mixed|"
    r"irrelevant|unrelated|nonsense|no sense|(?:nothing |have )do with|meant for",
    "N": r"not|no|nothing|none",
    "X": r"re ?(?:start|do|think|writ|vis|wind|focus)\w*|back up|(?:correct|fix)(?= (?:my|that))",
    "G": r"right|correct|good|relevant|helpful|accurate|sense",
    "E": r"scratch|strike|forget|disregard|ignore|erase|delete|never mind|mind(?= that)|enough",
    "a": r"answer\w*|address\w*|helps",
    "b": r"about",
    "w": r"how|what|why|where",
    "T": r"that|this|it|everything|above|these",
    "M": r"response|reply|explanation|text|paragraph|part|bit|stuff|attempt|description",
    "s": r"stop",
    "S": _SAY,
    "V": r"start|begin|try|do|think|give|take|have(?= another)|put|provide|go|come",
    "v": r"(?:get|return|turn|switch|mov|steer|stick|focus)\w*",
    "r": r"back",
    "I": r"i|me|my|myself|we|us",
    "Y": r"you|your",
    "e": r"is|was|are|were|has|have|had|did|does|am|made|makes|sounds?|seems?|looks?",
    "x": r"\S+",
}
_WORD = re.compile("|".join(rf"(?P<{kind}>(?:{words})(?![^ ]))" for kind, words in _KINDS.items()))
_RESTART = re.compile(
    r"Z|I[^dN]{0,6}A|^[TMa][^dx]{0,3}x?A|I[^db]{0,5}F[^db]{0,6}[MaQY]|I[^x]{0,3}[QMa].{0,2}F|NTa|"
    r"[Tw]IS.{0,5}[FA]|[TI].?[Ma].{0,4}(F|A|eb|eN.{0,3}[GabTwM])|[TMa]eN?.{0,2}[wabF].{0,3}Q|"
    r"[TQ]eb.*[NQ]|I?e?Na.{0,2}Q|eNaY|NwQ|IeNS.{0,2}bY|^r.{0,3}Q|^w.{0,4}T.{0,2}F|(^|d)L(ET|.{0,2}(X|V.{0,2}Ga)|"
    r".?([Va].{0,4}k|v.{0,2}r(?!Y)|.{0,4}v[^M]{0,2}Q|V.?r.{0,2}[kQ]|s([ISw]|x?$)))|"
    r"^(Te)?E((x?[MT]{1,2}|Tx|Ix?M|wIS)(bx*|M)?(d|$)|(wIS)?b)"
)
_CALLED = re.compile(  # after "Wait", "Sorry" and their like
    r"([TMa]|xx?)[^d]{0,6}(F|A|N.{0,3}[GbQwMa])|I[^d]{0,6}[FA]|(Te)?.{0,2}Q|xS|IeS|L[Sa]|A|N.{0,2}k"
)
_DENIED = re.compile(r"(Tx?)?[TMa][^d]{0,3}(F|N.{0,2}[GbaMw])|I[^d]{0,5}[FA]|TeNT|IeS")


def segment(answer: str) -> tuple[int, ...]:
    """The character at which each attempt starts: 0, then each restart's first.

    Restart sentences in a row are one restart; at the very beginning they begin nothing anew.
    """
    starts, first, inside = [0], 0, False
    for (_, role), (end, after) in pairwise([*_sentences(answer), (len(answer), "content")]):
        if role == "restart" or (role == "doubt" and after in ("restart", "link")):
            starts += [first] * (first > 0 and not inside)
            inside = True
        elif role == "content" or (not inside and role in ("link", "aside")):
            inside, first = False, end
    return tuple(starts)


def _sentences(answer: str) -> Iterator[tuple[int, Role]]:
    """The start and the role of each sentence."""
    own = _OTHERS.sub(lambda m: re.sub(r"[^\n]", "\u25a1", m[0]), answer)
    if len(_SPOKEN.findall(own)) > 1:
        own = _SPOKEN.sub(lambda m: "\u25a1" * len(m[0]), own)
    ends = [m.end() for m in _END.finditer(own)]
    start = len(answer) - len(answer.lstrip())
    for stop in [*(e for e in ends if start < e < len(answer)), len(answer)]:
        role = _role(_letters(own[start:stop]))
        if role is not None:
            yield start, role
            start = stop


def _letters(sentence: str) -> str:
    """The kind of each word that counts, as a letter of `_KINDS`."""
    plain = sentence.lower().replace("\u2019", "'")
    for short, full in _FULL.items():
        plain = plain.replace(short, full)
    plain = re.sub(r"[^\w\s\u25a1]+", " , ", re.sub(r"(?<=\w)-(?=\w)", " ", plain))
    plain = _FILLER.sub("", " ".join(plain.split()).removeprefix(", ") + " ").strip(" ,")
    return "".join(str(m.lastgroup) for m in _WORD.finditer(plain))


def _role(letters: str) -> Role | None:
    """What one sentence does; None: it but calls for the next, as in "Wait." or "No." """
    body = letters.lstrip("dC")
    called = "C" in letters.removesuffix(body) or letters.rstrip("d").endswith("C")
    body = body.rstrip("dC")
    if not body:
        return None
    own = body.partition("h")[0]  # what follows "if" or "they" is not of the writer
    if _RESTART.search(own) or (called and _CALLED.match(own)):
        return "restart"
    if _DENIED.match(own):
        return "doubt"
    if re.search("Q|^L|Ga", body):
        return "link"
    return "aside" if len(body.replace("d", "")) < ASIDE else "content"
