-- Features of one checkpoint that carry a category, the best on held-out texts first.
SELECT *
FROM features.sae_feature_map
WHERE model = $model AND iteration = $iteration
ORDER BY auroc_heldout DESC NULLS LAST, factor, category, feature_id
