"""The routes of consent: parse, call a handler, shape the answer."""

from consent.api.audit import audit
from consent.api.errors import install
from consent.api.facts import facts
from consent.api.keeping import keepings
from consent.api.leases import leases
from consent.api.ledger import ledger
from consent.api.looks import looks
from consent.api.otherwise import otherwise
from consent.api.parts import Parts
from consent.api.routes import router
from consent.api.sharing import sharing_routes
from consent.api.time import time
from consent.api.wording import texts

__all__ = [
    "Parts", "audit", "facts", "install", "keepings", "leases", "ledger", "looks", "otherwise", "router",
    "sharing_routes", "texts", "time",
]  # fmt: skip
