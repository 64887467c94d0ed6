import multiprocessing
import pickle

import pytest

from deeplake_mmdet.errors import ConfigError, CredentialError
from deeplake_mmdet.lake import CredentialRef, is_handle, put_away

SECRET = "canary-0123456789"
LITERAL = [
    {"token": SECRET},
    {"creds": {"aws_secret_access_key": SECRET}},
    {"aws_secret_access_key": SECRET, "endpoint_url": "http://here"},
    {"username": "me", "password": SECRET},
]


@pytest.fixture(autouse=True)
def no_token_in_the_environment(monkeypatch):
    for name in ("ACTIVELOOP_TOKEN", "DEEPLAKE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("given", LITERAL, ids=lambda given: next(iter(given)))
def test_a_dataset_refuses_literal_secrets_without_repeating_them(given):
    with pytest.raises(CredentialError, match="literal credentials") as caught:
        CredentialRef(given)
    assert "delete those files and renew the credentials" in str(caught.value)
    for text in (str(caught.value), repr(caught.value), str(pickle.dumps(caught.value))):
        assert SECRET not in text


@pytest.mark.parametrize(
    "given", [None, "", {}, {"token": ""}, {"creds": None}, {"creds": {}, "token": None}]
)
def test_nothing_given_means_nothing_set(given):
    assert CredentialRef(given).resolve() == (None, {})


def test_public_options_may_stand_in_a_config():
    given = {"endpoint_url": "http://here", "aws_region": "eu", "creds": {"region": "eu"}}
    ref = CredentialRef(given)
    assert ref.resolve() == (None, {"endpoint_url": "http://here", "aws_region": "eu", "region": "eu"})
    assert "http://here" in repr(ref)
    assert pickle.loads(pickle.dumps(ref)).resolve() == ref.resolve()


@pytest.mark.parametrize("given", [SECRET, 3, [SECRET], {"creds": SECRET}])
def test_credentials_of_another_type_are_refused_without_repeating_them(given):
    with pytest.raises(ConfigError, match="must be a mapping") as caught:
        CredentialRef(given)
    assert SECRET not in str(caught.value)


def test_a_token_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("DEEPLAKE_API_KEY", "second")
    assert CredentialRef().resolve() == ("second", {})
    monkeypatch.setenv("ACTIVELOOP_TOKEN", "first")
    assert CredentialRef({"region": "eu"}).resolve() == ("first", {"region": "eu"})


def test_a_handle_stands_for_what_was_put_away(monkeypatch):
    monkeypatch.setenv("ACTIVELOOP_TOKEN", "of the environment")
    handle = put_away({"token": SECRET, "creds": {"aws_access_key_id": "id"}, "endpoint_url": "http://here"})
    assert is_handle(handle)
    assert CredentialRef(handle).resolve() == (
        SECRET,
        {"aws_access_key_id": "id", "endpoint_url": "http://here"},
    )


def test_put_away_without_a_token_leaves_the_environments(monkeypatch):
    monkeypatch.setenv("ACTIVELOOP_TOKEN", "of the environment")
    handle = put_away({"aws_secret_access_key": SECRET})
    assert CredentialRef(handle).resolve() == ("of the environment", {"aws_secret_access_key": SECRET})


def test_handles_tell_nothing_and_are_all_different():
    handles = {put_away({"token": SECRET}) for _ in range(10)}
    assert len(handles) == 10
    assert not any(SECRET in handle or SECRET in repr(CredentialRef(handle)) for handle in handles)
    assert not is_handle(SECRET)
    assert not is_handle(None)


def test_what_was_resolved_may_be_changed_without_harm():
    ref = CredentialRef(put_away({"aws_secret_access_key": SECRET}))
    ref.resolve()[1].clear()
    assert ref.resolve() == (None, {"aws_secret_access_key": SECRET})


@pytest.mark.parametrize(
    "given", [{"username": "me"}, {"password": SECRET}, {"username": "me", "password": SECRET}]
)
def test_user_name_and_password_are_refused(given):
    with pytest.raises(CredentialError, match=r"user name and password.*ACTIVELOOP_TOKEN") as caught:
        put_away(given)
    assert SECRET not in str(caught.value)


def test_empty_user_name_and_password_are_no_obstacle():
    handle = put_away({"username": "", "password": None, "token": SECRET})
    assert CredentialRef(handle).resolve() == (SECRET, {})


def test_put_away_refuses_storage_keys_that_are_no_mapping():
    with pytest.raises(ConfigError, match="'creds' must be a mapping") as caught:
        put_away({"creds": SECRET})
    assert SECRET not in str(caught.value)


def test_a_pickle_holds_the_handle_only():
    ref = CredentialRef(put_away({"token": SECRET}))
    pickled = pickle.dumps(ref)
    assert SECRET.encode() not in pickled
    assert pickle.loads(pickled).resolve() == (SECRET, {})  # the same process still has the store


def answer(pipe, ref):
    try:
        pipe.send(ref.resolve())
    except CredentialError as error:
        pipe.send(str(error))


def answer_from_pickle(pipe, pickled):
    answer(pipe, pickle.loads(pickled))


def in_child(method, target, argument):
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    child = context.Process(target=target, args=(there, argument))
    child.start()
    there.close()
    found = here.recv()
    child.join()
    return found


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_gets_the_secrets_as_it_is_started(method):
    ref = CredentialRef(put_away({"token": SECRET, "aws_secret_access_key": SECRET}))
    assert in_child(method, answer, ref) == (SECRET, {"aws_secret_access_key": SECRET})


def test_another_process_takes_its_environment_for_a_handle_out_of_a_pickle(monkeypatch):
    monkeypatch.setenv("ACTIVELOOP_TOKEN", "of the environment")
    pickled = pickle.dumps(CredentialRef(put_away({"token": SECRET, "aws_secret_access_key": SECRET})))
    assert in_child("spawn", answer_from_pickle, pickled) == ("of the environment", {})


def test_an_unknown_handle_stands_for_the_environment_and_is_told_once(monkeypatch, caplog):
    monkeypatch.delenv("ACTIVELOOP_TOKEN", raising=False)
    monkeypatch.setenv("DEEPLAKE_API_KEY", "of the environment")
    ref = CredentialRef("deeplake-credentials-0123456789abcdef")
    assert [ref.resolve() for _ in range(3)] == [("of the environment", {})] * 3
    told = [record.getMessage() for record in caplog.records if "another process" in record.getMessage()]
    assert len(told) == 1
    assert "ACTIVELOOP_TOKEN" in told[0]


def test_env_names_the_environments_storage_credentials():
    handle = put_away({"token": SECRET, "creds": "ENV"})
    assert CredentialRef(handle).resolve() == (SECRET, {})
    assert CredentialRef({"creds": "ENV", "token": None}).settings is None
