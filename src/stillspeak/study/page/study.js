// The study: consent, a tone, one question at a time. Where a visitor stands is what the server says; the address keeps who they are.

const $ = (id) => document.getElementById(id);
const KINDS = {
  turing: {
    told: (count) => `You will watch ${count} short videos of people who speak. Some are recordings; the others were made by a computer from one photo and a sound. Of each you say whether it is real or was generated.`,
    task: "For each video say whether it is real or was generated.",
    answers: [["real", "Real (R)", "r"], ["generated", "Generated (G)", "g"]],
  },
  preference: {
    told: (count) => `You will watch ${count} pairs of short videos of people who speak. All were made by a computer from one photo and a sound, by two methods. Of each pair you say which of the two looks more natural.`,
    task: "Two videos play one after the other. Say which of the two looks more natural.",
    answers: [["left", "Left (←)", "ArrowLeft"], ["right", "Right (→)", "ArrowRight"]],
  },
};
const INFORMATION = [["researcher", "Researcher"], ["contact", "Contact"], ["purpose", "Purpose"], ["duration", "Duration"]];
let study = null, visit = null, question = null, shownAt = 0, watched = false, sending = false, run = 0;

const say = (text = "") => { $("status").textContent = text; };

function show(name) { // one step; who hears the page hears its heading, of every question anew
  for (const id of ["consent", "instructions", "question", "end"]) $(id).hidden = id !== name;
  const heading = $(name).querySelector("h2");
  heading.blur();
  heading.focus();
}

async function ask(path, options = {}) {
  for (let wait = 1; ; wait = Math.min(wait * 2, 30)) { // an answer is never lost for want of a network
    try {
      const answer = await fetch(path, { ...options, headers: { "Content-Type": "application/json" } });
      if (answer.ok) { say(); return await answer.json(); }
      if (answer.status < 500) {
        const said = await answer.json().catch(() => ({}));
        throw new RangeError(said.detail ?? `The server answered ${answer.status}.`);
      }
    } catch (error) { if (error instanceof RangeError) throw error; }
    say(`The server cannot be reached; trying again in ${wait} s.`);
    await new Promise((done) => setTimeout(done, 1000 * wait));
  }
}

async function begin() {
  $("begin").disabled = true;
  try { visit = await ask("visitors", { method: "POST", body: JSON.stringify({ consent: true }) }); } catch (error) {
    say(error.message);
    $("begin").disabled = false;
    return;
  }
  history.replaceState(null, "", `#${visit.visitor}`);
  instruct();
}

function instruct() {
  $("task").textContent = KINDS[visit.kind].task;
  show("instructions");
}

function playTone() {
  const context = new AudioContext(), tone = context.createOscillator(), level = context.createGain();
  level.gain.value = 0.15;
  tone.connect(level).connect(context.destination);
  tone.start();
  tone.stop(context.currentTime + 0.8);
  tone.onended = () => context.close();
  $("heard").disabled = false;
}

function next() {
  question = visit.questions.find((one) => !one.answered);
  if (!question) { end(); return; }
  const done = visit.questions.filter((one) => one.answered).length;
  $("where").textContent = `Question ${done + 1} of ${visit.questions.length}`;
  $("progress").value = done / visit.questions.length;
  document.querySelector(".videos").classList.toggle("pair", question.pair);
  $("right-side").hidden = !question.pair;
  const at = `visitors/${visit.visitor}/questions/${question.number}`;
  $("left").src = `${at}/left.mp4`;
  if (question.pair) $("right").src = `${at}/right.mp4`; else $("right").removeAttribute("src");
  watched = sending = false;
  run += 1;
  shownAt = performance.now();
  enable();
  show("question");
}

function enable() { for (const button of $("answers").children) button.disabled = !watched || sending; }

async function play() {
  const mine = (run += 1); // pressed again, it begins again: two videos never play at once
  for (const id of ["left", "right"]) $(id).pause();
  for (const video of question.pair ? [$("left"), $("right")] : [$("left")]) {
    if (video.error) video.load();
    video.currentTime = 0;
    const over = new Promise((done) => { video.onended = () => done(true); video.onerror = () => done(false); });
    try { await video.play(); } catch {
      if (run === mine) say("The video does not play; press Play again.");
      return;
    }
    const whole = await over;
    if (run !== mine) return;
    if (!whole) { say("The video could not be loaded; press Play again."); return; }
  }
  say("You can answer now.");
  watched = true;
  enable();
}

async function answer(word) {
  if (!watched || sending) return;
  sending = true; // a second press changes nothing, here and on the server
  enable();
  const body = JSON.stringify({ answer: word, seconds: (performance.now() - shownAt) / 1000 });
  try { visit = await ask(`visitors/${visit.visitor}/questions/${question.number}`, { method: "PUT", body }); } catch (error) {
    say(error.message);
    sending = false;
    enable();
    return;
  }
  next();
}

function end() {
  $("score").textContent = visit.of ? `You were right about ${visit.right} of ${visit.of} videos.` : "";
  $("code").hidden = !study.withdrawal;
  $("code").textContent = `${study.withdrawal}\nThe code of your answers, by which they are found: ${visit.visitor}`;
  show("end");
}

function inform() { // what a visitor agrees to: what the study does, and what its researcher says of it
  $("told").textContent = KINDS[study.kind].told(study.questions);
  $("information").replaceChildren(...INFORMATION.filter(([name]) => study[name]).flatMap(([name, title]) => {
    const [term, said] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = title;
    said.textContent = study[name];
    return [term, said];
  }));
  $("leaving").textContent = "You may stop at any moment by closing the page. " +
    (study.withdrawal || "What you answered until then is kept, without a trace of who you are.");
}

async function start() {
  const token = location.hash.slice(1);
  try { study = await ask("study"); } catch (error) { say(error.message); return; }
  inform();
  if (!token) { $("consent").hidden = false; return; } // no focus is moved: the page begins at its beginning
  try { visit = await ask(`visitors/${token}`); } catch (error) {
    history.replaceState(null, "", location.pathname);
    show("consent");
    say(error.message);
    return;
  }
  if (visit.questions.every((one) => one.answered)) end(); else instruct();
}

function prepare() {
  $("answers").replaceChildren(...KINDS[visit.kind].answers.map(([word, label]) => {
    const button = document.createElement("button");
    button.textContent = label;
    button.id = `answer-${word}`;
    button.addEventListener("click", () => answer(word));
    return button;
  }));
  next();
}

$("agree").addEventListener("change", ({ target }) => { $("begin").disabled = !target.checked; });
$("begin").addEventListener("click", begin);
$("tone").addEventListener("click", playTone);
$("heard").addEventListener("click", prepare);
$("play").addEventListener("click", play);
document.addEventListener("keydown", (event) => {
  if ($("question").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " ") {
    if ($("answers").contains(event.target)) return; // space presses the button that has the focus
    event.preventDefault();
    play();
    return;
  }
  const said = KINDS[visit.kind].answers.find(([, , key]) => key === event.key || key === event.key.toLowerCase());
  if (said) answer(said[0]);
});
start();
