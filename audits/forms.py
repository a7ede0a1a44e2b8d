"""What people enter. Every message says what to do."""

from pathlib import Path
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import slugify

from audits import fetching
from audits.engine.git import GitError, GitRepository
from audits.engine.policy import PolicyError, parse_policy
from audits.models import Repository


class RepositoryForm(forms.ModelForm):  # type: ignore[type-arg]
    """A repository to audit: checks that the path can be read, or that the URL is one that can be fetched."""

    class Meta:
        model = Repository
        fields = ("name", "location", "branch", "schedule", "policy")
        help_texts = {
            "name": "How this repository is called on these pages.",
            "location": "The absolute path of a work tree, a .git directory or a bare repository on the server, "
            "or an https:// URL that can be read without signing in.",
            "branch": "Empty: the repository's default branch.",
            "schedule": "How often the branch is audited by itself. You can always start an audit by hand.",
            "policy": "TOML, begins with version = 1; then source_roots, exclude, [zones] and [limits] as needed. "
            "Empty: the default policy.",
        }
        error_messages = {
            "name": {
                "unique": "Another repository has this name. Choose another one.",
                "required": "Enter a name.",
            },
            "location": {"required": "Enter a path on the server or an https:// URL."},
        }
        widgets = {
            "name": forms.TextInput(
                attrs={"class": "form-control", "autofocus": True, "autocomplete": "off"}
            ),
            "location": forms.TextInput(
                attrs={"class": "form-control mono", "spellcheck": "false", "autocapitalize": "none"}
            ),
            "branch": forms.TextInput(
                attrs={"class": "form-control mono", "spellcheck": "false", "autocapitalize": "none"}
            ),
            "schedule": forms.Select(attrs={"class": "form-select"}),
            "policy": forms.Textarea(
                attrs={
                    "class": "form-control mono",
                    "rows": 10,
                    "spellcheck": "false",
                    "autocapitalize": "none",
                }
            ),
        }

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if not slugify(name):
            raise ValidationError("The name needs at least one letter (a to z) or digit, for its address.")
        if Repository.objects.filter(name__iexact=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError(self.fields["name"].error_messages["unique"], code="unique")
        return name

    def clean_location(self) -> str:
        try:
            return fetching.check_location(self.cleaned_data["location"])
        except fetching.LocationError as error:
            raise ValidationError(str(error)) from error

    def clean_branch(self) -> str:
        try:
            return fetching.check_branch(self.cleaned_data["branch"])
        except fetching.LocationError as error:
            raise ValidationError(str(error)) from error

    def clean_policy(self) -> str:
        policy = str(self.cleaned_data["policy"])
        try:
            parse_policy(policy)
        except PolicyError as error:
            raise ValidationError(
                "This policy can't be used: %(reason)s.", params={"reason": error}
            ) from error
        return policy

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        location, branch = cleaned.get("location", ""), cleaned.get("branch", "")
        if location and branch and not fetching.is_url(location):
            try:
                GitRepository(Path(location)).resolve(branch)
            except GitError as error:
                self.add_error("branch", _sentence(error))
        return cleaned

    def focus_first_error(self) -> None:
        """Put the cursor where something is to be corrected, if anything is."""
        if first := next((name for name in self.fields if name in self.errors), None):
            for name, field in self.fields.items():
                field.widget.attrs["autofocus"] = name == first

    def save(self, commit: bool = True) -> Repository:
        if not self.instance.slug:
            self.instance.slug = _free_slug(self.cleaned_data["name"])
        saved: Repository = super().save(commit)
        return saved


def _sentence(error: GitError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _free_slug(name: str) -> str:
    """The name as an address; a number is added when another repository has it."""
    base = slugify(name)[:90]
    taken = set(Repository.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    slug, number = base, 2
    while slug in taken:
        slug, number = f"{base}-{number}", number + 1
    return slug
