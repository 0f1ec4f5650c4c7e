"""One WhatsApp session in one process: reports facts, sends, receives."""

VERSION = "0.1.0"
"""The release; a constant, because reading the package's metadata would cost memory."""
