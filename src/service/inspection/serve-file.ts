import { MessageChannel } from 'node:worker_threads';
import {
  ANSWERED,
  BLOCK_BYTES,
  FAILED,
  MESSAGE_HEADER_BYTES,
  type RemoteFile,
} from '../../dataset/inspect/remote-bytes.js';

/**
 * Lets a worker read a file that only this thread can open. The caller must transfer the port of `remote` to the worker.
 *
 * @returns `failure`: returns the first error of `readAt`; the worker learns only that reading failed
 */
export function serveFile(
  readAt: (start: number, end: number, signal: AbortSignal) => Promise<Buffer>,
  { sizeBytes, signal }: { sizeBytes: number; signal: AbortSignal },
): { remote: RemoteFile; failure: () => { error: unknown } | undefined; close: () => void } {
  const { port1, port2 } = new MessageChannel();
  const shared = new SharedArrayBuffer(MESSAGE_HEADER_BYTES + BLOCK_BYTES);
  const header = new Int32Array(shared, 0, 2);
  const block = Buffer.from(shared, MESSAGE_HEADER_BYTES);
  let failure: { error: unknown } | undefined;
  const answer = async ([start, end]: [number, number]) => {
    let state = ANSWERED;
    try {
      const bytes = await readAt(start, end, signal);
      if (bytes.length !== end - start) throw new Error(`Read ${bytes.length} bytes instead of ${end - start}.`);
      header[1] = bytes.copy(block);
    } catch (error) {
      failure ??= { error };
      state = FAILED;
    }
    Atomics.store(header, 0, state);
    Atomics.notify(header, 0);
  };
  port1.on('message', (range) => void answer(range));
  return { remote: { sizeBytes, port: port2, shared }, failure: () => failure, close: () => port1.close() };
}
