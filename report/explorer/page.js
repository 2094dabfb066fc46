"use strict";
// Data are columns (scripts/vlselect/explorer/columns.py). Texts are inserted with textContent only.
const data = JSON.parse(document.getElementById("data").textContent);
const CARD = 176; // pixels from one card to the next
const get = (id) => document.getElementById(id);
const list = get("list"), space = get("space");
const selections = Object.keys(data.subsets), methods = Object.keys(data.scores);
const lower = data.turns.map((turns, i) => (data.id[i] + "\n" + turns.map((t) => t[1]).join("\n")).toLowerCase());
let order = [], opened = null;

// Building blocks

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function fill(select, entries) {
  for (const [value, text] of entries) {
    const option = make("option", "", text);
    option.value = value;
    select.append(option);
  }
}

function rank(name, i) { return name ? data.subsets[name].rank[i] : null; }

function picture(image) {
  const element = make("div", "picture");
  const per = data.across * data.across, place = image % per;
  const rows = Math.ceil(Math.min(per, data.image_names.length - (image - place)) / data.across);
  const share = (tile, tiles) => (tiles > 1 ? (100 * tile) / (tiles - 1) : 0); // as CSS counts positions
  element.style.backgroundImage = `url("${encodeURIComponent(data.sheets)}/${Math.floor(image / per)}.jpg")`;
  element.style.backgroundSize = `${data.across * 100}% ${rows * 100}%`;
  element.style.backgroundPosition = `${share(place % data.across, data.across)}% ${share(Math.floor(place / data.across), rows)}%`;
  element.title = data.image_names[image];
  return element;
}

// The list: only visible cards exist

function marks(i) {
  const box = make("div", "marks"), compared = { first: get("selection").value, second: get("other").value };
  let others = selections.filter((name) => rank(name, i) !== null).length;
  for (const [which, name] of Object.entries(compared)) {
    if (rank(name, i) === null) continue;
    box.append(make("span", `mark ${which}`, `#${rank(name, i)} ${name}`));
    others -= 1;
  }
  if (others > 0) box.append(make("span", "mark", others > 1 ? `in ${others} other selections` : "in another selection"));
  if (data.votes) data.votes.tasks.forEach((task, t) => { if (data.votes.of[i][t]) box.append(make("span", "mark vote", task)); });
  return box;
}

function card(i) {
  const element = make("article", i === opened ? "card open" : "card");
  element.dataset.sample = i;
  element.tabIndex = 0;
  const images = data.images[i];
  element.append(images.length ? picture(images[0]) : make("div", "picture none", "no image"));
  const words = make("div", "words"), head = make("div", "head");
  head.append(make("b", "", data.id[i]), make("span", "", data.source[i]));
  if (images.length > 1) head.append(make("span", "", `${images.length} images`));
  if (data.cluster) head.append(make("span", "", `cluster ${data.cluster[i]}`));
  if (data.votes) head.append(make("span", "", `${data.votes.total[i]} vote${data.votes.total[i] === 1 ? "" : "s"}`));
  words.append(head);
  for (const [role, text] of data.turns[i].slice(0, 2)) words.append(make("p", `turn ${role}`, text));
  words.append(marks(i));
  element.append(words);
  return element;
}

function draw() {
  const first = Math.max(0, Math.floor(list.scrollTop / CARD) - 2);
  const last = Math.min(order.length, Math.ceil((list.scrollTop + list.clientHeight) / CARD) + 2);
  const focused = document.activeElement.dataset.sample;
  const cards = [];
  for (let place = first; place < last; place++) {
    const element = card(order[place]);
    element.style.top = `${place * CARD + 8}px`;
    cards.push(element);
  }
  list.replaceChildren(space, ...cards);
  const again = focused && cards.find((element) => element.dataset.sample === focused);
  if (again) again.focus({ preventScroll: true });
}

// Filters, order, comparison

function column(key) {
  const [kind, name] = JSON.parse(key);
  return {
    row: () => data.row,
    votes: () => data.votes.total,
    cluster: () => data.cluster,
    rank: () => data.subsets[name].rank,
    score: () => data.scores[name],
  }[kind]();
}

function compare(key, reversed) {
  const values = column(key), falls = /votes|score/.test(JSON.parse(key)[0]) !== reversed;
  return (a, b) => {
    if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null) || a - b;
    return (falls ? values[b] - values[a] : values[a] - values[b]) || a - b;
  };
}

function passes() {
  const selection = get("selection").value, chosen = get("chosen").value;
  const source = get("source").value, least = Number(get("votes").value) || 0, voter = get("voter").value;
  const text = get("text").value.trim().toLowerCase();
  return (i) => (chosen === "all" || (rank(selection, i) !== null) === (chosen === "in"))
    && (source === "" || data.source[i] === JSON.parse(source))
    && (!data.votes || data.votes.total[i] >= least)
    && (voter === "" || data.votes.of[i][voter] === 1)
    && (text === "" || lower[i].includes(text));
}

function parts(samples, first, second) {
  const part = { both: [], first: [], second: [], neither: [] };
  for (const i of samples) {
    const a = rank(first, i) !== null, b = rank(second, i) !== null;
    part[a && b ? "both" : a ? "first" : b ? "second" : "neither"].push(i);
  }
  return part;
}

