"""Walks over the schema of the resource, held against Acto's oracles: `python -m walks`."""
