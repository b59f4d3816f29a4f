-- Every way of steering toward a pole, on that pole's own trait, with its controls.
SELECT model, iteration, trait, category, method, reference, shift, ci_low, ci_high, z, specificity, spearman, kl, n
FROM features.dose_response
WHERE shift IS NOT NULL
ORDER BY model, iteration, trait, category, method
