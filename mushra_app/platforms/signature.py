"""AWS Signature Version 4, with which requests to Amazon's APIs are signed.

The steps are those of "Create a signed AWS API request" in the AWS Identity and Access Management User Guide. The
official library, botocore, needs a version of python-dateutil that other packages have left behind.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Keys of an AWS account.

    Args:
        token: of a session with temporary keys; "" for permanent ones.
    """

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def signed_headers(
    method: str, url: str, headers: Mapping[str, str], body: bytes, credentials: Credentials, *,
    region: str, service: str, when: datetime,
) -> dict[str, str]:  # fmt: skip
    """Headers of a signed request: the given ones, Host, X-Amz-Date, if need be X-Amz-Security-Token, Authorization.

    Args:
        url: its path is signed as it stands, so it must be percent-encoded and have no dots to resolve.
        headers: all are signed.
        when: time of the request, UTC.
    """
    parts = urlsplit(url)
    stamp = when.strftime("%Y%m%dT%H%M%SZ")
    complete = {**headers, "Host": parts.netloc, "X-Amz-Date": stamp}
    if credentials.token:
        complete["X-Amz-Security-Token"] = credentials.token
    canonical = {name.lower(): " ".join(value.split()) for name, value in complete.items()}
    names = ";".join(sorted(canonical))
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
    )
    lines = [f"{name}:{canonical[name]}" for name in sorted(canonical)]
    digest = hashlib.sha256(body).hexdigest()
    request = "\n".join([method, parts.path or "/", query, *lines, "", names, digest])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    complete["Authorization"] = (
        f"{ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return complete
