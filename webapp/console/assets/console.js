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

const PLACES = { h: "/console", o: "/console/orders" };

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

writeTimes();
listenToKeys();
smoothSlider();
