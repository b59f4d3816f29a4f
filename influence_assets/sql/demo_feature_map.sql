-- The latent that tells each pole of the tested traits best, by its AUROC on held-out texts.
SELECT m.factor AS trait, m.category AS pole, m.feature_id AS latent, m.auroc_heldout AS value, m.ci_low, m.ci_high,
       m.selectivity, m.promoted_tokens[1:3] AS promotes
FROM features.sae_feature_map AS m
WHERE m.model = $model AND m.iteration = 0 AND m.rank = 1
  AND m.factor IN (SELECT DISTINCT trait FROM features.dose_response WHERE model = $model AND iteration = 0)
ORDER BY trait, pole
