-- Difference in means, trait by trait, both poles.
SELECT d.trait, d.category AS pole, d.reference, d.shift, d.ci_low AS low, d.ci_high AS high, d.z, d.specificity, d.spearman,
       d.kl, d.shift_at_kl, v.auroc_heldout AS auroc, v.cosine_opposite, v.cosine_poles
FROM features.dose_response AS d
JOIN features.directions AS v USING (direction_id, model, iteration)
WHERE d.iteration = 0 AND d.method = 'difference_in_means'
ORDER BY d.trait, d.category
