// The video: asked for, waited for, shown, stopped, withdrawn. The server makes it as a job that has a name; the name is kept for
// this tab, so that a page that is loaded again goes on waiting.

import { $, headers, refresh, say, sentence, state, unreachable } from "./page.js";
import { arrange } from "./stage.js";

const KEPT = `stillspeak film of ${location.pathname}`; // several servers may stand behind one host
const LONGEST_WAIT_SECONDS = 10;
const PASSING = [502, 503, 504]; // of a proxy whose server is away for a moment

class Refused extends Error {}

export async function makeFilm() {
  withdraw();
  const making = { job: freshName(), title: `${state.photo.name} says ${state.speech.name}` };
  const { photo, speech, face } = state, body = new FormData();
  for (const [name, value] of Object.entries({ photo, speech, face, mouth: $("mouth").value, job: making.job })) body.append(name, value);
  await follow(making, async (signal) => {
    const asked = { method: "POST", body, headers: { ...headers(), Prefer: "respond-async" }, signal };
    try { return await read(await fetch("animate", asked)); } catch (error) {
      throw signal.aborted || error instanceof Refused ? error : new Refused(unreachable(photo, speech));
    }
  });
}

export async function resumeFilm() {
  const making = kept();
  if (making && !state.making && !state.film) await follow(making, (signal) => askAgain(making, signal));
}

export function stopFilm() {
  if (!state.making) return;
  withdraw();
  say("Stopped: no video was made.");
  $("make").focus();
}

export function withdraw() { // the old video goes, finished or not, for something else was chosen
  const job = (state.making ?? kept())?.job;
  state.making?.ending.abort();
  state.making = null;
  if (job) fetch(`animate/${job}`, { method: "DELETE", headers: headers(), keepalive: true }).catch(() => {});
  keep(null);
  if (state.film) {
    $("film").removeAttribute("src");
    $("film").load();
    $("download").removeAttribute("href");
    URL.revokeObjectURL(state.film);
    state.film = "";
  }
  $("download").hidden = true;
  refresh();
  arrange();
}

async function follow(making, first) {
  making.ending = new AbortController();
  const { signal } = making.ending;
  state.making = making;
  $("progress").removeAttribute("value");
  refresh();
  say("The video is being made…");
  try {
    let said = await first(signal);
    while (!said.film) {
      signal.throwIfAborted();
      making.job = said.job ?? making.job;
      keep(making);
      tell(said);
      await pause(said.seconds, signal);
      said = await askAgain(making, signal);
    }
    signal.throwIfAborted();
    show(making, said);
  } catch (error) {
    if (signal.aborted) return; // stopped or withdrawn, which said so
    if (error.status !== 401) keep(null); // with the right key it can still be asked for
    if (making.done && error.status === 404) say("Choose a photo with a face in it."); // it was shown, and is gone by now
    else say(error.message, true);
  } finally {
    if (state.making === making) state.making = null;
    refresh();
    if (!signal.aborted) moveFocus(state.film ? $("download") : $("make"));
  }
}

async function askAgain(making, signal) { // until the server can be reached again
  for (let wait = 1; ; wait = Math.min(2 * wait, LONGEST_WAIT_SECONDS)) {
    try {
      return await read(await fetch(`animate/${making.job}`, { headers: headers(), signal }), true);
    } catch (error) {
      if (signal.aborted || error instanceof Refused) throw error;
    }
    say("The server cannot be reached. The page asks again for the video.", true);
    await pause(wait, signal);
  }
}

async function read(answer, again = false) { // the video, or where it stands
  if (answer.status === 202) {
    const seconds = Number(answer.headers.get("Retry-After")) || 1;
    return { ...(await answer.json()), seconds: Math.min(seconds, LONGEST_WAIT_SECONDS) };
  }
  if (answer.ok) return { notes: JSON.parse(answer.headers.get("X-Stillspeak-Notes") ?? "[]"), film: await answer.blob() };
  const own = answer.headers.get("Content-Type")?.startsWith("application/json");
  if (again && PASSING.includes(answer.status) && !own) throw new Error("a proxy's answer");
  const why = again && answer.status === 404 ? "The server does not know this video any more; make it again." : await sentence(answer);
  throw Object.assign(new Refused(why), { status: answer.status });
}

function tell({ state: where, done, total }) {
  if (where === "waiting") { say("The video waits for its turn…"); return; }
  if (!total) { say("The video is being made…"); return; }
  $("progress").value = done / total;
  const quarters = Math.floor((4 * done) / total); // a screen reader that hears of every frame is no help
  say(quarters ? `The video is being made: ${25 * quarters} %.` : "The video is being made…");
}

function show(making, { film, notes }) {
  state.notes = notes;
  state.film = URL.createObjectURL(new Blob([film], { type: "video/mp4" }));
  $("film").src = $("download").href = state.film;
  $("film").setAttribute("aria-label", `The video: ${making.title}`);
  $("download").hidden = false;
  if (kept()) keep({ ...making, done: true });
  arrange();
  say(state.photo ? "The video is ready." : `The video is ready: ${making.title}.`); // after a reload nothing else tells which
}

function moveFocus(element) { // unless the user is busy elsewhere
  if ([document.body, $("make"), $("stop")].includes(document.activeElement)) element.focus();
}

function pause(seconds, signal) {
  return new Promise((done, stopped) => {
    const end = setTimeout(done, 1000 * seconds);
    signal.addEventListener("abort", () => { clearTimeout(end); stopped(signal.reason); }, { once: true });
  });
}

const freshName = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function keep(making) {
  try {
    if (making) sessionStorage.setItem(KEPT, JSON.stringify({ job: making.job, title: making.title, done: making.done }));
    else sessionStorage.removeItem(KEPT);
  } catch { /* a browser that keeps nothing does not go on after a reload */ }
}

function kept() {
  try { return JSON.parse(sessionStorage.getItem(KEPT)); } catch { return null; }
}
