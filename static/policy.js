// The policy editor: line numbers beside the text, the line of an error marked, and a way to it. All of it works without.
(function () {
  "use strict";

  function parts() {
    var editor = document.querySelector("[data-editor]");
    return editor && { lines: editor.querySelector(".editor-lines"), text: editor.querySelector("textarea") };
  }

  function number(at) {
    var count = at.text.value.split("\n").length;
    while (at.lines.children.length > count) {
      at.lines.lastElementChild.remove();
    }
    while (at.lines.children.length < count) {
      var line = document.createElement("span");
      line.textContent = at.lines.children.length + 1;
      at.lines.append(line, "\n");
    }
    at.lines.scrollTop = at.text.scrollTop;
  }

  function mark(at) {
    var said = document.getElementById("policy-said");
    var wrong = said && said.dataset.line ? Number(said.dataset.line) : 0;
    Array.from(at.lines.children).forEach(function (line, index) {
      line.classList.toggle("is-wrong", index + 1 === wrong);
    });
    at.text.setAttribute("aria-invalid", String(Boolean(said && said.classList.contains("is-wrong"))));
  }

  function goTo(at, line) {
    var lines = at.text.value.split("\n");
    var start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    at.text.focus();
    at.text.setSelectionRange(start, start + (lines[line - 1] || "").length);
    at.text.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(at.text).lineHeight));
  }

  document.addEventListener("DOMContentLoaded", function () {
    var at = parts();
    if (!at) return;
    at.text.addEventListener("input", function () { number(at); });
    at.text.addEventListener("scroll", function () { at.lines.scrollTop = at.text.scrollTop; });
    number(at);
    mark(at);
  });
  document.addEventListener("htmx:afterSettle", function () {
    var at = parts();
    if (at) mark(at);
  });
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-goto]");
    var at = parts();
    if (button && at) goTo(at, Number(button.dataset.goto));
  });
})();
