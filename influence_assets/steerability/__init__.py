"""How far a model can be steered into a persona: splits, methods, responses, matrix, scores, clusters."""
