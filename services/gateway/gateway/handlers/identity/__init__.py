"""Who is calling: sessions, bearer tokens and logins. What is refused is a Problem with a stable type."""

from gateway.handlers.identity.callers import Caller
from gateway.handlers.identity.identity import Identity
from gateway.handlers.identity.people import people
from gateway.handlers.identity.rules import IdentitySettings, Rules, Unsafe, refuse_unsafe, rules

__all__ = ["Caller", "Identity", "IdentitySettings", "Rules", "Unsafe", "people", "refuse_unsafe", "rules"]
