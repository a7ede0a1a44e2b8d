"""An HTMX request of a reader whose session has ended goes to the sign-in page as a whole page."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_plain_request_is_redirected_to_sign_in(client: Client) -> None:
    response = client.get("/")
    assert response.status_code == 302
    assert response.headers["Location"] == "/login/?next=/"


def test_htmx_request_gets_401_and_the_page_that_was_open_as_way_back(client: Client) -> None:
    response = client.get(
        "/", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/audits/?state=failed&page=2"}
    )
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == "/login/?next=%2Faudits%2F%3Fstate%3Dfailed%26page%3D2"
    assert response.content == b""


@pytest.mark.parametrize("current", ["", "nonsense", "//evil.example/x", "javascript:alert(1)"])
def test_strange_current_url_still_leads_to_sign_in_on_this_site(client: Client, current: str) -> None:
    response = client.get("/", headers={"HX-Request": "true", "HX-Current-URL": current})
    assert response.status_code == 401
    assert response.headers["HX-Redirect"].startswith("/login/")


def test_other_redirects_of_htmx_requests_stay(admin_client: Client) -> None:
    response = admin_client.get("/login/", headers={"HX-Request": "true"})
    assert response.status_code == 302
    assert response.headers["Location"] == "/"
