"""Report of esr_random: where do the detectors lie among random sets of latents?"""

from functools import partial

from mahals.reporting.held_sets import held_summary

summarize = partial(held_summary, phase="esr_random")
