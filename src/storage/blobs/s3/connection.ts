import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { CompleteMultipartUploadCommand, CopyObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { withAnySignal } from '../../../abort-signals.js';
import { ServiceError } from '../../../dataset/errors.js';
import { BackendUnusable } from '../../backend-unusable.js';
import type { S3Location } from './location.js';
import { type Timeouts, totalMsOf, withDeadline } from './timeouts.js';

/** A store may answer only when it has combined the parts or copied the object, which may take minutes. */
const COPY_MS = 300_000;

/** Connections to the store for everything but reading the bytes of objects. */
const MAX_SOCKETS = 128;

/**
 * Reads of objects that may last as long as their clients are slow, each on a connection that holds some 200 KB. Further
 * connections are for reads that never wait for a client.
 */
export const MAX_SLOW_READS = 1000;

/** Replaces the default logger of the SDK, which prints errors that we handle. */
const QUIET = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** The SDK's clients of a bucket. */
export interface Connection {
  /** For uploads: times out when the store stops reading the body. */
  readonly writer: S3Client;
  /** For everything else but the bytes of objects: times out when the store does not begin to answer. */
  readonly reader: S3Client;
  /** As `reader`, for the bytes of objects. It has its own connections; the reader of the body has its own timeout. */
  readonly downloader: S3Client;
  /** Signs links with the endpoint that clients use; sends no requests. */
  readonly signer: S3Client;
  /** As `signer`, with the endpoint of this service, which may not reach that of the clients. */
  readonly probeSigner: S3Client;
  /** Rejects all calls, those in flight too, with ServiceError `shutting_down`; not reads of objects that have begun. */
  abort(): void;
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
  const agents = await agentsOf(location, MAX_SOCKETS);
  const downloadAgents = await agentsOf(location, MAX_SLOW_READS + MAX_SOCKETS);
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
  const readHandler = { ...handler, socketTimeout: 0, requestTimeout: idleMs, throwOnRequestTimeout: true };
  const closing = new AbortController();
  // Every call adds a listener.
  setMaxListeners(0, closing.signal);
  const limits = { timeouts, closing: closing.signal };
  const writer = limit(new S3Client({ ...config, requestHandler: { ...handler, socketTimeout: idleMs } }), limits);
  // The clients share one provider, which refreshes credentials before they expire.
  const { credentials } = writer.config;
  const reader = limit(new S3Client({ ...config, credentials, requestHandler: readHandler }), limits);
  const downloader = limit(
    new S3Client({ ...config, credentials, requestHandler: { ...readHandler, ...downloadAgents } }),
    limits,
  );
  const { publicEndpoint } = location;
  const probeSigner = new S3Client({ ...config, credentials: linkCredentials ?? credentials });
  const signer = new S3Client({
    ...config,
    credentials: linkCredentials ?? credentials,
    ...(publicEndpoint !== undefined && { endpoint: publicEndpoint }),
  });
  const abort = () => closing.abort(new ServiceError('shutting_down', 'The server is shutting down. Try again.'));
  const close = () => {
    for (const client of [writer, reader, downloader, signer, probeSigner]) client.destroy();
    for (const { httpAgent, httpsAgent } of [agents, downloadAgents]) {
      httpAgent.destroy();
      httpsAgent.destroy();
    }
  };
  return { writer, reader, downloader, signer, probeSigner, abort, close };
}

async function agentsOf({ caFile }: S3Location, maxSockets: number) {
  const options = { keepAlive: true, maxSockets };
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

/**
 * Fails a call that takes longer than `totalMsOf` or until `closing` fires. Reading the bytes of an object does not count.
 */
function limit(client: S3Client, { timeouts, closing }: { timeouts: Timeouts; closing: AbortSignal }): S3Client {
  type Command = { readonly input: { readonly Body?: { readonly byteLength?: number } } };
  type Options = { readonly abortSignal?: AbortSignal; readonly requestTimeout?: number };
  const send = client.send.bind(client) as unknown as (command: Command, options: Options) => Promise<unknown>;
  const sendInTime = (command: Command, { abortSignal, ...options }: Options = {}): Promise<unknown> => {
    const isCopy = command instanceof CompleteMultipartUploadCommand || command instanceof CopyObjectCommand;
    const ms = totalMsOf(timeouts, command.input.Body?.byteLength ?? 0) + (isCopy ? COPY_MS : 0);
    const sendBefore = (deadline: AbortSignal) =>
      withAnySignal([abortSignal, deadline], (either) =>
        send(command, { ...options, abortSignal: either, ...(isCopy && { requestTimeout: ms }) }),
      );
    return withDeadline(ms, sendBefore, closing);
  };
  return Object.assign(client, { send: sendInTime });
}
