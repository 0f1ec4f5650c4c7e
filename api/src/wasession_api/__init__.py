"""The REST facade: the Baileys-WS contract as operations on WhatsAppSession objects."""
