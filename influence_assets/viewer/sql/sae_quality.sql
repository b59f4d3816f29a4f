-- How well each SAE of one model stands for the activations of each checkpoint, and what it is.
SELECT
    q.sae,
    q.iteration,
    q.layer,
    s.architecture,
    s.width,
    s.k,
    q.explained_variance,
    q.ce_recovered,
    q.ce_base,
    q.ce_sae,
    q.ce_ablated,
    q.l0,
    q.dead_share,
    q.n_tokens,
    q.status,
    s.detail,
    s.source,
    s.path,
    s.tokens
FROM features.sae_quality AS q
LEFT JOIN features.saes AS s USING (model, sae)
WHERE q.model = $model
ORDER BY q.sae, q.iteration
