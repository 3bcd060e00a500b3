from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path

from emails import webhook
from notifier import views

admin.autodiscover()

handler500 = views.server_error

urlpatterns = [
    path("admin/subject/<str:subject>/", views.subject, name="subject"),
    path("admin/subject/<str:subject>/emails/", views.subject_emails, name="subject-emails"),
    path("admin/", admin.site.urls),
    re_path(r"^orders/(?P<number>ORD-[0-9]{6,18})/email/$", views.order_email, name="order-email"),
    path("ses/events/", webhook.ses_events, name="ses-events"),
    path("", include("orders.urls")),
]
if settings.SANDBOX:
    urlpatterns.append(path("sandbox/", include("sandbox.urls")))
