"""moto as provisioning leaves it: made once in a process, then copied for each test.

Provisioning takes forty calls, a quarter of a second; the copy takes less than a millisecond.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings
from moto.backends import get_backend
from moto.core import models
from moto.core.base_backend import BackendDict, BaseBackend

from tests.support.aws import botocore_files  # noqa: F401  # makes new clients cheap

# Where moto keeps a backend: under its service, the account, the region.
_Place = tuple[str, str, str]
_OURS = ("ARCHIVE_", "AWS_", "QUEUE", "SES_", "TOPIC")

_kept: dict[str, tuple[list[_Place], bytes]] = {}

# moto's queues hold locks; a copy gets a new one.
copyreg.pickle(type(threading.RLock()), lambda lock: (threading.RLock, ()))
# moto's mock of the library requests takes longer to start than most tests run; nothing here calls AWS through it.
models.RESPONSES_METHODS.clear()


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> _Place | None:
        """What refers to a backend refers to the one that is in its place when the copy is made."""
        if isinstance(value, BaseBackend):
            service = type(value).__module__.split(".")[1]
            return service, value.account_id, value.region_name
        return None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, place: _Place) -> Any:
        return _backend(place)


def restore(make: Callable[[], object]) -> None:
    """Let moto be as ``make`` leaves it under the settings of this moment; call it inside ``mock_aws``."""
    key = _key()
    if key in _kept:
        _put_back(*_kept[key])
    else:
        make()
        _kept[key] = _keep()


def _key() -> str:
    names = (name for name in dir(settings) if name.startswith(_OURS))
    return repr([(name, getattr(settings, name)) for name in names])


def _keep() -> tuple[list[_Place], bytes]:
    # Other regions hold nothing: moto looks addresses up there.
    found = {
        (service.service_name, account, region): backend.__dict__
        for service in BackendDict._instances
        for account, region, backend in service.iter_backends()
        if region == settings.AWS_REGION
    }
    file = io.BytesIO()
    # One pickle, so that what is one object in two places stays one.
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(list(found.values()))
    return list(found), file.getvalue()


def _put_back(places: list[_Place], states: bytes) -> None:
    for place, state in zip(places, _Unpickler(io.BytesIO(states)).load(), strict=True):
        _backend(place).__dict__ = state


def _backend(place: _Place) -> Any:
    service, account, region = place
    return get_backend(service)[account][region]
