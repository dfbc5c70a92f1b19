/* Drawing messages: values in, elements out. Text goes in as text, never as markup. */

const TICKS = {
  sending: "M9 2.5v4l2.6 1.6M9 11.5a5 5 0 1 0 0-10 5 5 0 0 0 0 10z",
  sent: "M4 7l3.5 4L14 2.5",
  taken: "M1 7l3.5 4L11 2.5M8 9.5 9.5 11 16 2.5",
  read: "M1 7l3.5 4L11 2.5M8 9.5 9.5 11 16 2.5",
  failed: "M9 3v4.5m0 2.7v.1",
};
const SPOKEN = {
  sending: "being sent", sent: "sent", taken: "delivered", read: "read", failed: "not delivered",
};
const PLACE = "M12 21s7-6.2 7-11.5a7 7 0 0 0-14 0C5 14.8 12 21 12 21z";
const PAPER = "M6 3h8l4 4v14H6zM14 3v4h4";
const MENU = "M5 7h14M5 12h14M5 17h14";

/** An element with attributes and children; strings among the children become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function drawing(path, viewBox, name = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.setAttribute("viewBox", viewBox);
  svg.setAttribute("aria-hidden", "true");
  if (name) svg.setAttribute("class", name);
  svg.append(line);
  return svg;
}

/** The ticks under one of the customer's own messages. */
export function ticks(state) {
  const spoken = make("span", { class: "hidden" }, `, ${SPOKEN[state]}`);
  return make("span", { class: "tick", "data-state": state }, drawing(TICKS[state], "0 0 18 13", `ticks ${state}`), spoken);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export function dayOf(at) {
  const day = new Date(at * 1000);
  return day.toDateString() === new Date().toDateString() ? "Today" : calendar.format(day);
}

/** One message as a list item. `on.tap(kind, option)` and `on.list(content)` are called when a choice is made. */
export function bubble(message, on) {
  const { content } = message;
  const time = make("time", { datetime: new Date(message.at * 1000).toISOString() }, clock.format(message.at * 1000));
  const meta = make("div", { class: "meta" }, time);
  const speaker = make("span", { class: "hidden" }, message.direction === "in" ? "You: " : "Support desk: ");
  const box = make("div", { class: "bubble" }, speaker, ...parts(content, message.direction), meta);
  const item = make("li", { class: `message ${message.direction}`, "data-id": message.id }, box);
  if (message.direction === "out") item.append(...choices(content, on));
  else meta.append(ticks(message.state));
  return item;
}

function parts(content, direction) {
  const words = content.text ? make("p", { class: "says", dir: "auto" }, content.text) : "";
  switch (content.type) {
    case "image": return [picture(content), words];
    case "sticker": return [picture(content), words];
    case "video": return [make("video", { class: "film", src: content.url, controls: "", preload: "metadata" }), words];
    case "audio": return [make("audio", { class: "film", src: content.url, controls: "", preload: "none" })];
    case "document": return [link(content.url, PAPER, content.filename || "Document", hostOf(content.url)), words];
    case "location": return [place(content)];
    case "button_reply":
    case "list_reply":
    case "button": return [make("span", { class: "tapped" }, direction === "in" ? "tapped" : ""), words];
    default: return [headline(content), words, footnote(content)];
  }
}

const headline = ({ header }) => (header ? make("p", { class: "headline", dir: "auto" }, header) : "");
const footnote = ({ footer }) => (footer ? make("p", { class: "footnote", dir: "auto" }, footer) : "");

function picture({ url, text }) {
  const image = make("img", { class: "picture", src: url, alt: text ? "" : "Picture", loading: "lazy" });
  image.addEventListener("error", () => image.replaceWith(link(url, PAPER, "Picture", "cannot be shown here")), { once: true });
  return image;
}

function place({ latitude, longitude, name, address }) {
  const where = `${latitude}, ${longitude}`;
  const map = `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=15/${latitude}/${longitude}`;
  return link(map, PLACE, name || "Location", address || where);
}

function link(url, path, title, below) {
  const label = make("span", { dir: "auto" }, title, make("small", {}, below));
  return make("a", { class: "link", href: safe(url), target: "_blank", rel: "noopener noreferrer" }, drawing(path, "0 0 24 24"), label);
}

/** Only web addresses become links; anything else would be a way to run code. */
const safe = (url) => (/^https?:\/\//i.test(url) ? url : "#");
const hostOf = (url) => (URL.canParse(url) ? new URL(url).host : url);

function choices(content, on) {
  if (content.type === "list") {
    const open = make("button", { type: "button", class: "choice", dir: "auto", "aria-haspopup": "dialog" }, drawing(MENU, "0 0 24 24"), content.menu);
    open.addEventListener("click", () => on.list(content, open));
    return [make("div", { class: "choices" }, open)];
  }
  if (content.type !== "buttons") return [];
  const buttons = content.buttons.map((option) => {
    const button = make("button", { type: "button", class: "choice", dir: "auto" }, option.title);
    button.addEventListener("click", () => on.tap(option, button));
    return button;
  });
  return [make("div", { class: "choices", role: "group", "aria-label": "Quick replies" }, ...buttons)];
}

/** The rows of a list, as radio buttons in one field set for each section. */
export function rows(sections) {
  return sections.map((section) => make(
    "fieldset", {},
    make("legend", section.title ? { dir: "auto" } : { class: "hidden" }, section.title || "Choices"),
    ...section.rows.map((row) => make(
      "label", { class: "row" },
      make("span", { dir: "auto" }, row.title, row.description ? make("small", { dir: "auto" }, row.description) : ""),
      make("input", { type: "radio", name: "row", value: row.id }),
    )),
  ));
}
