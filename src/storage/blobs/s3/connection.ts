import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { BackendUnusable } from '../../backend-unusable.js';
import type { S3Location } from './location.js';

/** How patient we are with a store. */
export interface Timeouts {
  /** For a connection to come about, in milliseconds. */
  readonly connectMs: number;
  /** For the next byte, or for the store to take one, in milliseconds. */
  readonly idleMs: number;
  /** How often something is tried in all. */
  readonly attempts: number;
}

export const TIMEOUTS: Timeouts = { connectMs: 5000, idleMs: 15_000, attempts: 3 };

const MAX_SOCKETS = 128;

/** The SDK's own logger tells the console of every error that we handle. */
const QUIET = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** The clients of a bucket. */
export interface Connection {
  /** For what sends bytes: gives up on a store that has stopped taking them. */
  readonly writer: S3Client;
  /** For what receives them: gives up on a store that doesn't begin to answer, and leaves the body to its reader. */
  readonly reader: S3Client;
  /** As clients reach the store; it only signs. */
  readonly signer: S3Client;
  close(): void;
}

/** Connects to nothing yet. @throws BackendUnusable where the CA file can't be read */
export async function connect(location: S3Location, timeouts: Timeouts): Promise<Connection> {
  const agents = await agentsOf(location);
  const { connectMs: connectionTimeout, idleMs } = timeouts;
  const config: S3ClientConfig = {
    ...(location.region !== undefined && { region: location.region }),
    ...(location.endpoint !== undefined && { endpoint: location.endpoint }),
    forcePathStyle: location.isPathStyle,
    maxAttempts: timeouts.attempts,
    // Otherwise every body is framed in chunks with a checksum behind them, which many a store keeps as part of the object.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    logger: QUIET,
  };
  const handler = { ...agents, connectionTimeout, logger: QUIET };
  const writer = new S3Client({ ...config, requestHandler: { ...handler, socketTimeout: idleMs } });
  // One provider for all: it refreshes what is about to run out.
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
    throw new BackendUnusable(`the file that ca= in BLOBS_URL names can't be read: ${error.message}`, {
      cause: error,
      isTemporary: false,
    });
  });
  return { httpAgent, httpsAgent: new HttpsAgent({ ...options, ca }) };
}
