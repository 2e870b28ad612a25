"""The tables of the consent service."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chassis.idempotency import idempotency_table
from chassis.inbox import inbox_table
from chassis.outbox import outbox_table
from consent.storage.columns import id_type, moment

metadata = MetaData()
outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
idempotency = idempotency_table(metadata)


person = Table(
    "person", metadata,
    Column("id", id_type(), primary_key=True),
    Column("names", LargeBinary, nullable=False),
    Column("birth_date", Date),
    Column("birth_source", String(80), nullable=False),
    Column("language", String(12), nullable=False),
    moment("created_at"),
    Column("due_date", Date),
    moment("birth_told_at", null=True),
    CheckConstraint("birth_date IS NOT NULL OR due_date IS NOT NULL", name="person_born_or_due"),
)  # fmt: skip
"""A subject or a guardian. `names` is sealed with the own key; the birth date is readable, for the law table. Without a
birth date: not born yet, and due on `due_date`. birth_told_at: when somebody who was expected turned out to be born."""

person_number = Table(
    "person_number", metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("person", id_type(), ForeignKey("person.id"), nullable=False, index=True),
    Column("number", LargeBinary, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column("source", String(80), nullable=False),
    moment("since"),
    moment("until", null=True),
)  # fmt: skip
"""Id history: every number a person has had. `hash` is keyed; `number` is sealed with the person's own key."""

person_claim = Table(
    "person_claim", metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    Column("person", id_type(), ForeignKey("person.id"), nullable=False, index=True),
    Column("source", String(80), nullable=False),
    Column("said", LargeBinary, nullable=False),
    moment("at"),
)  # fmt: skip
"""What each asker said of somebody already known, sealed: it changes nothing, and can be looked into."""

subject = Table(
    "subject", metadata,
    Column("id", id_type(), ForeignKey("person.id"), primary_key=True),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("published_version", BigInteger, nullable=False, server_default="0"),
    moment("created_at"),
    Column("law_generation", BigInteger, nullable=False, server_default="0"),
    Column("due", BigInteger, index=True, server_default="0"),
    Column("as_of", Date),
)  # fmt: skip
"""Whom requests are about. Whoever changes anything of a subject locks this row first and raises `version`.
law_generation: of `leader`, when the law was last applied to this subject. due: when time alone brings the next thing
(epoch seconds; 0: not known since something changed; null: never). as_of: the day up to which that has been done."""

responsibility = Table(
    "responsibility", metadata,
    Column("subject", id_type(), ForeignKey("subject.id"), primary_key=True),
    Column("guardian", id_type(), ForeignKey("person.id"), primary_key=True, index=True),
    Column("kind", String(8), nullable=False),
    Column("source", String(80), nullable=False),
    Column("sight", Boolean, nullable=False),
    moment("recorded_at"),
)  # fmt: skip
"""Parental responsibility. `sight`: does the guardian see by law (not when a later asker named them besides others)?"""

law_fact = Table(
    "law_fact", metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("value", String(16), nullable=False),
    Column("what", String(64)),
    Column("people", ARRAY(id_type()), nullable=False),
    Column("begins", Date, nullable=False),
    Column("ends", Date),
    Column("reference", LargeBinary, nullable=False),
    Column("source", String(80), nullable=False),
    Column("recorded_by", String(64), nullable=False),
    Column("change", id_type(), nullable=False),
    moment("recorded_at"),
    CheckConstraint("ends IS NULL OR ends > begins"),
    Index("law_fact_people", "people", postgresql_using="gin"),
)  # fmt: skip
"""What the law table takes of a subject (model/facts.py), only ever added to. people: who holds responsibility, or
answers by a decision. reference: of the decision or register, sealed with the subject's key."""

