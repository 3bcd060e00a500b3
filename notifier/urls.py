from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path

from notifier import dashboard, views
from queues import live_views

admin.autodiscover()

staff = admin.site.admin_view
handler500 = views.server_error

urlpatterns = [
    path("admin/subject/<str:subject>/", views.subject, name="subject"),
    path("admin/subject/<str:subject>/emails/", views.subject_emails, name="subject-emails"),
    path("admin/overview/", staff(dashboard.live), name="overview-live"),
    path("admin/queue/<str:alias>/pause/", staff(live_views.pause), name="queue-pause"),
    path("admin/queue/<str:alias>/resume/", staff(live_views.resume), name="queue-resume"),
    path("admin/consumer/<int:pk>/forget/", staff(live_views.forget), name="consumer-forget"),
    path("admin/", admin.site.urls),
    re_path(r"^orders/(?P<number>ORD-[0-9]{6,18})/email/$", views.order_email, name="order-email"),
    path("", include("orders.urls")),
]
if settings.SANDBOX:
    urlpatterns.append(path("sandbox/", include("sandbox.urls")))
