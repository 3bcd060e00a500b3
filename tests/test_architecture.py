import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "queues": set(),
    "orders": {"queues"},
    "emails": {"queues"},
    "sandbox": set(),
    "notifier": {"queues", "orders", "emails", "sandbox"},
}
BORDERS = {
    "queues/aws/clients.py",
    "queues/aws/account.py",
    "queues/aws/lean_requests.py",
    "queues/aws/lean_connections.py",
    "queues/aws/sqs.py",
    "queues/aws/lean_sqs.py",
    "emails/ses/ses_api.py",
    "emails/ses/error_codes.py",
    "emails/ses/lean.py",
    "emails/ses/questions.py",
    "emails/ses/suppression_list.py",
    "emails/ses/destinations.py",
    "emails/ses/provisioning.py",
    "notifier/alerts/sns.py",
    # Configures the SDK; calls nothing.
    "notifier/settings.py",
}


def _modules(app):
    return sorted(path for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts)


def _imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module


@pytest.mark.parametrize("app", MAY_IMPORT)
def test_app_imports_only_what_the_arrows_allow(app):
    others = MAY_IMPORT.keys() - {app} - MAY_IMPORT[app]

    arrows = {
        (str(path.relative_to(ROOT)), name)
        for path in _modules(app)
        for name in _imported(path)
        if name.split(".")[0] in others
    }

    assert arrows == set()


@pytest.mark.parametrize("app", ["queues", "orders", "emails", "notifier"])
def test_only_border_modules_know_botocore(app):
    knowing = {
        str(path.relative_to(ROOT))
        for path in _modules(app)
        if any(name.split(".")[0] in {"boto3", "botocore"} for name in _imported(path))
    }

    assert knowing <= BORDERS


@pytest.mark.parametrize("app", MAY_IMPORT)
def test_environment_is_read_in_settings_only(app):
    allowed = {
        "notifier/settings.py",
        "notifier/wsgi.py",
        # Names the settings, as wsgi.py does.
        "queues/aws_lambda.py",
        "sandbox/ready.py",
    }

    reading = {
        str(path.relative_to(ROOT))
        for path in _modules(app)
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }

    assert reading <= allowed
