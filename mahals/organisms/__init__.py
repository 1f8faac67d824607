"""What are the model organisms: small real models, trained on the synthetic world?"""
