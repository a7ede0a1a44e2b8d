"""Every URL of the site: sign-in, the admin, and the two apps."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.urls import include, path

from audits import member_uses
from ids import usage
from ssot_dash import api
from ssot_dash.views import api_page, token_list, token_revoke, welcome

# The registry can't know where code uses its types, and audits can tell.
usage.register(member_uses.usage_of)

urlpatterns = [
    path("", include("audits.urls")),
    path("ids/", include("ids.urls")),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("welcome/<str:token>/", welcome, name="welcome"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", PasswordChangeView.as_view(success_url="/"), name="password-change"),
    path("tokens/", token_list, name="token-list"),
    path("tokens/<int:pk>/revoke/", token_revoke, name="token-revoke"),
    path("api/", api_page, name="api-page"),
    path("api/v1/", api.urls()),
    path("admin/", admin.site.urls),
]
