// The photo: the server finds its faces, the page shows them, and one of them (or all) is picked to speak.

import { $, headers, refresh, say, sentence, size, state, unreachable } from "./page.js";
import { showPhoto } from "./stage.js";
import { withdraw } from "./film.js";
import { stopTalk } from "./talk.js";
import { sayFile } from "./voice.js";

let asked = null; // the file that the server looks at now

export async function usePhoto(file) {
  stopTalk();
  asked = file;
  say(`Looking for faces in ${file.name}…`);
  const body = new FormData();
  body.append("photo", file);
  const [faces, wrong] = await fetch("faces", { method: "POST", body, headers: headers() }).then(
    async (answer) => (answer.ok ? [await answer.json(), ""] : [null, await sentence(answer)]),
    () => [null, unreachable(file)],
  ).catch(() => [null, "The server's answer was cut off; try again."]);
  const picture = faces && (await createImageBitmap(file).catch(() => null)); // some browsers draw no HEIC: it can speak all the same
  if (asked !== file) return; // another was chosen meanwhile
  if (wrong) { say(state.photo ? `${file.name}: ${wrong} ${state.photo.name} stays.` : wrong, true); return; }
  stopTalk();
  withdraw();
  Object.assign(state, { photo: file, faces, picture, face: "1" });
  $("photo-name").textContent = [file.name, picture ? `${picture.width} x ${picture.height}` : size(file.size)].join(", ");
  showPhoto();
  listFaces();
  refresh();
  if (state.speech && !state.heard) { await sayFile(); return; }
  say("Speak, or choose a sound file.");
}

function listFaces() {
  const box = $("faces"), several = state.faces.length > 1;
  box.replaceChildren(`${state.faces.length} faces. Who speaks?`);
  box.hidden = !several;
  for (const name of [...state.faces.map((face) => String(face.number)), "all"]) {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "face", value: name, checked: name === state.face });
    input.addEventListener("change", () => pick(name));
    label.append(input, ` ${name === "all" ? "all" : `face ${name}`}`);
    box.append(label);
  }
  $("screen").tabIndex = several ? 0 : -1;
  $("screen").setAttribute("aria-label", `The photo ${state.photo.name}${several ? "; press a number to pick the face that speaks" : ""}`);
}

export function pick(name) {
  if (name === state.face || !state.faces.some((face) => String(face.number) === name) && name !== "all") return;
  state.face = name;
  withdraw(); // it showed another face speaking
  if (!state.talk) showPhoto();
  for (const input of document.querySelectorAll("#faces input")) input.checked = input.value === name;
  say(`${name === "all" ? "All faces speak" : `Face ${name} speaks`}${state.talk ? " when you begin again" : ""}.`);
}
