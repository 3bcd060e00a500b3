"""botocore's descriptions of AWS's services, parsed once: importing this makes each new client in a process cheap.

botocore keeps them for one session only, and parses a megabyte of JSON for each service in the next one.
"""

from __future__ import annotations

from functools import cache

import boto3
from botocore.loaders import JSONFileLoader

_read = cache(JSONFileLoader().load_file)
setattr(JSONFileLoader, "load_file", staticmethod(_read))  # noqa: B010  # mypy knows it as a method

_session = boto3.session.Session("none", "none", region_name="eu-west-1")
for _service in ("ses", "sesv2", "sns", "sqs", "sts"):
    _session.client(_service)
