"""One WhatsApp session in one process: reports facts, sends, receives."""
