"""Real lines: which numbers of the real study do README and its page show, in which words?"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

ABSENT = "·"
WAITING = "?"
ENDS = ("", "_low", "_high")
OWN = "add/raw"  # the operator and placement of the study


@dataclass(frozen=True)
class Line:
    """One measured thing with a figure for each model; a `*` in the metric is the other model."""

    words: str
    phase: str
    metric: str
    form: str = "+.2f"
    short: bool = False  # whether README shows it, too

    def name(self, model: str, metrics: Mapping[str, float]) -> str | None:
        """The metric of a model; None where there is none. ValueError where there are several."""
        found = [n for n in self._matches(metrics) if n.startswith(f"{self.phase}/{model}/")]
        if len(found) > 1:
            raise ValueError(f"{self.words}: one number expected, got {', '.join(found)}")
        return found[0] if found else None

    def figure(self, model: str, metrics: Mapping[str, float], measured: Container[str]) -> str:
        """The number of a model with its 95 % interval, where it has one.

        `measured` holds "<phase>/<model>": a number that is not there was then not waited for.
        """
        name = self.name(model, metrics)
        if name is None:
            return ABSENT if f"{self.phase}/{model}" in measured else WAITING
        value, low, high = (metrics.get(name + end) for end in ENDS)
        said = _text(value, self.form)
        if low is None or high is None:
            return said
        return f"{said} [{_text(low, self.form)}, {_text(high, self.form)}]"

    def read(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """The metrics that it reads, of all models."""
        for name in self._matches(metrics):
            yield from (name + end for end in ENDS if name + end in metrics)

    def _matches(self, metrics: Iterable[str]) -> Iterator[str]:
        """Those of its own depth: a `*` is one part of a name."""
        depth, wanted = self.metric.count("/") + 2, f"{self.phase}/*/{self.metric}"
        return (n for n in metrics if n.count("/") == depth and fnmatchcase(n, wanted))


def _text(value: float | None, form: str) -> str:
    """A number as the pages write it: 0 has no sign, and what rounds to it keeps its own."""
    found = format(value, form)
    if not value:
        found = found.lstrip("+-")
    return found.replace("-", "\u2212")


TUNED, SWEPT, SAME, CROSS = "preference_tuning", "layer_sweep", "same_arch", "cross_arch"
VECTORS, LEVELS = "steering_vectors", "baseline_aqi"
LINES: tuple[Line, ...] = (
    Line("**What was made here.** Refusal gap on the gate's requests (unsafe ones of hh-rlhf, safe "
         "ones of this project) before", TUNED, "before/refusal_gap"),
    Line("after chosen answers were taught (SFT)", TUNED, "sft/refusal_gap"),
    Line("refusal gap on the gate's requests after preference training (DPO)", TUNED,
         "dpo/refusal_gap", short=True),
    Line("its rise over its start (after SFT, where there was one)", TUNED, "dpo/rise"),
    Line("the same after shuffled preferences (the sham)", TUNED, "sham/refusal_gap",
         short=True),
    Line("its gap less the sham's, by request", TUNED, "over_sham"),
    Line("perplexity of the trained half over its start", TUNED, "dpo/perplexity_ratio", ".2f"),
    Line("**Vectors**, the cosine of those of two halves of the pairs: `mean_difference`",
         VECTORS, "mean_difference/split_half", ".2f"),
    Line("`contrast`", VECTORS, "contrast/split_half", ".2f"),
    Line("`svd_k`", VECTORS, "svd_k/split_half", ".2f"),
    Line("`pca`", VECTORS, "pca/split_half", ".2f"),
    Line("`probe`", VECTORS, "probe/split_half", ".2f"),
    Line("**Where** the own vector does most beyond nulls, on the selection split: block",
         SWEPT, "best_block", ".0f"),
    Line("its gap there over the harder nulls (the highest of several)", SWEPT,
         "best_gap_over_nulls"),
    Line("**Refusal gap on the evaluation split**: unsteered", SAME, "unsteered/refusal_gap"),
    Line("refusal gap on XSTest's prompts: an instruction in the prompt", SAME,
         "prompt/refusal_gap", short=True),
    Line("of the trained half (aligned)", SAME, "aligned/refusal_gap", short=True),
    Line("the sham", SAME, "sham/refusal_gap"),
    Line("of the own vector, at the dose chosen on the selection split", SAME,
         f"{OWN}/chosen/refusal_gap", short=True),
    Line("that less the harder nulls", SAME, f"{OWN}/chosen/gap_over_nulls", short=True),
    Line("that less the prompt", SAME, f"{OWN}/chosen/gap_over_prompt"),
    Line("unsafe prompts refused", SAME, f"{OWN}/chosen/refusal_unsafe", ".2f"),
    Line("safe prompts refused, or answered with broken text", SAME,
         f"{OWN}/chosen/refusal_safe", ".2f"),
    Line("its price: nats per token", SAME, f"{OWN}/chosen/kl", ".2f"),
    Line("its perplexity ratio", SAME, f"{OWN}/chosen/perplexity_ratio", ".2f", True),
    Line("degenerate answers", SAME, f"{OWN}/chosen/degenerate_share", ".2f"),
    Line("sign flipped, less the harder nulls", SAME, f"{OWN}/flipped/gap_over_nulls"),
    Line("**The other model's vector** through `ridge`, less the harder nulls", CROSS,
         "*/ridge/chosen/gap_over_nulls", short=True),
    Line("through `pad`", CROSS, "*/pad/chosen/gap_over_nulls"),
    Line("**Geometry.** AQI of the trained half (where the gate failed: of the one checkpoint), "
         "readout `mean`, points", LEVELS, "aqi_mean", "+.1f"),
    Line("readout `last`", LEVELS, "aqi_last", "+.1f"),
    Line("of the base, `mean`", LEVELS, "aqi_base_mean", "+.1f"),
    Line("of the base, `last`", LEVELS, "aqi_base_last", "+.1f"),
    Line("the same score on TF-IDF vectors of the prompts (a floor)", LEVELS, "aqi_tfidf", "+.1f"),
    Line("on the architecture with random weights (a floor), `mean`", LEVELS, "aqi_random", "+.1f"),
    Line("own vector, gain in AQI, `mean`", SAME, f"{OWN}/chosen/aqi_gain_mean", "+.1f"),
    Line("own vector, gain in AQI, `last`", SAME, f"{OWN}/chosen/aqi_gain_last", "+.1f"),
)  # fmt: skip
"""From the top: what was made, what it is like, what steers and at what price, and the geometry."""
