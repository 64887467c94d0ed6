import pytest

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake.source.queries import (
    is_plain_selection,
    is_random,
    named_anew,
    selecting_all,
    split_source,
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * ORDER BY RANDOM()", True),
        ("select * order by random ( ) limit 3", True),
        ("SELECT * SAMPLE  BY weight LIMIT 5", True),
        ("SELECT * WHERE a > 1 ORDER BY a", False),
        ("SELECT * WHERE CONTAINS(name, 'RANDOM()')", False),
        ("SELECT * WHERE name == 'it''s SAMPLE BY'", False),
        ('SELECT * WHERE "sample by" > 1', False),
        ("SELECT * LIMIT 3 -- RANDOM()", False),
        ("SELECT * WHERE random > 1", False),
    ],
)
def test_what_gives_other_rows_each_time(query, expected):
    assert is_random(query) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT *", True),
        (" select * where a > 1", True),
        ("SELECT * ORDER BY RANDOM()", True),
        ("SELECT *, a + 1 AS b", False),
        ("SELECT a, b ORDER BY RANDOM()", False),
        ("SELECT * GROUP BY a", False),
    ],
)
def test_what_only_selects_rows(query, expected):
    assert is_plain_selection(query) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * WHERE a > 1", (None, "SELECT * WHERE a > 1")),
        ('SELECT * FROM "s3://b/l" WHERE a > 1', ("s3://b/l", "SELECT *  WHERE a > 1")),
        ('SELECT * from"l"', ("l", "SELECT * ")),
        ("SELECT * FROM lake LIMIT 1", ("lake", "SELECT *  LIMIT 1")),
        ("SELECT * FROM (SELECT * WHERE a > 1)", (None, "SELECT * FROM (SELECT * WHERE a > 1)")),
        ("SELECT * WHERE a == 'x FROM \"y\"'", (None, "SELECT * WHERE a == 'x FROM \"y\"'")),
    ],
)
def test_the_lake_of_a_query(query, expected):
    assert split_source(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        'SELECT * FROM "a" UNION (SELECT * FROM "b")',
        'SELECT * FROM "a" JOIN "a" ON x = y',
        'SELECT * JOIN "b"',
    ],
)
def test_two_lakes_in_a_query_are_refused(query):
    with pytest.raises(ConfigError, match="only one lake can be pinned"):
        split_source(query)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT *", "SELECT * "),
        (
            "select * where a > 1 order by b limit 3 offset 2;",
            "SELECT * where a > 1 order by b limit 3 offset 2",
        ),
        ("SELECT images, boxes WHERE a > 1", "SELECT * WHERE a > 1"),
        ("SELECT a WHERE b == 'it''s'", "SELECT * WHERE b == 'it''s'"),
        ('SELECT "the images", boxes LIMIT 3', "SELECT * LIMIT 3"),
        ("SELECT * WHERE a == 'x UNION y' -- GROUP BY z", "SELECT * WHERE a == 'x UNION y'"),
        (
            "SELECT * FROM (SELECT *, ROW_NUMBER() AS n) WHERE n IN (1,2) ORDER BY b",
            "SELECT * FROM (SELECT *, ROW_NUMBER() AS n) WHERE n IN (1,2) ORDER BY b",
        ),
        (
            "SELECT a FROM (SELECT a, b WHERE (c + 1) > 2) LIMIT 3",
            "SELECT * FROM (SELECT * WHERE (c + 1) > 2) LIMIT 3",
        ),
        ("SELECT *, a + 1 AS b", None),
        ("SELECT a AS b", None),
        ("SELECT a + 1", None),
        ("SELECT * GROUP BY a", None),
        ("SELECT * WHERE a > 1 UNION (SELECT * WHERE b > 1)", None),
        ("SELECT * WHERE a > 1 UNGROUP BY boxes SPLIT", None),
        ("SELECT * EXPAND BY 0 1", None),
        ("SELECT * ORDER BY RANDOM()", None),
        ("SELECT * SAMPLE BY weight", None),
        ("SELECT * FROM (SELECT *, a + 1 AS n) WHERE n > 1", None),
        ("SELECT * FROM (SELECT * WHERE a > 1", None),
        ('SELECT * FROM "lake" JOIN "other"', None),
        ("no query", None),
    ],
)
def test_what_only_selects_and_orders_rows(query, expected):
    found = selecting_all(query)
    assert (found and found.split()) == (expected and expected.split())


def test_names_of_what_is_computed():
    assert named_anew("SELECT * FROM (SELECT *, ROW_NUMBER() AS n) WHERE a == 'x AS y'") == {"n"}
    assert named_anew('SELECT a AS "the name"') == {"the name"}
