"""Rows of esr_ablation: what is known of one answer with some latents held?"""

from mahals.maths.metrics.resistance import ResistanceTrial

Row = ResistanceTrial
