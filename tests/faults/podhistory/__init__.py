"""The pod's history checker: a real pod is killed at random moments, and a pure checker reads what everybody saw."""
