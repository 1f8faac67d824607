"""Tracking: how does what was measured show in MLflow?"""
