"""Forms of the ID registry: the edit of a type in the admin, and the filter of the page of types."""

from datetime import date
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import NoReverseMatch, resolve, reverse
from django.utils import timezone

from ids import formats
from ids.editing import Consequence, consequences, impact_of
from ids.models import IDType, LegacyFormat


class IDTypeForm(forms.ModelForm):  # type: ignore[type-arg]
    """An edit of a type, with the reason for it. The reason is kept in the type's change history.

    What the edit would break is worked out before it is saved (``consequences``), and has to be confirmed then.
    ``user`` is who edits: of repositories that they may not know of, nothing is said.
    """

    user: Any = AnonymousUser()

    keep_until = forms.DateField(
        label="Accept IDs of the former format until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date", "class": "vDateField form-control"}),
        help_text="When the format changes: IDs that were written in the former one become a legacy format with this "
        "sunset, and each use is counted.",
    )
    change_reason = forms.CharField(
        label="Reason for this change",
        max_length=500,
        widget=forms.TextInput(attrs={"class": "vTextField form-control"}),
        help_text="Kept in the change history, beside your name and the time.",
    )
    confirmed = forms.BooleanField(
        label="I know what this breaks", required=False, help_text="Needed when the edit breaks something."
    )

    class Meta:
        model = IDType
        fields: ClassVar[list[str]] = [
            "value",
            "description",
            "status",
            "format",
            "owner",
            "is_tracked",
            "retention_days",
        ]
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "value": forms.TextInput(
                attrs={"class": "vTextField form-control mono", "autocomplete": "off", "spellcheck": "false"}
            ),
            "description": forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField form-control"}),
            "status": forms.Select(attrs={"class": "form-select"}),
            "format": forms.Select(attrs={"class": "form-select"}),
            "owner": forms.TextInput(attrs={"class": "vTextField form-control"}),
            "is_tracked": forms.CheckboxInput(attrs={"class": "form-check-input"}),
            "retention_days": forms.NumberInput(attrs={"class": "vIntegerField form-control", "min": 1}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.consequences: list[Consequence] = []
        self.legacy: LegacyFormat | None = None
        # a new type explains itself
        self.fields["change_reason"].required = self.instance.pk is not None

    def clean_value(self) -> str:
        value: str = self.cleaned_data["value"]
        if value != self.initial.get("value") and _is_a_page(value):
            raise ValidationError(
                f'"{value}" is the address of another page of this site: choose another value.',
                code="reserved",
            )
        return value

    def clean_keep_until(self) -> date | None:
        until: date | None = self.cleaned_data["keep_until"]
        if until is not None and until < timezone.now().date():
            raise ValidationError("This day has passed already.", code="passed")
        return until

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.instance.pk is None:
            return cleaned
        # Not the instance: where a version is reverted to, that is an old one.
        stored = IDType.objects.get(pk=self.instance.pk)
        if cleaned.get("value", self.instance.value) != stored.value and stored.has_leased:
            raise ValidationError(
                f'The value stays "{stored.value}": IDs of this type were issued and carry it. '
                "Make a new type, and deprecate or retire this one.",
                code="value-fixed",
            )
        former = formats.FORMATS[stored.format]
        if cleaned.get("keep_until") and cleaned.get("format", stored.format) == stored.format:
            self.add_error("keep_until", "The format doesn't change: there is no former one.")
        elif cleaned.get("keep_until") and not former.carries_type:
            self.add_error(
                "keep_until",
                f"{former.label} IDs say nothing of their type, so no pattern can tell this type's from others. "
                "The recorded ones stay known.",
            )
        if not self.errors:
            self.legacy = self._legacy_of_former(stored)
        if self.errors.keys() - {"change_reason"}:  # what an edit breaks doesn't hang on the reason for it
            return cleaned
        changed = {name: cleaned[name] for name in IDTypeForm.Meta.fields if name in cleaned}
        if any(changed[name] != getattr(stored, name) for name in changed):
            self.consequences = consequences(stored, changed, impact_of(stored, self.user))
        if self.consequences and not cleaned.get("confirmed"):
            texts = [consequence.text for consequence in self.consequences]
            first = "Nothing was saved yet. Read what this edit breaks, and confirm it:"
            self.add_error("confirmed", [ValidationError(text, code="breaks") for text in [first, *texts]])
        return cleaned

    def _legacy_of_former(self, stored: IDType) -> LegacyFormat | None:
        """The legacy format under which IDs of the format that this edit leaves stay accepted."""
        until = self.cleaned_data.get("keep_until")
        if until is None:
            return None
        former = formats.FORMATS[stored.format]
        legacy = LegacyFormat(
            name=f"{stored.value} as {former.label}, until {until:%Y-%m-%d}",
            type=stored,
            pattern=former.pattern_of(stored.value),
            example=formats.example(former.name, stored.value),
            sunset=until,
            note=f"The former format of the type: {former.reading(stored.value)}.",
        )
        try:
            legacy.full_clean()
        except ValidationError as error:
            self.add_error("keep_until", ValidationError(error.messages))
        return legacy

    @transaction.atomic
    def save_edit(self) -> IDType:
        """Saves the type with the reason, and what keeps its former format accepted."""
        id_type: IDType = self.instance
        id_type._change_reason = self.cleaned_data["change_reason"]
        id_type.save()
        if self.legacy is not None:
            self.legacy._change_reason = self.cleaned_data["change_reason"]
            self.legacy.save()
        return id_type


class LegacyFormatForm(forms.ModelForm):  # type: ignore[type-arg]
    """A legacy format, with the reason for an edit of it."""

    change_reason = forms.CharField(
        label="Reason for this change",
        max_length=500,
        widget=forms.TextInput(attrs={"class": "vTextField form-control"}),
        help_text="Kept in the change history, beside your name and the time.",
    )

    class Meta:
        model = LegacyFormat
        fields: ClassVar[list[str]] = ["name", "type", "pattern", "example", "sunset", "note"]
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "name": forms.TextInput(attrs={"class": "vTextField form-control"}),
            "type": forms.Select(attrs={"class": "form-select"}),
            "pattern": forms.TextInput(
                attrs={"class": "vTextField form-control mono", "autocomplete": "off", "spellcheck": "false"}
            ),
            "example": forms.TextInput(
                attrs={"class": "vTextField form-control mono", "autocomplete": "off", "spellcheck": "false"}
            ),
            "sunset": forms.DateInput(attrs={"type": "date", "class": "vDateField form-control"}),
            "note": forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField form-control"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["change_reason"].required = self.instance.pk is not None

    @transaction.atomic
    def save_edit(self) -> LegacyFormat:
        legacy: LegacyFormat = self.instance
        legacy._change_reason = self.cleaned_data["change_reason"]
        legacy.save()
        return legacy


def _is_a_page(value: str) -> bool:
    """Whether the page of a type of this value would be hidden by another one."""
    try:
        address = reverse("ids:type-detail", args=[value])
        return resolve(address).view_name != "ids:type-detail"
    except NoReverseMatch:  # outside of the grammar, which is said elsewhere
        return False


class TypeFilterForm(forms.Form):
    """What the page of types is narrowed to in its URL. A field that is not valid counts as not given."""

    q = forms.CharField(required=False, max_length=100)
    status = forms.ChoiceField(required=False, choices=IDType.Status.choices)

    def given(self) -> dict[str, str]:
        """The valid fields that say something."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}
