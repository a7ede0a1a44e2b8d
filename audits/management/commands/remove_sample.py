"""Removes the sample repository."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from audits import removing
from audits.models import Repository


class Command(BaseCommand):
    help = "Remove the sample repository with all that audits found in it, as a click on the overview does."

    def handle(self, **options: Any) -> None:
        try:
            self._handle(**options)
        except OperationalError as error:
            raise CommandError(
                "No database answers. Start the site first (python3 manage.py up); if it keeps its data in another "
                "directory than .data, set SSOT_DATA_DIR to that."
            ) from error

    def _handle(self, **options: Any) -> None:
        repository = Repository.objects.filter(is_sample=True).first()
        if repository is None:
            self.stdout.write("There is no sample.")
        else:
            removing.remove(repository)
            removing.go_on(repository.pk)
            self.stdout.write(f"{repository.name} is removed, and no start of the site brings it back.")
