"""One figure as `make bench` prints it: one JSON line with what must be and what is aimed at."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """must and aim are told as text: `<= 6`, `>= 800`."""

    name: str
    value: float
    unit: str
    must: str
    aim: str

    def line(self) -> str:
        """The figure as one JSON line."""
        told = {"name": self.name, "value": round(self.value, 3), "unit": self.unit, "must": self.must, "aim": self.aim}
        return json.dumps(told | {"met": self.met()})

    def met(self) -> bool:
        """Does the value meet `must`?"""
        sign, _, bound = self.must.partition(" ")
        limit = float(bound.split()[0])
        return self.value <= limit if sign == "<=" else self.value >= limit