request = Table(
    "request", metadata,
    Column("id", id_type(), primary_key=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False, index=True),
    Column("asker", String(64), nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("why", LargeBinary, nullable=False),
    Column("until", Date, nullable=False),
    Column("change", id_type(), nullable=False),
    moment("created_at"),
    moment("taken_back_at", null=True),
    Column("taken_back_by", String(64)),
    Column("renews", id_type(), ForeignKey("request.id"), index=True),
)  # fmt: skip

request_cell = Table(
    "request_cell", metadata,
    Column("request", id_type(), ForeignKey("request.id"), primary_key=True),
    Column("service", String(64), primary_key=True),
    Column("category", String(64), primary_key=True),
    Column("action", String(16), primary_key=True),
    Column("special", Boolean, nullable=False),
    Column("controller", String(64)),
    Column("sector", String(64)),
)  # fmt: skip

request_guardian = Table(
    "request_guardian", metadata,
    Column("request", id_type(), ForeignKey("request.id"), primary_key=True),
    Column("guardian", id_type(), ForeignKey("person.id"), primary_key=True),
)  # fmt: skip

answer = Table(
    "answer", metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    Column("request", id_type(), nullable=False),
    Column("person", id_type(), ForeignKey("person.id"), nullable=False),
    Column("service", String(64), nullable=False),
    Column("category", String(64), nullable=False),
    Column("action", String(16), nullable=False),
    Column("said", String(3), nullable=False),
    Column("way", String(12), nullable=False),
    Column("assurance", String(12), nullable=False),
    Column("text_version", String(32)),
    Column("language", String(12)),
    Column("law_version", String(32), nullable=False),
    moment("at"),
    Column("given", id_type(), ForeignKey("given_otherwise.id")),
    ForeignKeyConstraint(
        ["request", "service", "category", "action"],
        ["request_cell.request", "request_cell.service", "request_cell.category", "request_cell.action"],
    ),
    Column("conveyed", String(12)),
    Column("conveyed_by", String(12)),
    Column("conveyed_into", String(12)),
    CheckConstraint("said IN ('yes', 'no') AND way IN ('answer', 'withdrawal')"),
    CheckConstraint("conveyed IN ('read', 'read-aloud', 'interpreted')", name="answer_conveyed"),
    CheckConstraint(
        "(coalesce(conveyed, 'read') = 'interpreted') = (conveyed_into IS NOT NULL)", name="answer_interpreted_into"
    ),
    CheckConstraint("(coalesce(conveyed, 'read') <> 'read') = (conveyed_by IS NOT NULL)", name="answer_conveyed_by"),
    Index("answer_latest", "request", "person", "service", "category", "action", text("seq DESC")),
)  # fmt: skip
"""Everybody's words, cell by cell, with their evidence; only ever added to. The latest one counts. conveyed: how
the text reached the person; by: in which role somebody helped; into: the language it was interpreted into. given: how
the words came, where that was not by the person's own log-in; `assurance` then names the manner."""

change = Table(
    "change", metadata,
    Column("id", id_type(), primary_key=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("body", JSONB, nullable=False),
    Column("state", String(12), nullable=False, server_default="pending"),
    moment("created_at"),
    moment("confirmed_at", null=True),
    UniqueConstraint("subject", "version"),
    CheckConstraint("state IN ('pending', 'confirmed')"),
    Index("change_pending", "subject", "version", postgresql_where=text("state = 'pending'")),
)  # fmt: skip
"""One change of a subject's published state; confirmed when every gateway able to answer has passed it."""

grants = Table(
    "grants", metadata,
    Column("id", id_type(), primary_key=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False, index=True),
    Column("request", id_type(), ForeignKey("request.id")),
    Column("recipient", String(80), nullable=False),
    Column("categories", ARRAY(Text), nullable=False),
    Column("actions", ARRAY(Text), nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("basis", String(64), nullable=False),
    Column("controller", String(64)),
    Column("begins", BigInteger, nullable=False),
    Column("ends", BigInteger),
    Column("back", BigInteger),
    Column("excluded", ARRAY(Text), nullable=False),
    Column("granted_by", JSONB, nullable=False),
    Column("law_version", String(32), nullable=False),
    Column("began", id_type(), ForeignKey("change.id"), nullable=False),
    Column("ended", id_type(), ForeignKey("change.id")),
    Column("told", SmallInteger),
    Column("kind", String(12), nullable=False, server_default="consent"),
    CheckConstraint("kind IN ('consent', 'exception')", name="grants_kind"),
    CheckConstraint(
        "request IS NOT NULL OR kind = 'exception' OR recipient LIKE 'person:%'", name="grants_without_request"
    ),
)  # fmt: skip
"""Grants by consent, immutable but for their end. Times: epoch seconds. granted_by: person, capacity, answers, and how
those came (manners). told: how many days before its end it was last said that it ends soon. Without a request: what
the subject alone lets a person see, or an exception for life and health."""

narrowing = Table(
    "narrowing", metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False, index=True),
    Column("by", id_type(), ForeignKey("person.id"), nullable=False),
    Column("service", String(64), nullable=False),
    Column("category", String(64)),
    Column("after", BigInteger, nullable=False),
    Column("staff", String(64)),
    Column("back", BigInteger),
    Column("until", BigInteger),
    moment("at"),
)  # fmt: skip
"""Parts of a grant that were withdrawn: a member of staff, or what lies before `back` or after `until` (epoch seconds).
after: the newest row of `answer` at that time."""

ledger = Table(
    "ledger", metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String(64), nullable=False, unique=True),
    Column("kind", String(12), nullable=False),
    Column("chain", String(32), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("subject", id_type()),
    Column("actor_kind", String(12)),
    Column("actor", String(64)),
    Column("categories", ARRAY(Text), nullable=False),
    Column("grants", ARRAY(Text), nullable=False),
    Column("about", String(64)),
    Column("salt", LargeBinary(16)),
    Column("canonical", LargeBinary),
    Column("leaf", LargeBinary(32), nullable=False),
    Column("appended_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("chain", "sequence"),
    CheckConstraint("(salt IS NULL) = (canonical IS NULL)", name="ledger_erased_whole"),
    Index("ledger_of_subject", "subject", text("sequence DESC"), postgresql_where=text("subject IS NOT NULL")),
    Index("ledger_about", "about", postgresql_where=text("about IS NOT NULL")),
    moment("at", null=True),
    Column("services", ARRAY(Text)),
    Column("action", String(12)),
    Column("outcome", String(12)),
    Index("ledger_by_time", text("at DESC"), text("id DESC"), postgresql_where=text("kind = 'look'")),
)  # fmt: skip
"""Every look, append-only by a trigger that lets one change through: erasure. index: place in the tree. chain: the
pseudonym of the subject, or of the caller where no subject was found. subject, actor: the ids that services use. about:
the record that a `held-back` one speaks of. Erased: salt, canonical, subject, actor and what was looked at are gone.
at, services, action, outcome: of a look, copied from its record to search by; what is shown is the record."""

question = Table(
    "question", metadata,
    Column("id", id_type(), primary_key=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False),
    Column("look", String(64), nullable=False),
    Column("service", String(64), nullable=False),
    Column("asked_by", id_type(), ForeignKey("person.id"), nullable=False),
    Column("text", LargeBinary, nullable=False),
    moment("asked_at"),
    Column("answer", LargeBinary),
    Column("answered_by", String(64)),
    moment("answered_at", null=True),
    UniqueConstraint("look", "asked_by"),
    Index("question_of_service", "service", text("asked_at DESC"), text("id DESC")),
)  # fmt: skip
"""What somebody asks a service about a look, and its answer; both texts are sealed with the subject's key."""

made = Table(
    "made", metadata,
    Column("event", String(64), primary_key=True),
    Column("record", String(64), nullable=False),
    Column("subject", id_type(), nullable=False),
    Column("item", id_type()),
    Column("category", String(64)),
    Column("type", String(64), nullable=False),
    Column("number", BigInteger, nullable=False),
    moment("at"),
    Column("above", ARRAY(Text), nullable=False, server_default="{}"),
    Index("made_by", "subject", "record", "number"),
)  # fmt: skip
"""What a write made or changed, as the logbook's event says: ids and codes. record: the write's access record, which
may come later or never. item None: the log itself. above: the ids and categories
of what the item stands under. No part of what the ledger proves; erasure takes it away."""

ledger_tree = Table(
    "ledger_tree", metadata,
    Column("id", Integer, primary_key=True, server_default="1"),
    Column("size", BigInteger, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    Column("stopped", String(64)),
    CheckConstraint("id = 1"),
)  # fmt: skip
"""One row; whoever appends locks it. edge: the roots of the tree's whole subtrees, the largest first. stopped: why
nothing may be appended or signed any more; an operator's to clear, once the database is the right one again."""

ledger_waiting = Table(
    "ledger_waiting", metadata,
    Column("id", String(64), primary_key=True),
    Column("record", JSONB, nullable=False),
    moment("at"),
)  # fmt: skip
"""Records of people's own acts that were taken while the ledger was stopped; they go before all that follow."""

ledger_tile = Table(
    "ledger_tile", metadata,
    Column("tier", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)  # fmt: skip
"""Nodes of the tree (model/tree.py says in which order); they only grow."""

ledger_checkpoint = Table(
    "ledger_checkpoint", metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("note", Text, nullable=False),
    moment("at"),
)  # fmt: skip
"""Every checkpoint that was signed; stored before anybody is shown it."""

ledger_cosignature = Table(
    "ledger_cosignature", metadata,
    Column("size", BigInteger, ForeignKey("ledger_checkpoint.size"), primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    moment("at"),
)  # fmt: skip
"""A checkpoint's note with the witness's line."""

directory_entry = Table(
    "directory_entry", metadata,
    Column("kind", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("closed", Boolean, nullable=False),
)  # fmt: skip
"""Categories, services and staff as the directory publishes them; of staff only whether they work here. closed: the
last record of this key could not be read."""

leader = Table(
    "leader", metadata,
    Column("id", Integer, primary_key=True, server_default="1"),
    Column("epoch", BigInteger, nullable=False),
    Column("lease_max", Float, nullable=False),
    Column("address", Text, nullable=False),
    moment("checked_at", null=True),
    Column("law_version", String(32)),
    Column("law_generation", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("id = 1"),
)  # fmt: skip
"""One row: which replica leads, under which number, the longest lease anyone may hold, the mark of the law table that
the states come from, and how often that or the categories have become others."""

APPEND_ONLY = (
    "ledger", "ledger_checkpoint", "ledger_cosignature", "answer", "narrowing", "law_fact", "given_otherwise",
    "information_given", "paper_form", "keeping", "exception",
)  # fmt: skip
"""Tables whose rows a trigger keeps from being changed or deleted; in `ledger` a chain may be erased."""
