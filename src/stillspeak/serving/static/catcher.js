// Runs in the browser's audio thread: hands the microphone's samples to the page.

registerProcessor("catcher", class extends AudioWorkletProcessor {
  process([input]) {
    if (input[0]) this.port.postMessage(input[0].slice());
    return true;
  }
});
