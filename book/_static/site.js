// What the theme's scripts leave open: when they come, formulas where the reader is, and what a keyboard and a screen
// reader need. Works from a file too.
(() => {
  "use strict";
  const all = (selector, place = document) => Array.from(place.querySelectorAll(selector));
  const root = document.documentElement.dataset;
  // Milliseconds at a time: on a phone that is four times as slow, the page still answers in between. A page that only
  // goes to paper (tools/book_pdf.py) need not answer, and to lay it out after each piece takes for ever.
  const BUDGET = "whole" in root ? Infinity : 10;
  const pause = () => new Promise((resolve) => setTimeout(resolve));

  // Scripts that the page marks as late, in their order.
  const fetched = (which) =>
    Promise.all(
      all(`script[data-late="${which}"]`).map(
        (mark) =>
          new Promise((resolve) => {
            const script = document.createElement("script");
            for (const { name, value } of mark.attributes)
              if (name !== "type" && name !== "data-late") script.setAttribute(name, value);
            script.async = false;
            script.onload = script.onerror = resolve;
            mark.replaceWith(script);
          }),
      ),
    );
  const once = (work) => {
    let done;
    return () => (done ??= work());
  };

  // A box that scrolls sideways can be reached with the keyboard, and says that it scrolls.
  const BOXES = "pre, .pst-scrollable-table-container, .cell_output > .output, div.math, p, dd, mjx-container[display]";
  const measured = new Set();
  const more = (box) => box.toggleAttribute("data-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
  const reachable = (boxes) => {
    // First all measures, then all changes: by turns, each measure would lay out the page anew.
    const scroll = boxes.map(
      (box) => box.scrollWidth > box.clientWidth && ["auto", "scroll"].includes(getComputedStyle(box).overflowX),
    );
    const further = boxes.map((box, i) => scroll[i] && box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
    for (const [i, box] of boxes.entries()) {
      measured.add(box);
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

  // MathJax comes when a formula is near. Formulas are set a few at a time, and the page answers in between: those that
  // are near, and once somebody reads (scrolls, points, types; or after ten seconds) the others too.
  const FORMULAS = ".math, .output_area, .tex2jax_process, .mathjax_process";
  const mathjax = once(async () => {
    window.MathJax.startup = { ...window.MathJax.startup, pageReady: () => {} };
    await fetched("formulas");
    if (MathJax.startup.promise) await MathJax.startup.promise;
    else delete root.formulas; // it did not come: TeX it is
  });
  const unset = new Set();
  let queue = [], setting = null;
  const set = async () => {
    await mathjax();
    for (let many = 1; queue.length; ) {
      const began = performance.now();
      const some = queue.splice(0, many).filter((formula) => unset.delete(formula));
      if (some.length && MathJax.typesetPromise) {
        await MathJax.typesetPromise(some);
        const around = some.map((formula) => formula.closest(BOXES)).filter((box) => box);
        reachable([...around, ...some.flatMap((formula) => all(BOXES, formula))]);
        many = Math.max(1, Math.round((many * BUDGET) / Math.max(performance.now() - began, 1)));
        await pause();
      }
    }
    setting = null;
  };
  const setSoon = (formulas, first = true) => {
    const those = formulas.filter((formula) => unset.has(formula));
    queue = first ? [...those, ...queue] : [...queue, ...those];
    return queue.length ? (setting ??= set()) : setting;
  };

  const near = new IntersectionObserver(
    (changes) => {
      const here = changes.filter((change) => change.isIntersecting).map((change) => change.target);
      reachable(here.filter((element) => element.matches(BOXES)));
      setSoon(here);
    },
    { rootMargin: "100% 0px" }, // a screen above and a screen below
  );
  const everything = async () => {
    await scripts();
    reachable(all("main article").flatMap((page) => all(BOXES, page)));
    while (unset.size) await setSoon([...unset], false);
  };
  // For those that print the page or look at all of it: a promise that it is whole.
  window.wholePage = everything;

  // Paper is white, shows what is folded, and waits for no picture.
  addEventListener("beforeprint", () => {
    root.screenTheme = root.theme;
    root.theme = "light";
    for (const picture of document.images) picture.loading = "eager";
    if (unset.size && window.MathJax && MathJax.typeset) {
      MathJax.typeset([...unset]);
      unset.clear();
    }
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

  // The theme's scripts wait until there is something to see.
  const scripts = once(async () => {
    await fetched("theme");
    named();
  });
  const start = once(() => {
    for (const formula of all(FORMULAS))
      if (!formula.parentElement.closest(FORMULAS) && /[$\\]/.test(formula.textContent)) unset.add(formula);
    for (const element of new Set([...unset, ...all("main article").flatMap((page) => all(BOXES, page))]))
      near.observe(element);
    addEventListener("resize", () => reachable([...measured].filter((box) => box.isConnected)));
    const read = once(everything);
    for (const sign of ["scroll", "keydown", "pointermove", "pointerdown", "focusin"])
      addEventListener(sign, read, { once: true, passive: true });
    setTimeout(read, 10_000); // nor does a screen reader always say that it is there
    return scripts();
  });
  requestAnimationFrame(() => setTimeout(start));
  setTimeout(start, 1000); // a page in the background is not painted
})();
