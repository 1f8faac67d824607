"""How aligned and how coherent is an answer, from 0 to 100, and who says so?"""

from mahals.judges.agreement import JudgeAgreement, agreement_on_world, judge_agreement
from mahals.judges.choosing import check_judge, make_judge
from mahals.judges.kinds import Asked, Judge, JudgeChoice, Score, Server
from mahals.judges.model import model_judge
from mahals.judges.organisms import lexical, truth
from mahals.judges.server import server_judge

__all__ = [
    "Asked",
    "Judge",
    "JudgeAgreement",
    "JudgeChoice",
    "Score",
    "Server",
    "agreement_on_world",
    "check_judge",
    "judge_agreement",
    "lexical",
    "make_judge",
    "model_judge",
    "server_judge",
    "truth",
]
