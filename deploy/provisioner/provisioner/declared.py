"""What topics.toml says, read strictly: an unknown word or user in it stops the provisioner."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z-]{1,30}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Declared(_Strict):
    """One topic of ours. `key` is for people: what the records are keyed by."""

    key: str
    partitions: int = Field(ge=1, le=100)
    cleanup: Literal["compact", "delete"]
    retention_days: int | None = Field(default=None, ge=1)
    min_compaction_lag_hours: int | None = Field(default=None, ge=1)
    owner: Name
    writers: tuple[Name, ...]
    readers: tuple[Name, ...]
    dead_letters: bool = False

    @model_validator(mode="after")
    def _kept(self) -> Self:
        compacted = self.cleanup == "compact"
        if compacted != (self.min_compaction_lag_hours is not None) or compacted != (self.retention_days is None):
            raise ValueError("a compacted topic has min_compaction_lag_hours, any other has retention_days")
        return self


class DeadLetters(_Strict):
    """What all `<topic>.dlq` have in common."""

    partitions: int = Field(ge=1)
    retention_days: int = Field(ge=1)
    operator: Name


class Quota(_Strict):
    """What one attachment's user may take of a broker."""

    producer_byte_rate: int = Field(gt=0)
    consumer_byte_rate: int = Field(gt=0)
    request_percentage: int = Field(gt=0, le=100)


class AgencyTopics(_Strict):
    """What all feeds and inboxes have in common."""

    partitions: int = Field(ge=1)
    retention_days: int = Field(ge=1)
    feed_writers: tuple[Name, ...]
    inbox_readers: tuple[Name, ...]
    quota: Quota


class Declarations(_Strict):
    """The whole file."""

    users: tuple[Name, ...]
    topic: Mapping[str, Declared]
    dead_letters: DeadLetters
    agency: AgencyTopics

    @model_validator(mode="after")
    def _known(self) -> Self:
        named = {user for topic in self.topic.values() for user in (*topic.writers, *topic.readers)}
        named |= {self.dead_letters.operator, *self.agency.feed_writers, *self.agency.inbox_readers}
        if unknown := named - set(self.users):
            raise ValueError(f"not among `users`: {', '.join(sorted(unknown))}")
        return self


class Unreadable(Exception):
    """topics.toml is not what it should be; the text says where."""


def read(path: Path) -> Declarations:
    """The file as data; Unreadable with the first thing that is wrong."""
    try:
        return Declarations.model_validate(tomllib.loads(path.read_text()))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Unreadable(f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Unreadable(f"{path.name}: {error}") from error
