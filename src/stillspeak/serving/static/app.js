// The page: a photo, a voice, a talking picture. The protocol of /talk: src/stillspeak/serving/protocol.py.

const RATE_HZ = 16000, AHEAD_SECONDS = 0.6, HEADER_BYTES = 13, MOST_WAITING = 100;
const $ = (id) => document.getElementById(id);
const screen = $("screen"), pen = screen.getContext("2d");
const state = { photo: null, picture: null, faces: [], face: "1", talk: null, speech: null };
window.stillspeak = { shown: 0, frames: 0 }; // for tests and the curious

const say = (text, bad = false) => { $("status").textContent = text; $("status").classList.toggle("bad", bad); };
const headers = () => ($("key").value ? { "X-API-Key": $("key").value } : {});

async function sentence(answer) {
  try { return (await answer.json()).detail; } catch { return `The server answered ${answer.status}.`; }
}

// --- the photo -----------------------------------------------------------------------------------------------------

async function usePhoto(file) {
  stopTalk();
  state.chosen = file;
  say("Looking for faces…");
  const body = new FormData();
  body.append("photo", file);
  let faces, picture, wrong = "";
  try {
    const answer = await fetch("faces", { method: "POST", body, headers: headers() });
    if (answer.ok) [faces, picture] = [await answer.json(), await createImageBitmap(file)];
    else wrong = await sentence(answer);
  } catch (error) { wrong = error instanceof DOMException ? "The browser cannot show this picture." : "The server cannot be reached."; }
  if (state.chosen !== file) return; // another was chosen meanwhile
  if (wrong) { say(wrong, true); return; }
  stopTalk();
  Object.assign(state, { photo: file, faces, picture, face: "1" });
  showPhoto();
  listFaces();
  for (const id of ["talk", "speech"]) $(id).disabled = false;
  $("make").disabled = !state.speech;
  say("Speak, or choose a sound file.");
}

function showPhoto() {
  const { width, height } = state.picture, scale = Math.min(1, 1024 / Math.max(width, height));
  screen.width = Math.round(width * scale);
  screen.height = Math.round(height * scale);
  pen.drawImage(state.picture, 0, 0, screen.width, screen.height);
  if (state.faces.length < 2) return;
  pen.font = "bold 24px system-ui";
  for (const face of state.faces) {
    pen.strokeStyle = pen.fillStyle = String(face.number) === state.face || state.face === "all" ? "#4f6" : "#fff";
    pen.lineWidth = 3;
    pen.strokeRect(face.left * scale, face.top * scale, (face.right - face.left) * scale, (face.bottom - face.top) * scale);
    pen.fillText(face.number, face.left * scale + 4, Math.max(24, face.top * scale - 6));
  }
}

function listFaces() {
  const box = $("faces");
  box.replaceChildren();
  box.hidden = state.faces.length < 2;
  for (const name of [...state.faces.map((face) => String(face.number)), "all"]) {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "face", value: name, checked: name === state.face });
    input.addEventListener("change", () => pick(name));
    label.append(input, ` ${name === "all" ? "all" : `face ${name}`}`);
    box.append(label);
  }
}

function pick(name) {
  state.face = name;
  if (!state.talk) showPhoto();
  for (const input of document.querySelectorAll("#faces input")) input.checked = input.value === name;
}

// --- live ----------------------------------------------------------------------------------------------------------

class Talk {
  // Frames are shown when `clock()` seconds of the client's sound have been heard.
  constructor(clock, rate = RATE_HZ) {
    this.clock = clock;
    this.rate = rate;
    this.waiting = [];
    this.ended = false;
    const at = new URL("talk", location.href);
    at.protocol = at.protocol.replace("http", "ws");
    if ($("key").value) at.searchParams.set("key", $("key").value);
    this.socket = new WebSocket(at);
    this.socket.binaryType = "arraybuffer";
    this.ready = new Promise((done, failed) => {
      this.socket.onopen = async () => {
        const side = Math.min(768, Math.max(screen.width, screen.height));
        this.socket.send(JSON.stringify({ rate_hz: this.rate, face: state.face, side }));
        this.socket.send(await state.photo.arrayBuffer());
      };
      this.socket.onmessage = (event) => this.hear(event.data, done, failed);
      this.socket.onclose = () => { failed(new Error("closed")); if (!this.ended) this.over("The server closed the talk."); };
    });
  }

  over(why = "") { // a talk that another has followed stops nothing
    if (state.talk !== this) return;
    stopTalk();
    if (why || this.last) say(why || this.last, Boolean(why));
  }

