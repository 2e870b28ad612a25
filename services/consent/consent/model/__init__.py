"""The rules of consent: people, requests, grants, the law table, published state and ledger leaves. No I/O."""

from consent.model import (
    errors,
    grants,
    languages,
    law,
    ledger,
    looks,
    national_id,
    people,
    requests,
    state,
    text_files,
    texts,
    words,
)

__all__ = [
    "errors", "grants", "languages", "law", "ledger", "looks", "national_id", "people", "requests", "state",
    "text_files", "texts", "words",
]  # fmt: skip
