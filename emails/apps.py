from importlib import import_module

from django.apps import AppConfig

from queues.doctor import findings


class EmailsConfig(AppConfig):
    name = "emails"

    def ready(self) -> None:
        """Import what registers itself with the queues and with Django's checks."""
        for module in (
            "dead_letters.advice",
            "sending.breakers",
            "checks",
            "dead_letters.corrections",
            "reports.evidence",
            "reports.feedback",
            "figures",
            "dead_letters.preflight",
            "sending.guard",
            "handlers",
            "sending.journal",
            "reports.orphans",
            "dead_letters.outcomes",
            "dead_letters.previews",
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
        findings.add("emails.doctor.checks")
