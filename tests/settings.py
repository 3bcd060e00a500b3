"""Settings for tests: nothing of the machine's own environment or of a developer's .env."""

import os
from pathlib import Path

for name in list(os.environ):
    if name.startswith(("AWS_", "QUEUE_", "SES_", "SANDBOX", "FAILPOINTS")):
        del os.environ[name]
os.environ["ENV_FILE"] = str(Path(__file__).with_name("test.env"))

from notifier.settings import *  # noqa: E402, F403
