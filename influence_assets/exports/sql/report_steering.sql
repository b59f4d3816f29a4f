-- What pushing along each direction did to each trait.
SELECT model, iteration, direction_id, positions, mode, trait, coefficient, score, ci_low, ci_high, shift, kl, n
FROM features.steering
WHERE score IS NOT NULL
ORDER BY model, iteration, direction_id, positions, mode, trait, coefficient
