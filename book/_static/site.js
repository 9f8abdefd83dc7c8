// What a keyboard and a screen reader need that the theme's scripts leave open. Works from a file too.
(() => {
  "use strict";
  const all = (selector) => Array.from(document.querySelectorAll(selector));

  // A box that scrolls sideways can be reached with the keyboard, and says that it scrolls.
  const BOXES = "pre, .pst-scrollable-table-container, .cell_output > .output, div.math, p, dd, mjx-container[display]";
  const more = (box) => box.toggleAttribute("data-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
  const reachable = () => {
    for (const box of all("main article").flatMap((page) => Array.from(page.querySelectorAll(BOXES)))) {
      const scrolls =
        box.scrollWidth > box.clientWidth && ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
      if (scrolls) {
        box.tabIndex = 0;
        if (!box.matches("p, dd")) {
          more(box);
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

  // Paper is white, shows what is folded, and waits for no picture.
  const root = document.documentElement.dataset;
  addEventListener("beforeprint", () => {
    root.screenTheme = root.theme;
    root.theme = "light";
    for (const picture of document.images) picture.loading = "eager";
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
