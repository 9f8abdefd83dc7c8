// What a keyboard and a screen reader need that the theme's scripts leave open. Works from a file too.
(() => {
  "use strict";
  const all = (selector) => Array.from(document.querySelectorAll(selector));

  // A box that scrolls sideways can be reached with the keyboard, and says that it scrolls.
  const BOXES = "pre, .pst-scrollable-table-container, .cell_output > .output, div.math, p, dd, mjx-container[display]";
  const more = (box) => box.toggleAttribute("data-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
  const reachable = () => {
    const boxes = all("main article").flatMap((page) => Array.from(page.querySelectorAll(BOXES)));
    // First all measures, then all changes: by turns, each measure would lay out the page anew.
    const scroll = boxes.map(
      (box) => box.scrollWidth > box.clientWidth && ["auto", "scroll"].includes(getComputedStyle(box).overflowX),
    );
    const further = boxes.map((box, i) => scroll[i] && box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
    for (const [i, box] of boxes.entries()) {
      if (scroll[i]) {
        box.tabIndex = 0;
        if (!box.matches("p, dd")) {
          box.toggleAttribute("data-more", further[i]);
          box.onscroll = () => more(box);
        }
        if (box.matches(".pst-scrollable-table-container")) {
          const caption = box.querySelector("caption");
          box.setAttribute("role", "group");
          box.setAttribute("aria-label", `${caption ? caption.textContent.trim() : "Table"} (scrolls sideways)`);
        }
      } else if (box.tabIndex === 0) {
        box.removeAttribute("tabindex");
        box.removeAttribute("data-more");
      }
    }
  };

  // What the buttons of the code cells and of the solutions do, in words.
  const named = () => {
    all("button.copybtn").forEach((button, i) => button.setAttribute("aria-label", `Copy code ${i + 1}`));
    for (const button of all("button.toggle-button")) {
      const title = button.closest(".admonition-title");
      const words = title ? title.textContent.trim().replace(/\s+/g, " ") : "";
      button.setAttribute("aria-label", words || "Hidden content");
    }
  };

  // Formulas are set a few at a time, those in sight first, and the page answers in between. Whoever waits for
  // MathJax.startup.promise waits for all of them.
  const FORMULAS = ".math, .output_area, .tex2jax_process, .mathjax_process", BUDGET = 10; // ms at a time
  let unset = [];
  const setFormulas = async () => {
    const found = all(FORMULAS).filter((e) => !e.parentElement.closest(FORMULAS) && /[$\\]/.test(e.textContent));
    const inSight = found.map((e) => {
      const { top, bottom } = e.getBoundingClientRect();
      return bottom > 0 && top < 1.5 * innerHeight;
    });
    unset = [...found.filter((_, i) => inSight[i]), ...found.filter((_, i) => !inSight[i])];
    for (let many = 1; unset.length; ) {
      const began = performance.now();
      await MathJax.typesetPromise(unset.splice(0, many));
      many = Math.max(1, Math.round((many * BUDGET) / Math.max(performance.now() - began, 1)));
      await new Promise((resolve) => setTimeout(resolve));
    }
  };
  if (window.MathJax) MathJax.startup = { ...MathJax.startup, pageReady: setFormulas };

  // Paper is white, shows what is folded, and waits for no picture.
  const root = document.documentElement.dataset;
  addEventListener("beforeprint", () => {
    root.screenTheme = root.theme;
    root.theme = "light";
    for (const picture of document.images) picture.loading = "eager";
    if (unset.length) MathJax.typeset(unset.splice(0));
    for (const details of all("main details:not([open])")) {
      details.dataset.folded = "";
      details.open = true;
    }
  });
  addEventListener("afterprint", () => {
    root.theme = root.screenTheme;
    for (const details of all("main details[data-folded]")) {
      delete details.dataset.folded;
      details.open = false;
    }
  });

  const start = () => {
    named();
    reachable();
    addEventListener("resize", reachable);
    for (const details of all("main details")) details.addEventListener("toggle", reachable);
    if (window.MathJax && MathJax.startup && MathJax.startup.promise) MathJax.startup.promise.then(reachable);
  };
  // After the scripts that make the buttons: they run when the page is read, this one when all of it is there.
  if (document.readyState === "complete") start();
  else addEventListener("load", start);
})();
