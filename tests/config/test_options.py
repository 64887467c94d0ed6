import pytest

from deeplake_mmdet.config import parse_options
from deeplake_mmdet.errors import ConfigError


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("a=1", {"a": 1}),
        ("a.b=0.5", {"a.b": 0.5}),
        ("a=1e-3", {"a": 0.001}),
        ("a=True", {"a": True}),
        ("a=false", {"a": False}),
        ("a=None", {"a": None}),
        ("a=text", {"a": "text"}),
        ("a=[1,2]", {"a": [1, 2]}),
        ("a=1,2", {"a": [1, 2]}),
        ("a=(1,2)", {"a": (1, 2)}),
        ("a=[(1,2),(x,y)]", {"a": [(1, 2), ("x", "y")]}),
        ("a=s3://bucket/lake", {"a": "s3://bucket/lake"}),
        ("a=SELECT * WHERE b==1", {"a": "SELECT * WHERE b==1"}),
        ("a.0.b=1", {"a.0.b": 1}),
    ],
)
def test_values_are_read_as_mmdetections_tools_do(item, expected):
    assert parse_options([item]) == expected


def test_several_options_are_read_and_the_last_of_a_key_wins():
    assert parse_options(["a=1", "b=2", "a=3"]) == {"a": 3, "b": 2}


@pytest.mark.parametrize("items", [None, []])
def test_no_options_change_nothing(items):
    assert parse_options(items) == {}


@pytest.mark.parametrize("item", ["a=[1,2", "a=1),2"])
def test_brackets_that_do_not_match_are_refused(item):
    with pytest.raises(ConfigError, match="bracket"):
        parse_options([item])


@pytest.mark.parametrize("item", ["a='x y'", 'a="x y"'])
def test_texts_lose_their_quotes_and_keep_their_spaces(item):
    assert parse_options([item]) == {"a": "x y"}


def test_an_item_without_equals_sign_is_refused():
    with pytest.raises(ConfigError, match=r"'batch_size'.*--cfg-options.*key=value"):
        parse_options(["a=1", "batch_size"])


@pytest.mark.parametrize("item", ["--launcher=pytorch", "=1", ""])
def test_an_item_without_a_key_is_refused(item):
    with pytest.raises(ConfigError, match="--cfg-options"):
        parse_options([item])
