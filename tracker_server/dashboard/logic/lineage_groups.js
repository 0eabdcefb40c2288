/**
 * Which nodes of a lineage are drawn as one. Nodes that stand in the same place of the graph (the same artifact or
 * project, with the same kinds of neighbours, as far as one looks) are siblings; more than a few of them become a cluster.
 * The classes are those of partition refinement (Hopcroft 1971; Kanellakis and Smolka 1983), stopped early where they
 * would be too many to be looked at. Pure.
 */

/** @typedef {import('../artifact_types.js').LineageNode} LineageNode */
/**
 * @typedef {object} Item what is drawn: a node, or several
 * @property {string} id
 * @property {'run'|'version'} kind
 * @property {LineageNode[]} members
 * @property {boolean} isFocus
 * @typedef {{from: string, to: string, n: number}} ItemEdge n: how many edges it stands for
 */

export const MAX_SIBLINGS = 5;
export const MAX_DRAWN = 120;

/** @param {LineageNode} node @returns {'run'|'version'} */
export const kindOf = (node) => (node.run ? 'run' : 'version');

/** @type {((node: LineageNode) => string)[]} from fine to coarse */
const SORTS = [
  (node) => (node.run ? `run ${node.run.project}` : `version ${node.version?.project}/${node.version?.name}`),
  (node) => (node.run ? 'run' : `version ${node.version?.type}`),
  (node) => kindOf(node),
];

/**
 * @param {readonly LineageNode[]} nodes
 * @param {readonly (readonly [string, string])[]} edges
 * @param {{focus: string, expanded: ReadonlySet<string>}} options focus: the node looked at, never in a cluster;
 *   expanded: nodes that somebody wants to see one by one
 * @returns {{items: Item[], edges: ItemEdge[]}}
 */
export function groupLineage(nodes, edges, { focus, expanded }) {
  const neighbours = neighboursOf(nodes, edges);
  const classes = bestClasses(nodes, neighbours, focus);
  /** @type {Item[]} */
  const items = [];
  /** @type {Map<string, string>} node to item */
  const itemOf = new Map();
  for (const members of classes) {
    const isCluster = members.length > MAX_SIBLINGS || (members.length > 1 && classes.length > MAX_DRAWN);
    const alone = isCluster ? members.filter(({ id }) => expanded.has(id)) : members;
    const together = isCluster ? members.filter(({ id }) => !expanded.has(id)) : [];
    if (together.length > 0) add(together);
    for (const node of alone) add([node]);
  }
  return { items, edges: itemEdges(edges, itemOf) };

  /** @param {LineageNode[]} members */
  function add(members) {
    const id = members.length === 1 ? members[0].id : `cluster ${members[0].id}`;
    items.push({ id, kind: kindOf(members[0]), members, isFocus: members.some((node) => node.id === focus) });
    for (const node of members) itemOf.set(node.id, id);
  }
}

/** @typedef {Map<string, {before: string[], after: string[]}>} Neighbours */

/** @param {readonly LineageNode[]} nodes @param {readonly (readonly [string, string])[]} edges @returns {Neighbours} */
function neighboursOf(nodes, edges) {
  /** @type {Neighbours} */
  const found = new Map(nodes.map(({ id }) => [id, { before: [], after: [] }]));
  for (const [from, to] of edges) {
    found.get(from)?.after.push(to);
    found.get(to)?.before.push(from);
  }
  return found;
}

/** The finest classes that can still be looked at. @param {readonly LineageNode[]} nodes @param {Neighbours} neighbours @param {string} focus */
function bestClasses(nodes, neighbours, focus) {
  /** @type {LineageNode[][]} */
  let best = [];
  for (const sort of SORTS) {
    let colours = numbered(nodes, (node) => (node.id === focus ? 'focus' : sort(node)));
    best = classesOf(nodes, colours);
    if (nDrawn(best) > MAX_DRAWN) continue;
    for (;;) {
      const before = colours;
      const finer = numbered(nodes, ({ id }) => [before.get(id), ...sides(neighbours, id, before)].join('|'));
      const classes = classesOf(nodes, finer);
      if (classes.length === best.length || nDrawn(classes) > MAX_DRAWN) return best;
      [best, colours] = [classes, finer];
    }
  }
  return best;
}

/** @param {Neighbours} neighbours @param {string} id @param {ReadonlyMap<string, number>} colours */
function sides(neighbours, id, colours) {
  const { before, after } = /** @type {{before: string[], after: string[]}} */ (neighbours.get(id));
  return [before, after].map((ids) => [...new Set(ids.map((other) => colours.get(other)))].sort().join(','));
}

/** @param {readonly LineageNode[]} nodes @param {(node: LineageNode) => string} signature @returns {Map<string, number>} */
function numbered(nodes, signature) {
  /** @type {Map<string, number>} */
  const numbers = new Map();
  return new Map(nodes.map((node) => {
    const text = signature(node);
    if (!numbers.has(text)) numbers.set(text, numbers.size);
    return [node.id, /** @type {number} */ (numbers.get(text))];
  }));
}

/** @param {readonly LineageNode[]} nodes @param {ReadonlyMap<string, number>} colours @returns {LineageNode[][]} */
function classesOf(nodes, colours) {
  /** @type {LineageNode[][]} */
  const classes = [];
  for (const node of nodes) (classes[/** @type {number} */ (colours.get(node.id))] ??= []).push(node);
  return classes;
}

/** @param {LineageNode[][]} classes */
function nDrawn(classes) {
  return classes.reduce((total, members) => total + (members.length > MAX_SIBLINGS ? 1 : members.length), 0);
}

/** @param {readonly (readonly [string, string])[]} edges @param {ReadonlyMap<string, string>} itemOf @returns {ItemEdge[]} */
function itemEdges(edges, itemOf) {
  /** @type {Map<string, ItemEdge>} */
  const found = new Map();
  for (const [start, end] of edges) {
    const [from, to] = [itemOf.get(start), itemOf.get(end)];
    if (from === undefined || to === undefined || from === to) continue;
    const key = `${from}\n${to}`;
    const known = found.get(key);
    if (known) known.n += 1;
    else found.set(key, { from, to, n: 1 });
  }
  return [...found.values()];
}
