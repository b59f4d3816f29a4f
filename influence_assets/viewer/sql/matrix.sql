-- The cells of one matrix.
SELECT model, iteration, method, n_steer, steered_persona_id, test_persona_id, n, n_void, accuracy, margin
FROM steerability.matrix
WHERE model = $model AND iteration = $iteration AND method = $method AND n_steer = $n_steer
