-- Trait by trait at the last iteration: the test's score, and the stream on neutral texts.
SELECT s.subject AS trait, before.value AS score_untouched, s.change AS score_change, s.ci_low AS score_low,
       s.ci_high AS score_high, t.change AS neutral_change, t.ci_low AS neutral_low, t.ci_high AS neutral_high,
       t.z_shuffled AS neutral_z
FROM joint.drift AS s
JOIN joint.drift AS t USING (model, iteration, subject)
JOIN joint.checkpoint_profile AS before
    ON before.model = s.model AND before.iteration = 0 AND before.measure = s.measure AND before.subject = s.subject
WHERE s.measure = 'trait_score' AND t.measure = 'projection_neutral'
    AND s.iteration = (SELECT max(iteration) FROM joint.drift)
ORDER BY s.subject
