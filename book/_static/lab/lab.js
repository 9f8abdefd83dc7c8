// The lab's page: the form, the pictures, the words. What is computed is computed in worker.js.

import { near, plain, tokenise, unknownWords } from "./words.js";

const SAME_PICTURE = 0.85; // SSIM from which the page calls two pictures the same
const STORE = "semcom-lab-score";
const by = (id) => document.getElementById(`lab-${id}`);
const receiverWords = (name) => by("receiver").querySelector(`[value=${name}]`).text;

// ---- The worker, as promises -------------------------------------------------------------------------------------

class Drawer {
  constructor(onLoading, onStep) {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.heard = { loading: onLoading, step: onStep };
    this.worker.onmessage = ({ data }) => {
      if (this.heard[data.tell]) return this.heard[data.tell](data);
      const waiting = this.waiting;
      this.waiting = null;
      if (data.tell === "failed") waiting?.reject(new Error(data.why));
      else waiting?.resolve(data.result ?? data);
    };
    this.worker.onerror = (event) => {
      this.broken = new Error(event.message || "its worker did not start");
      this.waiting?.reject(this.broken);
    };
  }

  ask(message) {
    return new Promise((resolve, reject) => {
      if (this.broken) reject(this.broken);
      this.waiting = { resolve, reject };
      this.worker.postMessage(message);
    });
  }

  load = () => this.ask({ ask: "load" });
  draw = (settings) => this.ask({ ask: "draw", settings });
  stop = () => this.worker.postMessage({ ask: "stop" });
}

// ---- The form ----------------------------------------------------------------------------------------------------

let about = null, busy = false;

const fill = (select, choices) => select.replaceChildren(...choices.map((c) => new Option(...[c].flat())));
const article = (word) => (/^[aeiou]/.test(word) ? "an" : "a");

function thing(number) {
  const [colour, kind, pose] = ["colour", "kind", "pose"].map((part) => by(`${part}-${number}`).value);
  if (!kind) return null;
  return `${article(colour)} ${colour} ${kind}${kind === "robot" ? ` ${pose}` : ""}`;
}

function compose() {
  by("caption").value = `${[thing(1), thing(2)].filter(Boolean).join(" and ")} on ${by("ground").value}`;
  suit();
}

