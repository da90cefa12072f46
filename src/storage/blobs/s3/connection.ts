import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import {
  CompleteMultipartUploadCommand,
  type PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { BackendUnusable } from '../../backend-unusable.js';
import type { S3Location } from './location.js';

/** Timeouts and attempts of requests to a store. */
export interface Timeouts {
  /** For opening a connection, in milliseconds. */
  readonly connectMs: number;
  /** For the next byte in either direction, in milliseconds. */
  readonly idleMs: number;
  /** Including the first one. */
  readonly attempts: number;
  /** For a call with all its attempts and the pauses between them, in milliseconds. A body adds time for its bytes. */
  readonly totalMs: number;
}

export const TIMEOUTS: Timeouts = { connectMs: 5000, idleMs: 15_000, attempts: 3, totalMs: 30_000 };

/** The lowest rate at which a store may take a body. Many uploads may share a slow line. */
const MIN_BYTES_PER_SECOND = 32 * 1024;

/** The time for a call that sends a body of this size. */
export function totalMsOf({ totalMs }: Timeouts, sizeBytes: number): number {
  return totalMs + (sizeBytes / MIN_BYTES_PER_SECOND) * 1000;
}

/** A store may answer only when it has combined the parts, which Amazon says takes minutes. */
const COMPLETE_MS = 300_000;

const MAX_SOCKETS = 128;

/** Replaces the default logger of the SDK, which prints errors that we handle. */
const QUIET = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** The SDK's clients of a bucket. */
export interface Connection {
  /** For uploads: times out when the store stops reading the body. */
  readonly writer: S3Client;
  /** For downloads: times out when the store does not begin to answer; the reader of the body has its own timeout. */
  readonly reader: S3Client;
  /** Signs links with the endpoint that clients use; sends no requests. */
  readonly signer: S3Client;
  /** As `signer`, with the endpoint of this service, which may not reach that of the clients. */
  readonly probeSigner: S3Client;
  close(): void;
}

/** The key of a user of the store. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * Creates the clients, without a request.
 *
 * @param linkCredentials sign the presigned links, by default those of the service
 * @throws BackendUnusable if the CA file can't be read
 */
export async function connect(
  location: S3Location,
  timeouts: Timeouts,
  linkCredentials?: S3Credentials,
): Promise<Connection> {
  const agents = await agentsOf(location);
  const { connectMs: connectionTimeout, idleMs } = timeouts;
  const config: S3ClientConfig = {
    ...(location.region !== undefined && { region: location.region }),
    ...(location.endpoint !== undefined && { endpoint: location.endpoint }),
    forcePathStyle: location.isPathStyle,
    maxAttempts: timeouts.attempts,
    // By default the SDK sends `aws-chunked` bodies with a trailing checksum, which many stores save as part of the object.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    logger: QUIET,
  };
  const handler = { ...agents, connectionTimeout, logger: QUIET };
  const writer = limitTime(
    new S3Client({ ...config, requestHandler: { ...handler, socketTimeout: idleMs } }),
    timeouts,
  );
  // The clients share one provider, which refreshes credentials before they expire.
  const { credentials } = writer.config;
  const reader = limitTime(
    new S3Client({
      ...config,
      credentials,
      requestHandler: { ...handler, socketTimeout: 0, requestTimeout: idleMs, throwOnRequestTimeout: true },
    }),
    timeouts,
  );
  const { publicEndpoint } = location;
  const probeSigner = new S3Client({ ...config, credentials: linkCredentials ?? credentials });
  const signer = new S3Client({
    ...config,
    credentials: linkCredentials ?? credentials,
    ...(publicEndpoint !== undefined && { endpoint: publicEndpoint }),
  });
  const close = () => {
    for (const client of [writer, reader, signer, probeSigner]) client.destroy();
    agents.httpAgent.destroy();
    agents.httpsAgent.destroy();
  };
  return { writer, reader, signer, probeSigner, close };
}

async function agentsOf({ caFile }: S3Location) {
  const options = { keepAlive: true, maxSockets: MAX_SOCKETS };
  const httpAgent = new HttpAgent(options);
  if (caFile === undefined) return { httpAgent, httpsAgent: new HttpsAgent(options) };
  const ca = await readFile(caFile, 'utf8').catch((error) => {
    throw new BackendUnusable(`the file of ca= in BLOBS_URL can't be read: ${error.message}`, {
      cause: error,
      isTemporary: false,
    });
  });
  return { httpAgent, httpsAgent: new HttpsAgent({ ...options, ca }) };
}

/** Fails a call that takes longer than `totalMsOf`. Reading the body of an answer does not count. */
function limitTime(client: S3Client, timeouts: Timeouts): S3Client {
  type Command = { readonly input: { readonly ContentLength?: number | undefined } };
  type Options = { readonly abortSignal?: AbortSignal };
  const send = client.send.bind(client) as unknown as (command: Command, options: Options) => Promise<unknown>;
  const sendInTime = (command: Command, { abortSignal, ...options }: Options = {}): Promise<unknown> => {
    const isCompletion = command instanceof CompleteMultipartUploadCommand;
    const ms = totalMsOf(timeouts, command.input.ContentLength ?? 0) + (isCompletion ? COMPLETE_MS : 0);
    return withDeadline(ms, (deadline) => {
      const either = abortSignal === undefined ? deadline : AbortSignal.any([abortSignal, deadline]);
      return send(command, { ...options, abortSignal: either });
    });
  };
  return Object.assign(client, { send: sendInTime });
}

/** Fires the signal after this time. @throws Error that `isTransient` accepts */
export async function withDeadline<T>(ms: number, work: (deadline: AbortSignal) => Promise<T>): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort(Object.assign(new Error(`no answer within ${Math.round(ms)} ms`), { name: 'TimeoutError' }));
  }, ms);
  try {
    // The race ends a pause between two attempts too.
    return await Promise.race([work(deadline.signal), rejectionOf(deadline.signal)]);
  } finally {
    clearTimeout(timer);
  }
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Makes the signature cover the SHA-256 of the body, so that the store rejects a body with other bytes. */
export function withKnownHash(command: PutObjectCommand, sha256: string): PutObjectCommand {
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = sha256;
      return next(args);
    },
    { step: 'build', name: 'knownSha256' },
  );
  return command;
}

/**
 * Fails when the sender is idle for too long. The time that the reader takes for a chunk does not count.
 *
 * @throws Error that `isTransient` accepts
 */
export async function* withIdleTimeout(
  body: Readable,
  { idleMs, onWait }: { idleMs: number; onWait?: (ms: number) => void },
): AsyncGenerator<Buffer> {
  const chunks = body.iterator({ destroyOnReturn: true });
  try {
    for (;;) {
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        body.destroy();
      }, idleMs);
      const since = performance.now();
      const next = await chunks.next().finally(() => clearTimeout(timer));
      onWait?.(performance.now() - since);
      if (isLate) throw timedOut(`no byte arrived for ${idleMs} ms`);
      if (next.done) return;
      yield next.value as Buffer;
    }
  } finally {
    body.destroy();
  }
}

/** An error that `isTransient` accepts. */
export function timedOut(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}
