"""The operator of `WhatsAppSession` objects: it judges what it sees and acts, and keeps no state of its own.

`main` hears of changes from kopf, `decide` says what to do, `judge` what to tell, `reconcile` does it through `cluster`.
"""

__version__ = "0.1.0"
