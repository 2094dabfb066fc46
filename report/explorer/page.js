"use strict";
// Data come as columns (scripts/vlselect/explorer/columns.py). Texts reach the page by textContent only.
const data = JSON.parse(document.getElementById("data").textContent);
const CARD = 166; // pixels from one card to the next
const get = (id) => document.getElementById(id);
const list = get("list"), space = get("space");
const selections = Object.keys(data.subsets), methods = Object.keys(data.scores);
const lower = data.turns.map((turns, i) => (data.id[i] + "\n" + turns.map((t) => t[1]).join("\n")).toLowerCase());
let order = [], opened = null;

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
  element.style.backgroundImage = `url("${encodeURIComponent(data.sheets)}/${Math.floor(image / per)}.jpg")`;
  element.style.backgroundSize = `${data.across * data.tile}px ${rows * data.tile}px`;
  element.style.backgroundPosition = `-${(place % data.across) * data.tile}px -${Math.floor(place / data.across) * data.tile}px`;
  element.title = data.image_names[image];
  return element;
}

function marks(i) {
  const box = make("div", "marks");
  if (data.votes) data.votes.tasks.forEach((task, t) => { if (data.votes.of[i][t]) box.append(make("span", "mark vote", task)); });
  for (const name of selections) {
    const place = rank(name, i);
    if (place !== null) box.append(make("span", "mark", `${name} #${place}`));
  }
  return box;
}

function card(i) {
  const element = make("article", i === opened ? "card open" : "card");
  element.dataset.sample = i;
  const images = data.images[i];
  element.append(images.length ? picture(images[0]) : make("div", "picture none", "no image"));
  const words = make("div", "words"), head = make("div", "head");
  head.append(make("b", "", data.id[i]), make("span", "", data.source[i]));
  if (images.length > 1) head.append(make("span", "", `${images.length} images`));
  if (data.cluster) head.append(make("span", "", `cluster ${data.cluster[i]}`));
  if (data.votes) head.append(make("span", "", `${data.votes.total[i]} votes`));
  words.append(head);
  for (const [role, text] of data.turns[i].slice(0, 2)) words.append(make("p", `turn ${role}`, text));
  words.append(marks(i));
  element.append(words);
  return element;
}

function draw() {
  const first = Math.max(0, Math.floor(list.scrollTop / CARD) - 2);
  const last = Math.min(order.length, Math.ceil((list.scrollTop + list.clientHeight) / CARD) + 2);
  const cards = [];
  for (let place = first; place < last; place++) {
    const element = card(order[place]);
    element.style.top = `${place * CARD + 8}px`;
    cards.push(element);
  }
  list.replaceChildren(space, ...cards);
}

function compare(key) {
  const [kind, name] = JSON.parse(key);
  const columns = { row: data.row, votes: data.votes && data.votes.total, cluster: data.cluster, score: data.scores[name], rank: name && data.subsets[name] && data.subsets[name].rank };
  const values = columns[kind], down = kind === "votes" || kind === "score";
  return (a, b) => {
    if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null) || a - b;
    return (down ? values[b] - values[a] : values[a] - values[b]) || a - b;
  };
}

function update() {
  const first = get("selection").value, second = get("other").value, chosen = get("chosen").value;
  const source = get("source").value, least = Number(get("votes").value) || 0, text = get("text").value.trim().toLowerCase();
  get("difference").disabled = !second;
  const difference = second ? get("difference").value : "any";
  order = data.row.map((_, i) => i).filter((i) => {
    const a = rank(first, i) !== null, b = rank(second, i) !== null;
    return (chosen === "all" || a === (chosen === "in"))
      && (difference === "any" || { both: a && b, first: a && !b, second: b && !a, neither: !a && !b }[difference])
      && (source === "" || data.source[i] === JSON.parse(source))
      && (!data.votes || data.votes.total[i] >= least)
      && (!text || lower[i].includes(text));
  }).sort(compare(get("sort").value));
  const shown = data.row.length < data.n_pool ? `${data.row.length} drawn from ${data.n_pool}` : `${data.n_pool}`;
  get("count").textContent = `${order.length} of ${shown} samples`;
  space.style.height = `${order.length * CARD + 16}px`;
  list.scrollTop = 0;
  draw();
}

function table(head, rows) {
  const element = make("table");
  for (const [cells, tag] of [[head, "th"], ...rows.map((row) => [row, "td"])]) {
    const line = make("tr");
    for (const cell of cells) line.append(make(tag, "", cell === null ? "–" : cell));
    element.append(line);
  }
  return element;
}

function show(i) {
  opened = i;
  const about = make("div"), pictures = make("div", "pictures");
  about.id = "about";
  about.append(make("h2", "", data.id[i]), make("p", "", `${data.source[i]}, row ${data.row[i]}` + (data.cluster ? `, cluster ${data.cluster[i]}` : "")));
  pictures.append(...data.images[i].map(picture));
  about.append(pictures);
  for (const [role, text] of data.turns[i]) about.append(make("p", `turn ${role}`, text));
  about.append(table(["selection", "rank", "score"], selections.map((name) => [name, rank(name, i), data.subsets[name].score[i]])));
  if (methods.length) about.append(table(["score of all samples by", "score"], methods.map((name) => [name, data.scores[name][i]])));
  if (data.votes) about.append(table(["vote of", ""], data.votes.tasks.map((task, t) => [task, data.votes.of[i][t] ? "yes" : "no"])));
  get("about").replaceWith(about);
  get("detail").hidden = false;
  draw();
}

function hide() { opened = null; get("detail").hidden = true; draw(); }

function start() {
  get("title").textContent = `Samples of ${data.run}`;
  document.title = `Samples of ${data.run}`;
  fill(get("selection"), selections.map((name) => [name, name]));
  fill(get("other"), [["", "nothing"], ...selections.map((name) => [name, name])]);
  const counts = new Map();
  for (const source of data.source) counts.set(source, (counts.get(source) || 0) + 1);
  fill(get("source"), [["", "all"], ...[...counts.keys()].sort().map((s) => [JSON.stringify(s), `${s} (${counts.get(s)})`])]);
  const keys = [["row"]];
  if (data.votes) keys.push(["votes"]);
  if (data.cluster) keys.push(["cluster"]);
  keys.push(...selections.map((name) => ["rank", name]), ...methods.map((name) => ["score", name]));
  fill(get("sort"), keys.map((key) => [JSON.stringify(key), key.join(": ")]));
  get("voted").hidden = !data.votes;
  get("controls").addEventListener("input", update);
  get("controls").addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("scroll", () => requestAnimationFrame(draw));
  list.addEventListener("click", (event) => { const at = event.target.closest(".card"); if (at) show(Number(at.dataset.sample)); });
  get("close").addEventListener("click", hide);
  window.addEventListener("resize", draw);
  window.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  update();
}

start();
