"""The harness: where do files, processes, MLflow, DVC and Ray meet the phases?"""
