from urllib.parse import quote

import pytest

from aldgate.providers.bedrock.signature import Credentials, Signer, canonical_path

AT = 1_440_938_160  # 2015-08-30T12:36:00Z
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/"
    "qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7"
    "ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123"


def sign(method: str, host: str, path: str, query: str, body: bytes, token: str, region: str, service: str) -> dict[str, str]:
    signer = Signer(Credentials("AKIDEXAMPLE", SECRET, token), host, region, service, lambda: AT)
    first = signer.lines(method, canonical_path(path), query, body)
    assert signer.lines(method, canonical_path(path), query, body) == first, "the key is remembered"
    lines = first.removesuffix("\r\n").split("\r\n")
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize(
    ("method", "path", "query", "token", "signature"),
    [
        ("GET", "/", "", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", "", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ("GET", "/", "Param1=value1&Param2=value2", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ("GET", "/\u1234", "", "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        ("POST", "/", "", TOKEN, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case", "get-utf8", "post-sts-header-before"],
)
def test_the_signatures_of_awss_test_suite(method: str, path: str, query: str, token: str, signature: str) -> None:
    """https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html, those without headers of their own."""
    signed = sign(method, "example.amazonaws.com", path, query, b"", token, "us-east-1", "service")
    names = "host;x-amz-date;x-amz-security-token" if token else "host;x-amz-date"
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    assert signed["x-amz-date"] == "20150830T123600Z" and signed.get("x-amz-security-token", "") == token


@pytest.mark.parametrize(
    ("method", "host", "path", "body", "token", "region", "signature"),
    [
        (
            "POST",
            "bedrock-runtime.us-east-1.amazonaws.com",
            f"/model/{quote(CLAUDE, safe='')}/converse",
            b'{"messages":[]}',
            "",
            "us-east-1",
            "e093f52e9f3cb40f5ed10d98a50a1e8f7bdbd9cac36fe2149690255d8743de54",
        ),
        (
            "POST",
            "bedrock-runtime.eu-west-1.amazonaws.com",
            f"/model/{quote(PROFILE, safe='')}/converse-stream",
            b"{}",
            "the+session/token==",
            "eu-west-1",
            "867748d02d282819da98e853bc36b61763cb3f435f79b5769784bff7a63e6c22",
        ),
        (
            "GET",
            "bedrock.us-west-2.amazonaws.com",
            "/foundation-models",
            b"",
            "",
            "us-west-2",
            "8d63c54715196792f2a191b2e3b2505d3c7e0ed7cb4975695d559638dbf533a7",
        ),
        (
            "POST",
            "127.0.0.1:9000",
            "/lab/model/a%20b/converse",
            b"\x00\xff",
            "",
            "us-west-2",
            "e8bb23da3e07ac563a3869eec08bf1c440b91705fd57780ec3494677bbe4927a",
        ),
    ],
)
def test_what_botocore_signs(method: str, host: str, path: str, body: bytes, token: str, region: str, signature: str) -> None:
    """Computed once with botocore 1.44's `SigV4Auth(credentials, "bedrock", region).add_auth` at the suite's date."""
    assert sign(method, host, path, "", body, token, region, "bedrock")["authorization"].endswith(f"Signature={signature}")


def test_new_credentials_and_a_new_day_make_a_new_key() -> None:
    now = [AT]
    signer = Signer(Credentials("AKIDEXAMPLE", SECRET), "example.amazonaws.com", "us-east-1", "service", lambda: now[0])
    first = signer.lines("GET", "/", "", b"")
    now[0] += 86_400
    second = signer.lines("GET", "/", "", b"")
    signer.credentials = Credentials("AKIDOTHER", "secret")
    third = signer.lines("GET", "/", "", b"")
    assert "20150831/us-east-1" in second and "AKIDOTHER" in third
    assert len({each.rpartition("Signature=")[2] for each in (first, second, third)}) == 3


def test_a_secret_does_not_show_itself() -> None:
    assert SECRET not in repr(Credentials("AKIDEXAMPLE", SECRET, TOKEN)) and TOKEN not in repr(Credentials("a", "b", TOKEN))
