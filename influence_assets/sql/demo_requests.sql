-- What models were asked in these runs, and what it cost.
SELECT
    asset,
    count(*) AS requests,
    count(*) FILTER (WHERE cached) AS cache_hits,
    count(*) FILTER (WHERE status <> 'ok') AS not_ok,
    sum(input_tokens + output_tokens) AS tokens,
    sum(cost) AS cost_usd
FROM ledger.requests
WHERE list_contains($runs, run_id)
GROUP BY asset
ORDER BY asset
