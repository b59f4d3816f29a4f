-- Checkpoints that were steered along directions.
SELECT DISTINCT model, iteration FROM features.steering ORDER BY model, iteration
