from pathlib import Path

import pytest

from aldgate.providers.bedrock.credentials import NoCredentials, find_region, from_environment, from_profile, profile_name
from aldgate.providers.bedrock.signature import Credentials

FILE = """
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key=s%ecret/+=

[lent]
aws_access_key_id = AKIDLENT
aws_secret_access_key = other
aws_session_token = token==

[sso]
sso_session = corp
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(FILE)
    (tmp_path / ".aws/config").write_text("[default]\nregion = eu-west-1\n[profile lent]\nregion = us-west-2\n")
    return {"HOME": str(tmp_path)}


def test_the_environment_names_a_key() -> None:
    assert from_environment({"AWS_ACCESS_KEY_ID": "AKID"}) is None
    said = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    assert from_environment(said) == Credentials("AKID", "s", "t")


def test_profiles_stand_in_the_shared_file(home: dict[str, str], tmp_path: Path) -> None:
    assert from_profile(home, "default") == Credentials("AKIDDEFAULT", "s%ecret/+=")
    assert from_profile(home, "lent") == Credentials("AKIDLENT", "other", "token==")
    other = tmp_path / "elsewhere"
    other.write_text(FILE.replace("AKIDLENT", "AKIDELSEWHERE"))
    assert from_profile({"AWS_SHARED_CREDENTIALS_FILE": str(other)}, "lent").access_key_id == "AKIDELSEWHERE"


@pytest.mark.parametrize("profile", ["sso", "unknown"])
def test_a_profile_without_a_key_is_named(home: dict[str, str], profile: str) -> None:
    with pytest.raises(NoCredentials, match=profile):
        from_profile(home, profile)


@pytest.mark.parametrize("text", ["no section\n", "[default\n", "\xff"])
def test_a_file_that_cannot_be_read_has_nobody(home: dict[str, str], text: str) -> None:
    Path(home["HOME"], ".aws/credentials").write_text(text, encoding="latin-1")
    with pytest.raises(NoCredentials, match="default"):
        from_profile(home, "default")
    with pytest.raises(NoCredentials):
        from_profile({}, "default")


def test_the_region_is_the_environments_then_the_profiles(home: dict[str, str]) -> None:
    assert find_region({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, "default") == "a"
    assert find_region({"AWS_DEFAULT_REGION": "b", **home}, "default") == "b"
    assert (find_region(home, "default"), find_region(home, "lent"), find_region(home, "sso")) == ("eu-west-1", "us-west-2", "")
    assert profile_name({}) == "default" and profile_name({"AWS_PROFILE": "lent"}) == "lent"