function update() {
  const first = get("selection").value, second = get("other").value;
  get("difference").disabled = !second;
  order = [...data.row.keys()].filter(passes());
  let counts = "";
  if (second) {
    const part = parts(order, first, second);
    counts = `: ${part.both.length} chosen by both, ${part.first.length} only by ${first},`
      + ` ${part.second.length} only by ${second}, ${part.neither.length} by neither`;
    const difference = get("difference").value;
    if (difference !== "any") {
      counts = ` shown; of ${order.length} that match the other filters${counts}`;
      order = part[difference];
    }
  }
  order.sort(compare(get("sort").value, get("reversed").checked));
  const shown = data.row.length < data.n_pool ? `${data.row.length} drawn from ${data.n_pool}` : `${data.n_pool}`;
  get("count").textContent = `${order.length} of ${shown} samples${counts}`;
  space.style.height = `${order.length * CARD + 16}px`;
  list.scrollTop = 0;
  offer();
  draw();
}

// One sample

function table(title, head, rows) {
  const box = make("section"), element = make("table");
  for (const [cells, tag] of [[head, "th"], ...rows.map((row) => [row, "td"])]) {
    const line = make("tr", cells[1] === null ? "absent" : "");
    for (const cell of cells) line.append(make(tag, "", cell === null ? "–" : cell));
    element.append(line);
  }
  box.append(make("h3", "", title), element);
  return box;
}

function show(i) {
  opened = i;
  const pictures = make("div", "pictures"), parts = [pictures];
  pictures.append(...data.images[i].map(picture));
  for (const [role, text] of data.turns[i]) {
    const turn = make("p", `turn ${role}`, text);
    turn.dataset.role = role;
    parts.push(turn);
  }
  if (data.votes) {
    const votes = data.votes.tasks.map((task, t) => [task, data.votes.of[i][t] ? "yes" : null]);
    parts.push(table(`Votes: ${data.votes.total[i]} of ${votes.length}`, ["task", "votes for it"], votes));
  }
  const ranks = selections.map((name) => [name, rank(name, i), data.subsets[name].score[i]]);
  parts.push(table("Selections", ["selection", "rank", "score"], ranks));
  if (methods.length) parts.push(table("Scores of the whole pool", ["method", "score"], methods.map((name) => [name, data.scores[name][i]])));
  const about = `${data.source[i]}, row ${data.row[i]}` + (data.cluster ? `, cluster ${data.cluster[i]}` : "");
  get("about").replaceChildren(make("h2", "", data.id[i]), make("p", "about", about), ...parts);
  get("detail").hidden = false;
  get("detail").scrollTop = 0;
  offer();
  draw();
}

function hide() { opened = null; get("detail").hidden = true; draw(); }

function offer() {
  const place = order.indexOf(opened);
  get("before").disabled = place < 1;
  get("after").disabled = place + 1 >= order.length;
}

function step(by) {
  const place = order.indexOf(opened) + by;
  if (opened === null || place < 0 || place >= order.length) return;
  show(order[place]);
  const top = place * CARD, lowest = top + CARD + 16 - list.clientHeight;
  list.scrollTop = Math.min(Math.max(list.scrollTop, lowest), top);
}

// Start

function press(event) {
  if (event.key === "Escape") hide();
  if (event.target.closest("form")) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
  if (event.key === "Enter" && event.target.closest(".card")) show(Number(event.target.dataset.sample));
}

function start() {
  get("title").textContent = document.title = `Samples of ${data.run}`;
  get("filters").open = matchMedia("(min-width: 701px)").matches;
  fill(get("selection"), selections.map((name) => [name, name]));
  fill(get("other"), [["", "nothing"], ...selections.map((name) => [name, name])]);
  const counts = new Map();
  for (const source of data.source) counts.set(source, (counts.get(source) || 0) + 1);
  fill(get("source"), [["", "all"], ...[...counts.keys()].sort().map((s) => [JSON.stringify(s), `${s} (${counts.get(s)})`])]);
  fill(get("voter"), [["", "any task"], ...(data.votes ? data.votes.tasks.map((task, t) => [t, task]) : [])]);
  const keys = [["row"]];
  if (data.votes) keys.push(["votes"]);
  if (data.cluster) keys.push(["cluster"]);
  keys.push(...selections.map((name) => ["rank", name]), ...methods.map((name) => ["score", name]));
  fill(get("sort"), keys.map((key) => [JSON.stringify(key), key.join(": ")]));
  for (const label of document.querySelectorAll(".voting")) label.hidden = !data.votes;
  get("controls").addEventListener("input", update);
  get("controls").addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("scroll", () => requestAnimationFrame(draw));
  list.addEventListener("click", (event) => { const at = event.target.closest(".card"); if (at) show(Number(at.dataset.sample)); });
  get("before").addEventListener("click", () => step(-1));
  get("after").addEventListener("click", () => step(1));
  get("close").addEventListener("click", hide);
  window.addEventListener("resize", draw);
  window.addEventListener("keydown", press);
  update();
}

start();
