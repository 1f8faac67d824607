"""Fine-tuning: on which tokens, into which adapter, by which loss, and how is the result used?"""
