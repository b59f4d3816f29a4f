-- Every trait under every way of steering, of one checkpoint. The interval is the shift's; `unsteered` is the score that
-- it starts from, over all held-out items where these have been scored.
SELECT
    s.factor,
    s.category,
    s.method,
    s."index",
    s.condition,
    s.coefficient,
    s.positions,
    s.mode,
    s.trait,
    coalesce(base.score, s.score - s.shift) AS unsteered,
    s.score,
    s.shift,
    s.ci_low,
    s.ci_high,
    s.mass,
    s.kl,
    s.nll,
    s.repetition,
    s.n,
    s.n_void
FROM features.steering AS s
LEFT JOIN features.trait_scores AS base
    ON base.model = s.model
    AND base.iteration = s.iteration
    AND base.trait = s.trait
    AND base.condition = 'unsteered'
    AND base.half = 'heldout'
WHERE s.model = $model AND s.iteration = $iteration
ORDER BY s.factor, s.category, s.method, s."index", s.trait, s.coefficient
