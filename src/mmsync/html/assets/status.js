// Live: whenever the watcher has something new to tell, the page is fetched again and its main part put in place of the
// old one. Without this script the page is whole all the same.
"use strict";
(() => {
  const live = document.getElementById("live");
  const news = document.getElementById("news");
  const pause = 150; // milliseconds in which news are gathered
  const patience = 5000; // milliseconds until a stream that was refused is asked for again
  let timer = 0;
  let told = document.querySelector("h1").textContent;
  let fetching = null;
  let failed = false; // whether the last answer was none
  let lost = false; // whether the stream of events is

  const say = (text) => {
    if (live.textContent !== text) live.textContent = text;
  };

  // The words of ``ago`` in html/environment.py, which go on being true while nothing happens.
  const ago = (seconds) => {
    if (seconds < 10) return "just now";
    if (seconds < 60) return `${Math.round(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} days ago`;
  };
  // By the watcher's clock, which this machine's need not agree with.
  const behind = () => Number(document.getElementById("main").dataset.now) - Date.now() / 1000;
  let difference = behind();
  const tick = () => {
    const now = Date.now() / 1000 + difference;
    for (const time of document.querySelectorAll("#main time")) {
      const words = ago(now - Date.parse(time.dateTime) / 1000);
      if (time.textContent !== words) time.textContent = words;
    }
  };
  setInterval(tick, 10000);
  document.addEventListener("visibilitychange", tick);

  // Whatever unfolds, by what it is called: its id, or its words and which it is of those with the same.
  const named = (root) => {
    const seen = new Map();
    return [...root.querySelectorAll("details")].map((one) => {
      const name = one.id || one.firstElementChild.textContent;
      seen.set(name, (seen.get(name) || 0) + 1);
      return [`${seen.get(name)} ${name}`, one];
    });
  };

  // What somebody is doing just now stays: what has the focus, what is typed, what is unfolded.
  const replaceMain = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    const main = document.getElementById("main");
    const fresh = next.getElementById("main");
    if (!fresh) return;
    const active = document.activeElement;
    const isInside = main.contains(active);
    const typed = isInside && active.id === "q" ? [active.value, active.selectionStart, active.selectionEnd] : null;
    const before = named(main);
    const after = new Map(named(fresh));
    for (const [name, one] of before) if (one.open && after.has(name)) after.get(name).open = true;
    const unfolding = before.find(([, one]) => one.firstElementChild === active);
    const [x, y] = [window.scrollX, window.scrollY];
    main.replaceWith(document.adoptNode(fresh));
    document.title = next.title;
    difference = behind();
    if (isInside) {
      const same = unfolding ? after.get(unfolding[0])?.firstElementChild : active.id && document.getElementById(active.id);
      (same || document.getElementById("models")).focus({ preventScroll: true });
    }
    if (typed) {
      const again = document.getElementById("q");
      again.value = typed[0];
      again.setSelectionRange(typed[1], typed[2]);
    }
    window.scrollTo(x, y);
    const headline = document.querySelector("h1").textContent;
    if (headline !== told) news.textContent = headline;
    told = headline;
  };

  const load = async (address) => {
    if (fetching) fetching.abort();
    const mine = (fetching = new AbortController());
    try {
      const answer = await fetch(address, { signal: mine.signal, headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      if (mine !== fetching) return;
      replaceMain(text);
      if (failed && !lost) say("Live.");
      failed = false;
    } catch (error) {
      if (error.name === "AbortError") return;
      failed = true;
      if (!lost) say("The watcher does not answer; what is shown is the last known.");
    }
  };

  const go = (address) => {
    history.replaceState(null, "", address);
    return load(address);
  };

  // A stream that breaks off is taken up by the browser itself; one that is refused, as by a proxy while the watcher
  // starts anew, is not.
  const listen = () => {
    const source = new EventSource("events");
    source.addEventListener("status", (event) => {
      const { revision } = JSON.parse(event.data);
      // After a loss it may be another watcher, which counts from the beginning.
      const isKnown = !lost && String(revision) === document.getElementById("main").dataset.revision;
      say(lost ? "Live again." : "Live.");
      lost = false;
      if (isKnown) return;
      clearTimeout(timer);
      timer = setTimeout(() => load(location.href), pause);
    });
    source.addEventListener("error", () => {
      if (!lost) say(`Not live since ${new Date().toLocaleTimeString()}: the watcher does not answer.`);
      lost = true;
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, patience);
    });
  };
  listen();

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
    const isPage = link.closest(".pages");
    go(link.getAttribute("href")).then(() => isPage && document.getElementById("models").focus());
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
