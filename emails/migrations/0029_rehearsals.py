

import django.db.models.deletion
import queues.uuid7
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('emails', '0028_template_deployed'),
    ]

    operations = [
        migrations.CreateModel(
            name='Rehearsal',
            fields=[
                ('id', models.UUIDField(default=queues.uuid7.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('revision', models.PositiveIntegerField()),
                ('plan', models.JSONField()),
                ('digest', models.CharField(max_length=64)),
                ('asked_by', models.CharField(max_length=150)),
                ('asked_at', models.DateTimeField(auto_now_add=True)),
                ('stage', models.CharField(choices=[('letters', 'open dead letters'), ('events', 'real events'), ('made', 'made-up data'), ('done', 'Done')], default='letters', max_length=10)),
                ('cursor', models.UUIDField(null=True)),
                ('looked', models.PositiveIntegerField(default=0)),
                ('total', models.PositiveIntegerField(null=True)),
                ('counts', models.JSONField(default=dict)),
                ('kept', models.JSONField(default=dict)),
                ('until', models.DateTimeField()),
                ('error', models.TextField(blank=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('claim', models.UUIDField(null=True)),
                ('next_at', models.DateTimeField()),
            ],
            options={
                'ordering': ['-id'],
                'default_permissions': (),
                'indexes': [models.Index(models.F('name'), models.F('id'), name='rehearsal_of_draft'), models.Index(models.F('next_at'), condition=models.Q(('ended_at', None)), name='rehearsal_unfinished')],
            },
        ),
        migrations.CreateModel(
            name='RehearsalCase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('template', models.CharField(max_length=100)),
                ('kind', models.CharField(choices=[('letter', 'dead letter'), ('event', 'Event'), ('made', 'made-up data')], max_length=10)),
                ('outcome', models.CharField(choices=[('fixed', 'Fixed'), ('broken', 'Broken'), ('changed', 'Changed'), ('unchanged', 'Unchanged'), ('failing', 'still failing')], max_length=10)),
                ('source', models.UUIDField(null=True)),
                ('context', models.JSONField(null=True)),
                ('event_type', models.CharField(blank=True, max_length=100)),
                ('subject', models.CharField(blank=True, max_length=200)),
                ('happened_at', models.DateTimeField(null=True)),
                ('shape', models.CharField(blank=True, max_length=300)),
                ('reason', models.TextField(blank=True)),
                ('rehearsal', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='cases', to='emails.rehearsal')),
            ],
            options={
                'ordering': ['id'],
                'default_permissions': (),
                'indexes': [models.Index(models.F('rehearsal'), models.F('outcome'), models.F('kind'), models.F('id'), name='rehearsal_case_outcome')],
                'constraints': [models.UniqueConstraint(models.F('rehearsal'), models.F('kind'), models.F('source'), models.F('template'), name='one_case_per_event_and_template')],
            },
        ),
    ]
