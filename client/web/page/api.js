// What the page asks its server, and whether the server is there.

const RETRY_MS = [1000, 2000, 4000, 8000];
const PULSE_MS = 10000;
const BUSY_MS = 1500;
const PATIENCE_MS = 15000;

/** What the server says went wrong: a class, one sentence, and a remedy. */
export class Refusal extends Error {
  constructor({ kind, message, remedy = "", status = 0 }) {
    super(message);
    Object.assign(this, { kind, remedy, status });
  }
}

/** Tells "lost" and "back", and "closed" where another server has taken its place. */
export const connection = Object.assign(new EventTarget(), { isLost: false, tries: 0 });

/** What the index holds; tells "change". `value` is null until the server has answered once. */
export const facts = Object.assign(new EventTarget(), { value: null });

export async function getJson(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).filter((one) => one !== null && one !== undefined)
      .map((one) => [name, one])));
  return (await ask(query.size ? `${path}?${query}` : path, { signal })).json();
}

export async function postJson(path, content, signal = undefined) {
  return (await post(path, JSON.stringify(content), { "Content-Type": "application/json" }, signal)).json();
}

/** The answer's bytes as a picture's address, to be given back by `URL.revokeObjectURL`. */
export async function postForPicture(path, content, signal = undefined) {
  const answer = await post(path, JSON.stringify(content), { "Content-Type": "application/json" }, signal);
  return URL.createObjectURL(await answer.blob());
}

export async function upload(file, signal = undefined) {
  const limit = facts.value?.limits?.max_upload_bytes;
  if (limit && file.size > limit) {
    throw new Refusal({ kind: "TooLargeError", status: 413,
      message: `'${file.name}' has ${mebibytes(file.size)}; at most ${mebibytes(limit)} are taken.`, remedy: "Cut the part out that you look for." });
  }
  const headers = { "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(file.name) };
  return (await post("/api/uploads", file, headers, signal)).json();
}

export async function getPoints() {
  return (await ask("/api/map/points", {})).arrayBuffer();
}

/** Why a file could not be shown, in the server's words. */
export async function whyNot(address) {
  try {
    await ask(address, { headers: { Range: "bytes=0-0" } });
    return "This browser cannot play it.";
  } catch (error) {
    return error.message;
  }
}

export async function refreshFacts() {
  try {
    const value = await getJson("/api/index", {}, AbortSignal.timeout(PATIENCE_MS));
    const isNew = JSON.stringify(value) !== JSON.stringify(facts.value);
    facts.value = value;
    if (isNew) facts.dispatchEvent(new Event("change"));
  } catch (error) {
    if (error.status === 403) connection.dispatchEvent(new Event("closed"));
    if (!connection.isLost) throw error;
  }
}

/** Follow the index: often while something is under way, seldom otherwise, not at all in a hidden tab. */
export function followFacts() {
  const isBusy = () => facts.value && (facts.value.map === "computing" || isStarting(facts.value.embedder));
  const next = () => setTimeout(async () => {
    if (!document.hidden && !connection.isLost) await refreshFacts().catch(() => {});
    next();
  }, isBusy() ? BUSY_MS : PULSE_MS);
  next();
}

/** Whether the model is on its way, and not refused. */
export function isStarting(embedder) {
  return !embedder.ready && !embedder.message;
}

const post = (path, body, headers, signal) =>
  ask(path, { method: "POST", body, headers: { "X-CoCon": "1", ...headers }, signal });

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    lose();
    throw new Refusal({ kind: "ConnectionLost", message: "The server does not answer." });
  }
  find();
  if (!answer.ok) throw await refusalOf(answer);
  return answer;
}

async function refusalOf(answer) {
  try {
    const { error } = await answer.json();
    return new Refusal({ kind: error.class, message: error.message, remedy: error.remedy ?? "", status: answer.status });
  } catch {
    return new Refusal({ kind: "ServerError", message: `The server answered ${answer.status}.`, status: answer.status });
  }
}

function lose() {
  if (connection.isLost) return;
  Object.assign(connection, { isLost: true, tries: 0 });
  connection.dispatchEvent(new Event("lost"));
  retryLater();
}

function find() {
  if (!connection.isLost) return;
  connection.isLost = false;
  connection.dispatchEvent(new Event("back"));
}

function retryLater() {
  setTimeout(async () => {
    if (!connection.isLost) return;
    connection.tries += 1;
    await refreshFacts().catch(() => {});
    if (connection.isLost) retryLater();
  }, RETRY_MS[Math.min(connection.tries, RETRY_MS.length - 1)]);
}

const mebibytes = (bytes) => `${Math.ceil(bytes / 2 ** 20).toLocaleString("en")} MiB`;
