-- One row: how much there is, and what it cost.
SELECT
    (SELECT count(*) FROM (SELECT DISTINCT model, iteration FROM influence.checkpoints)) AS checkpoints,
    (SELECT count(DISTINCT partition) FROM ledger.materializations) AS partitions,
    (SELECT count(*) FROM influence.conversations) AS conversations,
    (SELECT count(*) FROM steerability.responses) AS responses,
    (SELECT count(*) FROM ledger.requests) AS requests,
    (SELECT count(*) FILTER (WHERE cached) FROM ledger.requests) AS cache_hits,
    (SELECT coalesce(sum(input_tokens + output_tokens), 0)::BIGINT FROM ledger.requests) AS tokens,
    (SELECT coalesce(sum(cost), 0) FROM ledger.requests) AS cost,
    (SELECT published_at FROM _catalog.publication) AS published_at
