"""Rows of esr_finetune: what is known of one answer of one checkpoint?"""

from mahals.maths.metrics.resistance import ResistanceTrial

Row = ResistanceTrial
