"""What districts say of their guides, as the state topic tells it: the newest of each, or closed (design.md rule 2)."""

from dataclasses import dataclass, field

from logbook.model.facts import Guide


@dataclass(slots=True)
class Guides:
    """The guide of each district. What could not be read closes its district until something newer can be."""

    _known: dict[str, Guide | None] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)

    def learn(self, guide: Guide) -> None:
        """A record that could be read. An older one than what is held is a repetition and changes nothing."""
        if guide.version >= self._versions.get(guide.id, 0):
            self._versions[guide.id] = guide.version
            self._known[guide.id] = guide

    def close(self, district: str) -> None:
        """A record that could not be read."""
        self._known[district] = None

    def closed(self) -> int:
        """How many districts are closed."""
        return sum(guide is None for guide in self._known.values())

    def of(self, district: str) -> Guide | None:
        """The guide of the district, or None: unknown or closed."""
        return self._known.get(district)
