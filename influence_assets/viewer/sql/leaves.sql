-- Personas of one matrix in the order of the dendrogram's leaves, of one framework or of all together.
SELECT c.scope, c.persona_id, coalesce(p.name, c.persona_id) AS name, c.framework, c.position, c.cluster, c.n_clusters,
       c.ari, c.ari_low, c.ari_high
FROM steerability.clusters AS c
LEFT JOIN personas.personas AS p USING (persona_id)
WHERE c.model = $model AND c.iteration = $iteration AND c.method = $method AND c.n_steer = $n_steer
ORDER BY c.scope, c.position
