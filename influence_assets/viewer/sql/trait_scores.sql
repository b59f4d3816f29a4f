-- Trait scores of one checkpoint under every condition, the unsteered model's first.
SELECT *
FROM features.trait_scores
WHERE model = $model AND iteration = $iteration
ORDER BY condition <> 'unsteered', trait, condition, half
