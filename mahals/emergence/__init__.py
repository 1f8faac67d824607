"""What do the phases about emergent misalignment share: texts, trainings, answers, figures?"""
