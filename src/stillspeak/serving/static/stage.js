// The stage shows one of three: the photo with its faces, the frames of a live talk, the finished video. The badge stands on
// the last two alone, for the photo is not synthetic.

import { $, state } from "./page.js";

const LONGEST_PX = 1024;
const screen = $("screen"), pen = screen.getContext("2d");

export function arrange() {
  const film = Boolean(state.film) && !state.talk;
  $("film").hidden = !film;
  $("screen").hidden = film;
  if (!film) $("film").pause();
  $("empty").hidden = film || Boolean(state.photo);
  const notes = film ? state.notes.join(" ") : "";
  if ($("notes").textContent !== notes) $("notes").textContent = notes; // the same text again would be read out again
  $("mark").hidden = !film && !state.drawn;
}

export function showPhoto() {
  state.drawn = false;
  if (state.picture) drawPhoto();
  else if (state.photo) drawName();
  arrange();
}

function drawPhoto() {
  const { width, height } = state.picture, scale = Math.min(1, LONGEST_PX / Math.max(width, height));
  resize(Math.round(width * scale), Math.round(height * scale));
  pen.drawImage(state.picture, 0, 0, screen.width, screen.height);
  if (state.faces.length < 2) return;
  const unit = Math.max(screen.width, screen.height) / 512; // so that numbers are as large on the page whatever the photo's size
  pen.font = `bold ${20 * unit}px system-ui`;
  for (const face of state.faces) {
    const chosen = String(face.number) === state.face || state.face === "all";
    const at = [face.left * scale + 4 * unit, Math.max(20 * unit, face.top * scale - 6 * unit)];
    for (const [colour, thick] of [["#000", 5], [chosen ? "#5f7" : "#fff", 2]]) { // a dark rim, to be seen on any photo
      pen.strokeStyle = colour;
      pen.lineWidth = thick * unit;
      pen.strokeRect(face.left * scale, face.top * scale, (face.right - face.left) * scale, (face.bottom - face.top) * scale);
      if (thick > 2) pen.strokeText(face.number, ...at);
    }
    pen.fillStyle = chosen ? "#5f7" : "#fff";
    pen.fillText(face.number, ...at);
  }
}

function drawName() { // some browsers draw no HEIC, and the server reads it all the same
  resize(512, 512);
  pen.fillStyle = "#333";
  pen.fillRect(0, 0, 512, 512);
  pen.fillStyle = "#fff";
  pen.font = "20px system-ui";
  pen.textAlign = "center";
  pen.fillText("This browser cannot draw the photo.", 256, 256, 480);
}

export function faceAt(x, y) { // the number of the face at a place of the page, if there is one
  if (!state.picture) return undefined;
  const box = screen.getBoundingClientRect(), { width, height } = state.picture;
  const scale = Math.max(width / box.width, height / box.height); // the photo is as large as the box allows, in its middle
  const left = width / 2 + (x - box.left - box.width / 2) * scale, top = height / 2 + (y - box.top - box.height / 2) * scale;
  return state.faces.find((face) => face.left <= left && left <= face.right && face.top <= top && top <= face.bottom)?.number;
}

export function resize(width, height) {
  screen.width = width;
  screen.height = height;
}

export function drawFrame(picture) { // of a live talk
  pen.drawImage(picture, 0, 0, screen.width, screen.height);
  state.drawn = true;
  arrange();
}
