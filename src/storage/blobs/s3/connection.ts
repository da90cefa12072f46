import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
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
}

export const TIMEOUTS: Timeouts = { connectMs: 5000, idleMs: 15_000, attempts: 3 };

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
  close(): void;
}

/** Creates the clients, without a request. @throws BackendUnusable if the CA file can't be read */
export async function connect(location: S3Location, timeouts: Timeouts): Promise<Connection> {
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
  const writer = new S3Client({ ...config, requestHandler: { ...handler, socketTimeout: idleMs } });
  // The clients share one provider, which refreshes credentials before they expire.
  const { credentials } = writer.config;
  const reader = new S3Client({
    ...config,
    credentials,
    requestHandler: { ...handler, socketTimeout: 0, requestTimeout: idleMs, throwOnRequestTimeout: true },
  });
  const { publicEndpoint } = location;
  const signer = new S3Client({
    ...config,
    credentials,
    ...(publicEndpoint !== undefined && { endpoint: publicEndpoint }),
  });
  const close = () => {
    for (const client of [writer, reader, signer]) client.destroy();
    agents.httpAgent.destroy();
    agents.httpsAgent.destroy();
  };
  return { writer, reader, signer, close };
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
