// The list and the gallery, of which only visible cards exist; the difference of two selections; printing.
const list = get("list"), items = get("items"), space = make("div", "space");
const GAP = 8, CARD = 176, TILE = 200, WORDS = 73; // pixels: between cards, of a card of the list, of a tile and its words
const MORE = 30, PRINTED = 100, CLUSTERS = 10; // tiles in a column at first, samples on paper, clusters in the table
const PARTS = ["first", "both", "second"];
let grid = { columns: 1, height: CARD, width: 0 };

function view() { return document.querySelector("[name=view]:checked").value; }

function change() {
  if (view() === "difference" && !get("other").value) {
    get("other").value = selections.find((name) => name !== get("selection").value) || "";
  }
  update();
}

function lay() { // what is shown has changed
  const apart = view() === "difference";
  items.hidden = apart;
  get("compared").hidden = !apart;
  list.scrollTop = 0;
  if (apart) differ();
  place();
}

function place() { // the room for it has changed, too
  document.body.classList.remove("printing");
  const room = list.clientWidth - 2 * GAP, before = grid, top = Math.round(list.scrollTop / grid.height) * grid.columns;
  const columns = view() === "gallery" ? Math.max(2, Math.floor((room + GAP) / (TILE + GAP))) : 1;
  const width = (room - (columns - 1) * GAP) / columns;
  grid = { columns, width, height: columns > 1 ? width + WORDS + GAP : CARD };
  space.style.height = `${Math.ceil(order.length / columns) * grid.height + 2 * GAP}px`;
  if (grid.height !== before.height) list.scrollTop = Math.floor(top / columns) * grid.height;
  draw();
}

function draw() {
  if (items.hidden || document.body.classList.contains("printing")) return;
  const above = Math.floor(list.scrollTop / grid.height) - 1;
  const below = Math.ceil((list.scrollTop + list.clientHeight) / grid.height) + 1;
  const first = Math.max(0, above * grid.columns), last = Math.min(order.length, below * grid.columns);
  const focused = document.activeElement.closest(".card")?.dataset.sample;
  const cards = [];
  for (let at = first; at < last; at++) {
    const element = card(order[at], grid.columns > 1);
    element.setAttribute("aria-posinset", at + 1);
    element.setAttribute("aria-setsize", order.length);
    element.style.width = `${grid.width}px`;
    element.style.height = `${grid.height - GAP}px`;
    element.style.left = `${GAP + (at % grid.columns) * (grid.width + GAP)}px`;
    element.style.top = `${Math.floor(at / grid.columns) * grid.height + GAP}px`;
    cards.push(element);
  }
  items.replaceChildren(space, ...cards);
  if (focused) focusCard(Number(focused));
}

// Cards

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

function ranks(i) { // of a tile, in the colours of the two selections
  const box = make("div", "ranks");
  for (const [which, id] of [["first", "selection"], ["second", "other"]]) {
    const name = get(id).value;
    if (rank(name, i) === null) continue;
    const mark = make("span", `mark ${which}`, `#${rank(name, i)}`);
    mark.title = name;
    box.append(mark);
  }
  return box;
}

function card(i, tile) {
  const element = make("article", `card${tile ? " tile" : ""}${i === opened ? " open" : ""}`);
  element.dataset.sample = i;
  element.setAttribute("aria-label", data.id[i]);
  const images = data.images[i], name = button("name");
  name.append(make("b", "", data.id[i]));
  if (images.length) element.append(picture(images[0]));
  else element.append(make("div", "picture none", tile ? data.turns[i].map((turn) => turn[1]).join("\n") : "no image"));
  const words = make("div", "words"), head = make("div", "head");
  head.append(name, make("span", "", data.source[i]));
  words.append(...(tile ? [ranks(i)] : []), head);
  element.append(words);
  if (tile) {
    words.append(make("p", "turn assistant", data.turns[i].find((turn) => turn[0] === "assistant")?.[1]));
    return element;
  }
  if (images.length > 1) head.append(make("span", "", `${images.length} images`));
  if (data.cluster) head.append(make("span", "", `cluster ${data.cluster[i]}`));
  if (data.votes) head.append(make("span", "", `${data.votes.total[i]} vote${data.votes.total[i] === 1 ? "" : "s"}`));
  for (const [role, text] of data.turns[i].slice(0, 2)) words.append(make("p", `turn ${role}`, text));
  words.append(marks(i));
  return element;
}

