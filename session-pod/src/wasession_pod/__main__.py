"""`python -m wasession_pod`."""

from wasession_pod.main import main

main()
