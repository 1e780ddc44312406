"""The table of a Bedrock provider."""

from __future__ import annotations

from aldgate.providers.section import ProviderSection


class BedrockSection(ProviderSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Amazon Bedrock. Without `api_key` (a Bedrock API key) requests are signed with AWS credentials."""

    region: str = ""
    """As in `eu-west-1`; empty takes `AWS_REGION`, else the profile's."""
    profile: str = ""
    """Whose credentials in the shared file sign; empty takes the environment's, then `AWS_PROFILE`'s or the default ones."""
    access_key_id: str = ""
    """The id of an access key, which is no secret; with it `secret_access_key`."""
    secret_access_key: str = ""
    """`env:NAME` or `file:/path`."""
    session_token: str = ""
    """`env:NAME` or `file:/path`, for credentials that are lent for a time."""
    control_url: str = ""
    """Where models are listed; empty is the region's own, or nowhere with a `base_url`."""
    role_arn: str = ""
    """A role to assume with the credentials that were found, as in `arn:aws:iam::123456789012:role/gate`."""
    role_session_name: str = "aldgate"
    """What its sessions are called in AWS's logs."""
    external_id: str = ""
    """What the role's owner wants to be told."""
    instance_role: bool = False
    """Whether the EC2 instance's role may be used, which its metadata service lends to everything on the machine."""
