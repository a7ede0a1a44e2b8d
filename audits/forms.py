"""What people enter. Every message says what to do."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.utils.text import slugify

from audits import executing, fetching, notifying, policies
from audits.engine.git import GitError, GitRepository
from audits.engine.policy import MAX_POLICY_CHARACTERS, PolicyError, parse_policy
from audits.models import (
    Channel,
    Issue,
    IssueNote,
    NoticeEvent,
    PolicySource,
    Repository,
    TestCommand,
    Waiver,
)
from audits.models.waiver import today
from audits.outbound import OutboundError
from audits.trackers import STEPS

MAX_ACCEPTED_DAYS = 366


class RepositoryForm(forms.ModelForm):  # type: ignore[type-arg]
    """A repository to audit: checks that the path can be read, or that the URL is one that can be fetched."""

    class Meta:
        model = Repository
        fields = (
            "name",
            "location",
            "branch",
            "schedule",
            "tracker_pattern",
            "test_run_folder",
            "is_private",
        )
        help_texts = {
            "name": "How this repository is called on these pages.",
            "location": "The absolute path of a work tree, a .git directory or a bare repository on the server, "
            "or an https:// URL that can be read without signing in.",
            "branch": "Empty: the repository's default branch.",
            "schedule": "How often the branch is audited by itself. You can always start an audit by hand.",
            "tracker_pattern": "Which Markdown files follow remediations, in any folder, like SSOT-*.md. Empty: none.",
            "test_run_folder": "A folder on the server with test reports, each in a subfolder that is named by the "
            "full id of its commit. It is looked through regularly. Empty: none.",
            "is_private": "Only its members, and who may see everything, know that it exists.",
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
            "tracker_pattern": forms.TextInput(
                attrs={"class": "form-control mono", "spellcheck": "false", "autocapitalize": "none"}
            ),
            "test_run_folder": forms.TextInput(
                attrs={"class": "form-control mono", "spellcheck": "false", "autocapitalize": "none"}
            ),
            "is_private": forms.CheckboxInput(attrs={"class": "form-check-input"}),
        }

    def __init__(self, *args: Any, may_move: bool = True, **kwargs: Any) -> None:
        """``may_move`` is for those who may make the server read another place: not for a repository's own admins."""
        super().__init__(*args, **kwargs)
        for name in {"location", "test_run_folder"} & set(self.fields):
            self.fields[name].disabled = not may_move

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

    def clean_test_run_folder(self) -> str:
        text = str(self.cleaned_data["test_run_folder"]).strip()
        if not text:
            return ""
        roots = [Path(root).resolve() for root in settings.SSOT_LOCAL_ROOTS]
        path = Path(text)
        if not path.is_absolute() or not any(path.resolve().is_relative_to(root) for root in roots):
            raise ValidationError("Enter an absolute path below one of the directories in SSOT_LOCAL_ROOTS.")
        if not path.is_dir():
            raise ValidationError(
                "There is no such folder on the server, or the site's user may not read it."
            )
        return text

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


class PolicyForm(forms.Form):
    """A new policy of a repository. ``text`` holds line ends as files have them; a policy that can't be used is an
    error of ``text``, and ``error_line`` is the line where (0: none in particular)."""

    source = forms.ChoiceField(choices=PolicySource.choices, initial=PolicySource.SITE, required=False)
    text = forms.CharField(required=False, strip=False, max_length=2 * MAX_POLICY_CHARACTERS)
    reason = forms.CharField(
        max_length=300,
        error_messages={"required": "Say why: it stays in the history of this policy."},
    )
    based_on = forms.IntegerField(min_value=0, max_value=2**31 - 1, required=False)

    error_line = 0

    def clean_source(self) -> PolicySource:
        return PolicySource(self.cleaned_data["source"] or PolicySource.SITE)

    def clean_reason(self) -> str:
        return " ".join(str(self.cleaned_data["reason"]).split())

    def clean_text(self) -> str:
        text = policies.as_lines(str(self.cleaned_data["text"]))
        if self.cleaned_data.get("source") == PolicySource.TREE:
            return ""
        try:
            parse_policy(text)
        except PolicyError as error:
            self.error_line = error.line
            raise ValidationError("%(reason)s", params={"reason": _sentence(error)}) from error
        return text


