"""Pages for what goes wrong have the look of the site, also when nothing is known about the request."""

import pytest
from django.template.loader import render_to_string
from django.test import Client


@pytest.mark.parametrize("template", ["400.html", "403.html", "403_csrf.html", "404.html"])
def test_error_page_needs_no_context(template: str) -> None:
    page = render_to_string(template)
    assert "SSOT Dash" in page
    assert 'href="/"' in page  # the way out


@pytest.mark.django_db
def test_unknown_address_is_a_page_of_the_site(admin_client: Client) -> None:
    response = admin_client.get("/nowhere/")
    assert response.status_code == 404
    assert "There is no page at this address" in response.content.decode()


@pytest.mark.django_db
def test_strange_host_is_refused(client: Client) -> None:
    assert client.get("/login/", headers={"Host": "evil.example"}).status_code == 400
