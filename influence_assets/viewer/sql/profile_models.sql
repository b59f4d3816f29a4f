-- Models with a profile of their checkpoints.
SELECT DISTINCT model FROM joint.checkpoint_profile ORDER BY model
