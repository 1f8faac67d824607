"""What is a model's state on a text?"""

from mahals.activations.batching import Batch, batches, for_each, model_inputs, shorten
from mahals.activations.cache import read_once
from mahals.activations.encoding import Encoded, encode_answers, encode_prompts, encode_texts
from mahals.activations.reading import Pool, capture, check_finite, embeddings, pooled

__all__ = [
    "Batch",
    "Encoded",
    "Pool",
    "batches",
    "capture",
    "check_finite",
    "embeddings",
    "encode_answers",
    "encode_prompts",
    "encode_texts",
    "for_each",
    "model_inputs",
    "pooled",
    "read_once",
    "shorten",
]
