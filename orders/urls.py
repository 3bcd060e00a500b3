from django.urls import path, re_path
from django.views.generic import TemplateView

from orders import views

app_name = "orders"
urlpatterns = [
    path("", views.shop, name="shop"),
    re_path(r"^orders/(?P<number>ORD-[0-9]{6,18})/$", views.detail, name="detail"),
    path("orders/", views.mine, name="mine"),
    path("orders/leave/", views.leave, name="leave"),
    path(
        "orders/link-sent/",
        TemplateView.as_view(template_name="orders/sign_in_sent.html"),
        name="link-sent",
    ),
    path("orders/open/<str:token>/", views.open_orders, name="open"),
    path("register/", views.register, name="register"),
    path(
        "register/sent/",
        TemplateView.as_view(template_name="orders/customer_registered.html"),
        name="registered",
    ),
    path("verify/<str:token>/", views.verify, name="verify"),
    path("verify/<str:token>/again/", views.resend, name="resend"),
]
