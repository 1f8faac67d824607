"""Rows of esr_sequential: what is known of a quantity at a token from the restart?"""

from mahals.maths.metrics.token_means import TokenMean

Row = TokenMean
