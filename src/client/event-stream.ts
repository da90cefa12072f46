import { anySignal } from '../abort-signals.js';
import type { WireDataset, WireDatasetChange } from '../api/schemas.js';
import type { StreamOptions } from './requests.js';
import { invalidAnswer, parseJson } from './trainyard-error.js';

/** A change of one of the account's datasets; see `TrainyardClient.allEvents`. */
export type DatasetEvent =
  | { readonly type: 'open' }
  | { readonly type: 'dataset'; readonly dataset: WireDataset }
  | { readonly type: 'deleted'; readonly id: string };

/** More than the events of any dataset take. */
const MAX_EVENT_CHARACTERS = 4 * 1024 * 1024;

/** The service sends a comment every 15 s. */
const MAX_SILENT_SECONDS = 40;

/** Sends the request for a stream. */
type Open = (signal: AbortSignal) => Promise<Response>;

/** Fails work that takes too long. */
type Limit = <T>(work: Promise<T>) => Promise<T>;

/**
 * Yields `open` once the answer begins, then its events as they arrive, until it ends. Parses only the form of server-sent
 * events (https://html.spec.whatwg.org/#server-sent-events) that this service sends.
 *
 * @throws what `open` throws; the signal's reason; TrainyardError for an answer that has no events; DOMException TimeoutError
 * after `maxSilentSeconds`
 */
async function* eventsIn(
  open: Open,
  { signal, maxSilentSeconds = MAX_SILENT_SECONDS }: StreamOptions,
): AsyncGenerator<{ name: string; data: unknown }> {
  const silence = new AbortController();
  /** Only while the stream is read: a caller may take longer for an event. */
  const limited: Limit = async (work) => {
    const reason = new DOMException(`Nothing has arrived for ${maxSilentSeconds} seconds.`, 'TimeoutError');
    const timer = setTimeout(() => silence.abort(reason), maxSilentSeconds * 1000);
    try {
      return await work;
    } finally {
      clearTimeout(timer);
    }
  };
  const either = anySignal([signal, silence.signal]);
  try {
    yield* eventsOf(await limited(open(either.signal)), limited);
  } finally {
    either.release();
  }
}

async function* eventsOf(response: Response, limited: Limit): AsyncGenerator<{ name: string; data: unknown }> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  const read = () => limited(reader.read());
  try {
    yield { name: 'open', data: undefined };
    let text = '';
    for (let part = await read(); !part.done; part = await read()) {
      const events = (text + part.value).split('\n\n');
      text = events.pop() ?? '';
      if (text.length > MAX_EVENT_CHARACTERS) throw invalidAnswer(response.status, 'an event has no end.');
      for (const event of events) {
        const [, name = ''] = /^event: (.*)$/m.exec(event) ?? [];
        const data = /^data: (.*)$/m.exec(event)?.[1];
        // Comments, which keep the connection open, have no data.
        if (data !== undefined) yield { name, data: dataOf(data, response) };
      }
    }
  } finally {
    await reader.cancel();
  }
}

/** Yields the changes of one dataset, until it is deleted or the answer ends. @throws as `eventsIn` does */
export async function* changesIn(open: Open, options: StreamOptions): AsyncGenerator<WireDatasetChange> {
  const { datasetChangeOf } = await import('./contract.js');
  for await (const { name, data } of eventsIn(open, options)) {
    if (name === 'deleted') return;
    if (name === 'dataset') yield datasetChangeOf(data);
  }
}

/** Yields the changes of all datasets of an account. @throws as `eventsIn` does */
export async function* datasetEventsIn(open: Open, options: StreamOptions): AsyncGenerator<DatasetEvent> {
  const { datasetOf } = await import('./contract.js');
  for await (const { name, data } of eventsIn(open, options)) {
    if (name === 'open') yield { type: 'open' };
    if (name === 'dataset') yield { type: 'dataset', dataset: datasetOf(data) };
    if (name === 'deleted') yield { type: 'deleted', id: (data as { id: string }).id };
  }
}

function dataOf(text: string, { status }: Response): unknown {
  try {
    return parseJson(text);
  } catch {
    throw invalidAnswer(status, 'an event is not JSON.');
  }
}
