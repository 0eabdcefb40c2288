/**
 * Places of the nodes of a graph in which things flow from left to right: layers (Sugiyama, Tagawa and Toda 1981), few
 * crossings by barycentres, then the heights that fit their neighbours best, found exactly for one layer at a time (pool
 * adjacent violators, Ayer et al. 1955). Pure.
 */

/**
 * @typedef {{id: string, layer: number, y: number, height: number, before: Spot[], after: Spot[], isReal: boolean}} Spot
 * @typedef {{x: number, y: number}} Point
 * @typedef {{from: string, to: string, points: Point[]}} DrawnEdge
 * @typedef {{places: Map<string, Point>, edges: DrawnEdge[], width: number, height: number}} Layout places: upper left corners
 */

const ORDER_SWEEPS = 12;
const HEIGHT_SWEEPS = 16;
const BEND_HEIGHT = 10;

/**
 * @param {readonly string[]} ids
 * @param {readonly {from: string, to: string}[]} edges
 * @param {{width: number, height: number, gapX: number, gapY: number}} size of a node, and between nodes
 * @returns {Layout}
 */
export function layOut(ids, edges, size) {
  const known = new Set(ids);
  const kept = edges.filter(({ from, to }) => known.has(from) && known.has(to) && from !== to);
  const turned = backEdges(ids, kept);
  const flow = kept.map((edge) => (turned.has(edge) ? { from: edge.to, to: edge.from } : edge));
  const layerOf = layersOf(ids, flow);
  /** @type {Map<string, Spot>} */
  const spots = new Map(ids.map((id) => [id, spot(id, layerOf.get(id) ?? 0, size.height, true)]));
  const paths = flow.map(({ from, to }, index) => pathThrough(/** @type {Spot} */ (spots.get(from)), /** @type {Spot} */ (spots.get(to)), index));
  const layers = inLayers([...spots.values(), ...paths.flatMap((path) => path.slice(1, -1))]);
  orderLayers(layers);
  setHeights(layers, size.gapY);
  return drawn({ kept, turned, paths, spots, layers, size });
}

/** @param {string} id @param {number} layer @param {number} height @param {boolean} isReal @returns {Spot} */
const spot = (id, layer, height, isReal) => ({ id, layer, y: 0, height, before: [], after: [], isReal });

/**
 * Edges that lead back to where one came from: turned round, the rest has no circle.
 * @template {{from: string, to: string}} E @param {readonly string[]} ids @param {readonly E[]} edges @returns {Set<E>}
 */
function backEdges(ids, edges) {
  /** @type {Map<string, E[]>} */
  const out = new Map();
  const hasBefore = new Set();
  for (const edge of edges) {
    (out.get(edge.from) ?? out.set(edge.from, []).get(edge.from))?.push(edge);
    hasBefore.add(edge.to);
  }
  /** @type {Set<E>} */
  const found = new Set();
  const state = new Map();
  const starts = [...ids.filter((id) => !hasBefore.has(id)), ...ids];
  for (const start of starts) {
    if (state.has(start)) continue;
    // No recursion: a chain of thousands of versions is nothing unusual.
    const stack = [{ id: start, next: 0 }];
    state.set(start, 'open');
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const edge = out.get(top.id)?.[top.next];
      top.next += 1;
      if (!edge) {
        state.set(top.id, 'done');
        stack.pop();
      } else if (state.get(edge.to) === 'open') found.add(edge);
      else if (!state.has(edge.to)) {
        state.set(edge.to, 'open');
        stack.push({ id: edge.to, next: 0 });
      }
    }
  }
  return found;
}

/** The longest way from a start; what has nothing before it stands right before what it leads to. @param {readonly string[]} ids @param {readonly {from: string, to: string}[]} flow */
function layersOf(ids, flow) {
  /** @type {Map<string, string[]>} */
  const after = new Map(ids.map((id) => [id, []]));
  const nBefore = new Map(ids.map((id) => [id, 0]));
  for (const { from, to } of flow) {
    after.get(from)?.push(to);
    nBefore.set(to, (nBefore.get(to) ?? 0) + 1);
  }
  const isStart = new Set(ids.filter((id) => nBefore.get(id) === 0));
  const layerOf = new Map(ids.map((id) => [id, 0]));
  const ready = [...isStart];
  for (let place = 0; place < ready.length; place += 1) {
    for (const next of after.get(ready[place]) ?? []) {
      layerOf.set(next, Math.max(layerOf.get(next) ?? 0, (layerOf.get(ready[place]) ?? 0) + 1));
      nBefore.set(next, (nBefore.get(next) ?? 0) - 1);
      if (nBefore.get(next) === 0) ready.push(next);
    }
  }
  for (const id of isStart) {
    const nexts = (after.get(id) ?? []).map((next) => layerOf.get(next) ?? 0);
    if (nexts.length > 0) layerOf.set(id, Math.min(...nexts) - 1);
  }
  return layerOf;
}

/** Make the bends of an edge that passes other layers, and tell all of its spots of one another. @param {Spot} from @param {Spot} to @param {number} index */
function pathThrough(from, to, index) {
  const path = [from];
  for (let layer = from.layer + 1; layer < to.layer; layer += 1) path.push(spot(`bend ${index} ${layer}`, layer, BEND_HEIGHT, false));
  path.push(to);
  for (let i = 1; i < path.length; i += 1) {
    path[i - 1].after.push(path[i]);
    path[i].before.push(path[i - 1]);
  }
  return path;
}

/** @param {readonly Spot[]} spots */
function inLayers(spots) {
  /** @type {Spot[][]} */
  const layers = [];
  for (const one of spots) (layers[one.layer] ??= []).push(one);
  return Array.from(layers, (layer) => layer ?? []);
}

