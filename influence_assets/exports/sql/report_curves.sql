-- How far each direction of a trait's high pole moved the trait, by coefficient; the interval is that of the shift.
SELECT model, iteration, trait, method, coefficient, shift, ci_low, ci_high
FROM features.steering
WHERE shift IS NOT NULL AND factor = trait AND category <> 'low' AND method NOT IN ('random', 'shuffled', 'prompt')
ORDER BY model, iteration, trait, method, coefficient
