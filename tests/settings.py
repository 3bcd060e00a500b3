"""Settings for tests: nothing of the machine's own environment or of a developer's .env."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests.support import postgres

for name in list(os.environ):
    if name.startswith(
        (
            "ADMINS",
            "ALERTS_",
            "API_",
            "ARCHIVE_",
            "AWS_",
            "COGNITO_",
            "DATABASE_URL",
            "DEBUG",
            "DNS_",
            "EMAIL_TRANSPORT",
            "FAILPOINTS",
            "FORM_",
            "GUARD_",
            "QUEUE_",
            "SANDBOX",
            "SES_",
            "SMTP_",
            "SQS_",
            "SUPPORT_",
            "SUPPRESS",
            "TOPIC_",
            "USE_SES_",
        )
    ):
        del os.environ[name]
os.environ["ENV_FILE"] = str(Path(__file__).with_name("test.env"))
if os.environ.get("TEST_DATABASE") == "postgresql":
    os.environ["DATABASE_URL"] = postgres.start()

from notifier.settings import *  # noqa: E402, F403
from notifier.settings import DATABASES  # noqa: E402

folder = tempfile.mkdtemp(prefix="notifier-tests-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)
# The AWS in this process hears only boto3. Processes that tests start call the local AWS as they come.
SQS_CLIENT = SES_CLIENT = "boto3"
API_LOCAL_KEY = f"{folder}/api-key.pem"
if os.environ.get("TEST_DATABASE") != "postgresql":
    # A file, not memory: the tests of locking need connections that really lock each other out.
    DATABASES["default"]["TEST"] = {"NAME": f"{folder}/test.sqlite3"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Static files are not collected here; whitenoise would warn.
WHITENOISE_AUTOREFRESH = True
