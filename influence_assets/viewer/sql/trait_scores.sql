-- Trait scores of one checkpoint under every condition.
SELECT *
FROM features.trait_scores
WHERE model = $model AND iteration = $iteration
ORDER BY trait, condition
