-- Scores of one persona under every method of one checkpoint.
SELECT method, n_steer, score, value, ci_low, ci_high, chance, n
FROM steerability.scores
WHERE model = $model AND iteration = $iteration AND persona_id = $persona
ORDER BY score, value DESC NULLS LAST, method, n_steer
