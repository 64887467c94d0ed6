// The keyboard.

import { $, element } from "./dom.js";
import { moveFocus, perLine, focusTile, togglePick } from "./grid.js";
import { closeLarge, isLarge } from "./large.js";

const TOLD = [
  ["← → ↑ ↓", "go from image to image"], ["Enter", "look at one image alone"], ["j  k", "next page, page before; of one image: next, before"],
  ["/", "write a query"], ["x", "pick the image"], ["b", "boxes"], ["m", "masks"], ["s", "save a view"],
  ["n", "next draw (of a config)"], ["Esc", "close, leave a field"], ["?", "these keys"],
];

function toggle(id) {
  if (!$(id).closest("[hidden]")) $(id).click();
}

function typed(event) {
  const at = event.target;
  return at.matches("input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select");
}

export function useKeys({ turn, step }) {
  $("keys").replaceChildren(...TOLD.flatMap(([keys, text]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, text)]));
  $("show-help").addEventListener("click", () => $("help").showModal());
  const move = async (by) => {
    const beyond = moveFocus(by);
    if (beyond && (await turn(beyond))) focusTile(beyond > 0 ? 0 : Infinity);
  };
  const large = { ArrowRight: () => step(1), ArrowLeft: () => step(-1), j: () => step(1), k: () => step(-1), Escape: closeLarge };
  const grid = {
    ArrowRight: () => move(1), ArrowLeft: () => move(-1), ArrowDown: () => move(perLine()), ArrowUp: () => move(-perLine()),
    j: () => turn(1), k: () => turn(-1), x: togglePick, s: () => toggle("save"),
    "/": () => { $("panel").open = true; $("query").focus(); },
  };
  const both = { b: () => toggle("boxes"), m: () => toggle("masks"), n: () => toggle("draw"), "?": () => $("help").showModal() };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typed(event)) {
      if (event.key === "Escape") { event.target.blur(); event.preventDefault(); }
      return;
    }
    if ($("help").open || $("save-dialog").open) return; // a dialog closes by Escape itself
    const ranged = event.target.matches("input[type=range], input[type=radio]") && event.key.startsWith("Arrow");
    const act = ranged ? null : (isLarge() ? large : grid)[event.key] || both[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
