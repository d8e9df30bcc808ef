// What the pages gain with scripts: times in the reader's zone, keys, the slider. Without it all of them work.

const language = document.documentElement.lang;
const region = navigator.languages.find((tag) => tag.split("-")[0] === language) ?? language;
const inReadersZone = new Intl.DateTimeFormat(region, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  hourCycle: "h23", timeZoneName: "short",
});

// Times of the whole page, or of a part that has just been put in.
export function writeTimes(part = document) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    time.title ||= time.textContent;
    time.textContent = inReadersZone.format(new Date(time.dateTime));
  }
}

// For screen readers; the same text again is said again.
export function say(text) {
  const region = document.getElementById("said");
  region.textContent = "";
  requestAnimationFrame(() => { region.textContent = text; });
}

function isTyping(element) {
  return element.matches("input:not([type=range]):not([type=checkbox]), select, textarea, [contenteditable]");
}

const PLACES = { h: "/console", o: "/console/orders", e: "/console/events" };

function listenToKeys() {
  let afterG = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const search = document.querySelector("[data-search]");
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "?") {
      document.getElementById("keys").showModal();
    } else if (event.key === "g") {
      afterG = event.timeStamp;
      return;
    } else if (PLACES[event.key] && afterG && event.timeStamp - afterG < 1500) {
      location.assign(PLACES[event.key]);
    }
    afterG = 0;
  });
}

// Puts another version of the page's parts in, as soon as the slider rests.
function smoothSlider() {
  const form = document.querySelector("[data-slider]");
  if (!form) return;
  let asked = 0;
  const show = async () => {
    const number = ++asked;
    const url = `${form.action}?version=${form.elements.version.value}`;
    const answer = await fetch(url);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = page.querySelector("main");
    if (number !== asked) return;
    if (!answer.ok || !page.querySelector("[data-slider]")) return location.assign(url);
    writeTimes(main);
    document.querySelector("main").replaceChildren(...main.childNodes);
    history.replaceState(null, "", url);
    smoothSlider();
    const slider = document.getElementById("version");
    slider.focus({ preventScroll: true });
    say(document.querySelector("label[for=version]").textContent);
  };
  form.elements.version.addEventListener("change", show);
  form.addEventListener("submit", (event) => { event.preventDefault(); show(); });
}

const FRESH_MS = 1500;

// Puts what is new into a part, and leaves what the reader has open, focused or under the hand.
function putIn(part, news) {
  const open = [...part.querySelectorAll("details[open][id]")].map((details) => details.id);
  const known = new Set([...part.querySelectorAll("li[id]")].map((item) => item.id));
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const around = focused?.closest("[id]");
  const number = around ? [...around.querySelectorAll(focused.localName)].indexOf(focused) : -1;
  writeTimes(news);
  for (const item of news.querySelectorAll("li[id]")) item.classList.toggle("arrived", !known.has(item.id));
  part.replaceChildren(...news.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  const again = around && document.getElementById(around.id);
  (number < 0 ? again : again?.querySelectorAll(focused.localName)[number])?.focus({ preventScroll: true });
}

// A page with live parts asks for itself again and again, and says so when nobody answers.
function keepFresh() {
  if (!document.querySelector("main [data-live]")) return;
  const lost = document.getElementById("lost");
  const pause = document.querySelector("[data-pause]");
  const shown = new Map();
  let asking = false;
  const isPaused = () => pause?.getAttribute("aria-pressed") === "true";
  const look = async () => {
    if (asking || document.hidden || isPaused()) return;
    asking = true;
    const address = document.querySelector("main [data-live]").dataset.live || location.href;
    const answer = await fetch(address, { signal: AbortSignal.timeout(5000) }).catch(() => null);
    const text = answer?.ok ? await answer.text().catch(() => null) : null;
    asking = false;
    if (answer?.status === 401) return location.reload();
    lost.hidden = text !== null;
    if (text === null || isPaused()) return;
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const news = page.getElementById(part.id);
      if (!news || news.innerHTML === shown.get(part.id)) continue;
      shown.set(part.id, news.innerHTML);
      const [before, after] = [part, news].map((each) => each.querySelector("[data-said]")?.textContent ?? "");
      const outcome = news.querySelector("[data-outcome]")?.textContent;
      putIn(part, news);
      if (before !== after) say(after || outcome);
    }
  };
  const again = () => look().finally(() => setTimeout(again, FRESH_MS));
  setTimeout(again, FRESH_MS);
  document.addEventListener("visibilitychange", look);
  if (!pause) return;
  pause.hidden = false;
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(!isPaused()));
    look();
  });
}

writeTimes();
listenToKeys();
keepFresh();
smoothSlider();
