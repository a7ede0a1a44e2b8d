"""Every URL of the site: sign-in, the admin, and the two apps."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView, PasswordChangeView
from django.urls import include, path

from audits import member_uses
from ids import usage
from ssot_dash import api, monitoring, oidc, people
from ssot_dash.activity_page import activity_list
from ssot_dash.operations import operations
from ssot_dash.sign_in import SignInView
from ssot_dash.views import api_page, token_list, token_revoke, welcome

# The registry can't know where code uses its types, and audits can tell.
usage.register(member_uses.usage_of)

handler500 = "ssot_dash.outages.server_error"

urlpatterns = [
    # First, and within it what issues IDs: addresses are tried in their order, and no other one is asked for as often.
    path("api/v1/", api.urls()),
    path("", include("audits.urls")),
    path("ids/", include("ids.urls")),
    path("login/", SignInView.as_view(), name="login"),
    path("welcome/<str:token>/", welcome, name="welcome"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", PasswordChangeView.as_view(success_url="/"), name="password-change"),
    path("invitation/<str:uidb64>/<str:token>/", people.Invitation.as_view(), name="invitation"),
    path("sign-in/provider/", oidc.begin, name="oidc-begin"),
    path("sign-in/provider/back/", oidc.back, name="oidc-back"),
    path("account/", people.account, name="account"),
    path("account/sign-out-everywhere/", people.sign_out_everywhere, name="sign-out-everywhere"),
    path("people/", people.people_list, name="people"),
    path("people/invite/", people.invite, name="people-invite"),
    path("people/<int:pk>/role/", people.person_role, name="person-role"),
    path("people/<int:pk>/link/", people.person_link, name="person-link"),
    path("people/<int:pk>/active/", people.person_active, name="person-active"),
    path("people/<int:pk>/sign-out/", people.person_sign_out, name="person-sign-out"),
    path("activity/", activity_list, name="activity"),
    path("tokens/", token_list, name="token-list"),
    path("tokens/<int:pk>/revoke/", token_revoke, name="token-revoke"),
    path("operations/", operations, name="operations"),
    path("metrics", monitoring.metrics, name="metrics"),
    path("api/", api_page, name="api-page"),
    path("admin/", admin.site.urls),
]
