"""Which questions does the study ask? One file each; the list is `mahals.studies.PHASES`."""
