// What all parts of the page share: its elements, what was chosen, the sentence that the user reads, what goes to the server.

export const $ = (id) => document.getElementById(id);

export const state = {
  photo: null, // the File that the server found faces in
  picture: null, // the same as the browser draws it; null where the browser cannot
  faces: [],
  face: "1", // number 1 is the face that the server takes by default
  speech: null, // the File that a video says
  heard: false, // whether the speech was tried live already
  talk: null, // the live talk that goes on
  drawn: false, // whether the canvas shows a talk's frame, not the photo
  film: "", // the address of the finished video
  notes: [], // what the server said about its photo
  making: null, // the video that is being made
};
window.stillspeak = { shown: 0, frames: 0 }; // for tests and the curious

export function say(text, bad = false) {
  if ($("status").textContent !== text) $("status").textContent = text; // the same text again would be read out again
  $("status").classList.toggle("bad", bad);
}

export const headers = () => ($("key").value ? { "X-API-Key": $("key").value } : {});

const OF_PROXIES = {
  413: "The file is too large for this server, or for the proxy before it.",
  502: "The server cannot be reached behind its proxy.",
  503: "The server is busy; try again in a while.",
  504: "The server did not answer its proxy in time.",
};

export async function sentence(answer) { // what is wrong, as the server says it, or as its status tells
  const said = await answer.json().catch(() => null);
  if (typeof said?.detail === "string") return said.detail;
  return OF_PROXIES[answer.status] ?? `The server answered ${answer.status}.`;
}

export const LARGE_BYTES = 20e6;

export function unreachable(...files) { // a server that refuses a large request may close before its answer is read
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  return bytes > LARGE_BYTES ? `The server cannot be reached, or it refuses as much as ${size(bytes)}.` : "The server cannot be reached.";
}

export function refresh() { // which buttons can be pressed
  $("talk").disabled = !state.photo || (Boolean(state.making) && !state.talk); // what is recorded would take the video's place
  $("make").disabled = !state.photo || !state.speech || Boolean(state.making);
  $("making").hidden = !state.making;
}

export const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

export function length(seconds) {
  const whole = Math.round(seconds), two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
