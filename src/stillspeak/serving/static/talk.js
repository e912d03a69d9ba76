// A live talk: sound goes up, frames come down and are shown in time. The protocol: src/stillspeak/serving/protocol.py.

import { $, refresh, say, state } from "./page.js";
import { arrange, drawFrame, resize, showPhoto } from "./stage.js";

export const RATE_HZ = 16000;
const HEADER_BYTES = 13, MOST_WAITING = 100, LEAST_PX = 768;
const NO_TALK = "The live connection cannot be made: the server is away, the key is wrong, or a proxy passes no WebSockets. " +
  "If it is the proxy, the video can still be made.";

export class Talk {
  // Frames are shown when `clock()` seconds of the client's sound have been heard.
  constructor(clock, rate = RATE_HZ) {
    this.clock = clock;
    this.rate = rate;
    this.waiting = [];
    this.begun = this.ended = false;
    const at = new URL("talk", location.href);
    at.protocol = at.protocol.replace("http", "ws");
    if ($("key").value) at.searchParams.set("key", $("key").value);
    this.socket = new WebSocket(at);
    this.socket.binaryType = "arraybuffer";
    this.ready = new Promise((done, failed) => {
      this.socket.onopen = async () => {
        this.begun = true;
        const side = state.picture ? Math.min(LEAST_PX, Math.max($("screen").width, $("screen").height)) : LEAST_PX;
        this.socket.send(JSON.stringify({ rate_hz: this.rate, face: state.face, mouth: Number($("mouth").value), side }));
        this.socket.send(await state.photo.arrayBuffer());
      };
      this.socket.onmessage = (event) => this.hear(event.data, done, failed);
      this.socket.onclose = () => {
        const why = this.begun ? "The server closed the talk." : NO_TALK;
        failed(new Error(why));
        if (!this.ended) this.over(why);
      };
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
      if (said.ready && state.talk === this) { this.size = [said.width, said.height]; done(said); this.show(); }
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
      const picture = due && (await createImageBitmap(due.picture).catch(() => null)); // a broken frame is passed over
      if (state.talk !== this) return;
      if (picture) {
        if (this.size) { resize(...this.size); this.size = null; } // not before there is a frame to draw: it clears the photo
        drawFrame(picture);
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
    this.socket.send(Int16Array.from(samples, (value) => Math.max(-32768, Math.min(32767, Math.round(value * 32768)))).buffer);
  }

  end() { if (this.socket.readyState === WebSocket.OPEN) this.socket.send('{"end": true}'); }
}

export function startTalk(talk) {
  state.talk = talk;
  arrange();
  refresh();
  return talk;
}

export function stopTalk() {
  const talk = state.talk;
  state.talk = state.asking = null;
  talk?.socket.close();
  talk?.stop?.();
  $("talk").textContent = "2. Speak";
  $("talk").classList.remove("on");
  showPhoto();
  refresh();
}

export function talking() { // the talk goes on: the button ends it
  $("talk").textContent = "Stop";
  $("talk").classList.add("on");
}
