"""Hold new migrations to the rule of CONTRIBUTING.md: old processes go on while a big table changes."""

import pytest
from django.db import connection, migrations, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import ModelOperation

from emails.models import Notification
from queues.online_migrations import (
    AddIndexOnline,
    AddUniqueOnline,
    RemoveIndexOnline,
    UnindexFieldOnline,
    batches,
)
from tests.support.owed import owed, placed

# The last migration of each app that is older than the rule. No release was made with them: they met no big table.
OLD = {
    "emails": "0012_identity_status",
    "notifier": "0003_doctor_runs",
    "orders": "0005_api",
    "queues": "0012_doctor_runs",
}
# A row for each order, event, email, call or report.
BIG = {
    "orders.order",
    "orders.orderline",
    "orders.transaction",
    "orders.bankaccount",
    "orders.customer",
    "orders.idempotentrequest",
    "queues.outboxevent",
    "queues.deadletter",
    "queues.handlingfailure",
    "queues.redriveitem",
    "emails.notification",
    "emails.attempt",
    "emails.deliveryevent",
    "emails.suppression",
    "emails.incident",
}
# Removals that are the second step: the release before this one neither reads nor writes what goes.
SECOND_STEPS: set[tuple[str, str]] = set()

DATA = (migrations.RunPython, migrations.RunSQL)
ONLINE = (AddIndexOnline, AddUniqueOnline, RemoveIndexOnline, UnindexFieldOnline)
REMOVING = (
    migrations.DeleteModel,
    migrations.RemoveField,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.AlterModelTable,
)


def keeps_its_table(operation, migration):
    """True if a model only gets another name in Python: its table was pinned first, so old processes still find it."""
    match operation:
        case migrations.AlterModelTable():
            return operation.table == f"{migration.app_label}_{operation.name_lower}"
        case migrations.RenameModel():
            return any(
                isinstance(other, migrations.AlterModelTable)
                and other.name_lower == operation.old_name_lower
                and keeps_its_table(other, migration)
                for other in migration.operations
            )
    return False


def faults(migration, before):
    """What a migration does that it must not; ``before`` is the state that it starts from."""
    kinds = [type(operation) for operation in migration.operations]
    if any(issubclass(kind, DATA) for kind in kinds) and (migration.atomic or len(kinds) > 1):
        yield "data: alone in a migration with atomic = False"
    if any(issubclass(kind, ONLINE) for kind in kinds) and (
        migration.atomic or not all(issubclass(kind, ONLINE) for kind in kinds)
    ):
        yield "online indexes: in a migration of their own with atomic = False"
    if (migration.app_label, migration.name) not in SECOND_STEPS and any(
        isinstance(operation, REMOVING) and not keeps_its_table(operation, migration)
        for operation in migration.operations
    ):
        yield "removed or renamed: old processes still use it"
    state = before.clone()
    for operation in migration.operations:
        yield from _faults_of(operation, migration.app_label, state, before)
        operation.state_forwards(migration.app_label, state)


def _faults_of(operation, app, state, before):
    if isinstance(operation, FieldOperation):
        model = operation.model_name_lower
    elif isinstance(operation, ModelOperation):
        model = operation.name_lower
    else:
        model = getattr(operation, "model_name", "").lower()
    is_there = (app, model) in before.models
    is_big = is_there and f"{app}.{model}" in BIG
    if isinstance(operation, migrations.AddField) and is_there:
        yield from _faults_of_new_column(operation.field, is_big)
    if is_big and isinstance(operation, migrations.AlterField):
        old = state.models[app, model].fields[operation.name]
        indexed = {"db_index"} if isinstance(operation, UnindexFieldOnline) else set()
        if _column(old, indexed) != _column(operation.field, indexed):
            yield "column changed: the table is rewritten or checked under a lock"
    if (
        is_big
        and isinstance(operation, (migrations.AddIndex, migrations.RemoveIndex))
        and not isinstance(operation, ONLINE)
    ):
        yield "index: by AddIndexOnline or RemoveIndexOnline"
    if (
        is_big
        and isinstance(
            operation,
            (
                migrations.AddConstraint,
                migrations.AlterUniqueTogether,
                migrations.AlterIndexTogether,
            ),
        )
        and not isinstance(operation, ONLINE)
    ):
        yield "constraint: checks all rows under a lock"


def _faults_of_new_column(field, is_big):
    if field.many_to_many:
        return
    if not field.null and not field.has_db_default():
        yield "new column: null=True or db_default, or old processes cannot insert"
    if is_big and (field.unique or field.db_index):
        yield "new column with an index: the index apart, by AddIndexOnline"
    if is_big and field.is_relation and field.db_constraint:
        yield "new column with a constraint: db_constraint=False, or checks all rows under a lock"


def _column(field, besides=frozenset()):
    """What the database knows of a field: choices and labels are none of it."""
    _, path, arguments, options = field.deconstruct()
    unknown = {*field.non_db_attrs, *besides}
    return path, arguments, {k: v for k, v in options.items() if k not in unknown}


@pytest.mark.parametrize("app", OLD)
def test_new_migrations_let_old_processes_go_on(app):
    loader = MigrationLoader(None)
    new = [key for key in loader.disk_migrations if key[0] == app and key[1] > OLD[app]]

    found = {
        key: list(faults(loader.disk_migrations[key], loader.project_state(key, at_end=False)))
        for key in new
    }

    assert {key: said for key, said in found.items() if said} == {}


def test_list_of_big_tables_names_models_that_exist():
    known = {f"{app}.{model}" for app, model in MigrationLoader(None).project_state().models}

    assert known >= BIG


def found_in(operations):
    kind = type("Migration", (migrations.Migration,), {"operations": operations})
    return list(faults(kind("9999_new", "emails"), MigrationLoader(None).project_state()))


