from django.urls import URLPattern, path

from ids import views

app_name = "ids"
urlpatterns: list[URLPattern] = [
    path("", views.type_list, name="type-list"),
    path("<slug:value>/", views.type_detail, name="type-detail"),
]
