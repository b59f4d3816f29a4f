-- Every answer behind the figures of one checkpoint, with the request that it came from:
-- FROM requests_of_metrics('organism', 1) WHERE split = 'eval' AND user_kind = 'vulnerable' AND what = 'harm'.
-- `what` is said (by a speaker), stance (a probe of the simulated user), or the rubric of a judgement.
CREATE MACRO requests_of_metrics(model_name, iteration_number) AS TABLE
SELECT c.conversation_id, c.environment, c.user_kind, c.split, a.turn, a.what, a.value, p.*
FROM influence.conversations AS c
JOIN (
    SELECT conversation_id, turn, 'said' AS what, NULL::DOUBLE AS value, request_id
    FROM influence.turns WHERE model = model_name AND iteration = iteration_number
    UNION ALL
    SELECT conversation_id, turn, rubric, expected, request_id
    FROM influence.judgements WHERE model = model_name AND iteration = iteration_number
    UNION ALL
    SELECT conversation_id, NULL, 'stance', expected, request_id
    FROM influence.stance_probes WHERE model = model_name AND iteration = iteration_number
) AS a USING (conversation_id)
JOIN provenance() AS p USING (request_id)
WHERE c.model = model_name AND c.iteration = iteration_number
ORDER BY c.conversation_id, a.turn, a.what;
