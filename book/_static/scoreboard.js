// Filters of the scoreboard, over the cards that are in the page: without this script all of them are shown.
(() => {
  "use strict";
  const place = document.getElementById("ledger-filter");
  const cards = Array.from(document.querySelectorAll(".ledger-card[data-verdict]"));
  if (!place || !cards.length) return;
  const KINDS = { paper: "Paper", verdict: "Verdict", role: "Role" };
  const asked = new URLSearchParams(location.search);

  const form = document.createElement("form");
  form.className = "ledger-filter";
  form.setAttribute("role", "search");
  form.setAttribute("aria-label", "Filter the claims");
  const selects = Object.entries(KINDS).map(([kind, name]) => {
    const label = document.createElement("label");
    const select = document.createElement("select");
    select.name = kind;
    const values = Array.from(new Set(cards.map((card) => card.dataset[kind])));
    select.append(new Option("all", ""), ...values.map((value) => new Option(value, value)));
    if (values.includes(asked.get(kind))) select.value = asked.get(kind);
    label.append(name, select);
    form.append(label);
    return select;
  });
  const clear = Object.assign(document.createElement("button"), { type: "reset", textContent: "Show all" });
  const count = document.createElement("output");
  form.append(clear, count);
  place.append(form);

  const show = () => {
    let shown = 0;
    for (const card of cards) {
      card.hidden = selects.some((select) => select.value && card.dataset[select.name] !== select.value);
      shown += !card.hidden;
    }
    for (const section of document.querySelectorAll("main section")) {
      const own = Array.from(section.querySelectorAll(":scope > .ledger-card"));
      if (own.length) section.hidden = own.every((card) => card.hidden);
    }
    count.textContent = `${shown} of ${cards.length} claims`;
    const chosen = new URLSearchParams(selects.filter((select) => select.value).map((s) => [s.name, s.value]));
    // A page that was opened from a file may not rename itself.
    try {
      history.replaceState(null, "", `${location.pathname}${chosen.size ? `?${chosen}` : ""}${location.hash}`);
    } catch { /* the filters work all the same */ }
  };
  // Whoever follows a link to a claim or a paper sees it, whatever the filters were.
  const follow = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || !target.closest("[hidden]")) return;
    form.reset();
    show();
    target.scrollIntoView();
  };
  form.addEventListener("change", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);
  show();
  follow();
})();
