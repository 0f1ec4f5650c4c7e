"""The operator at a thousand and ten thousand sessions, beside a raw client and the StatefulSet controller: `make bench-operator`."""
