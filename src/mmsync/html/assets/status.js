// Live: whenever the watcher has something new to tell, the page is fetched again and its main part put in place of the
// old one. Without this script the page is whole all the same.
"use strict";
(() => {
  const live = document.getElementById("live");
  const pause = 150; // milliseconds in which news are gathered
  let timer = 0;
  let told = document.querySelector("h1").textContent;
  let fetching = null;

  const say = (text) => {
    if (live.textContent !== text) live.textContent = text;
  };

  // What somebody is doing just now stays: what has the focus, what is typed, what is unfolded.
  const replaceMain = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    const main = document.getElementById("main");
    const fresh = next.getElementById("main");
    if (!fresh) return;
    const active = document.activeElement;
    const id = active && main.contains(active) ? active.id : "";
    const typed = id === "q" ? [active.value, active.selectionStart, active.selectionEnd] : null;
    for (const open of main.querySelectorAll("details[open][id]")) {
      const same = fresh.querySelector(`#${CSS.escape(open.id)}`);
      if (same) same.open = true;
    }
    const [x, y] = [window.scrollX, window.scrollY];
    main.replaceWith(document.adoptNode(fresh));
    document.title = next.title;
    const again = id ? document.getElementById(id) : null;
    if (again) {
      again.focus({ preventScroll: true });
      if (typed) {
        again.value = typed[0];
        again.setSelectionRange(typed[1], typed[2]);
      }
    }
    window.scrollTo(x, y);
    const headline = document.querySelector("h1").textContent;
    if (headline !== told) say(headline);
    told = headline;
  };

  const load = async (address) => {
    if (fetching) fetching.abort();
    const mine = (fetching = new AbortController());
    try {
      const answer = await fetch(address, { signal: mine.signal, headers: { Accept: "text/html" } });
      if (answer.ok && mine === fetching) replaceMain(await answer.text());
    } catch (error) {
      if (error.name !== "AbortError") say("The watcher does not answer; what is shown is the last known.");
    }
  };

  const go = (address) => {
    history.replaceState(null, "", address);
    return load(address);
  };

  // No reconnect of its own after a refusal: the browser tries again by itself after a lost connection.
  const source = new EventSource("events");
  source.addEventListener("status", (event) => {
    const main = document.getElementById("main");
    if (live.dataset.lost) {
      delete live.dataset.lost;
      say("Live again.");
    }
    if (String(JSON.parse(event.data).revision) === main.dataset.revision) return;
    clearTimeout(timer);
    timer = setTimeout(() => load(location.href), pause);
  });
  source.addEventListener("open", () => {
    if (!live.dataset.lost) say("Live.");
  });
  source.addEventListener("error", () => {
    live.dataset.lost = "yes";
    say(`Not live since ${new Date().toLocaleTimeString()}: the watcher does not answer.`);
  });

  let typing = 0;
  document.addEventListener("input", (event) => {
    if (event.target.id !== "q") return;
    clearTimeout(typing);
    typing = setTimeout(() => go(`?${new URLSearchParams(new FormData(event.target.form))}`), pause);
  });
  document.addEventListener("submit", (event) => {
    event.preventDefault();
    go(`?${new URLSearchParams(new FormData(event.target))}`);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#main .tabs a, #main thead a, #main .pages a, #main .filter a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  document.addEventListener("keydown", (event) => {
    const typingInto = event.target.closest("input, textarea, select");
    if (event.key === "/" && !typingInto && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      document.getElementById("q").focus();
    }
    if (event.key === "Escape" && typingInto && typingInto.value) {
      typingInto.value = "";
      go(`?${new URLSearchParams(new FormData(typingInto.form))}`);
    }
  });
})();