class IssueForm(forms.Form):
    """What people decide about an issue. What state it is in is not theirs to say."""

    title = forms.CharField(max_length=200, help_text="SSOT-<kind>-<what it is about>, by custom.")
    kind = forms.ChoiceField(choices=Issue.Kind.choices)
    priority = forms.TypedChoiceField(
        choices=[(0, "P0"), (1, "P1"), (2, "P2"), (3, "P3")],
        coerce=int,
        help_text="Proposed: what the tracker says, or that of the worst open place.",
    )
    owner = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True).order_by("username"),
        required=False,
        empty_label="Nobody",
    )
    due_on = forms.DateField(required=False, label="Due on", widget=forms.DateInput(attrs={"type": "date"}))
    reference = forms.CharField(
        max_length=500,
        required=False,
        label="Issue elsewhere",
        help_text="Its number (#883) or its address. Commits and trackers that name it are shown on the timeline.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            is_choice = isinstance(field, (forms.ChoiceField, forms.ModelChoiceField))
            field.widget.attrs["class"] = "form-select" if is_choice else "form-control"
            if name in self.errors:
                field.widget.attrs["class"] += " is-invalid"

    def clean_title(self) -> str:
        return " ".join(str(self.cleaned_data["title"]).split())

    def clean_reference(self) -> tuple[int | None, str]:
        """The number and the address of the issue elsewhere."""
        text = str(self.cleaned_data["reference"]).strip()
        if not text:
            return None, ""
        if re.fullmatch(r"#?\d{1,9}", text):
            return int(text.lstrip("#")), ""
        _check_web_address(text)
        found = re.search(r"/(?:issues|pull|merge_requests)/(\d{1,9})(?:\D|$)", text)
        return (int(found[1]) if found else None), text


def _check_web_address(text: str) -> None:
    if not text.lower().startswith(("https://", "http://")):
        raise ValidationError("Enter a number like #883, or an address that begins with https://.")
    URLValidator(schemes=["http", "https"])(text)


class NoteForm(forms.Form):
    """What somebody says about an issue."""

    kind = forms.ChoiceField(choices=IssueNote.Kind.choices, initial=IssueNote.Kind.COMMENT)
    text = forms.CharField(
        max_length=10_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        label="What you have to say",
    )
    url = forms.CharField(max_length=500, required=False, label="Link")
    step = forms.TypedChoiceField(
        choices=[("", "No step"), *((number, f"{number} {name}") for number, name in enumerate(STEPS))],
        coerce=int,
        empty_value=None,
        required=False,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = (
                "form-select" if isinstance(field, forms.ChoiceField) else "form-control"
            )

    def clean_url(self) -> str:
        text = str(self.cleaned_data["url"]).strip()
        if text:
            _check_web_address(text)
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("text") and not cleaned.get("url") and cleaned.get("kind") != IssueNote.Kind.CLAIM:
            raise ValidationError("Write something, or give a link.")
        if cleaned.get("kind") == IssueNote.Kind.CLAIM and cleaned.get("step") is None:
            raise ValidationError("Choose the step that is completed.")
        return cleaned


class AcceptForm(forms.Form):
    """Why a violation doesn't count, and until when."""

    kind = forms.ChoiceField(
        choices=[
            (Waiver.Kind.FALSE_POSITIVE, "False positive: the code is right as it is"),
            (Waiver.Kind.RISK, "Risk: it is wrong, and we live with it until then"),
        ],
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
        error_messages={"required": "Choose one of the two."},
    )
    covers = forms.ChoiceField(
        choices=[("place", "This place"), ("subject", "All places of the subject, also new ones")],
        initial="place",
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )
    reason = forms.CharField(
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"}),
        help_text="Whoever reads this in half a year should understand it.",
        error_messages={"required": "Say why."},
    )
    expires_on = forms.DateField(
        label="Until",
        help_text="The last day on which it holds (UTC), at most a year from now. Then it counts again by itself.",
        error_messages={"required": "Choose a day."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first, last = today(), today() + timedelta(days=MAX_ACCEPTED_DAYS)
        limits = {"type": "date", "class": "form-control", "min": first.isoformat(), "max": last.isoformat()}
        self.fields["expires_on"].widget = forms.DateInput(attrs=limits, format="%Y-%m-%d")
        self.initial.setdefault("expires_on", today() + timedelta(days=90))
        self.initial.setdefault("covers", "place")
        for name in self.errors:
            if name in {"reason", "expires_on"}:
                self.fields[name].widget.attrs["class"] += " is-invalid"

    def clean_reason(self) -> str:
        return str(self.cleaned_data["reason"]).replace("\0", "")

    def clean_expires_on(self) -> date:
        day: date = self.cleaned_data["expires_on"]
        if day < today():
            raise ValidationError("This day has passed. Choose one from today on.")
        if day > today() + timedelta(days=MAX_ACCEPTED_DAYS):
            raise ValidationError("Nothing is accepted for more than a year. Choose an earlier day.")
        return day


class UploadForm(forms.Form):
    """A test report, and the commit that the tests ran at."""

    report = forms.FileField(
        help_text="JUnit XML (pytest --junitxml=report.xml) or a pytest-json-report.",
        widget=forms.ClearableFileInput(attrs={"class": "form-control", "accept": ".xml,.json"}),
    )
    commit = forms.CharField(
        max_length=255,
        help_text="A commit id, a tag or a branch: what was checked out when the tests ran.",
        widget=forms.TextInput(
            attrs={"class": "form-control mono", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )
    branch = forms.CharField(
        max_length=255,
        required=False,
        widget=forms.TextInput(
            attrs={"class": "form-control mono", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )


class TestCommandForm(forms.ModelForm):  # type: ignore[type-arg]
    """What runs a repository's tests on this host, and its limits."""

    class Meta:
        model = TestCommand
        fields = ("command", "report", "seconds", "memory_mb", "processes", "schedule")
        labels = {
            "seconds": "Seconds at most",
            "memory_mb": "MiB of memory for each process",
            "processes": "Processes at most",
        }
        help_texts = {
            "command": "A program on the server and its arguments, without a shell, such as "
            "/srv/venvs/shop/bin/python -m pytest --junitxml=report.xml",
            "report": "The JUnit file that it writes, inside of the checkout.",
            "schedule": "How often the newest commit’s tests run by themselves.",
        }
        widgets = {
            name: forms.TextInput(
                attrs={"class": "form-control mono", "spellcheck": "false", "autocapitalize": "none"}
            )
            for name in ("command", "report")
        } | {
            **{
                name: forms.NumberInput(attrs={"class": "form-control"})
                for name in ("seconds", "memory_mb", "processes")
            },
            "schedule": forms.Select(attrs={"class": "form-select"}),
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        checks: dict[str, Callable[[Any], object]] = {
            "command": executing.check_command,
            "report": executing.check_report,
            "seconds": executing.check_seconds,
        }
        for name, check in checks.items():
            if name in cleaned:
                try:
                    check(cleaned[name])
                except executing.ExecutionError as error:
                    self.add_error(name, str(error))
        return cleaned


class ChannelForm(forms.Form):
    """Where notices of a repository go."""

    kind = forms.ChoiceField(
        choices=Channel.Kind.choices, label="To", widget=forms.Select(attrs={"class": "form-select"})
    )
    target = forms.CharField(
        max_length=500,
        label="Address",
        help_text="The webhook’s https:// URL, or an e-mail address.",
        widget=forms.TextInput(
            attrs={
                "class": "form-control mono",
                "spellcheck": "false",
                "autocapitalize": "none",
                "autocomplete": "off",
            }
        ),
    )
    events = forms.MultipleChoiceField(
        choices=NoticeEvent.choices,
        initial=NoticeEvent.values,
        widget=forms.CheckboxSelectMultiple,
        label="When",
    )
    minutes = forms.IntegerField(
        min_value=0,
        max_value=10_080,
        initial=5,
        label="At most one every … minutes",
        help_text="What happens in between is told together.",
        widget=forms.NumberInput(attrs={"class": "form-control"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "kind" in cleaned and "target" in cleaned:
            try:
                notifying.check_target(cleaned["kind"], cleaned["target"])
            except OutboundError as error:
                self.add_error("target", str(error))
        return cleaned


class PasteForm(forms.Form):
    """A tracker document that is in no repository: a file, or its text."""

    name = forms.CharField(
        max_length=200,
        required=False,
        help_text="What to call it.",
        widget=forms.TextInput(attrs={"class": "form-control"}),
    )
    file = forms.FileField(
        required=False, widget=forms.ClearableFileInput(attrs={"class": "form-control", "accept": ".md,.txt"})
    )
    text = forms.CharField(
        required=False,
        strip=False,
        max_length=1_000_000,
        widget=forms.Textarea(attrs={"class": "form-control mono", "rows": 8, "spellcheck": "false"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("file") and not str(cleaned.get("text") or "").strip():
            raise ValidationError("Choose a file, or paste the text.")
        return cleaned


def _sentence(error: Exception) -> str:
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