  hear(data, done, failed) {
    if (typeof data === "string") {
      const said = JSON.parse(data);
      if (said.error) { failed(new Error(said.error)); this.ended = true; this.over(said.error); }
      if (said.ready && state.talk === this) { screen.width = said.width; screen.height = said.height; done(said); this.show(); }
      if (said.end) this.ended = true;
      return;
    }
    const seconds = new DataView(data).getFloat64(4, true), idle = new Uint8Array(data)[12] === 1;
    this.waiting.push({ seconds, idle, picture: new Blob([data.slice(HEADER_BYTES)]) });
    if (this.waiting.length > MOST_WAITING && document.hidden) this.waiting.shift(); // a hidden page draws nothing
    window.stillspeak.frames += 1;
  }

  show() {
    const draw = async () => {
      if (state.talk !== this) return;
      const now = this.clock();
      let due = null;
      while (this.waiting.length && (this.waiting[0].idle || this.waiting[0].seconds <= now)) due = this.waiting.shift();
      if (due) {
        const picture = await createImageBitmap(due.picture);
        if (state.talk !== this) return;
        pen.drawImage(picture, 0, 0, screen.width, screen.height);
        picture.close();
        window.stillspeak.shown += 1;
      }
      if (this.ended && !this.waiting.length) { this.over(); return; }
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  send(samples) { // Float32Array at the talk's rate
    if (this.socket.readyState !== WebSocket.OPEN) return;
    const whole = Int16Array.from(samples, (value) => Math.max(-32768, Math.min(32767, Math.round(value * 32768))));
    this.socket.send(whole.buffer);
  }

  end() { if (this.socket.readyState === WebSocket.OPEN) this.socket.send('{"end": true}'); }
}

function stopTalk() {
  const talk = state.talk;
  state.talk = state.asking = null;
  talk?.socket.close();
  talk?.stop?.();
  $("talk").textContent = "2. Speak";
  $("talk").classList.remove("on");
  if (state.picture) showPhoto();
}

const CATCHER = `registerProcessor("catcher", class extends AudioWorkletProcessor {
  process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; }
});`;

async function talkByMicrophone() {
  if (state.talk) {
    const { recorded, rate } = state.talk;
    stopTalk();
    say("Stopped.");
    if (recorded) keepRecording(recorded, rate);
    return;
  }
  const asking = (state.asking = {}); // another click, a sound or a photo meanwhile takes its place
  let stream, context, source;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true } });
  } catch {
    if (state.asking === asking) say("There is no microphone that may be used; choose a sound file.", true);
    return;
  }
  const close = () => { stream.getTracks().forEach((track) => track.stop()); context?.close(); };
  if (state.asking !== asking || state.talk) { close(); return; }
  for (const options of [{ sampleRate: RATE_HZ }, {}]) { // some browsers connect it at their own rate alone
    try {
      context = new AudioContext(options);
      source = context.createMediaStreamSource(stream);
      break;
    } catch { context?.close(); context = null; }
  }
  if (!context) { close(); say("The microphone cannot be read; choose a sound file.", true); return; }
  const talk = (state.talk = new Talk(() => Infinity, context.sampleRate)); // what is said is heard already: show what comes
  talk.recorded = [];
  talk.stop = close;
  try {
    await talk.ready;
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([CATCHER], { type: "text/javascript" })));
  } catch (error) { talk.over(error.message); return; }
  if (state.talk !== talk) return; // stopped while it began
  const catcher = new AudioWorkletNode(context, "catcher");
  let pieces = [], count = 0;
  catcher.port.onmessage = ({ data }) => {
    pieces.push(data);
    count += data.length;
    if (count < talk.rate / 50) return;
    const block = joined(pieces, count);
    talk.recorded.push(block);
    talk.send(block);
    pieces = [];
    count = 0;
  };
  source.connect(catcher);
  $("talk").textContent = "Stop";
  $("talk").classList.add("on");
  say("Speak: the photo says it with you.");
}

