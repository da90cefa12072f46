import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { BASE_PATH } from '../src/api/limits.js';
import { type Api, put } from '../test/harness/api.js';
import { captionPieces } from '../test/faults/contents.js';
import { directHead, headOf } from '../test/faults/raw-client.js';

/** More than the kernel buffers of a connection hold. */
const DOWNLOAD_BYTES = 12_000_000;
const TICK_MS = 250;

export interface Crowd {
  /** The statuses of answers to senders so far; readers have none. */
  readonly statuses: () => number[];
  readonly hangUp: () => Promise<void>;
}

/**
 * Clients that hold connections for long. Senders send one byte now and then: of a JSON body, a direct upload, or a PUT.
 * Readers download a file and read little of it, or nothing.
 */
export async function gatherCrowd(
  api: Api,
  { senders, readers }: { senders: number; readers: number },
): Promise<Crowd> {
  const id = await api.newDataset();
  await put(await api.link(id, 'large.txt', DOWNLOAD_BYTES), Buffer.concat([...captionPieces(DOWNLOAD_BYTES)]));
  const { uploads } = (await api.links(id, Object.fromEntries(names(senders).map((name) => [name, 1_000_000])))).body;
  const authorization = { Authorization: `Bearer ${api.token}` };
  const base = `${api.url}${BASE_PATH}`;
  const heads = names(senders).map((name, index) => {
    const kinds = [
      () => headOf('POST', new URL(base), { ...authorization, 'Content-Length': 1_000_000 }),
      () => directHead(api, id, { 'Content-Length': 1_000_000 }),
      () => headOf('PUT', new URL(uploads[name]?.upload_url ?? ''), { 'Content-Length': 1_000_000 }),
    ];
    return kinds[index % kinds.length]?.() ?? '';
  });
  const { hostname, port } = new URL(api.url);
  const open = async (head: string) => {
    const socket = connect(Number(port), hostname);
    // The server closes connections that are too slow.
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(head);
    return socket;
  };
  const statuses: number[] = [];
  const sending: Socket[] = [];
  for (const head of heads) {
    const socket = await open(head);
    socket.once('data', (answer) => statuses.push(Number(/^HTTP\/1\.1 (\d+)/.exec(String(answer))?.[1])));
    socket.on('data', () => {});
    sending.push(socket);
  }
  const reading: Socket[] = [];
  for (const _ of names(readers)) {
    const socket = await open(headOf('GET', new URL(`${base}/${id}/files/large.txt`), authorization));
    socket.pause();
    reading.push(socket);
  }
  const timer = setInterval(() => {
    for (const socket of sending) if (socket.writable) socket.write(' ');
    // Every second reader reads a little; the others nothing.
    for (const [index, socket] of reading.entries()) if (index % 2 === 0) socket.read(100);
  }, TICK_MS);
  const all = [...sending, ...reading];
  return {
    statuses: () => statuses,
    hangUp: async () => {
      clearInterval(timer);
      await Promise.all(all.map((socket) => socket.destroy().closed || once(socket, 'close')));
    },
  };
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${index}.txt`);
}
