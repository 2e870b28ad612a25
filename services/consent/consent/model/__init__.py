"""The rules of consent: people, requests, grants, the law table, published state and ledger leaves. No I/O."""

from consent.model import errors, grants, law, ledger, looks, national_id, people, requests, state, texts, words

__all__ = ["errors", "grants", "law", "ledger", "looks", "national_id", "people", "requests", "state", "texts", "words"]
