// The book's formulas for figures that a reader moves. Each is the function of the same name in semcom_utils, whose
// docstring has the derivation; tests/test_interactive.py compares them. Nothing here draws.
"use strict";

(function () {
  const sum = (x) => x.reduce((total, value) => total + value, 0);
  const log2e = Math.LOG2E;

  /** A root of a falling function on [low, high], by halving. */
  function halve(f, low, high) {
    for (let k = 0; k < 200; k++) {
      const middle = (low + high) / 2;
      if (f(middle) > 0) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  // --- ISGC: three hops share a band ------------------------------------------------------------------------------

  /** Seconds that hops of load b (MHz s) take with bandwidths w (MHz). */
  const transmissionTime = (b, w) => sum(b.map((load, i) => load / w[i]));

  /** The allocation of least latency. */
  function fastestAllocation(b, W) {
    const root = b.map(Math.sqrt);
    return root.map((r) => (W * r) / sum(root));
  }

  const smallestLatencyBudget = (b, W) => sum(b.map(Math.sqrt)) ** 2 / W;

  /** The allocation that earns most within the latency limit tau; null where none keeps it. */
  function optimalAllocation(a, b, W, tau) {
    if (smallestLatencyBudget(b, W) > tau) return null;
    const best = Math.max(...a);
    if (a.every((earns) => earns === best)) return fastestAllocation(b, W);
    // F(lambda) = W tau, with lambda = max a + scale e^u: F falls in u
    const scale = best || 1;
    const gap = (u) => a.map((earns) => best - earns + scale * Math.exp(u));
    const F = (u) => sum(gap(u).map((g, i) => Math.sqrt(b[i] * g))) * sum(gap(u).map((g, i) => Math.sqrt(b[i] / g)));
    const u = halve((v) => F(v) - W * tau, -60, 60);
    const share = gap(u).map((g, i) => Math.sqrt(b[i] / g));
    return share.map((s) => (W * s) / sum(share));
  }

  // --- the link: capacity and short blocks ------------------------------------------------------------------------

  /** Q(x), the upper tail of the normal law: a series near the middle, a continued fraction in the tail. */
  function upperTail(x) {
    if (x < 0) return 1 - upperTail(-x);
    const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
    if (x < 3) {
      let term = x, total = x;
      for (let k = 1; k < 200; k++) {
        term *= (x * x) / (2 * k + 1);
        total += term;
      }
      return 0.5 - density * total;
    }
    let fraction = x;
    for (let k = 200; k > 0; k--) fraction = x + k / fraction;
    return density / fraction;
  }

  const inverseUpperTail = (p) => halve((x) => upperTail(x) - p, -40, 40);

  const capacityAwgn = (snrDb) => Math.log1p(10 ** (snrDb / 10)) * log2e;

  /** Largest rate of a code of n complex uses with block error probability e, by the normal approximation. */
  function finiteBlocklengthRate(snrDb, n, e) {
    const snr = 10 ** (snrDb / 10);
    const dispersion = (1 - (1 + snr) ** -2) * log2e ** 2;
    return capacityAwgn(snrDb) - Math.sqrt(dispersion / n) * inverseUpperTail(e) + Math.log2(n) / (2 * n);
  }

  // --- SemAIGC: who denoises how many steps? ----------------------------------------------------------------------

  /** Between measured points, bilinear; beyond the SNRs it stays as at the last. */
  function interpolated(table, a, snrDb) {
    const place = (axis, x) => {
      const within = Math.min(Math.max(x, axis[0]), axis[axis.length - 1]);
      let i = 0;
      while (i < axis.length - 2 && within > axis[i + 1]) i++;
      return [i, (within - axis[i]) / (axis[i + 1] - axis[i])];
    };
    const [i, u] = place(table.splits, a), [j, v] = place(table.snrs_db, snrDb);
    const at = (p, q) => table.table[p][q];
    return (1 - u) * ((1 - v) * at(i, j) + v * at(i, j + 1)) + u * ((1 - v) * at(i + 1, j) + v * at(i + 1, j + 1));
  }

  /** Amdahl's share of the serial time that m cores need. */
  const speedUp = (k, cores) => 1 - k.parallel_share + k.parallel_share / cores;

  /** Seconds of each part for a steps at the edge: its denoising, sending, the device's denoising. */
  function latencyParts(a, state, k) {
    const rate = state.B * Math.log2(1 + 10 ** (state.SNR / 10));
    const step = (density, cores, speed) => (k.latent_bits * density * speedUp(k, cores)) / speed;
    return {
      edge: a * step(state.W_i, k.edge_cores, state.nu_i) + (a > 0 ? k.overhead : 0),
      sending: a > 0 ? k.latent_bits / rate : 0,
      device: (k.total_steps - a) * step(state.W_j, k.device_cores, state.nu_j) + k.overhead,
    };
  }

  const latency = (a, state, k) => sum(Object.values(latencyParts(a, state, k)));

  /** Mean satisfaction of a split, if a picture that came out wrong is drawn again until the user gives up. */
  function expectedSatisfaction(a, state, success, k) {
    const seconds = latency(a, state, k), high = k.stretch * state.L_low + k.patience;
    const p = success ? interpolated(success, a, state.SNR) : 1;
    let total = 0;
    for (let n = 1; n * seconds <= k.give_up; n++) {
      const satisfied = Math.min(Math.max((high - n * seconds) / (high - state.L_low), 0), 1);
      total += p * (1 - p) ** (n - 1) * satisfied;
    }
    return total;
  }

  // --- age of information -----------------------------------------------------------------------------------------

  /** Mean age of updates that arrive at load rho on a link that serves mu of them in a unit of time. */
  function meanAge(rho, mu, queue) {
    if (queue === "preemptive") return (1 + 1 / rho) / mu;
    if (queue === "M/M/1") return (1 + 1 / rho + rho ** 2 / (1 - rho)) / mu;
    // the share of updates that find the link busy: beta = exp(-(1 - beta)/rho), below 1
    const beta = halve((x) => Math.exp(-(1 - x) / rho) - x, 0, 1 - 1e-3 * (1 - rho));
    return (0.5 / rho + 1 / (1 - beta)) / mu;
  }

  window.bookModels = {
    transmissionTime, fastestAllocation, smallestLatencyBudget, optimalAllocation,
    upperTail, inverseUpperTail, capacityAwgn, finiteBlocklengthRate,
    interpolated, latencyParts, latency, expectedSatisfaction, meanAge,
  };
})();
