"""Name the pages that alerts lead to, without loading them: the URLs of consumers and Lambda.

With ``notifier.urls`` the first alert would load every page of the site, for a second and some 30 MB.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, include, path

from emails.models import EmailTemplate, Identity

# Their pages have addresses of their own.
_OWN = (EmailTemplate, Identity)


def _elsewhere(request: HttpRequest, **kwargs: str) -> HttpResponse:
    raise Http404("this process serves no page")


def _page(route: str, name: str) -> URLPattern:
    return path(route, _elsewhere, name=name)


def _lists() -> Iterator[URLPattern]:
    for app in ("orders", "queues", "emails"):
        for model in apps.get_app_config(app).get_models():
            name = model._meta.model_name
            yield _page(f"{app}/{name}/", f"{app}_{name}_changelist")
            one = "<str:object_id>/" if model in _OWN else "<path:object_id>/change/"
            yield _page(f"{app}/{name}/{one}", f"{app}_{name}_change")


_admin = [
    _page("", "index"),
    _page("queues/deadletter/groups/", "queues_deadletter_groups"),
    _page("queues/deadletter/groups/<str:key>/", "queues_deadletter_group"),
    _page("emails/emailtemplate/<str:name>/edit/", "emails_emailtemplate_edit"),
    _page("emails/identity/verify/", "emails_identity_verify"),
    *_lists(),
]
urlpatterns = [path("admin/", include((_admin, "admin"))), path("", include("orders.urls"))]
