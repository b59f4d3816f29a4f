-- Directions of one checkpoint, those that were found for something before the controls.
SELECT factor, category, method, "index", layer, auroc_heldout, ci_low, ci_high, n, cosine_opposite, cosine_poles, norm,
       scale, sae, direction_id, path, hook, sha256
FROM features.directions
WHERE model = $model AND iteration = $iteration
ORDER BY method IN ('random', 'shuffled'), factor, category, method, layer, "index"
