-- Trait scores under steering, of one checkpoint, with the direction that steered.
SELECT s.*, d.factor, d.category, d.method, d.layer
FROM features.steering AS s
LEFT JOIN features.directions AS d USING (model, iteration, direction_id)
WHERE s.model = $model AND s.iteration = $iteration
ORDER BY d.factor, d.category, d.method, s.trait, s.coefficient
