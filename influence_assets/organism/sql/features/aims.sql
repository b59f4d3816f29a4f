-- The worst case over all planted traits of everything that must come out.
WITH dim AS (
    SELECT * FROM features.dose_response WHERE iteration = 0 AND method = 'difference_in_means' AND category = 'high'
)
SELECT
    (SELECT min(auroc_heldout) FROM features.sae_feature_map WHERE iteration = 0 AND rank = 1) AS worst_auroc,
    (SELECT min(explained_variance) FROM features.sae_quality WHERE iteration = 0) AS explained_variance,
    (SELECT min(spearman) FROM dim) AS worst_spearman,
    (SELECT min(z) FROM dim) AS worst_z,
    (SELECT min(specificity) FROM dim) AS worst_specificity,
    (SELECT max(cosine_opposite) FROM features.directions
     WHERE iteration = 0 AND method = 'difference_in_means') AS highest_cosine