async function talkByFile(file) {
  stopTalk();
  state.speech = file;
  $("make").disabled = false;
  let sound;
  const context = new AudioContext();
  try { sound = await context.decodeAudioData(await file.arrayBuffer()); } catch {
    context.close();
    say("The browser cannot play this file; the video can still be made.");
    return;
  }
  const offline = new OfflineAudioContext(1, Math.ceil(sound.duration * RATE_HZ), RATE_HZ);
  const voice = offline.createBufferSource();
  voice.buffer = sound;
  voice.connect(offline.destination);
  voice.start();
  const samples = (await offline.startRendering()).getChannelData(0);
  if (state.talk || state.speech !== file) { context.close(); return; } // something else was begun meanwhile
  if (context.state !== "running") await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 500))]);
  if (state.talk || state.speech !== file) { context.close(); return; }
  if (context.state !== "running") {
    context.close();
    say("The browser plays nothing before a click: click, and choose the sound again; or make the video.");
    return;
  }
  let begins = Infinity;
  const heard = () => context.currentTime - begins - (context.outputLatency || 0);
  const talk = (state.talk = new Talk(heard));
  talk.stop = () => context.close();
  talk.last = `${file.name} was said.`;
  try { await talk.ready; } catch (error) { talk.over(error.message); return; }
  if (state.talk !== talk) return;
  const player = context.createBufferSource();
  player.buffer = sound;
  player.connect(context.destination);
  begins = context.currentTime + AHEAD_SECONDS; // the sound is sent that much before it is heard
  player.start(begins);
  let sent = 0;
  const feed = setInterval(() => {
    const until = Math.min(samples.length, Math.round((heard() + 2 * AHEAD_SECONDS) * RATE_HZ));
    if (until > sent) talk.send(samples.subarray(sent, until));
    sent = Math.max(sent, until);
    if (sent >= samples.length) { clearInterval(feed); talk.end(); }
  }, 40);
  talk.stop = () => { clearInterval(feed); try { player.stop(); } catch { /* it never began */ } context.close(); };
  $("talk").textContent = "Stop";
  $("talk").classList.add("on");
  say(`${file.name} is being said.`);
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
  const bytes = new DataView(new ArrayBuffer(44 + 2 * count)), text = (at, word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); bytes.setUint32(4, 36 + 2 * count, true); text(8, "WAVEfmt "); bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true); bytes.setUint32(24, rate, true); bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true); text(36, "data"); bytes.setUint32(40, 2 * count, true);
  joined(pieces, count).forEach((value, i) => bytes.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(value * 32768))), true));
  state.speech = new File([bytes.buffer], "speech.wav", { type: "audio/wav" });
  $("make").disabled = false;
  say("Make a video of what you said, or speak again.");
}

// --- the video -----------------------------------------------------------------------------------------------------

async function makeVideo() {
  const job = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2), bar = $("progress");
  const body = new FormData();
  for (const [name, value] of Object.entries({ photo: state.photo, speech: state.speech, face: state.face, job })) body.append(name, value);
  $("make").disabled = true;
  $("download").hidden = true;
  bar.hidden = false;
  bar.removeAttribute("value");
  say("The video is being made…");
  const told = new AbortController();
  follow(job, bar, told.signal);
  try {
    const answer = await fetch("animate", { method: "POST", body, headers: headers() });
    if (!answer.ok) { say(await sentence(answer), true); return; }
    if ($("download").href.startsWith("blob:")) URL.revokeObjectURL($("download").href);
    $("download").href = URL.createObjectURL(await answer.blob());
    $("download").hidden = false;
    say("The video is ready.");
    $("download").focus();
  } catch { say("The server cannot be reached.", true); } finally {
    told.abort();
    bar.hidden = true;
    $("make").disabled = false;
  }
}

async function follow(job, bar, signal) {
  try { // not EventSource: it cannot send a key
    const answer = await fetch(`animate/${job}/events`, { headers: headers(), signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + part.value).split("\n");
      rest = lines.pop();
      for (const line of lines.filter((text) => text.startsWith("data: "))) {
        const { done, total } = JSON.parse(line.slice(6));
        if (total) bar.value = done / total;
      }
    }
  } catch { /* the video matters, not the bar */ }
}

// --- what the user does --------------------------------------------------------------------------------------------

const chosen = (files, kind) => [...files].find((file) => file.type.startsWith(kind));
$("photo").addEventListener("change", ({ target }) => target.files[0] && usePhoto(target.files[0]));
$("speech").addEventListener("change", ({ target }) => target.files[0] && talkByFile(target.files[0]));
$("talk").addEventListener("click", talkByMicrophone);
$("make").addEventListener("click", makeVideo);
document.addEventListener("paste", ({ clipboardData }) => { const file = chosen(clipboardData.files, "image/"); if (file) usePhoto(file); });
document.addEventListener("dragover", (event) => { event.preventDefault(); $("photo-drop").classList.add("over"); });
document.addEventListener("dragleave", () => $("photo-drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("photo-drop").classList.remove("over");
  const photo = chosen(event.dataTransfer.files, "image/"), speech = chosen(event.dataTransfer.files, "audio/");
  if (photo) usePhoto(photo);
  else if (speech && state.photo) talkByFile(speech);
});
screen.addEventListener("keydown", ({ key }) => { if (state.faces.some((face) => String(face.number) === key)) pick(key); });
