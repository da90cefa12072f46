import type { WireDatasetChange } from '../api/event-schema.js';
import type { WireDataset } from '../api/schemas.js';
import { parseJson } from './parse-json.js';
import { invalidAnswer } from './trainyard-error.js';

/** A change of one of the account's datasets; see `TrainyardClient.allEvents`. */
export type DatasetEvent =
  | { readonly type: 'open' }
  | { readonly type: 'dataset'; readonly dataset: WireDataset }
  | { readonly type: 'deleted'; readonly id: string };

/** More than the events of any dataset take. */
const MAX_EVENT_CHARACTERS = 4 * 1024 * 1024;

/**
 * Yields `open` at once, then the events of an answer as they arrive, until it ends. Parses only the form of server-sent
 * events (https://html.spec.whatwg.org/#server-sent-events) that this service sends.
 */
async function* eventsIn(response: Response): AsyncGenerator<{ name: string; data: unknown }> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  try {
    yield { name: 'open', data: undefined };
    let text = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
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

/** Yields the changes of one dataset, until it is deleted or the answer ends. */
export async function* changesIn(response: Response): AsyncGenerator<WireDatasetChange> {
  for await (const { name, data } of eventsIn(response)) {
    if (name === 'deleted') return;
    if (name === 'dataset') yield data as WireDatasetChange;
  }
}

/** Yields the changes of all datasets of an account. */
export async function* datasetEventsIn(response: Response): AsyncGenerator<DatasetEvent> {
  for await (const { name, data } of eventsIn(response)) {
    if (name === 'open') yield { type: 'open' };
    if (name === 'dataset') yield { type: 'dataset', dataset: data as WireDataset };
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
