// The search: sections that hold all the words, with the words around them. The words of the book are in
// searchsections.js, a script and not a file that is fetched, so that it works from a file as from a server.
(() => {
  "use strict";
  const SHOWN = 60, AROUND = 90;
  const results = document.getElementById("search-results");
  const input = document.querySelector(".bd-search-container input[name=q]") || document.querySelector("input[name=q]");
  if (!results || !input || !window.BOOK_SECTIONS) return;
  const sections = window.BOOK_SECTIONS.flatMap(([url, page, found]) =>
    found.map(([anchor, title, text]) => ({ url, page, anchor, title, text })));

  // A word finds the words that begin like it, without its ending: "denoise" finds "denoising".
  const stem = (word) => (word.length > 4 ? word.replace(/(ing|ied|ies|ed|es|s|e)$/, "") : word);
  const pattern = (word) => new RegExp(`(?<![\\p{L}\\p{N}])${stem(word).replace(/\./g, "\\.")}`, "giu");
  const times = (text, one) => (text.match(one) || []).length;

  const find = (query) => {
    const words = query.toLowerCase().match(/[\p{L}\p{N}][\p{L}\p{N}_.-]*/gu) || [];
    const patterns = Array.from(new Set(words), pattern);
    if (!patterns.length) return { patterns, found: [] };
    const found = [];
    for (const section of sections) {
      let score = 0;
      const all = patterns.every((one) => {
        const title = times(section.title, one), text = times(section.text, one);
        score += 12 * Math.min(title, 1) + Math.min(text, 8) + (title ? 3 * (1 - section.title.length / 200) : 0);
        return title + text > 0 || (score += 2 * times(section.page, one), times(section.page, one) > 0);
      });
      const here = patterns.some((one) => times(section.title, one) + times(section.text, one));
      if (all && here) found.push({ ...section, score: section.url.includes("/api/") ? score / 2 : score });
    }
    return { patterns, found: found.sort((a, b) => b.score - a.score) };
  };

  // The words around the first that was found, with what was looked for marked.
  const excerpt = (text, patterns) => {
    const first = Math.min(...patterns.map((one) => text.search(new RegExp(one.source, "iu"))).filter((at) => at >= 0));
    const at = Number.isFinite(first) ? first : 0;
    const from = at > AROUND ? text.indexOf(" ", at - AROUND) + 1 : 0;
    let to = Math.min(text.length, at + 2 * AROUND);
    if (to < text.length) to = text.lastIndexOf(" ", to);
    return marked(`${from ? "… " : ""}${text.slice(from, to)}${to < text.length ? " …" : ""}`, patterns);
  };
  const marked = (text, patterns) => {
    const whole = document.createDocumentFragment();
    const any = new RegExp(`(?:${patterns.map((one) => `${one.source}[\\p{L}\\p{N}]*`).join("|")})`, "giu");
    let last = 0;
    for (const match of text.matchAll(any)) {
      whole.append(text.slice(last, match.index), Object.assign(document.createElement("mark"), { textContent: match[0] }));
      last = match.index + match[0].length;
    }
    whole.append(text.slice(last));
    return whole;
  };

  const status = document.createElement("p");
  status.setAttribute("role", "status");
  const list = document.createElement("ul");
  list.className = "search";
  results.append(status, list);

  const show = () => {
    const query = input.value.trim();
    const { patterns, found } = find(query);
    const rest = found.length > SHOWN ? `, of which these are the first ${SHOWN}` : "";
    const said = found.length === 1 ? "One section has" : `${found.length || "No"} sections have`;
    status.textContent = query ? `${said} all the words of “${query}”${rest}.` : "";
    list.replaceChildren(...found.slice(0, SHOWN).map((section) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${section.url}${section.anchor ? `#${encodeURIComponent(section.anchor)}` : ""}`;
      link.append(section.title);
      const where = Object.assign(document.createElement("span"), { className: "search-page", textContent: section.page });
      const text = document.createElement("p");
      text.append(excerpt(section.text, patterns));
      item.append(link);
      if (section.page !== section.title) item.append(" ", where);
      item.append(text);
      return item;
    }));
  };
  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 200);
  });
  input.value = new URLSearchParams(location.search).get("q") || "";
  show();
})();
