// A sampler that is cut in two, the channel between, and the four receivers: semcom_utils.generation.split, .samplers
// and .schedules and semcom_utils.physical.analog, written once more. Chapter "SemAIGC and ROOT" derives all of it.
//
// A latent is a Float32Array. `epsilon(z, t)` is the denoiser: it promises the noise that it sees in a state.

/** Python's round: a half goes to the even neighbour. */
function round(x) {
  const low = Math.floor(x), over = x - low;
  return over > 0.5 || (over === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/** Timesteps that a sampler visits, noisiest first ("trailing" spacing). */
export function timesteps(training, steps) {
  return Array.from({ length: steps }, (_, i) => round(training - (i * training) / steps) - 1);
}

/** The signal's share of the power at a fractional timestep. */
export function levelAt(levels, t) {
  const low = Math.min(Math.floor(t), levels.length - 2);
  return levels[low] + (t - low) * (levels[low + 1] - levels[low]);
}

/** Timestep whose state a latent with channel noise is, once it is rescaled. */
export function matchedTimestep(t, variance, levels) {
  const target = levelAt(levels, t) / (1 + variance), last = levels.length - 1;
  if (target < levels[last])
    throw new RangeError("there is more noise in the latent than the last state of the diffusion has");
  if (variance === 0) return t;
  let low = 0, high = last; // levels fall: levels[low] >= target >= levels[high]
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (levels[middle] >= target) low = middle;
    else high = middle;
  }
  return low + (levels[low] - target) / (levels[low] - levels[high]);
}

/** Noise in a state, of a network that predicts the velocity v. */
export function epsilonOfV(v, z, level) {
  const signal = Math.sqrt(level), noise = Math.sqrt(1 - level);
  return z.map((x, i) => noise * x + signal * v[i]);
}

/** Classifier-free guidance. */
export function guide(untold, told, scale) {
  return untold.map((u, i) => u + scale * (told[i] - u));
}

/** One step of DDIM, from the level `now` to the cleaner level `then`. */
export function ddimStep(z, epsilon, now, then) {
  const onX = Math.sqrt(Math.max(1 - then, 0) / (1 - now)), onX0 = Math.sqrt(then) - onX * Math.sqrt(now);
  const signal = Math.sqrt(now), noise = Math.sqrt(1 - now);
  return z.map((x, i) => (onX0 * (x - noise * epsilon[i])) / signal + onX * x);
}

/** Level after each step: that of the next timestep, and 1 after the last. */
const after = (ofTimes) => [...ofTimes.slice(1), 1];

/** All states of the sender: states[a] is the latent after a steps. */
export async function sendStates(epsilon, noise, levels, visited) {
  const now = visited.map((t) => levels[t]), then = after(now), states = [noise];
  for (const [i, t] of visited.entries())
    states.push(ddimStep(states[i], await epsilon(states[i], t), now[i], then[i]));
  return states;
}

const power = (z) => z.reduce((sum, x) => sum + x * x, 0) / z.length;

/** Over the air as it is: two numbers a complex channel use, scaled to unit power, noise of variance 1/snr a use. */
export function analog(z, snrDb, noise) {
  const variance = power(z) / 10 ** (snrDb / 10), spread = Math.sqrt(variance);
  return { latent: z.map((x, i) => x + spread * noise[i]), variance, uses: Math.ceil(z.length / 2) };
}

/** Rounded to 2^bits even levels and coded: it arrives whole, with the rounding as its only noise. */
export function coded(z, bits, step) {
  const half = 2 ** (bits - 1);
  const latent = z.map((x) => (Math.min(Math.max(Math.floor(x / step), -half), half - 1) + 0.5) * step);
  return { latent, variance: power(latent.map((x, i) => x - z[i])), bits: bits * z.length };
}

/** The fewest complex channel uses for so many bits: capacity. */
export const usesAtCapacity = (bits, snrDb) => bits / Math.log2(1 + 10 ** (snrDb / 10));

/** v_t, V_t and sigma_t^2 of a reverse step. */
function variances(alpha, level, previous, step) {
  const sigma2 = alpha * previous + step;
  return { v: 1 - alpha + step, total: 1 - level + sigma2, sigma2 };
}

/**
 * The receiver's part: the timesteps that are left, from what arrived.
 *
 * `printed` and `corrected` ask the network for the noise as one that was fine-tuned to perfection would know it
 * (Python's predictor "tuned"), and add the posterior's noise, which `draw(count)` gives.
 */
export async function receive(epsilon, received, levels, visited, variance, receiver, draw) {
  const whole = visited.map((t) => levels[t]);
  if (!visited.length) return received;
  if (receiver === "resume") {
    const then = after(whole);
    let z = received;
    for (const [i, t] of visited.entries()) z = ddimStep(z, await epsilon(z, t), whole[i], then[i]);
    return z;
  }
  if (receiver === "matched") {
    const times = [matchedTimestep(visited[0], variance, levels), ...visited.slice(1)];
    const now = times.map((t) => levelAt(levels, t)), then = after(now), scale = Math.sqrt(1 + variance);
    let z = received.map((x) => x / scale);
    for (const [i, t] of times.entries()) z = ddimStep(z, await epsilon(z, t), now[i], then[i]);
    return z;
  }
  const then = after(whole), kappa = variance / (1 - whole[0]);
  let z = received;
  for (const [i, t] of visited.entries()) {
    const alpha = whole[i] / then[i], step = kappa * (1 - alpha), previous = kappa * (1 - then[i]);
    const { v, total, sigma2 } = variances(alpha, whole[i], previous, step), excess = total - (1 - whole[i]);
    const scale = Math.sqrt(1 + excess);
    const eta = await epsilon(z.map((x) => x / scale), matchedTimestep(t, excess, levels));
    const weight =
      receiver === "printed" ? (v * (Math.sqrt(1 - whole[i]) - sigma2)) / total : v / Math.sqrt(total);
    z = z.map((x, j) => (x - weight * eta[j]) / Math.sqrt(alpha));
    if (then[i] < 1) {
      const spread = Math.sqrt(((1 - then[i] + previous) * v) / total), noise = draw(z.length);
      z = z.map((x, j) => x + spread * noise[j]);
    }
  }
  return z;
}
