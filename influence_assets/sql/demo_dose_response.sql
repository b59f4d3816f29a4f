-- Each way of steering toward the high pole of a trait: the shift at the reference coefficient and its controls.
SELECT trait, method, spearman, shift AS value, ci_low, ci_high, z, specificity, kl, reference
FROM features.dose_response
WHERE model = $model AND iteration = 0 AND category = 'high'
ORDER BY trait, value DESC
