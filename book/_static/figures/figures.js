// Figures that a reader moves. A page says where one stands (tools/interactive.py); what it computes is in models.js.
// Without JavaScript the words in its place stay, and the still figure that they name.
"use strict";

(function () {
  const m = window.bookModels;
  const SVG = "http://www.w3.org/2000/svg";
  const colours = { blue: "#0072B2", orange: "#E69F00", green: "#009E73", vermilion: "#D55E00", grey: "#777777" };

  // --- a little drawing -------------------------------------------------------------------------------------------

  function element(name, attributes = {}, ...children) {
    const made = name.startsWith("svg:")
      ? document.createElementNS(SVG, name.slice(4))
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const nice = (x, digits = 3) => (x === 0 ? "0" : String(Number(x.toPrecision(digits))));

  /** Sliders under a figure; `draw` is called with their values, and says in words what came out. */
  function figure(place, { sliders, draw, view = [480, 320] }) {
    const values = Object.fromEntries(sliders.map((s) => [s.name, s.value]));
    const title = place.dataset.title;
    const svg = element("svg:svg", { viewBox: `0 0 ${view[0]} ${view[1]}`, role: "img", "aria-label": title });
    const words = element("p", { class: "interactive-words", "aria-live": "polite" });
    const controls = element("div", { class: "interactive-controls" });
    for (const s of sliders) {
      const scaled = s.log ? Math.log10 : (x) => x;
      const input = element("input", {
        type: "range", min: scaled(s.low), max: scaled(s.high), step: s.step, value: scaled(s.value),
      });
      const shown = element("output");
      const tell = () => {
        const text = `${nice(values[s.name], 3)}${s.unit ? " " + s.unit : ""}`;
        shown.textContent = text;
        input.setAttribute("aria-valuetext", text);
      };
      input.addEventListener("input", () => {
        values[s.name] = s.log ? 10 ** Number(input.value) : Number(input.value);
        if (s.whole) values[s.name] = Math.round(values[s.name]);
        tell();
        show();
      });
      tell();
      controls.append(element("label", {}, element("span", {}, s.label), input, shown));
    }
    function show() {
      svg.replaceChildren();
      words.textContent = draw(values, svg);
    }
    place.replaceChildren(svg, words, controls);
    place.classList.add("is-live");
    show();
  }

  /** Axes; gives the functions that place a value. Ticks are [value, text] or values. */
  function axes(svg, { x, y, xLabel, yLabel, logX = false, xTicks, yTicks, box = [56, 12, 466, 262] }) {
    const [left, top, right, bottom] = box;
    const along = logX ? Math.log10 : (v) => v;
    const px = (v) => left + ((along(v) - along(x[0])) / (along(x[1]) - along(x[0]))) * (right - left);
    const py = (v) => bottom - ((v - y[0]) / (y[1] - y[0])) * (bottom - top);
    const line = (x1, y1, x2, y2) =>
      svg.append(element("svg:line", { x1, y1, x2, y2, stroke: "currentColor", "stroke-width": 1 }));
    const text = (at, words, anchor, turn) =>
      svg.append(element("svg:text", {
        x: at[0], y: at[1], "text-anchor": anchor, ...(turn ? { transform: `rotate(-90 ${at[0]} ${at[1]})` } : {}),
      }, words));
    line(left, top, left, bottom);
    line(left, bottom, right, bottom);
    for (const tick of xTicks) {
      const [v, name] = Array.isArray(tick) ? tick : [tick, nice(tick)];
      line(px(v), bottom, px(v), bottom + 5);
      text([px(v), bottom + 19], name, "middle");
    }
    for (const tick of yTicks) {
      const [v, name] = Array.isArray(tick) ? tick : [tick, nice(tick)];
      line(left - 5, py(v), left, py(v));
      text([left - 8, py(v) + 4], name, "end");
    }
    text([(left + right) / 2, bottom + 42], xLabel, "middle");
    text([14, (top + bottom) / 2], yLabel, "middle", true);
    return { px, py, box };
  }

  function curve(svg, { px, py, box }, points, colour, more = {}) {
    const inside = points.filter(([, v]) => Number.isFinite(v) && py(v) >= box[1] - 1 && py(v) <= box[3] + 1);
    const d = inside.map(([u, v], i) => `${i ? "L" : "M"}${px(u).toFixed(1)} ${py(v).toFixed(1)}`).join("");
    svg.append(element("svg:path", { d, fill: "none", stroke: colour, "stroke-width": 2.5, ...more }));
  }

  function dot(svg, x, y, colour) {
    svg.append(element("svg:circle", { cx: x, cy: y, r: 6, fill: colour, stroke: "currentColor" }));
  }

  function legend(svg, entries, x, y) {
    entries.forEach(([name, colour, dash], i) => {
      const at = y + 18 * i;
      svg.append(element("svg:line", {
        x1: x, x2: x + 26, y1: at, y2: at, stroke: colour, "stroke-width": 3, ...(dash ? { "stroke-dasharray": dash } : {}),
      }));
      svg.append(element("svg:text", { x: x + 33, y: at + 4 }, name));
    });
  }

  const range = (low, high, n) => Array.from({ length: n }, (_, i) => low + ((high - low) * i) / (n - 1));

  // --- the figures ------------------------------------------------------------------------------------------------

  /** ISGC: all ways to share the band, the latency limit, and the optimum. */
  function isgcTriangle(place, data) {
    const { data: D, bandwidth: W } = data;
    const hops = ["semantic", "AIGC", "rendering"];
    const corner = [[60, 336], [420, 336], [240, 24]];
    const at = (w) => [0, 1].map((k) => w.reduce((s, share, i) => s + (share / W) * corner[i][k], 0));
    /** Where the latency limit is just kept: the farthest point from the fastest allocation in each direction. */
    function latencyLimit(b, tau) {
      const fast = m.fastestAllocation(b, W);
      if (m.transmissionTime(b, fast) > tau) return null;
      return range(0, 2 * Math.PI, 181).map((angle) => {
        const [u, w] = [Math.cos(angle), Math.sin(angle)];
        const step = [u, -u / 2 + w * Math.sqrt(0.75), -u / 2 - w * Math.sqrt(0.75)];
        const edge = Math.min(...step.map((s, i) => (s < 0 ? -fast[i] / s : Infinity)));
        let [inside, outside] = [0, edge];
        for (let k = 0; k < 40; k++) {
          const middle = (inside + outside) / 2;
          if (m.transmissionTime(b, fast.map((x, i) => x + middle * step[i])) > tau) outside = middle;
          else inside = middle;
        }
        return fast.map((x, i) => x + inside * step[i]);
      });
    }
    /** What is earned is linear over the triangle, and so a gradient between its least and its greatest corner shows it. */
    function shade(svg, a) {
      const [[x0, y0], [x1, y1], [x2, y2]] = corner, [f0, f1, f2] = a, most = Math.max(...a) || 1;
      const twice = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
      const gx = ((f1 - f0) * (y2 - y0) - (f2 - f0) * (y1 - y0)) / twice;
      const gy = ((f2 - f0) * (x1 - x0) - (f1 - f0) * (x2 - x0)) / twice;
      const steep = gx * gx + gy * gy, low = Math.min(...a), [x, y] = corner[a.indexOf(low)];
      const along = steep ? (Math.max(...a) - low) / steep : 0;
      const opacity = (earned) => 0.1 + (0.8 * earned) / most;
      const gradient = element("svg:linearGradient", {
        id: "isgc-earned", gradientUnits: "userSpaceOnUse", x1: x, y1: y, x2: x + along * gx, y2: y + along * gy,
      });
      for (const [offset, earned] of [[0, low], [1, Math.max(...a)]])
        gradient.append(element("svg:stop", { offset, "stop-color": colours.blue, "stop-opacity": opacity(earned) }));
      svg.append(gradient, element("svg:polygon", { points: corner.join(" "), fill: "url(#isgc-earned)" }));
    }
    function draw(v, svg) {
      const c = [v.semantic, m.capacityAwgn(v.aigc), m.capacityAwgn(v.rendering)];
      const a = c.map((rate, i) => rate * v[`q${i}`]), b = c.map((rate, i) => D[i] / rate);
      shade(svg, a);
      hops.forEach((hop, i) => {
        const [x, y] = corner[i];
        svg.append(element("svg:text", { x, y: i === 2 ? y - 6 : y + 18, "text-anchor": "middle" }, hop));
      });
      const limit = latencyLimit(b, v.tau);
      const outline = (points) => `M${points.map((p) => p.map((x) => x.toFixed(1)).join(" ")).join("L")}Z`;
      const late = outline(corner) + (limit ? outline(limit.map(at)) : "");
      svg.append(element("svg:path", { d: late, "fill-rule": "evenodd", fill: "var(--pst-color-background)", "fill-opacity": 0.65 }));
      if (limit) svg.append(element("svg:path", { d: outline(limit.map(at)), fill: "none", stroke: "currentColor", "stroke-width": 2 }));
      const fast = m.fastestAllocation(b, W), optimum = m.optimalAllocation(a, b, W, v.tau);
      const [fx, fy] = at(fast);
      svg.append(element("svg:rect", { x: fx - 5, y: fy - 5, width: 10, height: 10, fill: "currentColor" }));
      if (!optimum) {
        const least = m.smallestLatencyBudget(b, W);
        return `No allocation is fast enough: even the fastest (square) takes ${nice(least)} s.`;
      }
      const [x, y] = at(optimum);
      const star = range(0, 9, 10).map((k) => {
        const angle = (Math.PI * k) / 5 - Math.PI / 2, radius = k % 2 ? 4.5 : 11;
        return `${x + radius * Math.cos(angle)},${y + radius * Math.sin(angle)}`;
      });
      svg.append(element("svg:polygon", { points: star.join(" "), fill: colours.orange, stroke: "currentColor" }));
      const earns = optimum.reduce((s, w, i) => s + a[i] * w, 0);
      const equal = [W / 3, W / 3, W / 3], even = equal.reduce((s, w, i) => s + a[i] * w, 0);
      const tooSlow = m.transmissionTime(b, equal) > v.tau;
      const shares = optimum.map((w, i) => `${hops[i]} ${nice(w)} MHz`).join(", ");
      const part = earns ? `earns ${nice((100 * even) / earns)}% of that` : "earns nothing, either";
      return `Optimum (star): ${shares}; it earns ${nice(earns)} a second and takes ` +
        `${nice(m.transmissionTime(b, optimum))} s. An equal split ${part}` +
        `${tooSlow ? ", and is too slow" : ""}.`;
    }
    figure(place, {
      view: [480, 364], draw,
      sliders: [
        { name: "semantic", label: "Semantic hop carries", low: 0.5, high: 3, step: 0.05, value: 1.67, unit: "Msut/s per MHz" },
        { name: "aigc", label: "SNR of the AIGC hop", low: -10, high: 30, step: 0.5, value: 12, unit: "dB" },
        { name: "rendering", label: "SNR of the rendering hop", low: -10, high: 30, step: 0.5, value: 6, unit: "dB" },
        { name: "q0", label: "Price of meaning", low: 0, high: 4, step: 0.1, value: 1, unit: "per Msut" },
        { name: "q1", label: "Price on the AIGC hop", low: 0, high: 4, step: 0.1, value: 1, unit: "per Mbit" },
        { name: "q2", label: "Price on the rendering hop", low: 0, high: 4, step: 0.1, value: 1, unit: "per Mbit" },
        { name: "tau", label: "Time for all transmissions", low: 0.1, high: 3, step: 0.02, value: 0.5, unit: "s" },
      ],
    });
  }

  /** What a code of n uses can carry, beside the capacity. */
  function shortBlocks(place) {
    function draw(v, svg) {
      const top = Math.max(1, Math.ceil(m.capacityAwgn(v.snr)));
      const frame = axes(svg, {
        x: [50, 20000], y: [0, top], logX: true, xLabel: "complex channel uses of a block", yLabel: "bits per use",
        xTicks: [[100, "100"], [1000, "1000"], [10000, "10000"]], yTicks: range(0, top, top > 4 ? 3 : top + 1),
      });
      const capacity = m.capacityAwgn(v.snr);
      const lengths = range(Math.log10(50), Math.log10(20000), 80).map((u) => 10 ** u);
      curve(svg, frame, lengths.map((n) => [n, capacity]), colours.grey, { "stroke-dasharray": "7 4" });
      curve(svg, frame, lengths.map((n) => [n, m.finiteBlocklengthRate(v.snr, n, v.error)]), colours.blue);
      const rate = m.finiteBlocklengthRate(v.snr, v.length, v.error);
      if (rate > 0) dot(svg, frame.px(v.length), frame.py(rate), colours.orange);
      legend(svg, [["capacity", colours.grey, "7 4"], ["best code, normal approximation", colours.blue]], 210, 226);
      if (rate <= 0) return "So short, noisy and reliable a block carries nothing, as far as the approximation tells.";
      return `A block of ${v.length} uses carries at most about ${nice(rate)} bits per use, ` +
        `${Math.floor(rate * v.length)} bits in all: ${nice((100 * rate) / capacity)}% of the capacity of ${nice(capacity)}.`;
    }
    figure(place, {
      view: [480, 316], draw,
      sliders: [
        { name: "snr", label: "SNR", low: -10, high: 30, step: 0.5, value: 5, unit: "dB" },
        { name: "length", label: "Block length", low: 50, high: 20000, step: 0.01, value: 200, log: true, whole: true, unit: "uses" },
        { name: "error", label: "Share of blocks that may be lost", low: 1e-6, high: 0.1, step: 0.1, value: 1e-3, log: true },
      ],
    });
  }

  /** Who denoises how many steps: seconds of every split, and what they are worth. */
  function bestSplit(place, data) {
    const k = data.constants;
    function draw(v, svg) {
      const state = { W_i: data.density, W_j: data.density, SNR: v.snr, nu_i: v.edge * 1e9, nu_j: v.device * 1e9,
        B: v.band * 1e6, L_low: v.low };
      const splits = range(0, k.total_steps, k.total_steps + 1);
      const parts = splits.map((a) => m.latencyParts(a, state, k)), seconds = splits.map((a) => m.latency(a, state, k));
      const top = Math.max(...seconds) * 1.05, size = 10 ** Math.floor(Math.log10(top)), step = top / size > 5 ? 2 * size : size;
      const frame = axes(svg, {
        x: [-0.7, k.total_steps + 0.7], y: [0, top], xLabel: "steps at the edge", yLabel: "seconds",
        xTicks: [0, 5, 10, 15, 20], yTicks: range(0, Math.floor(top / step) * step, Math.floor(top / step) + 1),
        box: [56, 56, 466, 282],
      });
      const kinds = [["edge", colours.blue], ["sending", colours.orange], ["device", colours.green]];
      splits.forEach((a, i) => {
        let below = 0;
        for (const [kind, colour] of kinds) {
          const y = frame.py(below + parts[i][kind]), height = frame.py(below) - y;
          svg.append(element("svg:rect", { x: frame.px(a) - 7, y, width: 14, height, fill: colour }));
          below += parts[i][kind];
        }
      });
      const worth = (success) => splits.map((a) => m.expectedSatisfaction(a, state, success, k));
      const quickest = seconds.indexOf(Math.min(...seconds));
      const values = worth(data.success), best = values.indexOf(Math.max(...values));
      const mark = (a, sign) => svg.append(element("svg:text", {
        x: frame.px(a), y: frame.py(seconds[a]) - 5, "text-anchor": "middle",
      }, sign));
      mark(best, "★");
      if (quickest !== best) mark(quickest, "△");
      kinds.forEach(([kind, colour], i) => legend(svg, [[kind, colour]], 56 + 100 * i, 12));
      svg.append(element("svg:text", { x: 466, y: 38, "text-anchor": "end" }, "△ quickest, ★ best"));
      return `Quickest is ${quickest} steps at the edge, ${nice(seconds[quickest])} s. With the measured share of right ` +
        `pictures, and wrong ones drawn again, ${best} steps satisfy most: ${nice(values[best], 2)} of 1, after ` +
        `${nice(seconds[best])} s a try.`;
    }
    const [low, high] = [data.low, data.high];
    figure(place, {
      view: [480, 336], draw,
      sliders: [
        { name: "snr", label: "SNR", low: low.SNR, high: high.SNR, step: 0.5, value: -4, unit: "dB" },
        { name: "edge", label: "A core of the edge", low: low.nu_i / 1e9, high: high.nu_i / 1e9, step: 0.02, value: 0.8, unit: "GHz" },
        { name: "device", label: "A core of the phone", low: low.nu_j / 1e9, high: high.nu_j / 1e9, step: 0.01, value: 0.5, unit: "GHz" },
        { name: "band", label: "Bandwidth", low: low.B / 1e6, high: high.B / 1e6, step: 0.5, value: 5, unit: "MHz" },
        { name: "low", label: "Wholly satisfied within", low: low.L_low, high: high.L_low, step: 0.5, value: 5, unit: "s" },
      ],
    });
  }

  /** How often to update: the age that the reader of updates sees. */
  function ageOfInformation(place) {
    const queues = [["M/M/1", colours.blue, null], ["D/M/1", colours.vermilion, "7 4"], ["preemptive", colours.green, "2 4"]];
    const names = { "M/M/1": "random gaps, queue", "D/M/1": "regular gaps, queue", preemptive: "the newest pushes out" };
    function draw(v, svg) {
      const top = 10 / v.service;
      const frame = axes(svg, {
        x: [0, 1], y: [0, top], xLabel: "updates sent, as a share of what the link can carry",
        yLabel: "mean age", xTicks: [0, 0.25, 0.5, 0.75, 1], yTicks: range(0, top, 6),
      });
      const loads = range(0.02, 0.985, 160);
      for (const [queue, colour, dash] of queues)
        curve(svg, frame, loads.map((rho) => [rho, m.meanAge(rho, v.service, queue)]), colour,
          dash ? { "stroke-dasharray": dash } : {});
      const ages = queues.map(([queue]) => m.meanAge(v.load, v.service, queue));
      queues.forEach(([, colour], i) => {
        if (ages[i] <= top) dot(svg, frame.px(v.load), frame.py(ages[i]), colour);
      });
      legend(svg, queues.map(([queue, colour, dash]) => [names[queue], colour, dash]), 180, 26);
      const least = loads.reduce((x, y) => (m.meanAge(y, 1, "M/M/1") < m.meanAge(x, 1, "M/M/1") ? y : x));
      return `At ${nice(v.load * v.service)} updates a second: ` +
        queues.map(([queue], i) => `${names[queue]} ${nice(ages[i])} s`).join("; ") +
        `. With random gaps and a queue ${nice(least, 2)} of the link's rate is best: sending more makes news older.`;
    }
    figure(place, {
      view: [480, 316], draw,
      sliders: [
        { name: "load", label: "Share of the link's rate that is sent", low: 0.05, high: 0.97, step: 0.01, value: 0.85 },
        { name: "service", label: "Updates that the link carries", low: 0.2, high: 5, step: 0.1, value: 1, unit: "a second" },
      ],
    });
  }

  const figures = {
    "isgc-triangle": isgcTriangle, "short-blocks": shortBlocks, "best-split": bestSplit, "age": ageOfInformation,
  };
  for (const place of document.querySelectorAll(".interactive[data-figure]")) {
    const data = place.querySelector("script[type='application/json']");
    figures[place.dataset.figure](place, data ? JSON.parse(data.textContent) : null);
  }
})();