function focusCard(i) {
  list.querySelector(`.card[data-sample="${i}"] .name`)?.focus({ preventScroll: true });
}

function reveal(at) { // scroll as little as shows a place
  if (items.hidden) return;
  const top = Math.floor(at / grid.columns) * grid.height, lowest = top + grid.height + 2 * GAP - list.clientHeight;
  list.scrollTop = Math.min(Math.max(list.scrollTop, lowest), top);
  draw();
}

function move(event, i) { // from card to card by the arrows
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -grid.columns, ArrowDown: grid.columns }[event.key];
  const ends = { Home: 0, End: order.length - 1 }[event.key];
  const at = ends ?? order.indexOf(i) + by;
  if (!(at >= 0 && at < order.length)) return;
  event.preventDefault();
  reveal(at);
  focusCard(order[at]);
}

// Two selections side by side

function differ() {
  const first = get("selection").value, second = get("other").value, box = get("compared");
  if (!second || first === second) {
    box.replaceChildren(make("p", "hint", "Choose two selections to compare, under “Selection” and “Compare with”."));
    return;
  }
  const part = parts(matching, first, second);
  const names = { first: `only ${first}`, both: "both", second: `only ${second}` };
  const tables = make("div", "tables");
  tables.append(tally("By source", "source", (i) => data.source[i], part, names, Infinity));
  if (data.cluster) tables.append(tally("By cluster", "cluster", (i) => data.cluster[i], part, names, CLUSTERS));
  const columns = make("div", "columns");
  for (const which of PARTS) columns.append(pile(names[which], which, part[which]));
  box.replaceChildren(tables, columns);
}

function tally(title, what, group, part, names, most) { // a row for each group, those that differ most first
  const counts = new Map();
  for (const which of PARTS) {
    for (const i of part[which]) {
      if (!counts.has(group(i))) counts.set(group(i), { first: 0, both: 0, second: 0 });
      counts.get(group(i))[which] += 1;
    }
  }
  const apart = ([, n]) => Math.abs(n.first - n.second) + (n.first + n.second) / 1e9; // of equals, the less alike
  const rows = [...counts].sort((a, b) => apart(b) - apart(a)).slice(0, most);
  const widest = Math.max(...rows.map(([, n]) => n.first + n.both + n.second));
  const box = make("section"), element = make("table"), head = make("tr");
  for (const name of [what, ...PARTS.map((which) => names[which])]) head.append(breakable(make("th", "", name)));
  head.append(make("td"));
  element.append(head, ...rows.map(([key, n]) => tallied(what, key, n, widest)));
  const note = rows.length < counts.size ? `, the ${rows.length} of ${counts.size} that differ most` : "";
  box.append(make("h2", "", title + note), element);
  return box;
}

function breakable(element) { // long names of selections, after / and _
  const parts = element.textContent.split(/(?<=[/_])/);
  element.replaceChildren(...parts.flatMap((part) => [part, document.createElement("wbr")]));
  return element;
}

function tallied(what, key, n, widest) {
  const line = make("tr"), name = make("th"), bar = make("td", "bar");
  name.scope = "row";
  name.append(button("link", key, () => { get(what).value = what === "source" ? JSON.stringify(key) : key; update(); }));
  line.append(name, ...PARTS.map((which) => make("td", "", n[which])), bar);
  for (const which of PARTS) {
    const piece = make("span", which);
    piece.style.width = `${(100 * n[which]) / widest}%`;
    bar.append(piece);
  }
  return line;
}

function pile(title, which, samples) {
  const box = make("section", "pile"), tiles = make("div", "tiles");
  const more = button("more", "", () => add());
  function add() {
    const have = tiles.childElementCount;
    tiles.append(...samples.slice(have, have + MORE).map((i) => card(i, true)));
    const left = samples.length - tiles.childElementCount;
    more.hidden = left === 0;
    more.textContent = `Show more (${left} left)`;
  }
  const heading = make("h2", `mark ${which}`, `${samples.length} ${title}`);
  box.append(heading, tiles, more);
  add();
  return box;
}

// Paper: the first samples in the order of the list

function print() {
  document.body.classList.add("printing");
  if (!items.hidden) items.replaceChildren(...order.slice(0, PRINTED).map((i) => card(i, grid.columns > 1)));
}

start();
