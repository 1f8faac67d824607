"""The workspace: where do settings, registry, fingerprints and results live on disk?"""
