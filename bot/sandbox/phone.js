/* The phone: who is played, what was said, sending, and the stream of events from the sandbox. */

import { bubble, dayOf, make, rows, ticks } from "./chat.js";

const $ = (id) => document.getElementById(id);
const me = { number: "", name: "" };
const said = new Map();
let stream = null;
let connected = false;
let serviceUp = true;
let failure = "";
let lastDay = "";
let lastDirection = "";
let waiting = 0;

/* who is played */

function recall() {
  me.number = localStorage.getItem("phone.number") || someNumber();
  me.name = localStorage.getItem("phone.name") ?? "Asha";
  $("number").value = me.number;
  $("name").value = me.name;
}

function someNumber() {
  const digits = crypto.getRandomValues(new Uint32Array(1))[0] % 100_000_000;
  return `9190${String(digits).padStart(8, "0")}`;
}

const numberHolds = () => /^[0-9]{10,15}$/.test($("number").value.trim());

function changed() {
  const good = numberHolds();
  $("number").setAttribute("aria-invalid", String(!good));
  $("number-help").hidden = good;
  me.name = $("name").value.trim();
  localStorage.setItem("phone.name", me.name);
  if (good && (me.number !== $("number").value.trim() || !stream)) become($("number").value.trim());
  else refresh();
}

function become(number) {
  me.number = number;
  localStorage.setItem("phone.number", number);
  $("number").value = number;
  failure = "";
  clear();
  connect();
}

/* the chat */

function clear() {
  said.clear();
  lastDay = lastDirection = "";
  $("chat").replaceChildren();
  $("nothing").hidden = false;
  $("down").hidden = true;
}

const stateOf = (message) => {
  if (message.answered) return "read";
  if (message.webhook >= 200 && message.webhook < 300) return "taken";
  return message.webhook || message.error ? "failed" : "sent";
};

function show(message) {
  if (said.has(message.id)) return;
  if (message.direction === "in") message.state = message.state ?? stateOf(message);
  const near = atBottom();
  if (dayOf(message.at) !== lastDay) {
    lastDay = dayOf(message.at);
    lastDirection = "";
    $("chat").append(make("li", { class: "day" }, lastDay));
  }
  const item = bubble(message, { tap, list });
  item.classList.toggle("turn", message.direction !== lastDirection);
  lastDirection = message.direction;
  said.set(message.id, { message, item });
  $("chat").append(item);
  $("nothing").hidden = true;
  if (message.state === "failed") offerAgain(message.id);
  if (message.direction === "out") markAnswered();
  if (near || message.direction === "in") toBottom();
  else $("down").hidden = false;
}

function markAnswered() {
  for (const { message } of said.values()) if (message.state === "taken") tick(message.id, "read");
}

function tick(id, state) {
  const entry = said.get(id);
  if (!entry || entry.message.direction !== "in") return;
  entry.message.state = state;
  entry.item.querySelector(".tick")?.replaceWith(ticks(state));
  if (state === "failed") offerAgain(id);
}

function offerAgain(id) {
  const { item, message } = said.get(id);
  if (item.querySelector(".again") || !message.document) return;
  const again = make("button", { type: "button", class: "again" }, "Send again");
  again.addEventListener("click", () => {
    item.remove();
    said.delete(id);
    say(message.document);
  });
  item.append(again);
}

const atBottom = () => $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight < 90;

function toBottom() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
  $("down").hidden = true;
}

function look() {
  if (document.visibilityState !== "visible" || !connected) return;
  post("/sandbox/read", { number: me.number }).catch(() => {});
}

/* the stream */

function connect() {
  stream?.close();
  connected = false;
  const mine = new EventSource(`/phone/events?number=${encodeURIComponent(me.number)}`);
  stream = mine;
  const hear = (name, act) => mine.addEventListener(name, (event) => {
    if (stream === mine) act(JSON.parse(event.data));
  });
  hear("chat", (messages) => {
    connected = true;
    clear();
    messages.forEach(show);
    toBottom();
    look();
    refresh();
  });
  hear("message", (message) => {
    show(message);
    if (message.direction === "out") look();
  });
  hear("taken", ({ id, webhook, error }) => {
    const state = stateOf({ webhook, error });
    if (said.get(id)?.message.state !== "read") tick(id, state);
  });
  hear("service", ({ up }) => {
    serviceUp = up;
    if (up) failure = "";
    refresh();
  });
  hear("reset", clear);
  mine.onerror = () => {
    if (stream !== mine) return;
    connected = false;
    refresh();
    if (mine.readyState === EventSource.CLOSED) setTimeout(() => stream === mine && connect(), 2000);
  };
  refresh();
}

/* sending */

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`the sandbox answered ${answer.status}`);
  return answer.json();
}

