from django.urls import URLPattern

app_name = "ids"
urlpatterns: list[URLPattern] = []
