// Saving what was found, or picked, as a view of the lake.

import { post } from "./api.js";
import { $, number } from "./dom.js";
import { filters, picked } from "./state.js";

const images = (count) => `${number(count)} image${count === 1 ? "" : "s"}`;

export function openSaving(found) {
  $("save-found").textContent = `what the filters leave: ${images(found)}`;
  $("save-picked").textContent = `what is picked: ${images(picked.size)}`;
  const which = $("save-form").elements.which;
  which.value = picked.size ? "picked" : "found";
  [...which].find((one) => one.value === "picked").disabled = !picked.size;
  $("save-told").textContent = "";
  $("save-dialog").showModal();
  $("save-name").focus();
}

$("save-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const rows = $("save-form").elements.which.value === "picked" ? [...picked] : null;
  const body = { name: $("save-name").value, overwrite: $("save-overwrite").checked, rows, filters: filters() };
  $("save-go").disabled = true;
  $("save-told").textContent = "Saving…";
  try {
    const saved = await post("/api/view", body);
    $("save-told").textContent = `Saved ${images(saved.rows)}. Train on this view with view='${saved.name}'.`;
  } catch (error) {
    $("save-told").textContent = error.message;
  }
  $("save-go").disabled = false;
});
$("save-close").addEventListener("click", () => $("save-dialog").close());
