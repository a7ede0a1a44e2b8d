from django.urls import URLPattern, path

from ids import views

app_name = "ids"
urlpatterns: list[URLPattern] = [
    path("", views.type_list, name="type-list"),
    # a type's value has no dot
    path("registry.<str:suffix>", views.registry_file, name="registry-file"),
    path("<slug:value>/", views.type_detail, name="type-detail"),
]
