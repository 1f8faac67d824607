"""Support: what do tests share: tiny models, labs, studies, and places?"""
