"""Define the roles of staff: groups that ``manage.py migrate`` makes, each with the rights that its work needs.

A role gets a right once, when the permission first exists. Rights that an administrator removes, and groups that they
delete, do not come back. Rights that they add stay.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.models import Group, Permission
from django.db import transaction

from notifier.models import RoleGrant

_LOOK = {
    "queues.view_outboxevent",
    "queues.view_deadletter",
    "queues.view_redrive",
    "queues.view_consumer",
    "queues.view_doctorrun",
    "emails.view_notification",
    "emails.view_deliveryevent",
    "emails.preview_email",
    "emails.view_suppression",
    "emails.view_guard",
    "orders.view_product",
}
# Orders, accounts and identities are personal data or contain it.
_KNOW = {
    "notifier.view_pii",
    "orders.view_order",
    "orders.view_customer",
    "orders.view_bankaccount",
    "orders.view_transaction",
    "emails.view_identity",
}
_REDRIVE = {"queues.redrive_deadletter", "queues.collect_deadletter"}
# Customers ask support to add and lift suppressions, and to correct an address.
_SUPPRESS = {
    "emails.add_suppression",
    "emails.lift_suppression",
    "emails.readdress_notification",
}
# Whoever answers customers knows which sentence they do not understand; operators publish it.
_WRITE = {"emails.edit_template"}
_FIX = {
    "queues.edit_deadletter",
    "queues.discard_deadletter",
    "queues.park_deadletter",
    "queues.publish_outboxevent",
    "queues.pause_queue",
    "queues.forget_consumer",
    "queues.run_doctor",
    "queues.run_roundtrip",
    "emails.mark_sent_notification",
    "emails.send_again_notification",
    "emails.cancel_notification",
    "emails.verify_identity",
    "emails.delete_identity",
    "emails.set_mail_from",
    "emails.set_default_sender",
    "emails.send_test_email",
    "emails.import_suppression",
    "emails.export_suppression",
    "emails.export_notification",
    "queues.export_deadletter",
    "emails.stop_bulk",
    "emails.resume_bulk",
    "emails.publish_template",
    "emails.roll_back_template",
    "notifier.unlock_loginfailure",
}
_WATCH = {"notifier.view_loginfailure"}
_AUDIT = {"admin.view_logentry", "notifier.export_logentry", "auth.view_user", "auth.view_group"}

ROLES = {
    "support": _LOOK | _KNOW | _REDRIVE | _SUPPRESS | _WRITE,
    "operator": _LOOK | _KNOW | _REDRIVE | _SUPPRESS | _WRITE | _FIX | _WATCH,
    "auditor": _LOOK | _AUDIT | _WATCH,
}


def give_new_rights(sender: AppConfig, *, apps: Any = apps, **kwargs: Any) -> None:
    """Give roles the new rights of an app after its migrations, when Django has just made its permissions.

    Running it again changes nothing. It does nothing before this app's tables exist, which store the grants.
    """
    try:
        apps.get_model("notifier", "RoleGrant")
    except LookupError:
        return
    existing = {
        f"{sender.label}.{permission.codename}": permission
        for permission in Permission.objects.filter(content_type__app_label=sender.label)
    }
    with transaction.atomic():
        for role, rights in ROLES.items():
            _give(role, {name: existing[name] for name in rights & existing.keys()})


def _give(role: str, rights: dict[str, Permission]) -> None:
    given = RoleGrant.objects.filter(role=role)
    known = set(given.values_list("permission", flat=True))
    if not (new := rights.keys() - known):
        return
    # A missing group without grants was never made; a missing group with grants was deleted.
    group = Group.objects.filter(name=role).first()
    if group is None and not known:
        group = Group.objects.create(name=role)
    if group is not None:
        group.permissions.add(*(rights[name] for name in new))
    RoleGrant.objects.bulk_create(RoleGrant(role=role, permission=name) for name in sorted(new))
