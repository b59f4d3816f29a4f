-- What the replies in the conversations of one checkpoint and family cost, by model and role. Cached answers cost nothing.
WITH held AS (
    SELECT conversation_id
    FROM influence.conversations
    WHERE model = $model AND iteration = $iteration AND family = $family
),
asked AS (
    SELECT request_id
    FROM influence.turns
    SEMI JOIN held USING (conversation_id)
    WHERE model = $model AND iteration = $iteration AND request_id IS NOT NULL
    UNION
    SELECT request_id
    FROM influence.judgements
    SEMI JOIN held USING (conversation_id)
    WHERE model = $model AND iteration = $iteration
    UNION
    SELECT request_id
    FROM influence.stance_probes
    SEMI JOIN held USING (conversation_id)
    WHERE model = $model AND iteration = $iteration
)
SELECT
    r.model,
    r.role,
    CAST(sum(r.input_tokens) AS BIGINT) AS input_tokens,
    CAST(sum(r.cached_tokens) AS BIGINT) AS cached_tokens,
    CAST(sum(r.output_tokens) AS BIGINT) AS output_tokens,
    sum(r.cost) AS cost,
    min(r.at) AS first_at,
    max(r.at) AS last_at
FROM ledger.requests AS r
SEMI JOIN asked USING (request_id)
GROUP BY r.model, r.role
ORDER BY r.model, r.role
