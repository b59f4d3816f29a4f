-- Trait scores under steering, of one checkpoint, with the direction that steered; the interval is the shift's.
SELECT
    d.factor,
    d.category,
    coalesce(d.method, s.mode) AS method,
    d.layer,
    s.direction_id,
    s.coefficient,
    s.positions,
    s.mode,
    s.trait,
    s.score,
    s.shift,
    s.ci_low,
    s.ci_high,
    s.mass,
    s.kl,
    s.n
FROM features.steering AS s
LEFT JOIN features.directions AS d USING (model, iteration, direction_id)
WHERE s.model = $model AND s.iteration = $iteration
ORDER BY d.factor, d.category, d.method, s.direction_id, s.trait, s.coefficient
