"""Report of esr_sequential: what changes where an answer comes back, and not where it does not?"""

from mahals.reporting.token_means import means_summary

summarize = means_summary
