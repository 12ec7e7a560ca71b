// Afterword in the browser: what people say and do after an AI answer. See producers/docs/browser.md.
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
  const inform = (what) => console.info("afterword:", what);

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

  const write = (name, record, place = local) => {
    const text = JSON.stringify(record);
    forget(name);
    attempt(() => (place[name] = text), () => (memory[name] = text));
  };

  const recall = (name) => {
    const record = { name, text: read(name), ...attempt(() => JSON.parse(read(name))) };
    if (record.held && record.until < Date.now()) record.event = unbound(record);
    return record;
  };

  const recallAll = () =>
    [...Object.keys(memory), ...Object.keys(local)]
      .filter((name) => name.startsWith(PREFIX))
      .map(recall)
      .sort((a, b) => a.at - b.at);

  // Unsent events and known ids share one room; the first texts of edited answers have another.
  const put = (name, id, event, kept) => {
    write(name, { at: Date.now(), id, event: event && { ...event, feedback_id: id }, ...kept });
    sendIn(1000);
    const rooms = [1e5, 1e5];
    for (const old of recallAll().reverse()) {
      const room = +!!old.texts;
      if (old.text.length <= rooms[room]) rooms[room] -= old.text.length;
      else if (forget(old.name) && (old.event || old.held)) warn("too much is unsent; dropped:", ++api.dropped);
    }
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
    for (const { index, code, path, detail } of errors)
      warn(detail, code, path, batch[index]?.event ?? location.origin);
    failures = 0;
    if ([401, 403].includes(response.status)) maxEvents = 0;
    else if ([400, 413].includes(response.status) && batch[1]) maxEvents = batch.length >> 1;
    else
      for (const { name, text, event, until, held, ...kept } of batch)
        if (read(name) === text) name.endsWith(kept.id) ? forget(name) : write(name, kept);
  };

  // As long as the gateway asks for, and twice as long each time.
  const backOff = (retryAfter) => {
    const waitS = Math.max(Math.min(+retryAfter || 0, 3600), Math.min(2 ** ++failures, 300));
    resumeAt = performance.now() + waitS * (1000 + 250 * Math.random());
  };

  // A beacon has no answer, so what it took stays unsent until a request has one.
  const hide = () => {
    safely(decide)();
    safely(tellLeft)(document.activeElement);
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
  const recallOf = (kind, { trace_id, session_id, span_id, slot }) =>
    recall(PREFIX + JSON.stringify([kind, trace_id || session_id, slot || span_id]));

  // A user's number may have more digits than JSON.parse keeps.
  const parse = (metadata) => JSON.parse(metadata.replace(/("_user"\s*:\s*)(-?\d+)/g, '$1"$2"'));

  const userOf = (metadata) =>
    attempt(() => `${(metadata.trim ? parse(metadata) : metadata)._user ?? ""}`) || undefined;

  const clearOf = (user) => ({ op: "clear", metadata: user && { _user: user } });

  // The gateway keeps apart what each user said: who signs in takes what was said before along.
  const say = (kind, { slot, ...target }, fields, value, fresh = uuid7()) => {
    if (!slot && !(target.trace_id || target.session_id || target.span_id)) throw Error("no data-trace-id");
    const { name, id, user: before } = recallOf(kind, { ...target, slot });
    const event = { ...target, ...fields };
    let user = userOf(event.metadata);
    if (!fields) user = before && (user ?? before);
    if (slot) return hold(slot, name, id ?? fresh, { value, user, held: [target, fields] });
    if (fields && id && user && !before) put(PREFIX + id, id, clearOf());
    return put(name, id ?? fresh, fields ? event : clearOf(user), { value, user });
  };

  const rate = (target, value, fields) => {
    if (typeof target === "string") target = { trace_id: target };
    if (target.closest) target = targetOf(target);
    else {
      const { user } = recallOf("vote", target);
      target = { metadata: user && { _user: user }, ...target };
    }
    const id = say("vote", target, value != null && { value, ...fields }, value);
    paint(document);
    return id;
  };

  // ---- Answers whose trace id is to come: what is said of them waits for it.

  const slots = new WeakMap();
  const lostWithPage = new Set();

  // By its id an element is known again after a reload, or when a framework has replaced it.
  const slotOf = (answer) => {
    if (answer.id) return `#${answer.id}`;
    if (!slots.has(answer)) slots.set(answer, uuid7());
    return slots.get(answer);
  };

  const hold = (slot, name, id, kept) => {
    inform("waits for data-trace-id");
    if (slot[0] !== "#") lostWithPage.add(name);
    return put(name, id, undefined, { ...kept, until: Date.now() + 36e5 });
  };

  const bind = (answer) => {
    if (!answer.dataset?.traceId || !(answer.id || slots.has(answer))) return;
    const target = targetOf(answer);
    const slot = slotOf(answer);
    // The session may have come later, too.
    for (const session_id of [target.session_id, undefined])
      for (const kind of ["vote", "texts", ...Object.keys(SIGNALS)]) take(kind, { session_id, slot }, target);
  };

  const take = (kind, before, target) => {
    const { name, id, at, value, held, texts } = recallOf(kind, before);
    if (!at) return;
    forget(name);
    const known = recallOf(kind, target);
    if (held && !(known.at > at)) say(kind, target, held[1], value, id);
    if (texts && !known.at) write(known.name, { at, texts });
  };

  // The trace id did not come. What was said is about the session then, and says how.
  const unbound = ({ id, user, held: [target, fields] }) => ({
    ...(fields ? { ...target, ...fields, feedback: { ...fields.feedback, streaming: true } } : clearOf(user)),
    feedback_id: id,
  });

  const letGo = () =>
    lostWithPage.forEach((name) => {
      const { id, value, user, held, until } = recall(name);
      if (until) write(name, { at: Date.now(), id, value, user, held, until: 1 });
    });

  // ---- What people do with the answers that the page marks.

  const within = (node, name = "") => node?.closest?.(`[data-afterword${name}]`);

  const targetOf = (node) => {
    const answer = within(node);
    const { afterword, traceId, sessionId, spanId, metadata } = answer?.dataset ?? {};
    const waits = afterword !== "session" && (traceId === "" || (!traceId && !spanId && sessionId));
    return {
      trace_id: traceId || undefined,
      session_id: sessionId,
      span_id: spanId,
      metadata,
      slot: waits ? slotOf(answer) : undefined,
    };
  };

  const SIGNALS = { copied: [1, 0.3], regenerated: [-1, 0.2], edited: [0, 0.3] };

  const signal = (kind, node, said) => {
    const [value, weight] = SIGNALS[kind];
    say(kind, targetOf(node), { source: "implicit", value, weight, feedback: { [kind]: true, ...said } });
  };

  const valueOf = (thumb) => (thumb.dataset.afterwordThumb === "up" ? 1 : -1);

  const isPressed = (thumb) => {
    const target = targetOf(thumb);
    const { value, user } = recallOf("vote", target);
    return value === valueOf(thumb) && (!user || user === userOf(target.metadata));
  };

  const paint = (root) => {
    [root, ...root.querySelectorAll("[data-afterword]")].forEach(bind);
    root.querySelectorAll("[data-afterword-thumb]").forEach((thumb) => {
      const pressed = `${isPressed(thumb)}`;
      if (thumb.ariaPressed !== pressed) thumb.setAttribute("aria-pressed", pressed);
    });
  };

  const click = (node) => {
    pressing = undefined;
    const thumb = within(node, "-thumb");
    if (thumb) {
      const value = valueOf(thumb);
      rate(thumb, isPressed(thumb) ? null : value, { feedback: { rating: value > 0 } });
    }
    if (within(node, "-copy")) signal("copied", node);
    const reason = within(node, "-regenerate")?.dataset.afterwordRegenerate;
    if (reason != null) signal("regenerated", node, reason && { regeneration: { reason } });
    const button = within(node, "-save");
    if (button && !(button.form && button.type === "submit")) save(node);
    if (within(node, "-cancel")) cancel(within(node));
    setTimeout(safely(decide));
  };

  const copy = (node) => {
    const text = within(node, "-text") && `${getSelection()}`;
    if (within(node)) signal("copied", node, text && { copy: { text } });
  };

  // ---- Edits. Where the answer marks what saves, or has a form for it, saving counts; elsewhere leaving does.

  const EDITORS = "textarea,select,[contenteditable],input:not([type=button],[type=submit],[type=reset])";

  // Of each editor: its text at first, as it was last left, and as it was last told.
  const edits = new WeakMap();
  const undecided = new Set();
  let pressing;

  const stateOf = (node) => edits.get(node) ?? {};

  const textOf = (editor) => editor.value ?? editor.innerText;

  const enter = (node) => {
    if (!within(node, "-edit")) return;
    const text = textOf(node);
    if (text !== stateOf(node).left) edits.set(node, { start: text, left: text, told: text });
  };

  // The click that cancels comes after its editor was left. And some browsers leave an editor that is removed.
  const leave = (node, { relatedTarget }) => {
    const edit = edits.get(node);
    if (!edit) return;
    edit.left = textOf(node);
    const next = relatedTarget ?? pressing;
    queueMicrotask(
      safely(() => {
        undecided.add(node);
        if (!next || within(next) !== within(node) || next.matches(EDITORS)) decide();
      }),
    );
  };

  const decide = () =>
    undecided.forEach((node) => {
      undecided.delete(node);
      const { start, left, told } = stateOf(node);
      const text = textOf(node);
      if (text === left || (text !== start && text !== told)) tellLeft(node, left);
    });

  const tellLeft = (node, text = textOf(node)) => {
    const answer = within(node);
    const marked = answer?.querySelector("[data-afterword-save],[data-afterword-cancel]");
    const { told = text, escaped } = stateOf(node);
    if (told === text || escaped || marked || answer?.contains(node.closest("form") ?? document)) return;
    if (node.isConnected) tell(node, text);
    else inform("edit not counted: no data-afterword-save");
  };

  const fieldOf = (node) => node.name || [...(within(node) ?? document).querySelectorAll(EDITORS)].indexOf(node);

  const tell = (node, text = textOf(node)) => {
    const edit = edits.get(node);
    if (edit.told === text) return;
    edit.told = edit.left = text;
    const target = targetOf(node);
    const sent = within(node, "-text");
    const { name, texts = {} } = recallOf("texts", target);
    const field = fieldOf(node);
    texts[field] = [texts[field]?.[0] ?? edit.start, text];
    // What may not be sent does not outlive the page either.
    write(name, { at: Date.now(), texts }, sent ? local : memory);
    const changed = Object.values(texts).filter(([original, value]) => original !== value);
    if (!changed[0]) say("edited", target);
    else signal("edited", node, sent && { edits: changed.map(([original, value]) => ({ value, original })) });
  };

  const editorsIn = (scope) => [...scope.querySelectorAll("*"), scope].filter((node) => edits.has(node));

  const save = (node) => editorsIn(within(node)).forEach((editor) => tell(editor));

  const cancel = (scope) => editorsIn(scope).forEach((editor) => edits.delete(editor));

  const escape = (node, { key, isComposing }) => {
    pressing = undefined;
    if (key === "Escape" && !isComposing) stateOf(node).escaped = true;
  };

  const api = (window.afterword = { feedback: safely(feedback), rate: safely(rate), save: safely(save), dropped: 0 });
  if (!url) return warn("no src, nothing is sent");

  const listen = (type, action, where = document) =>
    where.addEventListener(type, safely((event) => action(event.target, event)), true);

  listen("click", click);
  listen("copy", copy);
  listen("focusin", enter);
  listen("blur", leave);
  listen("pointerdown", (node) => (pressing = node));
  listen("keydown", escape);
  listen("input", (node) => (stateOf(node).escaped = false));
  listen("change", (node) => node === document.activeElement && tellLeft(node));
  listen("submit", (form) => editorsIn(form).forEach((editor) => tell(editor)));
  listen("reset", cancel);
  listen("visibilitychange", () => document.hidden && hide());
  listen("pagehide", () => hide(letGo()), window);
  listen("storage", () => paint(document), window);
  listen("online", () => takeTurn((resumeAt = 0)), window);

  const repaint = safely((changes) => new Set(changes.map(({ target }) => target)).forEach(paint));
  new MutationObserver(repaint).observe(document, {
    childList: true,
    subtree: true,
    attributeFilter: ["data-trace-id", "data-session-id", "data-metadata"],
  });

  enter(document.activeElement);
  paint(document);
  sendIn(0);
})();
