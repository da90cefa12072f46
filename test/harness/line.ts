import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay with an adjustable delay. It keeps the order of bytes, and delivers bytes in flight before a close. */
export interface Line {
  readonly port: number;
  /** Delays every byte from now on, in both directions. */
  readonly delay: (milliseconds: number) => void;
  readonly close: () => Promise<void>;
}

/** @param options.host the local address that the relay listens on */
export async function layLine(target: { host: string; port: number }, options: { host?: string } = {}): Promise<Line> {
  const sockets = new Set<Socket>();
  let delayMs = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ ...target, allowHalfOpen: true });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      const later = inOrder(() => delayMs);
      from.on('data', (chunk) => later(() => to.write(chunk)));
      from.on('end', () => later(() => to.end()));
      from.on('error', () => later(() => to.destroy()));
      from.on('close', () => sockets.delete(from));
    }
  });
  server.listen(0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    delay: (milliseconds) => {
      delayMs = milliseconds;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Runs tasks after a delay and in order, even when a later task has a shorter delay. */
function inOrder(delayMs: () => number): (act: () => void) => void {
  const queue: { due: number; act: () => void }[] = [];
  const work = () => {
    for (let head = queue[0]; head !== undefined; head = queue[0]) {
      const left = head.due - performance.now();
      if (left > 0) return void setTimeout(work, left);
      queue.shift();
      head.act();
    }
  };
  return (act) => {
    queue.push({ due: performance.now() + delayMs(), act });
    if (queue.length === 1) work();
  };
}
