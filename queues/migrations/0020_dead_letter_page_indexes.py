from django.db import migrations, models
from django.db.models import Case, CharField, F, Q, When

from queues.models.sql import Literal
from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    """Let the pages of dead letters count customers, and sort their list, without sorting all of them."""

    atomic = False
    dependencies = [("queues", "0019_dead_letter_domain_index")]

    operations = [
        AddIndexOnline(
            "deadletter",
            models.Index(
                F("fingerprint"),
                F("customer"),
                F("parked_until"),
                condition=Q(("state", "open")),
                name="dead_letter_open_customer",
            ),
        ),
        AddIndexOnline(
            "deadletter",
            models.Index(
                Case(
                    When(state=Literal("open"), then=Literal("0")),
                    default=Literal("1"),
                    output_field=CharField(),
                ),
                F("collected_at").desc(),
                F("id").desc(),
                name="dead_letter_open_first",
            ),
        ),
    ]
