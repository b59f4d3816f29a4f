-- The unsteered checkpoints' traits on held-out items: P(high), averaged over the orders of the options.
SELECT model, iteration, trait, score, ci_low, ci_high, mass, order_consistency, n
FROM features.trait_scores
WHERE score IS NOT NULL AND condition = 'unsteered' AND half = 'heldout'
ORDER BY model, iteration, trait
