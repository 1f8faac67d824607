"""Rows of esr_threshold: at which boost does a direction lead the model half off its topic?"""

from mahals.maths.metrics.resistance import Threshold

Row = Threshold
