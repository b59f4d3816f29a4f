"""One file per method of finding directions; see `influence_assets/features/direction_method.py`."""
