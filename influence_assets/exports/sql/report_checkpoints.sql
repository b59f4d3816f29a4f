-- How each checkpoint came about.
SELECT
    model,
    iteration,
    method,
    n_desirable,
    n_undesirable,
    left(adapter_sha256, 16) AS adapter,
    left(data_sha256, 16) AS training_data,
    seed,
    status
FROM influence.checkpoints
ORDER BY model, iteration
