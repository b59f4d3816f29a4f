-- What the answers of one checkpoint under one steering method cost, by model and role. Cached answers cost nothing.
WITH asked AS (
    SELECT DISTINCT unnest(request_ids) AS request_id
    FROM steerability.responses
    WHERE model = $model AND iteration = $iteration AND method = $method AND n_steer = $n_steer
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
