"""What the graph stands on: models, cache, limits, ledger, warehouse. Nothing here knows an asset."""
