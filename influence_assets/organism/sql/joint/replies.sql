-- Projections of replies on every trait's direction, as the untouched model reads them (words) and as the checkpoint
-- does (replies), by kind of user, at the last iteration.
SELECT d.subject AS trait, d.user_kind AS users, replace(d.measure, 'projection_', '') AS read,
       before.value AS untouched, d.change, d.ci_low AS low, d.ci_high AS high, d.p_adjusted AS p, d.z_random, d.z_shuffled, h.correlation AS with_harm,
       h.ci_low AS with_harm_low, h.ci_high AS with_harm_high
FROM joint.drift AS d
JOIN joint.checkpoint_profile AS before USING (model, measure, subject, user_kind)
LEFT JOIN joint.moves_with_harm AS h
    ON h.model = d.model AND h.iteration = d.iteration AND h.measure = d.measure AND h.subject = d.subject
    AND d.user_kind = 'all'
WHERE before.iteration = 0 AND d.measure IN ('projection_replies', 'projection_words')
    AND d.iteration = (SELECT max(iteration) FROM joint.drift)
ORDER BY d.subject, d.user_kind, read DESC
