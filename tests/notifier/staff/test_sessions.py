from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from notifier.staff import sessions


@pytest.mark.django_db
def test_expired_sessions_are_deleted_and_others_kept():
    for key, days in (("old", -1), ("new", 1)):
        expires = timezone.now() + timedelta(days=days)
        Session.objects.create(session_key=key, session_data="", expire_date=expires)

    assert sessions.forget_expired() == 1

    assert Session.objects.get().session_key == "new"
