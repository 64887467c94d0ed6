// Asking the server; its errors are texts for people.

export class Told extends Error {}

async function answered(asking) {
  let answer;
  try {
    answer = await asking;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Told("The command deeplake-mmdet browse no longer runs.");
  }
  const told = await answer.json().catch(() => null);
  if (answer.ok && told && !told.error) return told;
  const error = told && told.error;
  if (!error) throw new Told(answer.status === 403 ? "This page was opened without its token." : `Error ${answer.status}.`);
  const parts = [`${error.what.replace(/\.$/, "")}.`];
  if (error.advice) parts.push(`What to do: ${error.advice}.`);
  throw new Told(parts.join(" "));
}

export function get(address, signal) {
  return answered(fetch(address, { signal }));
}

export function post(address, body) {
  const headers = { "content-type": "application/json" };
  return answered(fetch(address, { method: "POST", headers, body: JSON.stringify(body) }));
}
