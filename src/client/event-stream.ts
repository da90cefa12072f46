/** One server-sent event (https://html.spec.whatwg.org/#server-sent-events), as this service sends them. */
export interface StreamEvent {
  readonly name: string;
  readonly data: unknown;
}

/** The events of an answer as they come, until it ends; `open` before the first, which is told of as soon as it is asked. */
export async function* eventsIn(response: Response): AsyncGenerator<StreamEvent> {
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
        // Comments, which keep the connection open, have none.
        if (data !== undefined) yield { name, data: JSON.parse(data) };
      }
    }
  } finally {
    await reader.cancel();
  }
}
