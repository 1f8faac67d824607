"""Manifests: what follows from the phases, params.yaml and pyproject.toml?"""
