-- Checkpoints with a feature map.
SELECT DISTINCT model, iteration FROM features.sae_feature_map ORDER BY model, iteration
