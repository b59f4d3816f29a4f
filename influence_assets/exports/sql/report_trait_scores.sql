-- Trait scores per condition; the share of trait-high answers, by probability, over balanced option orders.
SELECT model, iteration, condition, trait, score, ci_low, ci_high, mass, order_consistency, n
FROM features.trait_scores
WHERE score IS NOT NULL
ORDER BY model, iteration, trait, condition
