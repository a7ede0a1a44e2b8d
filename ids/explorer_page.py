"""The explorer: any ID, or a list of them, explained. One stands in the URL, a list is posted."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from ids import usage
from ids.explorer import MOST_TEXTS, read_all, read_one

TEXT_LIMIT: Final = 400 * MOST_TEXTS
ONE_LIMIT: Final = 2_000


@require_http_methods(["GET", "POST"])
def explore(request: HttpRequest) -> HttpResponse:
    """What is known of an ID (GET ``?id=``), or of each line of a list (POST ``ids``). Changes nothing."""
    if request.method == "POST":
        given = request.POST.get("ids", "")
        if len(given) > TEXT_LIMIT:
            return _refused(request, given[:1_000], f"The list has more than {TEXT_LIMIT:,} characters.")
        texts = [line.strip() for line in given.splitlines() if line.strip()]
        if len(texts) > MOST_TEXTS:
            words = f"The list has {len(texts):,} IDs; {MOST_TEXTS:,} are looked at together."
            return _refused(request, given, words)
    else:
        given = request.GET.get("id", "")
        if len(given) > ONE_LIMIT:
            return _refused(request, "", f"An ID has far less than {ONE_LIMIT:,} characters.")
        texts = [given] if given.strip() else []
    readings = [read_one(texts[0])] if len(texts) == 1 else read_all(texts)
    context = {"given": given, "readings": readings, "most": MOST_TEXTS}
    if len(readings) == 1:
        (reading,) = readings
        context["reading"] = reading
        if reading.id_type is not None:
            context["usage"] = usage.usage_of(reading.id_type.value, request.user)
    return render(request, "ids/explore.html", context)


def _refused(request: HttpRequest, given: str, words: str) -> HttpResponse:
    context = {"given": given, "readings": [], "most": MOST_TEXTS, "error": words}
    return render(request, "ids/explore.html", context, status=400)
