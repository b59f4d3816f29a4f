-- How each checkpoint of one model came about.
SELECT iteration, parent, method, status, n_rows, n_desirable, n_undesirable, loss_curve, seed, adapter_path, detail
FROM influence.checkpoints
WHERE model = $model
ORDER BY iteration
