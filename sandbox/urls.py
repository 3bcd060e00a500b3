from django.urls import path

from sandbox import views

app_name = "sandbox"
urlpatterns = [
    path("", views.mailbox, name="mailbox"),
    path("mail/<str:mail_id>/", views.mail, name="mail"),
    path("mail/<str:mail_id>/html/", views.mail_html, name="mail_html"),
    path("verifications/", views.verifications, name="verifications"),
    path("verify/", views.verify, name="verify"),
    path("rules/", views.rules, name="rules"),
    path("empty/", views.empty, name="empty"),
]
