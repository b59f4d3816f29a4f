-- What models were asked, by model and role.
SELECT
    model,
    role,
    count(*) AS requests,
    count(*) FILTER (WHERE cached) AS cache_hits,
    count(*) FILTER (WHERE status <> 'ok') AS not_ok,
    sum(retries)::BIGINT AS retries,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    median(latency_s) FILTER (WHERE NOT cached) AS median_latency_s,
    sum(cost) AS cost_usd
FROM ledger.requests
GROUP BY model, role
ORDER BY cost_usd DESC, requests DESC, model, role
