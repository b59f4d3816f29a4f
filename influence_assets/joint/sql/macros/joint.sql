-- What training changed at the last iteration, and which changes go with harm: FROM drift_of('organism').
CREATE MACRO drift_of(model_name) AS TABLE
SELECT
    d.iteration,
    d.measure,
    d.subject,
    d.user_kind,
    before.value AS untouched,
    d.change,
    d.ci_low,
    d.ci_high,
    d.p_adjusted,
    d.effect,
    d.z_shuffled,
    h.correlation AS with_harm,
    h.ci_low AS with_harm_low,
    h.ci_high AS with_harm_high
FROM joint.drift AS d
JOIN joint.checkpoint_profile AS before
    ON before.model = d.model
    AND before.iteration = 0
    AND before.measure = d.measure
    AND before.subject = d.subject
    AND before.user_kind = d.user_kind
LEFT JOIN joint.moves_with_harm AS h
    ON h.model = d.model
    AND h.iteration = d.iteration
    AND h.measure = d.measure
    AND h.subject = d.subject
    AND d.user_kind = 'all'
WHERE d.model = model_name
    AND d.iteration = (SELECT max(iteration) FROM joint.drift WHERE model = model_name)
ORDER BY d.measure, d.subject, d.user_kind;
