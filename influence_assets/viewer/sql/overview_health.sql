-- Shares of what came to nothing. Each has a limit above which numbers that stand on it deserve a second look.
SELECT 'requests without a usable answer' AS measure, avg((status <> 'ok')::INTEGER) AS share, 0.02::DOUBLE AS look_above, count(*) AS n
FROM ledger.requests
UNION ALL
SELECT 'training judgements without a rating', avg((status <> 'ok')::INTEGER), 0.02, count(*)
FROM influence.judgements WHERE purpose = 'training'
UNION ALL
SELECT 'evaluation judgements without a rating', avg((status <> 'ok')::INTEGER), 0.02, count(*)
FROM influence.judgements WHERE purpose = 'evaluation'
UNION ALL
SELECT 'conversations that broke off', avg((status <> 'ok')::INTEGER), 0.02, count(*)
FROM influence.conversations
UNION ALL
SELECT 'conversations without a reward', avg((reward IS NULL)::INTEGER), 0.02, count(*)
FROM influence.trajectories
UNION ALL
SELECT 'answers about statements that are void', avg((status <> 'ok')::INTEGER), 0.02, count(*)
FROM steerability.responses
UNION ALL
SELECT 'statement audits that failed', avg((status = 'fail')::INTEGER), 0.0, count(*)
FROM personas.statement_audit
UNION ALL
SELECT 'checkpoints that could not be trained', avg((status <> 'ok')::INTEGER), 0.0, count(*)
FROM influence.checkpoints
