"""Rows of esr_prompts: what is known of one answer under one wording of the prompt?"""

from mahals.maths.metrics.resistance import ResistanceTrial

Row = ResistanceTrial