def _update(apps, schema_editor):
    """Stands for any data migration."""


INDEX = models.Index("id", name="an_index")
BAD = {
    "data beside a column": [
        migrations.AddField("notification", "x", models.DateTimeField(null=True)),
        migrations.RunPython(_update),
    ],
    "data in one transaction": [migrations.RunPython(_update)],
    "index under a lock": [migrations.AddIndex("notification", INDEX)],
    "online index in a transaction": [AddIndexOnline("notification", INDEX)],
    "removal under a lock": [migrations.RemoveIndex("notification", "notification_kept")],
    "column that must be filled": [
        migrations.AddField("breaker", "x", models.TextField(default=""))
    ],
    "column with an index": [
        migrations.AddField("notification", "x", models.TextField(null=True, db_index=True))
    ],
    "relation that is checked": [
        migrations.AddField(
            "notification",
            "x",
            models.ForeignKey("emails.Guard", models.CASCADE, null=True, db_index=False),
        )
    ],
    "column that gets longer": [
        migrations.AlterField("notification", "template", models.TextField(db_index=True))
    ],
    "unique rows": [
        migrations.AddConstraint("attempt", models.UniqueConstraint(fields=["error"], name="x"))
    ],
    "column that goes": [migrations.RemoveField("notification", "claim")],
    "column with a new name": [migrations.RenameField("breaker", "code", "cause")],
    "table that goes": [migrations.DeleteModel("Guard")],
}


@pytest.mark.parametrize("operations", BAD.values(), ids=BAD)
def test_rule_finds(operations):
    assert found_in(operations)


def test_rule_lets_what_locks_nothing_pass():
    operations = [
        migrations.AddField("notification", "x", models.TextField(db_default="", default="")),
        migrations.AlterField(
            "notification",
            "template",
            models.CharField(max_length=100, verbose_name="letter"),
        ),
        migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddIndex("thing", INDEX),
    ]

    assert found_in(operations) == []


@pytest.mark.django_db
def test_batches_hold_every_row_once():
    for _ in range(5):
        owed(placed())

    found = [list(batch) for batch in batches(Notification.objects.all(), size=2)]

    assert [len(batch) for batch in found] == [2, 2, 1]
    assert len({row.pk for batch in found for row in batch}) == 5


SPLIT = ("0013_delivery_codes", "0014_delivery_indexes")
INDEXES = {"notification_trouble", "notification_opened", "delivery_event_notable"}


def migrate(name):
    executor = MigrationExecutor(connection)
    executor.migrate([("emails", name)])


@pytest.fixture
def bounced(transactional_db):
    """Rows of an earlier release, which knew no code of a bounce."""
    for _ in range(7):
        owed(placed())
    Notification.objects.update(delivery_status="bounced_hard")
    migrate("0008_identities")
    yield Notification.objects.values_list("delivery_code", flat=True)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("emails"))


def indexes():
    with connection.cursor() as cursor:
        return {
            name
            for table in ("emails_notification", "emails_deliveryevent")
            for name in connection.introspection.get_constraints(cursor, table)
        }


@pytest.fixture
def impatient_beside_a_reader(bounced):
    """Another connection has read the emails and is not done; who would wait for it fails instead.

    Whom a reader keeps waiting keeps all later readers waiting.
    """
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks its whole file for each write, and readers read on")
    migrate("0012_identity_status")
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor, connection.cursor() as ours:
        cursor.execute("SELECT count(*) FROM emails_notification")
        ours.execute("SET lock_timeout = '1s'")
    yield
    other.close()
    with connection.cursor() as ours:
        ours.execute("SET lock_timeout = 0")


@pytest.mark.locking
def test_codes_and_indexes_come_after_the_columns(bounced):
    migrate(SPLIT[-1])

    assert list(bounced) == ["unrecorded"] * 7
    assert indexes() >= INDEXES


@pytest.mark.locking
def test_codes_and_indexes_that_are_there_stay(bounced):
    migrate(SPLIT[-1])
    Notification.objects.update(delivery_code="5.1.1")
    for name in SPLIT:
        MigrationExecutor(connection).recorder.record_unapplied("emails", name)

    migrate(SPLIT[-1])

    assert list(bounced) == ["5.1.1"] * 7
    assert indexes() >= INDEXES


@pytest.mark.locking
def test_nothing_but_the_columns_waits_for_a_reader(bounced, impatient_beside_a_reader):
    migrate(SPLIT[-1])

    assert list(bounced) == ["unrecorded"] * 7


@pytest.mark.locking
def test_index_whose_building_was_cut_off_is_built_again(bounced):
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL leaves half an index")
    migrate(SPLIT[0])
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX notification_trouble ON emails_notification (id)")
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'notification_trouble'::regclass"
        )

    migrate(SPLIT[1])

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'notification_trouble'::regclass"
        )
        assert cursor.fetchone() == (True,)


def columns_with_indexes(table):
    """The columns of each index that has one column."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table).values()
    return sorted(one["columns"][0] for one in found if one["index"] and len(one["columns"]) == 1)


@pytest.fixture
def twice_indexed(transactional_db):
    migrate("0025_export_permission")
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("emails"))


@pytest.mark.locking
def test_indexes_of_a_field_go_and_come_back(twice_indexed):
    texts = 2 if connection.vendor == "postgresql" else 1
    before = columns_with_indexes("emails_attempt"), columns_with_indexes("emails_notification")

    migrate("0027_fewer_indexes")

    after = columns_with_indexes("emails_attempt"), columns_with_indexes("emails_notification")
    assert [rows.count("notification_id") for rows in (before[0], after[0])] == [1, 0]
    for column in ("subject", "provider_message_id"):
        assert [rows.count(column) for rows in (before[1], after[1])] == [texts, 1]
