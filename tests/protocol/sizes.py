"""The small worlds that are explored whole, with every rule in force."""

from tests.protocol.rules import Size

WORLDS = [
    Size("one leader, a gateway that restarts twice", leaders=1, restarts=2),
    Size("every message by itself: lost, doubled, late", leaders=1, messages=True, beats=2),
    Size("the same with two leaders", messages=True),
    Size("two leaders, a gateway that restarts", restarts=1),
    Size("two partitions, a withdrawal in each", leaders=1, subjects=2, changes=(1, 1)),
    Size("two partitions, two leaders", subjects=2),
    Size("withdrawn, granted anew, withdrawn", leaders=1, changes=(3,)),
    Size("withdrawn and granted anew, two leaders", changes=(2,)),
    Size("a relay that repeats, two leaders", repeats=1),
    Size("compaction, restarts", leaders=1, compaction=True, restarts=1),
    Size("compaction between two changes", leaders=1, compaction=True, fillers=1, changes=(2,)),
    Size("a database that is restored, two leaders", begins=3, changes=(2,), restores=1),
    Size("clocks that drift as far as they may, finer time", tick=1.25, gateway_rate=0.9, leader_rate=1.1),
    Size("clocks that drift anew at every tick", leaders=1, tick=1.25, drifts=True),
    Size("two gateways that restart", leaders=1, gateways=2, restarts=1),
    Size("two gateways, two leaders", gateways=2),
    Size("three leaders", leaders=3),
    Size("withdrawn, granted anew, withdrawn; two leaders", changes=(3,)),
]
"""What `make model` explores; the last is the largest and takes the time that the others left."""

SMALL = [
    Size("a gateway that restarts", leaders=1, restarts=1),
    Size("two leaders"),
    Size("two gateways", leaders=1, gateways=2),
    Size("two partitions", leaders=1, subjects=2),
    Size("withdrawn and granted anew", leaders=1, changes=(2,)),
    Size("every message by itself", messages=True),
    Size("compaction", leaders=1, compaction=True),
    Size("clocks that drift", leaders=1, tick=1.25, gateway_rate=0.9, leader_rate=1.1),
]
"""What `make test` explores."""