async function say(what) {
  const document_ = { from: me.number, name: me.name || "Customer", ...what };
  waiting += 1;
  refresh();
  try {
    const { id, webhook } = await post("/sandbox/customer", document_);
    const entry = said.get(id);
    if (entry) entry.message.document = what;
    if (webhook.status < 200 || webhook.status >= 300) {
      failure = `The service did not take your message (${webhook.error || `answer ${webhook.status}`}).`;
      tick(id, "failed");
    }
  } catch (error) {
    failure = `Your message was not sent: ${error.message}.`;
  }
  waiting -= 1;
  refresh();
}

const usable = () => connected && serviceUp && numberHolds();

function tap(option, button) {
  if (!usable()) return;
  for (const other of button.parentElement.children) other.disabled = true;
  button.classList.add("chosen");
  $("text").focus();
  say({ tap: { id: option.id, title: option.title } });
}

function list(content) {
  if (!usable()) return;
  const options = content.sections.flatMap((section) => section.rows);
  $("sheet-title").textContent = content.menu;
  $("sheet-rows").replaceChildren(...rows(content.sections));
  $("sheet-send").disabled = true;
  $("sheet-form").onsubmit = () => {
    const chosen = $("sheet-rows").querySelector("input:checked");
    const row = options.find(({ id }) => id === chosen?.value);
    if (row) say({ tap: { id: row.id, title: row.title, description: row.description ?? "", kind: "list" } });
  };
  $("sheet").showModal();
}

const SAMPLES = {
  image: () => ({ image: { url: new URL("/phone/sample.png", location.href).href } }),
  location: () => ({ location: { latitude: 12.9763, longitude: 77.5929, name: "Cubbon Park", address: "Bengaluru" } }),
};

function openMenu(open) {
  $("attachments").hidden = !open;
  $("attach").setAttribute("aria-expanded", String(open));
  if (open) $("attachments").querySelector("button").focus();
}

/* the state of the page */

function refresh() {
  const problem = trouble();
  $("banner").hidden = !problem;
  if ($("banner-text").textContent !== problem) $("banner-text").textContent = problem;
  $("state").textContent = stateWords();
  $("text").disabled = !connected || !numberHolds();
  $("attach").disabled = !usable();
  $("send").disabled = !usable() || !$("text").value.trim();
}

function trouble() {
  if (!numberHolds()) return "";
  if (!connected && stream?.readyState !== EventSource.OPEN && said.size + waiting > 0) return "The sandbox does not answer. Trying again …";
  if (connected && !serviceUp) return `The service is down. ${failure || "You can write again when it is back."}`;
  return failure;
}

function stateWords() {
  if (!numberHolds()) return "needs a number";
  if (!connected) return "connecting …";
  if (!serviceUp) return "service down";
  return waiting ? "sending …" : "online";
}

function grow() {
  $("text").style.height = "auto";
  $("text").style.height = `${Math.min($("text").scrollHeight + 2, 140)}px`;
}

/* what the person does */

$("number").addEventListener("change", changed);
$("number").addEventListener("input", refresh);
$("name").addEventListener("change", changed);
$("me").addEventListener("submit", (event) => {
  event.preventDefault();
  changed();
  $("text").focus();
});
$("fresh").addEventListener("click", () => {
  become(someNumber());
  $("number").setAttribute("aria-invalid", "false");
  $("number-help").hidden = true;
  $("name").focus();
  $("name").select();
});
$("text").addEventListener("input", () => { grow(); refresh(); });
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!$("send").disabled) $("compose").requestSubmit();
});
$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !usable()) return;
  $("text").value = "";
  grow();
  $("text").focus();
  say({ text });
});
$("attach").addEventListener("click", () => openMenu($("attachments").hidden));
$("attachments").addEventListener("click", (event) => {
  const kind = event.target.closest("[data-send]")?.dataset.send;
  if (!kind) return;
  openMenu(false);
  $("text").focus();
  say(SAMPLES[kind]());
});
$("attachments").addEventListener("keydown", (event) => {
  const items = [...$("attachments").children];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
  }
  if (event.key === "Escape") {
    openMenu(false);
    $("attach").focus();
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("#attachments, #attach")) openMenu(false);
});
$("sheet-rows").addEventListener("change", () => { $("sheet-send").disabled = false; });
$("sheet-close").addEventListener("click", () => $("sheet").close());
$("sheet").addEventListener("click", (event) => { if (event.target === $("sheet")) $("sheet").close(); });
$("down").addEventListener("click", toBottom);
$("scroll").addEventListener("scroll", () => { if (atBottom()) $("down").hidden = true; });
document.addEventListener("visibilitychange", look);

recall();
changed();
