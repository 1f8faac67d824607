"""What is read beside AQI: other indices, learned pooling, the published score, its draws?"""
