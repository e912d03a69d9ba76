// Where speech comes from: a file, which is tried live and heard, or the microphone, which is recorded while the photo says it.

import { $, LARGE_BYTES, length, refresh, say, size, state } from "./page.js";
import { called } from "./offer.js";
import { RATE_HZ, startTalk, stopTalk, Talk, talking } from "./talk.js";
import { withdraw } from "./film.js";

const AHEAD_SECONDS = 0.6, LIVE_SECONDS = 600, BLOCKS_A_SECOND = 50;
const UNREAD = "The microphone cannot be read; choose a sound file.";

function setSpeech(file, name) {
  withdraw();
  state.speech = file;
  $("speech-name").textContent = name;
  refresh();
}

// --- a file --------------------------------------------------------------------------------------------------------

export async function useSpeech(file, withPhoto = false) { // a photo that comes with it says it later
  stopTalk();
  state.heard = false;
  setSpeech(file, `${called(file)}, ${size(file.size)}`);
  const seconds = await duration(file);
  if (state.speech !== file) return; // another was chosen meanwhile
  if (seconds) $("speech-name").textContent = `${called(file)}, ${length(seconds)}`;
  if (withPhoto || state.talk) return;
  if (state.photo) await sayFile();
  else say(capital(`${called(file)} is chosen. Now choose a photo with a face in it.`));
}

const capital = (text) => text.replace(/^the sound/, "The sound");

function duration(file) { // in seconds; 0 if the browser cannot tell
  const address = URL.createObjectURL(file), player = document.createElement("video");
  return new Promise((done) => {
    const end = setTimeout(() => done(0), 3000);
    player.onloadedmetadata = () => { clearTimeout(end); done(Number.isFinite(player.duration) ? player.duration : 0); };
    player.onerror = () => { clearTimeout(end); done(0); };
    player.preload = "metadata";
    player.src = address;
  }).finally(() => { player.removeAttribute("src"); URL.revokeObjectURL(address); });
}

export async function sayFile() { // the photo says the chosen file, in the time in which it is heard
  const file = state.speech, seconds = await duration(file);
  state.heard = true;
  if (seconds > LIVE_SECONDS || (!seconds && file.size > LARGE_BYTES)) {
    say(capital(`${called(file)} is too long to be tried here: make the video.`));
    return;
  }
  const context = new AudioContext();
  const sound = await file.arrayBuffer().then((bytes) => context.decodeAudioData(bytes)).catch(() => null);
  if (!sound) {
    context.close();
    if (state.speech === file) say(`The browser cannot play ${called(file)}; the video can still be made.`);
    return;
  }
  const samples = await mono(sound);
  const late = () => state.talk || state.speech !== file; // something else was begun meanwhile
  if (!late() && context.state !== "running") {
    await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 500))]);
    if (!late() && context.state !== "running") say("The browser plays nothing before a click: click, and choose the sound again; or make the video.");
  }
  if (late() || context.state !== "running") { context.close(); return; }
  await play(called(file), context, sound, samples);
}

async function mono(sound) {
  const offline = new OfflineAudioContext(1, Math.max(1, Math.ceil(sound.duration * RATE_HZ)), RATE_HZ);
  const voice = offline.createBufferSource();
  voice.buffer = sound;
  voice.connect(offline.destination);
  voice.start();
  return (await offline.startRendering()).getChannelData(0);
}

async function play(name, context, sound, samples) {
  let begins = Infinity, feed = 0, sent = 0;
  const heard = () => context.currentTime - begins - (context.outputLatency || 0);
  const talk = startTalk(new Talk(heard)), player = context.createBufferSource();
  talk.stop = () => { clearInterval(feed); try { player.stop(); } catch { /* it never began */ } context.close(); };
  talk.last = capital(`${name} was said.`);
  try { await talk.ready; } catch (error) { talk.over(error.message); return; }
  if (state.talk !== talk) return;
  player.buffer = sound;
  player.connect(context.destination);
  begins = context.currentTime + AHEAD_SECONDS; // the sound is sent that much before it is heard
  player.start(begins);
  feed = setInterval(() => {
    const until = Math.min(samples.length, Math.round((heard() + 2 * AHEAD_SECONDS) * RATE_HZ));
    if (until > sent) talk.send(samples.subarray(sent, until));
    sent = Math.max(sent, until);
    if (sent >= samples.length) { clearInterval(feed); talk.end(); }
  }, 40);
  talking();
  say(capital(`${name} is being said.`));
}

// --- the microphone ------------------------------------------------------------------------------------------------

export async function speakOrStop() {
  if (!state.talk) { await speak(); return; }
  const { recorded, rate } = state.talk;
  stopTalk();
  say("Stopped.");
  if (recorded) keepRecording(recorded, rate);
}

async function speak() {
  const asking = (state.asking = {}); // another click, a sound or a photo meanwhile takes its place
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true } });
  } catch {
    const why = window.isSecureContext ? "There is no microphone that may be used" : "Browsers lend the microphone to https pages alone";
    if (state.asking === asking) say(`${why}; choose a sound file.`, true);
    return;
  }
  const [context, source] = listen(stream);
  const close = () => { stream.getTracks().forEach((track) => track.stop()); context?.close(); };
  if (state.asking !== asking || state.talk) { close(); return; }
  if (!context) { close(); say(UNREAD, true); return; }
  const talk = startTalk(new Talk(() => Infinity, context.sampleRate)); // what is said is heard already: show what comes
  talk.recorded = [];
  talk.stop = close;
  try {
    await talk.ready;
    await context.audioWorklet.addModule(new URL("catcher.js", import.meta.url)).catch(() => { throw new Error(UNREAD); });
  } catch (error) { talk.over(error.message); return; }
  if (state.talk !== talk) return; // stopped while it began
  source.connect(catcher(context, talk));
  talking();
  say("Speak: the photo says it with you.");
}

function listen(stream) {
  for (const options of [{ sampleRate: RATE_HZ }, {}]) { // some browsers connect a microphone at its own rate alone
    let context = null;
    try {
      context = new AudioContext(options);
      return [context, context.createMediaStreamSource(stream)];
    } catch { context?.close(); }
  }
  return [null, null];
}

function catcher(context, talk) { // sends and records what the microphone hears
  const node = new AudioWorkletNode(context, "catcher");
  let pieces = [], count = 0;
  node.port.onmessage = ({ data }) => {
    pieces.push(data);
    count += data.length;
    if (count < talk.rate / BLOCKS_A_SECOND) return;
    const block = joined(pieces, count);
    talk.recorded.push(block);
    talk.send(block);
    pieces = [];
    count = 0;
  };
  return node;
}

function joined(pieces, count) {
  const all = new Float32Array(count);
  let at = 0;
  for (const piece of pieces) { all.set(piece, at); at += piece.length; }
  return all;
}

function keepRecording(pieces, rate) {
  const count = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (count < rate / 5) return;
  state.heard = true;
  setSpeech(new File([wav(joined(pieces, count), rate)], "speech.wav", { type: "audio/wav" }), `your voice, ${length(count / rate)}`);
  say("Make a video of what you said, or speak again.");
}

function wav(samples, rate) { // 16 bits, one channel
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((letter, i) => bytes.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"); bytes.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt "); bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true); bytes.setUint32(24, rate, true); bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true); text(36, "data"); bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) => bytes.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(value * 32768))), true));
  return bytes.buffer;
}
