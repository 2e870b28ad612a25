"""Places, the newest changes of every log, and the words of a stream: rules without a door."""

from gateway.model.feeds import About
from gateway.model.streams import Change, Place, Recent, message, opening

P, Q = 3, 5


def change(name: str, offset: int, subject: str = "s", partition: int = P, item: str | None = "i") -> Change:
    return Change(name, Place(partition, offset), subject, "entry.added", item, "school", 1_000.0)


def recent(most: int = 10) -> Recent:
    """Both partitions are read from 10 on."""
    found = Recent(most)
    found.begin(P, 10)
    found.begin(Q, 10)
    return found


def test_a_place_is_sixteen_bytes_that_are_read_back() -> None:
    assert Place(1, 1).as_id() == "00000001-0000-0000-0000-000000000002"
    for place in (Place(0, -1), Place(0, 0), Place(7, 2**40), Place(2**20, 12)):
        assert Place.of_id(place.as_id()) == place


def test_a_change_asks_about_its_log_its_category_its_item_and_who_did_it() -> None:
    found = Change("c", Place(P, 1), "s", "entry.added", "i", "school", 7.0, above=(("m", "health"),), by="teacher")
    assert found.about() == About("s", category="school", at=7.0, item="i", above=(("m", "health"),), by="teacher")


def test_a_change_is_added_once_and_found_by_its_subject_after_a_place() -> None:
    log = recent()
    first, second, other = change("a", 10), change("b", 11), change("c", 12, subject="t")
    assert [log.add(one) for one in (first, second, other, first)] == [True, True, True, False]
    assert log.since("s", Place(P, 9)) == [first, second]
    assert log.since("s", Place(P, 10)) == [second]
    assert log.since("s", Place(P, 11)) == []
    assert log.since("t", Place(P, 9)) == [other]
    assert log.since("nobody", Place(P, 9)) == []


def test_what_lies_before_the_first_place_read_or_in_an_unknown_partition_is_not_known() -> None:
    log = recent()
    assert log.since("s", Place(P, 9)) == []
    assert log.since("s", Place(P, 8)) is None
    assert log.since("s", Place(99, 9)) is None
    assert log.partitions() == 2


def test_the_place_up_to_which_a_partition_was_read_is_behind_whatever_was_passed() -> None:
    log = recent()
    assert log.here(P) == Place(P, 9)
    log.passed(Place(P, 14))
    assert (log.here(P), log.here(Q)) == (Place(P, 14), Place(Q, 9))
    assert log.since("s", Place(P, 9)) == [], "passing a place forgets nothing"


def test_of_too_many_changes_the_oldest_is_forgotten_and_missed_by_who_was_away_since() -> None:
    log = recent(most=2)
    changes = [change("a", 10, "s"), change("b", 11, "s", Q), change("c", 12, "s"), change("d", 13, "t")]
    assert log.add(changes[0]) and log.add(changes[1])
    assert log.since("s", Place(P, 9)) == changes[:2]
    log.add(changes[2])
    assert log.since("s", Place(P, 9)) is None, "the first is gone"
    assert log.since("s", Place(P, 10)) == changes[1:3]
    assert log.since("s", Place(Q, 9)) == changes[1:3], "nothing of the other partition is gone"
    log.add(changes[3])
    assert (log.since("s", Place(Q, 10)), log.since("s", Place(Q, 11))) == (None, [changes[2]])
    assert log.add(changes[0]), "what was forgotten is not known to have come before"
    assert log.since("s", Place(P, 12)) == [], "with its last change the subject is forgotten"
    assert (set(log._changes), set(log._by_subject)) == ({"d", "a"}, {"t", "s"})


def test_with_its_last_change_nothing_is_left_of_a_subject() -> None:
    log = recent(most=1)
    log.add(change("a", 10, "s"))
    log.add(change("b", 11, "t"))
    assert (set(log._changes), set(log._by_subject)) == ({"b"}, {"t"})


def test_a_gateway_remembers_twenty_thousand_changes_unless_told_otherwise() -> None:
    log = Recent()
    log.begin(P, 0)
    for offset in range(20_000):
        log.add(change(str(offset), offset))
    assert log.since("s", Place(P, -1)) is not None
    log.add(change("one more", 20_000))
    assert log.since("s", Place(P, -1)) is None


def test_the_first_words_of_a_stream_say_when_to_come_back_and_from_where() -> None:
    assert opening("p", missed=False) == b"retry: 1000\nid: p\n\n"
    assert opening("p", missed=True) == b"retry: 1000\nid: p\nevent: missed\ndata: {}\n\n"


def test_a_message_points_to_an_item_or_to_the_log() -> None:
    assert message(change("a", 1), "p", "h") == (
        b'id: p\nevent: changed\ndata: {"kind":"entry.added","item":"i","category":"school",'
        b'"href":"/subjects/h/items/i"}\n\n'
    )
    assert message(change("a", 1, item=None), "p", "h") == (
        b'id: p\nevent: changed\ndata: {"kind":"entry.added","item":null,"category":"school",'
        b'"href":"/subjects/h/log"}\n\n'
    )
