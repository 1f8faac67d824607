"""Latents over answers: what does each token of an answer activate, with steering on or off?"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerBase

from mahals.evaluation.resistance.episodes import OFF, EpisodeBench
from mahals.evaluation.resistance.subjects import BoostDirection
from mahals.maths.metrics.resistance import ResistanceTrial
from mahals.models.activations.encoding import Encoded, encode_answers
from mahals.models.generation.token_states import token_states
from mahals.models.saes.autoencoder import Sae, encode
from mahals.models.steering.interventions import Arm, Intervention


def steering_arm(
    bench: EpisodeBench, trial: ResistanceTrial, along: Sequence[BoostDirection]
) -> Arm:
    """The arm that a trial was written under; its prompt and prefix are read under it too."""
    if trial.situation in OFF or trial.boost == 0:
        return Arm("off", ())
    (vector,) = [d.vector for d in along if d.name == trial.direction]
    return Arm("on", (Intervention(bench.texts.setting.block, vector, trial.boost, "add"),))


def latent_states(
    bench: EpisodeBench, sae: Sae, texts: Sequence[tuple[str, str]], arms: Sequence[Arm]
) -> list[npt.NDArray[np.float32]]:
    """(t, m) >= 0: what each (prompt, answer) activates at the setting's read block, by token."""
    tokenizer = bench.loaded.tokenizer
    encoded = encode_answers(tokenizer, [p for p, _ in texts], [a for _, a in texts])
    states = token_states(bench.loaded, encoded, arms, bench.texts.setting.read_block)
    return [encode(sae, s.float()).numpy() for s in states]


def token_places(
    tokenizer: PreTrainedTokenizerBase, encoded: Encoded, answer: str
) -> npt.NDArray[np.int64]:
    """(t,): where each of an answer's own tokens begins, by the length of what is before it."""
    own = encoded.ids[encoded.start : encoded.stop]
    whole = str(tokenizer.decode(own))
    lead = len(whole) - len(whole.lstrip()) - (len(answer) - len(answer.lstrip()))
    lengths = [len(str(tokenizer.decode(own[:k]))) for k in range(len(own))]
    return np.maximum(np.array(lengths, dtype=np.int64) - max(lead, 0), 0)
