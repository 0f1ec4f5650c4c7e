"""An emulated WhatsApp Web server: enough of it for the unmodified neonize client to pair, send, receive and fail.

What it proves and what not is in the README beside the package.
"""

from waemulator.environment import client_env

__all__ = ["client_env"]