/** Name words that the model does not know, and offer the nearest; true if there are none. */
function check() {
  if (!about) return false;
  const text = plain(by("caption").value), place = by("unknown");
  const unknown = unknownWords(text, about.tokens);
  place.replaceChildren();
  for (const { word, near: others } of unknown) {
    const line = document.createElement("p");
    line.append(`The model does not know “${word}”. `);
    if (!others.length) line.append("No word that it knows is near it.");
    for (const other of others) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Use “${other}”`;
      button.onclick = () => {
        by("caption").value = text.replace(new RegExp(`(?<![\\p{L}\\p{N}])${word}(?![\\p{L}\\p{N}])`, "gu"), other);
        suit();
        by("caption").focus();
      };
      line.append(button, " ");
    }
    place.append(line);
  }
  if (unknown.length) return false;
  try {
    if (!text) throw new RangeError("there is no caption");
    tokenise(text, about.tokens);
  } catch (error) {
    place.append(Object.assign(document.createElement("p"), { textContent: `That cannot be drawn: ${error.message}.` }));
    return false;
  }
  return true;
}

let fits = true;

/** Show what belongs to the chosen scheme, and let nobody draw what cannot be drawn. */
function suit() {
  for (const number of [1, 2]) {
    by(`pose-${number}-field`).hidden = by(`kind-${number}`).value !== "robot";
    by(`colour-${number}-field`).hidden = !by(`kind-${number}`).value;
  }
  const scheme = by("scheme").value, steps = Number(by("steps").value), split = by("split");
  if (Number(split.max) !== steps) {
    const share = Number(split.value) / Number(split.max); // fewer steps are cut at the same share of them
    split.max = steps;
    split.value = Math.max(1, Math.round(share * steps));
  }
  const latent = scheme.startsWith("split");
  by("more").hidden = scheme !== "caption-edges";
  by("split-said").value = `${split.value} of ${steps} steps at the sender`;
  by("snr-said").value = `${by("snr").value} dB`;
  by("split-field").hidden = !latent;
  by("receiver-field").hidden = !latent || Number(split.value) === steps;
  by("bits-field").hidden = scheme !== "split-coded";
  const before = fits;
  fits = check() || !about;
  by("draw").disabled = !fits || busy || !about;
  if (before && !fits) say("This caption cannot be drawn: see below it. Nothing new is drawn until it can.");
  if (!before && fits) say("This caption can be drawn.");
}

export const settings = () => ({
  caption: by("caption").value,
  seed: Number(by("seed").value) >>> 0,
  steps: Number(by("steps").value),
  scheme: by("scheme").value,
  split: Number(by("split").value),
  receiver: by("receiver").value,
  bits: Number(by("bits").value),
  snr: Number(by("snr").value),
});

function set(values) {
  for (const [name, value] of Object.entries(values)) {
    if (name === "steps") by("split").max = value;
    by(name).value = value;
  }
  suit();
}

// ---- The result --------------------------------------------------------------------------------------------------

function paint(name, picture, words) {
  const canvas = by(`canvas-${name}`), plane = picture ? picture.length / 3 : 0, side = Math.sqrt(plane) || 64;
  canvas.setAttribute("aria-label", words);
  by(`words-${name}`).textContent = words;
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, side, side);
  if (!picture) return;
  const image = context.createImageData(side, side);
  for (let i = 0; i < plane; i++) {
    for (let colour = 0; colour < 3; colour++) image.data[4 * i + colour] = Math.round(255 * picture[colour * plane + i]);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

const listed = (names) =>
  names.length ? names.map((name) => `${article(name)} ${name}`).join(" and ").replace(/ and (?=.* and )/g, ", ") : "nothing it knows";

/** What came out: the same picture, another one that is right, or a wrong one; null where nobody can judge. */
export const outcome = ({ right, ssim }) =>
  right && (right.receiver ? (ssim >= SAME_PICTURE ? "same" : "other") : "wrong");

const OUTCOMES = { same: "the same picture", other: "another picture that is right", wrong: "a wrong picture" };

function row(name, value) {
  const line = document.createElement("tr"), head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  line.append(head, Object.assign(document.createElement("td"), { textContent: value }));
  return line;
}

function show(asked, result) {
  const { pictures, seen, right, uses, ssim } = result, came = outcome(result);
  const judged = (who) => `The judge finds ${listed(seen[who])}${right ? (right[who] ? ": right." : ": wrong.") : "."}`;
  paint("sender", pictures.sender, judged("sender"));
  const atSplit = result.sentAt === null ? "a finished latent" : `the latent of timestep ${result.sentAt}`;
  const come = {
    caption: "The words alone.",
    "caption-seed": "The words and the seed.",
    "caption-edges": result.edges && `The words and the picture's edges: ${result.edges.pixels} pixels, in ${result.edges.bits} bits.`,
  };
  const decoded = `Decoded as it is: ${atSplit}, with noise of variance ${result.variance.toFixed(2)}.`;
  paint("arrived", pictures.arrived, come[asked.scheme] ?? decoded);
  paint("receiver", pictures.receiver, judged("receiver"));
  const total = Object.values(uses).reduce((a, b) => a + b, 0);
  const costs = ["latent", "caption", "seed", "edges"].filter((name) => name in uses).map((name) => `${name} ${uses[name]}`).join(" + ");
  const rows = [
    row("Complex channel uses", costs.includes("+") ? `${costs} = ${total}` : costs),
    row("SSIM to the sender's picture", ssim.toFixed(3)),
    row("Another seed's picture has, on average", about.another_seed.toFixed(2)),
    row("The judge, of the receiver's picture", right ? (right.receiver ? "right" : "wrong") : "the caption is none of the grammar"),
  ];
  if (result.matched !== null)
    rows.push(row("Taken for a state of timestep", `${result.matched.toFixed(0)} (sent at ${result.sentAt})`));
  rows.push(row("Time from click to picture", `${result.seconds.toFixed(1)} s, ${result.evaluations} denoising steps`));
  by("table").replaceChildren(...rows);
  by("result").hidden = false;
  const how = result.sentAt === null ? "" : ` The receiver: ${receiverWords(asked.receiver)}.`;
  let words =
    `Drawn in ${result.seconds.toFixed(1)} seconds.${how} ${judged("receiver").replace("The judge finds", "On the receiver's picture the judge finds")} ` +
    `SSIM to the sender's picture ${ssim.toFixed(2)}, for ${total} channel uses` + (came ? `: ${OUTCOMES[came]}.` : ".");
  const guess = document.querySelector("input[name=lab-guess]:checked").value;
  if (guess && came) words += ` You guessed ${OUTCOMES[guess]}: ${score(guess === came)}`;
  say(words);
}

