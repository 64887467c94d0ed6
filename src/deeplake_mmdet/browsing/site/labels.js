// Places for labels of boxes where they hide neither each other nor the objects, as in this package's pictures.

const HIDES_AT_MOST = 0.1; // of the boxes below it, in parts of each one's area, summed
const MOST = 250;

function overlap(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return width > 0 && height > 0 ? width * height : 0;
}

function candidates([left, top, right, bottom], width, height) {
  const middle = (left + right - width) / 2;
  const beside = [
    [left, top - height], [right - width, top - height], [middle, top - height],
    [left, bottom], [right - width, bottom], [middle, bottom],
    [right, top], [left - width, top], [right, bottom - height], [left - width, bottom - height],
    [left, top], [right - width, top], [left, bottom - height], [right - width, bottom - height],
  ].map(([x, y]) => ({ x, y, far: 0 }));
  const centre = [(left + right) / 2, (top + bottom) / 2];
  const reach = [(right - left + width) / 2, (bottom - top + height) / 2];
  for (const step of [0.7, 1.5]) {
    for (let ray = 0; ray < 16; ray += 1) {
      const [c, s] = [Math.cos((ray * Math.PI) / 8), Math.sin((ray * Math.PI) / 8)];
      const most = Math.max(Math.abs(c), Math.abs(s));
      const x = centre[0] + (c / most) * (reach[0] + step * height) - width / 2;
      beside.push({ x, y: centre[1] + (s / most) * (reach[1] + step * height) - height / 2, far: step });
    }
  }
  return beside;
}

// boxes: [left, top, right, bottom], the most important first; sizes: [width, height]. Gives for each box
// {x, y, far} or null: far places need a line that leads to the box.
export function placeLabels(boxes, sizes, canvasWidth, canvasHeight) {
  const taken = [];
  return boxes.map((box, place) => {
    const [width, height] = sizes[place];
    if (place >= MOST || width > canvasWidth || height > canvasHeight) return null;
    let best = null;
    candidates(box, width, height).forEach((one, rank) => {
      const x = Math.min(Math.max(one.x, 0), canvasWidth - width);
      const y = Math.min(Math.max(one.y, 0), canvasHeight - height);
      const here = [x, y, x + width, y + height];
      const roomy = [x - 1, y - 1, x + width + 1, y + height + 1];
      if (taken.some((other) => overlap(roomy, other))) return;
      let hidden = 0;
      for (const other of boxes) {
        const common = overlap(here, other);
        if (common) hidden += common / Math.max((other[2] - other[0]) * (other[3] - other[1]), 1);
        if (hidden > HIDES_AT_MOST) return;
      }
      const cost = hidden * 10 + one.far * 0.6 + rank * 0.01;
      if (!best || cost < best.cost) best = { x, y, far: one.far, cost, here };
    });
    if (best) taken.push(best.here);
    return best;
  });
}
