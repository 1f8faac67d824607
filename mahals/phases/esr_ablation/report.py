"""Report of esr_ablation: what do restarts and returns lose where detectors are held silent?"""

from functools import partial

from mahals.reporting.held_sets import held_summary

summarize = partial(held_summary, phase="esr_ablation")
