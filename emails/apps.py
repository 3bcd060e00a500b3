from importlib import import_module

from django.apps import AppConfig

from queues.doctor import findings


class EmailsConfig(AppConfig):
    name = "emails"

    def ready(self) -> None:
        """Import what registers itself with the queues and with Django's checks."""
        for module in (
            "advice",
            "sending.breakers",
            "checks",
            "corrections",
            "reports.evidence",
            "reports.feedback",
            "figures",
            "foresight",
            "sending.guard",
            "handlers",
            "sending.journal",
            "reports.orphans",
            "outcomes",
            "previewing",
            "ses.provisioning",
            "identities.sender_status",
            "reputation.support",
            "reputation.ses_sync",
            "reputation.suppressions",
            "identities.status_history",
            "sweeping",
            "sending.workload",
        ):
            import_module(f"emails.{module}")
        findings.add("emails.examinations")
