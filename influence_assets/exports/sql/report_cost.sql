-- What models were asked in all runs of this project, by model and role.
SELECT
    model,
    role,
    count(*) AS requests,
    count(*) FILTER (WHERE cached) AS from_cache,
    count(*) FILTER (WHERE status <> 'ok') AS not_ok,
    CAST(sum(input_tokens) AS BIGINT) AS tokens_in,
    CAST(sum(output_tokens) AS BIGINT) AS tokens_out,
    sum(cost) AS us_dollars
FROM ledger.requests
GROUP BY model, role
ORDER BY model, role
