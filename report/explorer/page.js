"use strict";
// Data are columns (scripts/vlselect/explorer/columns.py). Texts are inserted with textContent only.
const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const selections = Object.keys(data.subsets), methods = Object.keys(data.scores);
const lower = data.turns.map((turns, i) => (data.id[i] + "\n" + turns.map((t) => t[1]).join("\n")).toLowerCase());
let order = [], matching = [], opened = null;

// Building blocks

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function button(className, text, press) {
  const element = make("button", className, text);
  element.type = "button";
  if (press) element.addEventListener("click", press);
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
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", `Image ${data.image_names[image]}`);
  return element;
}

function whole(image) {
  const element = make("img");
  element.src = `${encodeURIComponent(data.sheets)}/large/${image}.jpg`;
  element.alt = `Image ${data.image_names[image]}`;
  return element;
}

function large(image) { // what a click shows in full size; images that are smaller than a tile are not files
  if (Math.max(...data.sizes[image]) <= data.tile || data.pixels <= data.tile) return picture(image);
  const element = button("zoom", "", () => enlarge(image));
  element.title = "Full size";
  element.append(whole(image));
  return element;
}

function enlarge(image) {
  const [width, height] = data.sizes[image], reduced = Math.max(width, height) > data.pixels;
  get("size").textContent = `${data.image_names[image]}, ${width} × ${height}` + (reduced ? `, here ${data.pixels} at most` : "");
  get("picture").replaceChildren(whole(image));
  get("full").showModal();
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
  const selection = get("selection").value, chosen = get("chosen").value, cluster = get("cluster").value;
  const source = get("source").value, least = Number(get("votes").value) || 0, voter = get("voter").value;
  const text = get("text").value.trim().toLowerCase();
  return (i) => (chosen === "all" || (rank(selection, i) !== null) === (chosen === "in"))
    && (source === "" || data.source[i] === JSON.parse(source))
    && (cluster === "" || data.cluster[i] === Number(cluster))
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
  get("difference").disabled = !second || view() === "difference";
  matching = [...data.row.keys()].filter(passes());
  matching.sort(compare(get("sort").value, get("reversed").checked));
  order = matching;
  let counts = "";
  if (second) {
    const part = parts(order, first, second);
    counts = `: ${part.both.length} chosen by both, ${part.first.length} only by ${first},`
      + ` ${part.second.length} only by ${second}, ${part.neither.length} by neither`;
    const difference = get("difference").value;
    if (difference !== "any" && view() !== "difference") {
      counts = ` shown; of ${order.length} that match the other filters${counts}`;
      order = part[difference];
    }
  }
  const shown = data.row.length < data.n_pool ? `${data.row.length} drawn from ${data.n_pool}` : `${data.n_pool}`;
  get("count").textContent = `${order.length} of ${shown} samples${counts}`;
  lay();
  offer();
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
  pictures.append(...data.images[i].map(large));
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
  const title = make("h2", "", data.id[i]);
  title.tabIndex = -1;
  get("about").replaceChildren(title, make("p", "about", about), ...parts);
  get("detail").hidden = false;
  get("detail").scrollTop = 0;
  document.body.classList.add("reading");
  place(); // the list is narrower now
  reveal(order.indexOf(i));
  offer();
  title.focus({ preventScroll: true });
}

function hide() {
  const last = opened;
  opened = null;
  get("detail").hidden = true;
  document.body.classList.remove("reading");
  place();
  if (last !== null) focusCard(last);
}

function offer() {
  const at = order.indexOf(opened);
  get("before").disabled = at < 1;
  get("after").disabled = at + 1 >= order.length;
}

function step(by) {
  const at = order.indexOf(opened) + by;
  if (opened === null || at < 0 || at >= order.length) return;
  show(order[at]);
}

// Start

function press(event) {
  if (get("full").open || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") hide();
  if (event.target.closest("form, fieldset")) return;
  const card = event.target.closest(".card");
  if (card && !get("items").hidden) move(event, Number(card.dataset.sample));
  else if (opened !== null && event.key === "ArrowLeft") step(-1);
  else if (opened !== null && event.key === "ArrowRight") step(1);
}

function offerChoices() {
  fill(get("selection"), selections.map((name) => [name, name]));
  fill(get("other"), [["", "nothing"], ...selections.map((name) => [name, name])]);
  const counts = new Map();
  for (const source of data.source) counts.set(source, (counts.get(source) || 0) + 1);
  fill(get("source"), [["", "all"], ...[...counts.keys()].sort().map((s) => [JSON.stringify(s), `${s} (${counts.get(s)})`])]);
  const clusters = [...new Set(data.cluster || [])].sort((a, b) => a - b);
  fill(get("cluster"), [["", "all"], ...clusters.map((cluster) => [cluster, cluster])]);
  fill(get("voter"), [["", "any task"], ...(data.votes ? data.votes.tasks.map((task, t) => [t, task]) : [])]);
  const keys = [["row"]];
  if (data.votes) keys.push(["votes"]);
  if (data.cluster) keys.push(["cluster"]);
  keys.push(...selections.map((name) => ["rank", name]), ...methods.map((name) => ["score", name]));
  fill(get("sort"), keys.map((key) => [JSON.stringify(key), key.join(": ")]));
  for (const label of document.querySelectorAll(".voting")) label.hidden = !data.votes;
  for (const label of document.querySelectorAll(".clustered")) label.hidden = !data.cluster;
}

function start() {
  get("title").textContent = document.title = `Samples of ${data.run}`;
  get("filters").open = matchMedia("(min-width: 701px)").matches;
  offerChoices();
  get("controls").addEventListener("input", update);
  get("controls").addEventListener("submit", (event) => event.preventDefault());
  get("views").addEventListener("input", change);
  get("list").addEventListener("scroll", () => requestAnimationFrame(draw));
  get("list").addEventListener("click", (event) => { const at = event.target.closest(".card"); if (at) show(Number(at.dataset.sample)); });
  get("before").addEventListener("click", () => step(-1));
  get("after").addEventListener("click", () => step(1));
  get("close").addEventListener("click", hide);
  window.addEventListener("resize", place);
  window.addEventListener("keydown", press);
  window.addEventListener("beforeprint", print);
  window.addEventListener("afterprint", place);
  update();
}
