// What the pages add to plain HTML and htmx: local times, the theme switch, messages about failed requests, "/" to search.
(function () {
  "use strict";

  // --- Times: the server writes UTC, the reader sees their own zone ----------------------------------------------
  var absolute = new Intl.DateTimeFormat("en-GB", {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
  });
  var relative = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto", style: "short" });
  var units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];

  function ago(moment) {
    var seconds = (moment - Date.now()) / 1000;
    for (var i = 0; i < units.length; i++) {
      if (Math.abs(seconds) >= units[i][1]) return relative.format(Math.round(seconds / units[i][1]), units[i][0]);
    }
    return "just now";
  }

  function utc(moment) {
    return moment.toISOString().replace("T", " ").slice(0, 19) + " UTC";
  }

  function showTimes(root) {
    root.querySelectorAll("time[data-local]").forEach(function (element) {
      var moment = new Date(element.dateTime);
      if (isNaN(moment)) return;
      var isRelative = element.dataset.local !== "absolute";
      var isDue = element.dataset.local === "due" && moment <= Date.now();
      var text = isDue ? "due now" : isRelative ? ago(moment) : absolute.format(moment);
      if (element.textContent !== text) element.textContent = text;
      element.title = (isRelative ? absolute.format(moment) : ago(moment)) + " · " + utc(moment);
    });
  }

  // --- Theme -----------------------------------------------------------------------------------------------------
  function markTheme() {
    document.querySelectorAll("[data-theme-set]").forEach(function (button) {
      button.setAttribute("aria-pressed", button.dataset.themeSet === document.documentElement.dataset.themeChoice);
    });
  }

  function setTheme(choice) {
    try {
      localStorage.setItem("theme", choice);
    } catch (error) {
      toast("This browser does not keep settings, so the theme can't be remembered.");
    }
    document.dispatchEvent(new Event("themechange"));
    markTheme();
  }

  // --- Messages about requests that failed -----------------------------------------------------------------------
  function toast(text) {
    var box = document.getElementById("toasts");
    if (!box) return;
    Array.from(box.children).forEach(function (old) {
      if (old.firstChild.textContent === text) old.remove(); // a failing poll says it once
    });
    var item = document.createElement("div");
    item.className = "toast-item";
    item.append(Object.assign(document.createElement("span"), { textContent: text }));
    var close = Object.assign(document.createElement("button"), { type: "button", className: "btn-close" });
    close.setAttribute("aria-label", "Close this message");
    close.dataset.dismiss = "";
    item.append(close);
    box.append(item);
    setTimeout(function () { item.remove(); }, 12000);
  }

  var reasons = {
    403: "You may not do that. Ask an administrator for the permission.",
    404: "That is no longer there. Reload the page.",
    409: "That was already done, or something else changed it meanwhile. Reload the page.",
    429: "Too many requests. Wait a moment and try again.",
  };

  document.addEventListener("htmx:responseError", function (event) {
    var xhr = event.detail.xhr;
    if (xhr.getResponseHeader("HX-Redirect")) return; // signed out: htmx goes to the sign-in page
    toast(reasons[xhr.status] || "The server could not answer (error " + xhr.status + "). Try again; if it stays, look at the server's log.");
  });
  document.addEventListener("htmx:sendError", function () {
    toast("The server can't be reached. Check the connection; what you see may be out of date.");
  });
  document.addEventListener("htmx:timeout", function () {
    toast("The server took too long to answer. Try again.");
  });

  // --- A thin bar while a click is being answered (not for polling) ----------------------------------------------
  var waiting = 0;
  function isPoll(event) {
    var trigger = event.detail.requestConfig.elt.getAttribute("hx-trigger");
    return trigger !== null && trigger.indexOf("every") !== -1;
  }
  document.addEventListener("htmx:beforeSend", function (event) {
    if (isPoll(event)) return;
    waiting += 1;
    document.documentElement.classList.add("is-loading");
  });
  document.addEventListener("htmx:afterRequest", function (event) {
    if (isPoll(event)) return;
    waiting = Math.max(0, waiting - 1);
    if (waiting === 0) document.documentElement.classList.remove("is-loading");
  });

  // --- Clicks and keys -------------------------------------------------------------------------------------------
  document.addEventListener("click", function (event) {
    var target = event.target;
    var theme = target.closest("[data-theme-set]");
    if (theme) setTheme(theme.dataset.themeSet);
    var dismiss = target.closest("[data-dismiss]");
    if (dismiss) dismiss.parentElement.remove();
    var copy = target.closest("[data-copy]");
    if (copy && navigator.clipboard) {
      navigator.clipboard.writeText(copy.dataset.copy).then(function () {
        copy.classList.add("is-copied");
        setTimeout(function () { copy.classList.remove("is-copied"); }, 1500);
      });
    }
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(target)) menu.open = false;
    });
  });

  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") {
      document.querySelectorAll("details.menu[open]").forEach(function (menu) {
        menu.open = false;
        menu.querySelector("summary").focus();
      });
    }
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    var search = document.querySelector("[data-search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  // --- After a part of the page was replaced: its times at once, and the keyboard stays where it was ---------------
  var hadFocus = false;
  document.addEventListener("htmx:beforeSwap", function (event) {
    hadFocus = event.detail.target.contains(document.activeElement);
  });
  document.addEventListener("htmx:afterSwap", function (event) {
    showTimes(event.target);
    if (hadFocus && document.activeElement === document.body) {
      event.target.tabIndex = -1;
      event.target.focus({ preventScroll: true });
    }
    hadFocus = false;
  });

  document.addEventListener("DOMContentLoaded", function () {
    showTimes(document);
    markTheme();
    setInterval(function () { showTimes(document); }, 30000);
  });
})();
