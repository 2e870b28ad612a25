"""What consent keeps: tables, and the few queries it needs. Handlers import from here."""

from consent.storage.directory import Service, categories, held_entry, keep_entries, services
from consent.storage.grants import (
    ChangeRow,
    GrantRow,
    add_change,
    add_change_for_all,
    add_grants,
    changes_by_id,
    end_grants,
    grants_by_id,
    grants_known_to,
    grants_of,
    last_withdrawal,
)
from consent.storage.ledger import Head, append, lock_heads, looks, taken
from consent.storage.people import (
    PersonRow,
    SubjectRow,
    add_claim,
    add_person,
    add_responsibility,
    count_people,
    ensure_subject,
    guardians,
    lock_numbers,
    lock_subject,
    person_by_hash,
    person_by_id,
    raise_version,
    subject_row,
)
from consent.storage.requests import (
    RequestRow,
    Word,
    Words,
    add_answers,
    add_request,
    requests_of,
    subject_of_request,
    words_about,
)
from consent.storage.tables import (
    APPEND_ONLY,
    answer,
    change,
    directory_entry,
    grants,
    idempotency,
    leader,
    ledger,
    ledger_head,
    metadata,
    outbox,
    person,
    person_number,
    request,
    responsibility,
    subject,
)

__all__ = [
    "APPEND_ONLY", "ChangeRow", "GrantRow", "Head", "PersonRow", "RequestRow", "Service", "SubjectRow", "Word",
    "Words", "add_answers", "add_change", "add_change_for_all", "add_claim", "add_grants", "add_person",
    "add_request", "add_responsibility", "answer", "append", "categories", "change", "changes_by_id",
    "count_people", "directory_entry", "end_grants", "ensure_subject", "grants", "grants_by_id", "grants_known_to",
    "grants_of", "guardians", "held_entry", "idempotency", "keep_entries", "last_withdrawal", "leader", "ledger",
    "ledger_head", "lock_heads", "lock_numbers", "lock_subject", "looks", "metadata", "outbox", "person",
    "person_by_hash", "person_by_id", "person_number", "raise_version", "request", "requests_of", "responsibility",
    "services", "subject", "subject_of_request", "subject_row", "taken", "words_about",
]  # fmt: skip
