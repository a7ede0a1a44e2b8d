"""Tests that the site runs itself: for administrators, where the site has it switched on."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits import access, executing, tasks
from audits.fetching import LocationError
from audits.forms import TestCommandForm
from audits.models import TestCommand, TestExecution
from audits.views.pages import HtmxHttpRequest, render_page, wanted_text

# Executions on the page of a repository's command.
SHOWN = 50
# Who has this makes this host run programs: no role has it, superusers do.
MAY_RUN = "audits.change_testcommand"


@require_http_methods(["GET", "POST"])
def command_edit(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """What runs the repository's tests, and the times that it ran."""
    repository = access.get_repository(request, slug, MAY_RUN)
    command = TestCommand.objects.filter(repository=repository).first()
    form = TestCommandForm(request.POST or None, instance=command or TestCommand(repository=repository))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "The command is saved.")
        return redirect("audits:test-command", repository.slug)
    context = {
        "repository": repository,
        "form": form,
        "command": command,
        "executions": repository.executions.select_related("run", "requested_by")[:SHOWN],
        "is_on": settings.SSOT_TEST_RUNNER,
    }
    return render(request, "audits/test_command.html", context, status=422 if form.errors else 200)


@require_POST
def execute(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Run the tests at a revision now."""
    repository = access.get_repository(request, slug, MAY_RUN)
    try:
        execution, is_new = executing.request(
            repository, wanted_text(request.POST.get("rev"), 255), request.user
        )
    except (executing.ExecutionError, LocationError) as error:
        messages.error(request, str(error))
        return redirect("audits:test-command", repository.slug)
    if is_new:
        tasks.execute_after_commit(execution)
    return redirect(execution)


@require_GET
def execution_detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """How one run of tests went, and what the command wrote."""
    rows = TestExecution.objects.select_related("repository", "run", "requested_by")
    execution = access.get_of_visible(request, rows, MAY_RUN, pk=pk)
    context = {"execution": execution, "repository": execution.repository}
    return render_page(request, "audits/test_execution.html", context, partials=("execution",))
