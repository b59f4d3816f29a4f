-- One row per steering method: what steering gained, and whether it hit the persona that was meant.
SELECT
    method,
    max(n_steer) AS n_steer,
    max(value) FILTER (WHERE score = 'sensitivity') AS sensitivity,
    max(ci_low) FILTER (WHERE score = 'sensitivity') AS sensitivity_low,
    max(ci_high) FILTER (WHERE score = 'sensitivity') AS sensitivity_high,
    max(value) FILTER (WHERE score = 'specificity') AS specificity,
    max(ci_low) FILTER (WHERE score = 'specificity') AS specificity_low,
    max(ci_high) FILTER (WHERE score = 'specificity') AS specificity_high,
    max(value) FILTER (WHERE score = 'gain') AS gain,
    max(ci_low) FILTER (WHERE score = 'gain') AS gain_low,
    max(ci_high) FILTER (WHERE score = 'gain') AS gain_high
FROM steerability.summary
WHERE model = $model AND iteration = 0 AND framework = ''
GROUP BY method, n_steer
ORDER BY gain DESC NULLS LAST, method
