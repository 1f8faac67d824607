"""The harness: where do files, processes, MLflow and DVC meet the phases?"""