/** @param {Spot[][]} layers */
function orderLayers(layers) {
  const place = new Map();
  const number = (/** @type {Spot[]} */ layer) => layer.forEach((one, index) => place.set(one, index));
  layers.forEach(number);
  let best = layers.map((layer) => [...layer]);
  let fewest = nCrossings(layers, place);
  for (let sweep = 0; sweep < ORDER_SWEEPS && fewest > 0; sweep += 1) {
    const isDown = sweep % 2 === 0;
    for (const layer of isDown ? layers : [...layers].reverse()) {
      const wish = new Map(layer.map((one) => [one, mean((isDown ? one.before : one.after).map((other) => place.get(other)), place.get(one))]));
      layer.sort((a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0));
      number(layer);
    }
    const n = nCrossings(layers, place);
    if (n >= fewest) continue;
    [fewest, best] = [n, layers.map((layer) => [...layer])];
  }
  best.forEach((layer, index) => { layers[index] = layer; });
}

/** @param {readonly number[]} values @param {number} otherwise */
function mean(values, otherwise) {
  return values.length === 0 ? otherwise : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Between neighbouring layers, counted with a tree of sums (Barth, Jünger and Mutzel 2002). @param {Spot[][]} layers @param {Map<Spot, number>} place */
function nCrossings(layers, place) {
  let total = 0;
  for (let i = 1; i < layers.length; i += 1) {
    const ends = layers[i - 1].flatMap((one) => one.after.map((other) => place.get(other) ?? 0).sort((a, b) => a - b));
    const tree = new Array(layers[i].length + 1).fill(0);
    ends.forEach((end, nSoFar) => {
      let nBelow = 0;
      for (let k = end + 1; k > 0; k -= k & -k) nBelow += tree[k];
      total += nSoFar - nBelow;
      for (let k = end + 1; k < tree.length; k += k & -k) tree[k] += 1;
    });
  }
  return total;
}

/** @param {Spot[][]} layers @param {number} gap */
function setHeights(layers, gap) {
  const middle = (/** @type {Spot} */ one) => one.y + one.height / 2;
  for (const layer of layers) placeLayer(layer, layer.map((_, index) => index), gap);
  for (let sweep = 0; sweep < HEIGHT_SWEEPS; sweep += 1) {
    const isDown = sweep % 2 === 0;
    const isLast = sweep >= HEIGHT_SWEEPS - 2;
    for (const layer of isDown ? layers : [...layers].reverse()) {
      const wishes = layer.map((one) => {
        const others = isLast ? [...one.before, ...one.after] : isDown ? one.before : one.after;
        return mean(others.map(middle), middle(one)) - one.height / 2;
      });
      placeLayer(layer, wishes, gap);
    }
  }
  const top = Math.min(...layers.flat().map((one) => one.y));
  for (const one of layers.flat()) one.y -= top;
}

/** Place a layer's spots in their order, none over another, as near to their wishes as can be. @param {Spot[]} layer @param {number[]} wishes @param {number} gap */
function placeLayer(layer, wishes, gap) {
  /** @type {{sum: number, n: number}[]} */
  const blocks = [];
  let offset = 0;
  const offsets = layer.map((one, index) => {
    const here = offset;
    const next = layer[index + 1];
    offset += one.height + (one.isReal && next?.isReal ? gap : gap / 2);
    return here;
  });
  layer.forEach((_, index) => {
    blocks.push({ sum: wishes[index] - offsets[index], n: 1 });
    for (;;) {
      const [last, above] = [blocks[blocks.length - 1], blocks[blocks.length - 2]];
      if (!above || above.sum / above.n <= last.sum / last.n) break;
      blocks.splice(-2, 2, { sum: above.sum + last.sum, n: above.n + last.n });
    }
  });
  let index = 0;
  for (const { sum, n } of blocks) {
    for (let i = 0; i < n; i += 1, index += 1) layer[index].y = sum / n + offsets[index];
  }
}

/**
 * @param {{kept: readonly {from: string, to: string}[], turned: ReadonlySet<object>, paths: Spot[][], spots: Map<string, Spot>,
 *   layers: Spot[][], size: {width: number, height: number, gapX: number}}} facts
 * @returns {Layout}
 */
function drawn({ kept, turned, paths, spots, layers, size }) {
  const left = (/** @type {Spot} */ one) => one.layer * (size.width + size.gapX);
  const edges = kept.map((edge, index) => {
    const points = paths[index].flatMap((one, place) => {
      const y = one.y + one.height / 2;
      const ends = [{ x: left(one), y }, { x: left(one) + size.width, y }];
      return place === 0 ? [ends[1]] : place === paths[index].length - 1 ? [ends[0]] : ends;
    });
    return { from: edge.from, to: edge.to, points: turned.has(edge) ? points.reverse() : points };
  });
  return {
    places: new Map([...spots].map(([id, one]) => [id, { x: left(one), y: one.y }])),
    edges,
    width: Math.max(0, layers.length * (size.width + size.gapX) - size.gapX),
    height: Math.max(0, ...layers.flat().map((one) => one.y + one.height)),
  };
}

/** A line through points, level at each of them. @param {readonly Point[]} points */
export function curve(points) {
  return points.map(({ x, y }, index) => {
    if (index === 0) return `M${round(x)} ${round(y)}`;
    const from = points[index - 1];
    if (from.y === y) return `L${round(x)} ${round(y)}`;
    const half = (from.x + x) / 2;
    return `C${round(half)} ${round(from.y)} ${round(half)} ${round(y)} ${round(x)} ${round(y)}`;
  }).join('');
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;
