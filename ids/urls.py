from django.urls import URLPattern, path

from ids import explorer_page, legacy_pages, type_pages, views

app_name = "ids"
urlpatterns: list[URLPattern] = [
    path("", views.type_list, name="type-list"),
    # a type's value has no dot
    path("registry.<str:suffix>", type_pages.registry_file, name="registry-file"),
    # A type of one of these values would have no page, so the form refuses it.
    path("add/", type_pages.type_add, name="type-add"),
    path("explore/", explorer_page.explore, name="explore"),
    path("legacy/", legacy_pages.legacy_list, name="legacy-list"),
    path("legacy/add/", legacy_pages.legacy_add, name="legacy-add"),
    path("legacy/<int:pk>/", legacy_pages.legacy_detail, name="legacy-detail"),
    path("legacy/<int:pk>/edit/", legacy_pages.legacy_edit, name="legacy-edit"),
    path("<slug:value>/", views.type_detail, name="type-detail"),
    path("<slug:value>/edit/", type_pages.type_edit, name="type-edit"),
]