function score(hit) {
  let kept = { hits: 0, guesses: 0 };
  try {
    kept = { ...kept, ...JSON.parse(localStorage.getItem(STORE) ?? "{}") };
  } catch {} // a browser that keeps nothing: the score begins anew
  kept.guesses += 1;
  kept.hits += Number(hit);
  try {
    localStorage.setItem(STORE, JSON.stringify(kept));
  } catch {}
  by("score").textContent = `${kept.hits} of ${kept.guesses} guesses were right, on this device.`;
  return `${hit ? "right" : "not so"}. ${by("score").textContent}`;
}

// ---- What happens when -------------------------------------------------------------------------------------------

const say = (words) => (by("word").textContent = words);

function progress(value, max, words) {
  by("progress").hidden = by("progress-said").hidden = false;
  Object.assign(by("progress"), { value, max });
  by("progress-said").textContent = words;
}

function work(on) {
  busy = on;
  by("stop").hidden = !on;
  by("progress").hidden = by("progress-said").hidden = !on;
  suit();
}

const drawer = new Drawer(
  ({ bytes, of, here }) =>
    progress(bytes, of, `${(bytes / 1e6).toFixed(1)} of ${(of / 1e6).toFixed(1)} MB${here ? "; now they start" : ""}`),
  ({ done, of, who }) => progress(done, of, `denoising step ${done} of ${of}, at the ${who}`),
);

async function load() {
  by("load").disabled = true;
  say("The models are on their way.");
  try {
    const loaded = await drawer.load();
    about = loaded.about;
    const { grammar } = about;
    for (const number of [1, 2]) {
      fill(by(`colour-${number}`), grammar.colours);
      fill(by(`kind-${number}`), number === 2 ? [["nothing else", ""], ...grammar.kinds] : grammar.kinds);
      fill(by(`pose-${number}`), grammar.poses);
    }
    fill(by("ground"), grammar.grounds);
    fill(by("bits"), Object.keys(about.quantisers));
    by("more").textContent = `One more network reads the edges. It is fetched once, when you draw: ${(about.later["control.onnx"].bytes / 1e6).toFixed(1)} MB.`;
    by("bits").value = "4";
    by("door").hidden = true;
    by("form").hidden = false;
    set({ "colour-1": "blue", "kind-1": "dog" });
    compose();
    work(false);
    say(`The models are here (${loaded.seconds.toFixed(1)} s). Choose, then draw.`);
    by("caption").focus();
    return about;
  } catch (error) {
    by("load").disabled = false;
    by("progress").hidden = by("progress-said").hidden = true;
    say(`The models could not be loaded: ${error.message}`);
    throw error;
  }
}

async function draw(event) {
  event?.preventDefault();
  if (busy || !about || !check()) return null;
  const asked = settings();
  work(true);
  say("Drawing.");
  try {
    const result = await drawer.draw(asked);
    if (result.tell === "stopped") say("Stopped. Nothing was drawn.");
    else show(asked, result);
    return result;
  } catch (error) {
    say(`That could not be drawn: ${error.message}.`);
    return null;
  } finally {
    work(false);
  }
}

by("load").onclick = () => load().catch(() => {});
by("form").onsubmit = draw;
by("stop").onclick = drawer.stop;
for (const name of ["colour-1", "kind-1", "pose-1", "colour-2", "kind-2", "pose-2", "ground"]) by(name).onchange = compose;
for (const name of ["caption", "scheme", "steps", "split", "receiver", "bits", "snr", "seed"]) by(name).oninput = suit;
for (const button of document.querySelectorAll("[data-lab-set]")) {
  button.hidden = false;
  button.onclick = () => {
    if (!about) {
      say("Load the models first.");
      by("load").focus();
      return;
    }
    set(JSON.parse(button.dataset.labSet));
    by("draw").focus();
    by("form").scrollIntoView({ behavior: "smooth", block: "start" });
    say("Set. Make your guess, then draw.");
  };
}
by("door").hidden = false;
say("The lab can run here.");

/** For the book's tests, and for whoever opens the browser's console. */
window.semcomLab = { load, draw, set, settings, near, ask: drawer.draw };
