-- Ways of steering, means over traits; random directions as they are.
WITH tried AS (
    SELECT method, trait, shift, z, specificity, spearman, kl, shift_at_kl, damage
    FROM features.dose_response
    WHERE iteration = 0 AND category = 'high'
    UNION ALL BY NAME
    SELECT method, trait, shift, kl
    FROM features.steering
    WHERE iteration = 0 AND method IN ('random', 'shuffled') AND coefficient > 0
      AND (method = 'random' OR trait = factor)
)
SELECT
    method,
    count(DISTINCT trait)::INTEGER AS traits,
    avg(shift) AS shift,
    min(shift) AS lowest,
    max(shift) AS highest,
    avg(z) AS z,
    avg(specificity) AS specificity,
    avg(spearman) AS spearman,
    avg(kl) AS kl,
    avg(shift_at_kl) AS shift_at_kl,
    (count(*) FILTER (WHERE damage))::INTEGER AS damaged
FROM tried
GROUP BY method
ORDER BY shift DESC
