import type { StreamOptions } from './requests.js';
import { invalidAnswer } from './answers.js';
import { parsedJson } from '../json-text.js';

/** More than the events of any dataset take. */
const MAX_EVENT_CHARACTERS = 4 * 1024 * 1024;

/** The service sends a comment every 15 s. */
const MAX_SILENT_SECONDS = 40;

/**
 * Yields `open` once the answer begins, then events until it ends. Parses only what this service sends of server-sent events
 * (https://html.spec.whatwg.org/#server-sent-events).
 *
 * @throws the signal's reason; TrainyardError; DOMException TimeoutError after `maxSilentSeconds`
 */
export async function* eventsIn(
  open: (signal: AbortSignal) => Promise<Response>,
  { signal, maxSilentSeconds = MAX_SILENT_SECONDS }: StreamOptions,
): AsyncGenerator<{ name: string; data: unknown }> {
  const ending = new AbortController();
  const stop = () => ending.abort(signal?.reason);
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop);
  /** Runs only during reads: the caller may take longer for an event. */
  const limited = async <T>(work: Promise<T>): Promise<T> => {
    const reason = new DOMException(`Nothing has arrived for ${maxSilentSeconds} seconds.`, 'TimeoutError');
    const timer = setTimeout(() => ending.abort(reason), maxSilentSeconds * 1000);
    return work.finally(() => clearTimeout(timer));
  };
  try {
    const { status, body } = await limited(open(ending.signal));
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    if (reader === undefined) return;
    try {
      yield { name: 'open', data: undefined };
      yield* eventsFrom(() => limited(reader.read()), status);
    } finally {
      await reader.cancel();
    }
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

async function* eventsFrom(read: () => Promise<{ done: boolean; value?: string | undefined }>, status: number) {
  let text = '';
  for (let part = await read(); !part.done; part = await read()) {
    const events = (text + (part.value ?? '')).split('\n\n');
    text = events.pop() ?? '';
    if (text.length > MAX_EVENT_CHARACTERS) throw invalidAnswer(status, 'an event has no end.');
    for (const event of events) {
      const [, name = ''] = /^event: (.*)$/m.exec(event) ?? [];
      const text = /^data: (.*)$/m.exec(event)?.[1];
      // Comments keep the connection open.
      if (text === undefined) continue;
      const data = parsedJson(text);
      if (data === undefined) throw invalidAnswer(status, 'an event is not JSON.');
      yield { name, data };
    }
  }
}
