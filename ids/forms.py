"""Forms of the ID registry: the edit of a type in the admin, and the filter of the page of types."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from ids.models import IDType


class IDTypeForm(forms.ModelForm):  # type: ignore[type-arg]
    """An edit of a type, with the reason for it. The reason is kept in the type's change history."""

    change_reason = forms.CharField(
        label="Reason for this change",
        max_length=500,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Kept in the change history, beside your name and the time.",
    )

    class Meta:
        model = IDType
        fields: ClassVar[list[str]] = ["value", "description", "status", "format", "owner"]
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "description": forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # a new type explains itself
        self.fields["change_reason"].required = self.instance.pk is not None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.instance.pk is not None and self.instance.has_leased:
            # Where the value is read-only the instance's counts, which is an old one when a version is reverted to.
            value = cleaned.get("value", self.instance.value)
            stored = IDType.objects.values_list("value", flat=True).get(pk=self.instance.pk)
            if value != stored:
                raise ValidationError(
                    f'The value stays "{stored}": IDs of this type were issued and carry it. '
                    "Make a new type, and deprecate or retire this one.",
                    code="value-fixed",
                )
        return cleaned


class TypeFilterForm(forms.Form):
    """What the page of types is narrowed to in its URL. A field that is not valid counts as not given."""

    q = forms.CharField(required=False, max_length=100)
    status = forms.ChoiceField(required=False, choices=IDType.Status.choices)

    def given(self) -> dict[str, str]:
        """The valid fields that say something."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}
