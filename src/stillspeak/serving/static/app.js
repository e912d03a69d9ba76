// What the user does: choose, drop, paste, pick a face, speak, make the video.

import { $, say, state } from "./page.js";
import { kindOf, understand } from "./offer.js";
import { makeFilm, resumeFilm, stopFilm, withdraw } from "./film.js";
import { pick, usePhoto } from "./photo.js";
import { faceAt } from "./stage.js";
import { speakOrStop, useSpeech } from "./voice.js";

async function take({ photo, speech, wrong }) {
  if (wrong) { say(wrong, true); return; }
  if (speech) await useSpeech(speech, Boolean(photo));
  if (photo) await usePhoto(photo);
}

function chosen(input, kind, wanted) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (!file) return;
    input.value = ""; // so that the same file can be chosen again
    const found = kindOf(file);
    if (!file.size) say(`${file.name} is empty.`, true);
    else if (found && found !== kind) say(`${file.name} is not a ${kind}; ${wanted}`, true);
    else take(kind === "picture" ? { photo: file } : { speech: file });
  });
}

chosen($("photo"), "picture", "choose a photo here, and speech below.");
chosen($("speech"), "sound", "choose a sound file or a video here, and the photo above.");
$("talk").addEventListener("click", speakOrStop);
$("make").addEventListener("click", async () => {
  if (state.talk) await speakOrStop(); // the video says what was spoken until now
  await makeFilm();
});
$("stop").addEventListener("click", stopFilm);
$("key").addEventListener("change", resumeFilm);
$("mouth").addEventListener("input", ({ target }) => { $("mouth-said").textContent = Number(target.value).toFixed(1); });
$("mouth").addEventListener("change", ({ target: { value } }) => {
  withdraw(); // its mouth opened differently
  const far = Number(value) === 1 ? "as far as speech says" : `${value} times as far as speech says`;
  say(`The mouth opens ${far}${state.talk ? " when you begin again" : ""}.`);
});
$("screen").addEventListener("keydown", ({ key }) => { if (state.faces.some((face) => String(face.number) === key)) pick(key); });
$("screen").addEventListener("click", ({ clientX, clientY }) => pick(String(faceAt(clientX, clientY))));

const mark = (over) => $("photo-drop").classList.toggle("over", over);
document.addEventListener("paste", (event) => { if (event.target !== $("key")) take(understand(event.clipboardData)); });
document.addEventListener("dragover", (event) => { event.preventDefault(); mark(true); });
document.addEventListener("dragleave", () => mark(false));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  mark(false);
  take(understand(event.dataTransfer));
});

resumeFilm();
