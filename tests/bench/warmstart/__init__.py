"""What `make bench-start` is made of: the API server's client, the lives that are timed, the timeline by part, the report."""
