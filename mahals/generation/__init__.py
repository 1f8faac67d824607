"""What does a model say under each arm, and what does steering cost it?"""

from mahals.generation.decoding import generate_arms
from mahals.generation.detector import DetectorAgreement, detector_agreement
from mahals.generation.dose import Doses, dose_for_kl
from mahals.generation.price import NeutralPrice, logprob_arms, neutral_price
from mahals.generation.wording import is_degenerate, is_refusal

__all__ = [
    "DetectorAgreement",
    "Doses",
    "NeutralPrice",
    "detector_agreement",
    "dose_for_kl",
    "generate_arms",
    "is_degenerate",
    "is_refusal",
    "logprob_arms",
    "neutral_price",
]
