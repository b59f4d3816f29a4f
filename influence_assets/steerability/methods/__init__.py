"""One file per steering method; see `influence_assets/steerability/method.py`."""
