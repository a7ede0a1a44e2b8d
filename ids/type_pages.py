"""Pages on which a type is added and edited, with what hangs on it beside the form, and the registry as code."""

from typing import Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_GET, require_http_methods

from ids import exports, formats
from ids.editing import impact_of
from ids.forms import IDTypeForm
from ids.models import IDType

# The names under which the registry can be fetched as code: what comes after "registry." -> the export.
REGISTRY_FILES: Final = {"py": "python", "ts": "typescript", "schema.json": "json-schema", "json": "registry"}


@require_http_methods(["GET", "POST"])
def type_add(request: HttpRequest) -> HttpResponse:
    """A new type: the next ID of it can be issued as soon as it is saved."""
    if not request.user.has_perm("ids.add_idtype"):
        raise PermissionDenied
    form = IDTypeForm(request.POST or None)
    form.user = request.user
    if request.method == "POST" and form.is_valid():
        id_type = form.save_edit()
        messages.success(
            request, f"The ID type “{id_type.value}” is in the registry: IDs of it can be issued."
        )
        return redirect(id_type)
    context = {"form": form, "formats": list(formats.FORMATS.values())}
    return render(request, "ids/idtype_form.html", context)


@require_http_methods(["GET", "POST"])
def type_edit(request: HttpRequest, value: str) -> HttpResponse:
    """An edit of a type. What it would break is worked out first, and confirmed before anything is saved."""
    if not request.user.has_perm("ids.change_idtype"):
        raise PermissionDenied
    stored = get_object_or_404(IDType, value=value)
    # another instance than the stored one, because a form writes into its own
    form = IDTypeForm(request.POST or None, instance=IDType.objects.get(pk=stored.pk))
    form.user = request.user
    if stored.has_leased:
        form.fields["value"].disabled = True
    if request.method == "POST" and form.is_valid():
        id_type = form.save_edit()
        messages.success(request, f"The ID type “{id_type.value}” was saved.")
        return redirect(id_type)
    context = {
        "form": form,
        "type": stored,
        "impact": impact_of(stored, request.user),
        "formats": list(formats.FORMATS.values()),
    }
    return render(request, "ids/idtype_form.html", context)


@require_GET
def registry_file(request: HttpRequest, suffix: str) -> HttpResponseBase:
    """The registry as code, with an ETag, so that whoever has it already is told so."""
    if suffix not in REGISTRY_FILES:
        raise Http404
    export = exports.export(REGISTRY_FILES[suffix], IDType.objects.exported())
    file = HttpResponse(export.text, content_type=export.media_type)
    file["Content-Disposition"] = f'attachment; filename="{export.file_name}"'
    file["Cache-Control"] = "private, no-cache"
    file["ETag"] = export.etag
    return get_conditional_response(request, etag=export.etag, response=file) or file
