-- Steering methods of the steerability family, directions among them.
SELECT method, score, value, ci_low AS low, ci_high AS high, chance, n
FROM steerability.summary
WHERE iteration = 0 AND framework = '' AND score IN ('sensitivity', 'specificity', 'gain')
  AND method IN ('none', 'description', 'control_vector', 'sae_features')
ORDER BY score, value DESC
