import { eventually, type TestServer } from './server.js';

/** The text of `/metrics`, made after the call: the server sends one again for a while, and counts the requests for it. */
export async function metricsOf({ url }: Pick<TestServer, 'url'>): Promise<string> {
  const read = async () => (await fetch(`${url}/metrics`)).text();
  const earlier = await read();
  return eventually(async () => {
    const text = await read();
    return text === earlier ? undefined : text;
  });
}
