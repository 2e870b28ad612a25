"""Who is in the story and what has come of it so far; every step reads it and adds to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from story.door import Caller
from story.narrative import Narrator
from story.people import Family
from story.school import Feed
from story.world import Control, World

DISTRICT = "gamlebyen"
NURSE_SERVICE, SCHOOL_SERVICE, POLICE_SERVICE = "school-health", "gamlebyen-school", "police-prevention"
SCHOOL_AGENCY, POLICE_AGENCY = "education-agency", "police-district"


@dataclass
class Story:
    """The cast. Handles differ by audience: what the nurse calls the youth is not what the school or the police do."""

    world: World
    control: Control
    narrator: Narrator
    family: Family
    today: date
    callers: dict[str, Caller] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    school: dict[str, Any] = field(default_factory=dict)
    feed: Feed = field(default_factory=Feed)
    feed_known: set[str] = field(default_factory=set)
    police_before: set[str] = field(default_factory=set)
    request: str = ""
    items: dict[str, str] = field(default_factory=dict)
    police_etag: str = ""
    addresses: dict[str, str] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)
    nurse_calls: int = 0

    def __getitem__(self, who: str) -> Caller:
        return self.callers[who]

    def subject(self, who: str, rest: str) -> str:
        """The path to something of the youth's, with the handle that `who` knows."""
        return f"/subjects/{self.handles[who]}/{rest}"

    def say(self, *lines: str) -> None:
        """Tell what happened."""
        self.narrator.say(*lines)

    def secrets(self) -> list[str]:
        """Everything that may stand in no e-mail and no feed: names, numbers, services, categories."""
        people = (self.family.youth, self.family.mother, self.family.father)
        return [text for one in people for text in (one.national_id, one.given_name, one.family_name)]
