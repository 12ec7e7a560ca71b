// Afterword in the browser: what people say and do after an AI answer. See producers/BROWSER.md.
//
// Each event is a record in localStorage, which all tabs share, until the gateway has answered for that very
// state of it. So a tab may die at any point, no retry brings an older vote back, and what arrives twice is
// one row. Lines that are comments are left out when this is served.
(() => {
  // Two script tags must not toggle each thumb twice.
  if (window.afterword?.rate) return;

  const script = document.currentScript;
  const key = script?.dataset.key || "";

  const warn = (...what) => console.warn("afterword:", ...what);

  const attempt = (action, otherwise) => {
    try {
      return action();
    } catch (error) {
      return otherwise?.(error);
    }
  };

  const url = attempt(() => new URL("v1/beacon", script.src).href);

  const safely = (action) => (...given) => url && attempt(() => action(...given), warn);

  // ---- Records: in localStorage where that is allowed, in memory where it is full.

  const PREFIX = `afterword/${key}/`;
  const local = attempt(() => localStorage) ?? {};
  const memory = {};

  const read = (name) => memory[name] ?? local[name];

  const forget = (name) => delete memory[name] && delete local[name];

  const write = (name, record) => {
    const text = JSON.stringify(record);
    forget(name);
    attempt(() => (local[name] = text), () => (memory[name] = text));
  };

  const recall = (name) => ({ name, text: read(name), ...attempt(() => JSON.parse(read(name))) });

  const recallAll = () =>
    [...Object.keys(memory), ...Object.keys(local)]
      .filter((name) => name.startsWith(PREFIX))
      .map(recall)
      .sort((a, b) => a.at - b.at);

  const put = (name, id, event, value) => {
    write(name, { at: Date.now(), id, value, event: { ...event, feedback_id: id } });
    sendIn(1000);
    let room = 1e5;
    for (const old of recallAll().reverse())
      if (old.text.length <= room) room -= old.text.length;
      else if (forget(old.name) && old.event) warn("too much is unsent; dropped:", ++api.dropped);
    return id;
  };

  // ---- Sending: one request at a time over all tabs, each with what is unsent when its turn comes.

  const MAX_BYTES = 6e4;
  let maxEvents = 20;
  let failures = 0;
  let resumeAt = 0;
  let beaconedAt = 0;
  let turn = Promise.resolve();
  let timer;

  const sendIn = (ms) => (timer ??= setTimeout(takeTurn, ms));

  const takeTurn = () => {
    timer = undefined;
    turn = turn.then(alone).catch(warn);
  };

  // A tab that waited for the lock would read storage before it shows what the other tab has just sent.
  const alone = () =>
    navigator.locks
      ?.request("afterword", { ifAvailable: true }, (lock) => (lock ? send() : sendIn(1000)))
      .catch(send) ?? send();

  const send = async () => {
    const waitMs = resumeAt - performance.now();
    if (waitMs > 0) return sendIn(waitMs);
    const [batch, body] = pack();
    if (!batch[0]) return;
    const response = await fetch(url, {
      method: "POST",
      body,
      keepalive: body.size < MAX_BYTES,
      signal: AbortSignal.timeout?.(3e4),
    }).catch(() => {});
    if ([200, 207, 400, 401, 403, 413, 422].includes(response?.status)) await settle(batch, response);
    else backOff(response?.headers.get("retry-after"));
    sendIn(0);
  };

  // The oldest of what is unsent, as much as browsers take from a page that goes away (64 KiB), or one event that is
  // larger. It goes as text, for JSON would need a preflight.
  const pack = (batch = recallAll().filter(({ event }) => event).slice(0, maxEvents)) => {
    const text = JSON.stringify({ key, events: batch.map(({ event }) => event) });
    const body = new Blob([text], { type: "text/plain" });
    return body.size < MAX_BYTES || !batch[1] ? [batch, body] : pack(batch.slice(0, batch.length / 2));
  };

  // What the gateway has judged is never sent again, unless the page has changed it since.
  const settle = async (batch, response) => {
    const { errors = [] } = await response.json().catch(() => ({}));
    for (const { index, code, path, detail } of errors) warn(detail, code, path, batch[index]?.event ?? location.origin);
    failures = 0;
    if ([401, 403].includes(response.status)) maxEvents = 0;
    else if ([400, 413].includes(response.status) && batch[1]) maxEvents = batch.length >> 1;
    else
      for (const { name, text, at, id, value } of batch)
        if (read(name) === text) name.endsWith(id) ? forget(name) : write(name, { at, id, value });
  };

  // As long as the gateway asks for, and twice as long each time.
  const backOff = (retryAfter) => {
    const waitS = Math.max(Math.min(+retryAfter || 0, 3600), Math.min(2 ** ++failures, 300));
    resumeAt = performance.now() + waitS * (1000 + 250 * Math.random());
  };

  // A beacon has no answer, so what it took stays unsent until a request has one.
  const hide = () => {
    safely(leave)(document.activeElement);
    const [batch, body] = pack();
    const at = batch.at(-1)?.at;
    if (at > beaconedAt && performance.now() >= resumeAt && navigator.sendBeacon(url, body)) beaconedAt = at;
  };

  // ---- What a page can say.

  const uuid7 = () => {
    const time = Date.now().toString(16).padStart(12, "0");
    const bytes = [...crypto.getRandomValues(new Uint8Array(9))];
    const random = bytes.map((byte) => (256 + byte).toString(16).slice(1)).join("");
    return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-8${random.slice(3, 6)}-${random.slice(6)}`;
  };

  const feedback = (fields, id = fields.feedback_id ?? uuid7()) => put(PREFIX + id, id, fields);

  // Of each answer there is one vote and one signal of each kind; their ids are kept for the next visit.
  const recallOf = (kind, { trace_id, session_id, span_id }) =>
    recall(PREFIX + JSON.stringify([kind, trace_id || session_id, span_id]));

  const say = (kind, target, fields, value) => {
    if (!(target.trace_id || target.session_id || target.span_id)) throw Error("no data-trace-id");
    const { name, id = uuid7() } = recallOf(kind, target);
    return put(name, id, fields ? { ...target, ...fields } : { op: "clear" }, value);
  };

  const rate = (target, value, fields) => {
    if (typeof target === "string") target = { trace_id: target };
    if (target.closest) target = targetOf(target);
    const id = say("vote", target, value != null && { value, ...fields }, value);
    paint(document);
    return id;
  };

  const api = (window.afterword = { feedback: safely(feedback), rate: safely(rate), dropped: 0 });
  if (!url) return warn("no script tag with this src, nothing is sent");

  // ---- What people do with the answers that the page marks.

  const within = (node, name = "") => node?.closest?.(`[data-afterword${name}]`);

  const targetOf = (node) => {
    const { traceId, sessionId, spanId, metadata } = within(node)?.dataset ?? {};
    return { trace_id: traceId, session_id: sessionId, span_id: spanId, metadata };
  };

  const SIGNALS = { copied: [1, 0.3], regenerated: [-1, 0.2], edited: [0, 0.3] };

  const signal = (kind, node, said) => {
    const [value, weight] = SIGNALS[kind];
    say(kind, targetOf(node), { source: "implicit", value, weight, feedback: { [kind]: true, ...said } });
  };

  const valueOf = (thumb) => (thumb.dataset.afterwordThumb === "up" ? 1 : -1);

  const isPressed = (thumb) => recallOf("vote", targetOf(thumb)).value === valueOf(thumb);

  const paint = (root) =>
    root.querySelectorAll("[data-afterword-thumb]").forEach((thumb) => {
      const pressed = `${isPressed(thumb)}`;
      if (thumb.ariaPressed !== pressed) thumb.setAttribute("aria-pressed", pressed);
    });

  const click = (node) => {
    const thumb = within(node, "-thumb");
    if (thumb) {
      const value = valueOf(thumb);
      rate(thumb, isPressed(thumb) ? null : value, { feedback: { rating: value > 0 } });
    }
    if (within(node, "-copy")) signal("copied", node);
    const reason = within(node, "-regenerate")?.dataset.afterwordRegenerate;
    if (reason != null) signal("regenerated", node, reason && { regeneration: { reason } });
  };

  const copy = (node) => {
    const text = within(node, "-text") && `${getSelection()}`;
    if (within(node)) signal("copied", node, text && { copy: { text } });
  };

  const edits = new WeakMap();

  const textOf = (editor) => editor.value ?? editor.innerText;

  const enter = (node) => {
    if (!within(node, "-edit")) return;
    const now = textOf(node);
    if (now !== edits.get(node)?.now) edits.set(node, { was: now, now });
  };

  const leave = (node) => {
    const edit = edits.get(node);
    const now = edit && textOf(node);
    if (now === edit?.now) return;
    edit.now = now;
    if (now === edit.was) say("edited", targetOf(node));
    else signal("edited", node, within(node, "-text") && { edits: [{ value: now, original: edit.was }] });
  };

  const listen = (type, action, where = document) =>
    where.addEventListener(type, safely(({ target }) => action(target)), true);

  listen("click", click);
  listen("copy", copy);
  listen("focusin", enter);
  listen("focusout", leave);
  listen("change", leave);
  listen("visibilitychange", () => document.hidden && hide());
  listen("pagehide", hide, window);
  listen("storage", () => paint(document), window);
  listen("online", () => takeTurn((resumeAt = 0)), window);

  const repaint = safely((changes) => new Set(changes.map(({ target }) => target)).forEach(paint));
  new MutationObserver(repaint).observe(document, {
    childList: true,
    subtree: true,
    attributeFilter: ["data-trace-id"],
  });

  enter(document.activeElement);
  paint(document);
  sendIn(0);
})();
