-- How each checkpoint came about.
SELECT
    model,
    iteration,
    method,
    n_desirable AS good_examples,
    n_undesirable AS bad_examples,
    left(adapter_sha256, 16) AS adapter,
    left(data_sha256, 16) AS training_data,
    CAST(seed AS VARCHAR) AS seed,
    status
FROM influence.checkpoints
ORDER BY model, iteration
