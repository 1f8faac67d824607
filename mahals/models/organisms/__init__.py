"""Organisms: what are the small real models, trained on the synthetic world?"""
