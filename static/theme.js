// Runs before the first paint, so that a page never flashes in the wrong theme. The admin uses the same key.
(function () {
  "use strict";
  var root = document.documentElement;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try {
      return localStorage.getItem("theme");
    } catch (error) {
      return null; // storage is switched off: follow the system
    }
  }

  function apply() {
    var choice = stored();
    if (choice !== "light" && choice !== "dark") choice = "auto";
    root.dataset.themeChoice = choice;
    root.dataset.bsTheme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
  }

  root.classList.add("js");
  apply();
  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  document.addEventListener("themechange", apply);
})();
