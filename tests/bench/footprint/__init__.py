"""What a session pod costs, beside a bare neonize script in the same run."""
