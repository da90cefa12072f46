import type { WireDataset } from '../api/schemas.js';

/** A change of one of the account's datasets; see `TrainyardClient.allEvents`. */
export type DatasetEvent =
  | { readonly type: 'open' }
  | { readonly type: 'dataset'; readonly dataset: WireDataset }
  | { readonly type: 'deleted'; readonly id: string };

/**
 * Yields `open` at once, then the events of an answer as they arrive, until it ends. Parses only the form of server-sent
 * events (https://html.spec.whatwg.org/#server-sent-events) that this service sends.
 */
export async function* eventsIn(response: Response): AsyncGenerator<{ name: string; data: unknown }> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  try {
    yield { name: 'open', data: undefined };
    let text = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const events = (text + part.value).split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        const [, name = ''] = /^event: (.*)$/m.exec(event) ?? [];
        const data = /^data: (.*)$/m.exec(event)?.[1];
        // Comments, which keep the connection open, have no data.
        if (data !== undefined) yield { name, data: JSON.parse(data) };
      }
    }
  } finally {
    await reader.cancel();
  }
}
