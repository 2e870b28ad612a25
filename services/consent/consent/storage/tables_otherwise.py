"""Tables of what came otherwise than by a log-in: words on paper and spoken, printed forms, companions."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from consent.storage.columns import id_type, moment
from consent.storage.tables import metadata

given_otherwise = Table(
    "given_otherwise", metadata,
    Column("id", id_type(), primary_key=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False, index=True),
    Column("request", id_type(), ForeignKey("request.id")),
    Column("person", id_type(), ForeignKey("person.id"), nullable=False),
    Column("way", String(12), nullable=False),
    Column("manner", String(12), nullable=False),
    Column("by_kind", String(8), nullable=False),
    Column("by", String(64), nullable=False),
    Column("services", ARRAY(Text), nullable=False),
    Column("witness", String(64)),
    Column("form", String(16)),
    moment("given_at"),
    moment("registered_at"),
    Column("sealed", LargeBinary),
    CheckConstraint("manner IN ('paper', 'oral', 'companion') AND way IN ('answer', 'withdrawal', 'naming')"),
)  # fmt: skip
"""Words of `person` that came on paper, orally or through a companion; only ever added to. by: the member of staff who
registered it, or the companion. sealed: place, statement and scan, with the subject's key."""

information_given = Table(
    "information_given", metadata,
    Column("id", id_type(), primary_key=True),
    Column("request", id_type(), ForeignKey("request.id"), nullable=False, index=True),
    Column("person", id_type(), ForeignKey("person.id"), nullable=False),
    Column("text_version", String(32), nullable=False),
    Column("language", String(12), nullable=False),
    Column("points", ARRAY(Text), nullable=False),
    Column("interpreter", Boolean, nullable=False),
    Column("told_by", String(64), nullable=False),
    Column("service", String(64), nullable=False),
    moment("told_at"),
    moment("registered_at"),
)  # fmt: skip
"""Who told `person` what, orally, and when; only ever added to."""

paper_form = Table(
    "paper_form", metadata,
    Column("code", String(16), primary_key=True),
    Column("request", id_type(), ForeignKey("request.id"), nullable=False),
    Column("person", id_type(), ForeignKey("person.id"), nullable=False),
    Column("text_version", String(32), nullable=False),
    Column("language", String(12), nullable=False),
    Column("by", String(64), nullable=False),
    moment("made_at"),
)  # fmt: skip
"""Forms that were printed, and which text is on them: what comes back on paper is answered by that text."""

companion = Table(
    "companion", metadata,
    Column("id", id_type(), primary_key=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False, index=True),
    Column("person", id_type(), ForeignKey("person.id"), nullable=False),
    Column("companion", id_type(), ForeignKey("person.id"), nullable=False, index=True),
    Column("called", LargeBinary, nullable=False),
    Column("acts", ARRAY(Text), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("given", id_type(), ForeignKey("given_otherwise.id")),
    moment("named_at"),
    moment("ended_at", null=True),
)  # fmt: skip
"""Who writes for `person` in what is about the subject. called: the name that the companion was named by, sealed.
until: epoch seconds. given: how the naming came, where that was not by the person's own log-in."""
