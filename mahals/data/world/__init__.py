"""The synthetic world: what are its prompts of known safety, its answers, and what judges them?"""
