-- Trait scores of one checkpoint under every condition.
SELECT condition, trait, score, ci_low, ci_high, mass, order_consistency, n
FROM features.trait_scores
WHERE model = $model AND iteration = $iteration
ORDER BY trait, condition
