-- What did not come back as asked, beside what did.
SELECT 'answers to statements' AS rows_of, model, status, count(*) AS n
FROM steerability.responses
WHERE estimator <> 'reference'
GROUP BY ALL
UNION ALL
SELECT 'conversations', model, status, count(*)
FROM influence.conversations
GROUP BY ALL
UNION ALL
SELECT 'things said by models', model, status, count(*)
FROM influence.turns
WHERE request_id IS NOT NULL
GROUP BY ALL
UNION ALL
SELECT 'judgements (' || purpose || ')', model, status, count(*)
FROM influence.judgements
GROUP BY ALL
UNION ALL
SELECT 'stance probes', model, status, count(*)
FROM influence.stance_probes
GROUP BY ALL
ORDER BY 1, 2, 3
