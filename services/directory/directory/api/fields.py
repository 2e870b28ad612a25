"""The types of single fields that shapes are made of: ids, days, texts and their lengths."""

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


def _day(value: object) -> object:
    if not isinstance(value, str) or re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is None:
        raise ValueError("not a day like 2026-01-31")
    return date.fromisoformat(value)


def _moment(value: object) -> object:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Day = Annotated[date, BeforeValidator(_day)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$")]
StaffId = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
]
"""UUID4 text. Staff ids go on the bus, so a readable one, which would tell a name, is refused."""
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=PRINTABLE)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True, pattern=PRINTABLE)]
Lines = Annotated[dict[Language, Line], Field(min_length=1, max_length=20)]
Sentences = Annotated[dict[Language, Sentence], Field(min_length=1, max_length=20)]
LevelNumber = Annotated[int, Field(ge=0, le=9)]
Setting = Annotated[bool | int | Line | Annotated[list[Line], Field(max_length=30)], Field(union_mode="left_to_right")]


class Strict(BaseModel):
    """Unknown fields are refused, and text is not taken for a number or a truth value."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class AgesIn(Strict):
    """Years of age, both included."""

    first: int = Field(alias="from", ge=0, le=120)
    last: int = Field(alias="to", ge=0, le=120)
