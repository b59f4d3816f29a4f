-- Where every answer comes from: FROM provenance() WHERE request_id = '...'.
-- One row per request: the one that was paid for where there is one, else the first that the cache answered. It has the
-- prompt (hash of the messages), who answered (the model, hashes of its weights, adapter and steering), how it was drawn
-- (seed, sample), and which code asked (the asset's code_version; the project's commit, with + when it had edits).
CREATE MACRO provenance() AS TABLE
SELECT DISTINCT ON (q.request_id)
    q.request_id, q.provider, q.model AS answered_by, q.role, q.kind, q.prompt_sha256, q.weights_sha256,
    q.adapter_sha256, q.steering_sha256, q.seed, q.sample, q.asset, q.partition, q.run_id, q.code_version,
    m.git_commit, q.status AS request_status, q.cost, q.at
FROM ledger.requests AS q
LEFT JOIN (
    SELECT DISTINCT asset, partition, run_id, git_commit FROM ledger.materializations
) AS m USING (asset, partition, run_id)
ORDER BY q.request_id, q.cached, q.at;

-- The single draws behind an answer that was estimated from samples, for models without log-probabilities:
-- FROM draws_of('...').
CREATE MACRO draws_of(estimate_id) AS TABLE
SELECT d.*
FROM provenance() AS d
JOIN (SELECT answered_by, prompt_sha256 FROM provenance() WHERE request_id = estimate_id AND kind = 'estimate') AS e
    USING (answered_by, prompt_sha256)
WHERE d.kind = 'draw'
ORDER BY d.sample, d.request_id;
