"""The pod's one HTTP stack: h11 and wsproto know the protocols, asyncio moves the bytes.

Why not a whole framework: each pod pays for what it imports, and aiohttp alone costs 8 MB of the 36 that a pod may have
(docs/adr/0008).
"""
