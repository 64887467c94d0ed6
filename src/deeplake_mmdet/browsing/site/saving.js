// Saving what was found, or picked, as a view of the lake.

import { post } from "./api.js";
import { $, number } from "./dom.js";
import { filters, picked } from "./state.js";

export function openSaving(found) {
  $("save-found").textContent = `the ${number(found)} images that the filters leave`;
  $("save-picked").textContent = `the ${number(picked.size)} picked images`;
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
    $("save-told").textContent = `Saved ${number(saved.rows)} images. Train on them with view='${saved.name}'.`;
  } catch (error) {
    $("save-told").textContent = error.message;
  }
  $("save-go").disabled = false;
});
$("save-close").addEventListener("click", () => $("save-dialog").close());
