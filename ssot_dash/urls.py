"""Every URL of the site: sign-in, the admin, and the two apps."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from ssot_dash.views import welcome

urlpatterns = [
    path("", include("audits.urls")),
    path("ids/", include("ids.urls")),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("welcome/<str:token>/", welcome, name="welcome"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
