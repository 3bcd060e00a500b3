from importlib import import_module

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.i18n import set_language

from emails.reports import webhook
from notifier import views
from notifier.doctor import doctor_page
from notifier.journey import event_page, history_page, new_address_page, search_page
from notifier.overview import live_page, overview_page, reconciliation_page
from notifier.staff import login, refusals
from notifier.staff.pages import passkeys, second_step, security, step_up
from notifier.web import time_zones
from queues.pages import live

admin.autodiscover()

staff = admin.site.admin_view
handler403 = refusals.forbidden
handler404 = refusals.not_found
handler500 = views.server_error

urlpatterns = [
    path("admin/subject/<str:subject>/", views.subject, name="subject"),
    path("admin/subject/<str:subject>/emails/", views.subject_emails, name="subject-emails"),
    path("admin/timeline/<uuid:event_id>/", staff(event_page.timeline), name="timeline"),
    path(
        "admin/timeline/<uuid:event_id>/address/",
        staff(new_address_page.correct),
        name="new-address",
    ),
    path("admin/history/", staff(history_page.show), name="history"),
    path("admin/search/", staff(search_page.find), name="search"),
    path("admin/reconciliation/", staff(reconciliation_page.show), name="reconciliation"),
    path(
        "admin/reconciliation/<str:why>/<str:age>/",
        staff(reconciliation_page.show_some),
        name="reconciliation-some",
    ),
    path("admin/overview/", staff(overview_page.live), name="overview-live"),
    path("admin/live/", staff(live_page.changes), name="live"),
    path("admin/queue/<str:alias>/pause/", staff(live.pause), name="queue-pause"),
    path("admin/queue/<str:alias>/resume/", staff(live.resume), name="queue-resume"),
    path("admin/consumer/<int:pk>/forget/", staff(live.forget), name="consumer-forget"),
    path("admin/doctor/", staff(doctor_page.show_all), name="doctor-runs"),
    path("admin/doctor/check/", staff(doctor_page.check), name="doctor-check"),
    path("admin/doctor/roundtrip/", staff(doctor_page.roundtrip), name="doctor-roundtrip"),
    path("admin/doctor/<uuid:pk>/", staff(doctor_page.show_one), name="doctor-run"),
    path("admin/doctor/<uuid:pk>/now/", staff(doctor_page.progress), name="doctor-run-progress"),
    path("admin/time-zone/", staff(time_zones.choose), name="time-zone"),
    path("admin/login/", login.log_in, name="login"),
    path("admin/login/second-step/", second_step.ask, name="second-step"),
    path("admin/login/passkey/", second_step.by_passkey, name="passkey-login"),
    path("admin/login/leave/", second_step.leave, name="leave"),
    path("admin/passkey-challenge/", passkeys.challenge, name="passkey-challenge"),
    path("admin/confirm/", step_up.ask_first, name="step-up"),
    path("admin/security/", security.show, name="security"),
    path("admin/security/app/", security.set_up_app, name="security-app"),
    path("admin/security/passkey/", security.add_passkey, name="security-passkey"),
    path("admin/security/codes/", security.renew_codes, name="security-codes"),
    re_path(
        r"^admin/security/(?P<kind>app|passkey)/(?P<pk>[0-9]{1,18})/$",
        security.change,
        name="security-device",
    ),
    path("admin/", admin.site.urls),
    re_path(r"^orders/(?P<number>ORD-[0-9]{6,18})/email/$", views.order_email, name="order-email"),
    re_path(
        r"^orders/(?P<number>ORD-[0-9]{6,18})/address/$", views.order_address, name="order-address"
    ),
    path("ses/events/", webhook.ses_events, name="ses-events"),
    path("language/", set_language, name="set-language"),
    path("", include("orders.urls")),
]
if settings.COGNITO_ISSUER or settings.API_LOCAL_KEY:
    # Imported only where the API is on.
    urlpatterns.append(path("api/v1/", import_module("orders.api.app").api.urls))
if settings.SANDBOX:
    urlpatterns.append(path("sandbox/", include("sandbox.urls")))
