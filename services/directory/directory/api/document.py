"""The shape of a district's whole document: strict types and lengths; the rules themselves are the model's."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from directory import model
from directory.api.fields import (
    PRINTABLE,
    AgesIn,
    Day,
    LevelNumber,
    Line,
    Lines,
    Sentences,
    Setting,
    Slug,
    StaffId,
    Strict,
)


class DistrictIn(Strict):
    """The district itself."""

    municipality: Line
    names: Lines
    settings: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,40}$")], Setting] = Field(max_length=50)


class CategoryIn(Strict):
    """A category of information."""

    id: Slug
    special: bool
    names: Lines


class AgencyIn(Strict):
    """A legal unit."""

    id: Slug
    orgnr: Annotated[str, StringConstraints(pattern=r"^[0-9]{9}$")]
    sector: Literal["municipal", "county", "state", "private"]
    parent: Slug | None = None
    names: Lines


class ContactIn(Strict):
    """A way to reach a service, never an employee."""

    kind: Literal["email", "phone", "web", "visit"]
    value: Line


class ServiceIn(Strict):
    """A service that consent can be given to."""

    id: Slug
    agency: Slug
    kind: Slug
    status: Literal["listed", "attached", "declined"]
    ages: AgesIn
    area: Line
    names: Lines
    responsibility: Sentences
    contacts: Annotated[list[ContactIn], Field(min_length=1, max_length=10)]
    reviewed: Day
    review_due: Day


class MemberIn(Strict):
    """Somebody who acts for services."""

    id: StaffId
    name: Annotated[str, StringConstraints(min_length=3, max_length=120, strip_whitespace=True, pattern=PRINTABLE)]
    title: Line
    role: Literal["professional", "leader", "admin", "privacy-officer"]
    services: Annotated[list[Slug], Field(max_length=50)]


class ToolIn(Strict):
    """Something that steps point at."""

    id: Slug
    kind: Literal["form", "method", "information"]
    names: Lines


class StepIn(Strict):
    """One step of a level."""

    id: Slug
    phase: Literal["identification", "assessment", "decision", "measures"]
    text: Sentences
    who: Lines
    tools: Annotated[list[Slug], Field(max_length=20)] = []


class OwnStepIn(StepIn):
    """A district's own step."""

    after: Slug | None = None


class OutcomeIn(Strict):
    """How a level can end."""

    id: Slug
    text: Sentences
    to_level: LevelNumber | None = None
    outside_log: bool = False


class QuestionIn(Strict):
    """A yes-or-no criterion."""

    id: Slug
    text: Sentences
    expected: Literal["yes", "no"]


class CreateLogIn(Strict):
    """When a log is to be created."""

    when: Sentences
    allowed: bool
    questions: Annotated[list[QuestionIn], Field(max_length=20)] = []


class LevelIn(Strict):
    """One level of the template."""

    level: LevelNumber
    names: Lines
    purpose: Sentences
    shares: Literal["nothing", "consented"]
    decide_within_days: Annotated[int, Field(ge=1, le=365)] | None = None
    steps: Annotated[list[StepIn], Field(min_length=1, max_length=50)]
    outcomes: Annotated[list[OutcomeIn], Field(max_length=20)]
    create_log: CreateLogIn | None = None


class TemplateIn(Strict):
    """The city's template."""

    id: Slug
    edition: Line
    names: Lines
    tools: Annotated[list[ToolIn], Field(max_length=100)]
    levels: Annotated[list[LevelIn], Field(min_length=1, max_length=10)]


class LevelOverrideIn(Strict):
    """What the district does otherwise at a level."""

    level: LevelNumber
    drop_steps: Annotated[list[Slug], Field(max_length=50)] = []
    steps: Annotated[list[OwnStepIn], Field(max_length=50)] = []
    create_log: CreateLogIn | None = None


class OverrideIn(Strict):
    """What the district does otherwise."""

    drop_levels: Annotated[list[LevelNumber], Field(max_length=10)] = []
    levels: Annotated[list[LevelOverrideIn], Field(max_length=10)] = []


class GuideIn(Strict):
    """Template and override."""

    owner: Slug
    reviewed: Day
    review_due: Day
    ages: AgesIn
    template: TemplateIn
    override: OverrideIn


class DocumentIn(Strict):
    """The whole document of a district."""

    district: DistrictIn
    categories: Annotated[list[CategoryIn], Field(min_length=1, max_length=100)]
    agencies: Annotated[list[AgencyIn], Field(min_length=1, max_length=200)]
    services: Annotated[list[ServiceIn], Field(max_length=1000)]
    staff: Annotated[list[MemberIn], Field(max_length=5000)]
    guide: GuideIn | None = None

    def document(self, district: str) -> model.Document:
        """As the model knows it; the path names the district."""
        given = self.model_dump(by_alias=False)
        given["district"]["id"] = district
        return _DOCUMENT.validate_python(given)


_DOCUMENT: TypeAdapter[model.Document] = TypeAdapter(model.Document)
