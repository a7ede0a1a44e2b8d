from django.apps import AppConfig


class IdsConfig(AppConfig):
    name = "ids"
    verbose_name = "ID registry"
    default_auto_field = "django.db.models.BigAutoField"
