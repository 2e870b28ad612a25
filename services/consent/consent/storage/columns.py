"""The columns that every table of consent's own has: ids and moments, each written in one way."""

from sqlalchemy import Column, DateTime, Uuid


def id_type() -> Uuid[str]:
    """A UUID as text."""
    return Uuid(as_uuid=False)


def moment(name: str, *, null: bool = False) -> Column[object]:
    """A moment with its time zone."""
    return Column(name, DateTime(timezone=True), nullable=null)
